"""What the functions of a model need as this machine compiles them, beside the formulas that plans are made with.

Compiling a whole step to ask costs seconds, so what a compiler said is kept, by the hash of the bytes and by all that
its answer depends on. What is kept is numbers in JSON; a file that is damaged is asked for again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...base import paths
from ...base.store import write_atomic
from ...ir.demand.artifact import Compared, Needs, compare, needs, needs_from
from ...ir.library import ModelShape

if TYPE_CHECKING:
    from ...ir.artifact import Artifact


@dataclass(frozen=True, slots=True)
class Described:
    """A function of a declared model, and its terms by formula and as compiled."""

    handle: str
    model: str
    artifact: Artifact
    needs: Needs
    terms: tuple[Compared, ...]

    def data(self) -> dict[str, Any]:
        """As JSON: the manifest's entry, and beside it what a call needs."""
        terms = {
            each.term: {"formula": each.formula, "compiled": each.compiled, "ratio": each.ratio} for each in self.terms
        }
        return {
            "handle": self.handle,
            "model": self.model,
            **self.artifact.entry(),
            "needs": self.needs.data(),
            "terms": terms,
        }


def described(handle: str, shape: ModelShape, artifacts: Iterable[Artifact]) -> tuple[Described, ...]:
    """Each of a model's functions with what it needs. Compiles what was not asked before; blocks."""
    found: list[Described] = []
    for artifact in artifacts:
        asked = needs_of(artifact)
        found.append(Described(handle, shape.name, artifact, asked, compare(shape, artifact, asked)))
    return tuple(found)


def needs_of(artifact: Artifact) -> Needs:
    """What one call needs, as compiled here; from what was kept where that is sound."""
    from ...executor.engines.xla.kept import environment
    from ...executor.engines.xla.load import load_to_ask

    of = hashlib.sha256("\0".join((artifact.sha256, *map(str, artifact.donated), environment())).encode()).hexdigest()
    path = paths.home() / "needs" / f"{artifact.name}-{of[:24]}.json"
    kept = _read(path)
    if kept is None:
        kept = needs(load_to_ask(artifact).compiled)
        with suppress(OSError):
            # A home that cannot be written costs the next question a compilation, and no answer.
            write_atomic(path, json.dumps(kept.data()).encode())
    return kept


def _read(path: Path) -> Needs | None:
    try:
        return needs_from(cast("Mapping[str, Any]", json.loads(path.read_bytes())))
    except (OSError, ValueError):
        return None
