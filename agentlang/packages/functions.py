"""The functions of a program's models, built for targets: what costs, and what is therefore kept between builds.

Exporting a model depends on the model and on our code alone, building a function on its bytes and on the compiler: so a
program that is edited builds neither again.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from .. import builds
from ..base.problems import Problem, Problems
from ..ir.artifact import Artifact, from_entry
from ..ir.targets import Built, Target
from ..stdlib.catalogue import Entry
from ..stdlib.store import Progress, obtain

Working = Callable[[str, int, int], None]
"""Hears what is built, how many functions are done, of how many."""


def unheard(what: str, done: int, total: int) -> None:
    """Building is told to nobody."""
    del what, done, total


@dataclass(frozen=True, slots=True)
class Made:
    """One function of one model for one target."""

    model: str
    target: Target
    variant: str
    artifact: Artifact
    built: Built


def exported(entry: Entry, longest: int, progress: Progress) -> tuple[Artifact, ...]:
    """The portable functions of a model for inputs of up to `longest` tokens. Fetches the model if it has to.

    Raises `OutsideError` (model-not-here, extra-missing and the like).
    """

    def make() -> bytes:
        from ..stdlib.extras import need_models
        from ..stdlib.models.packaged import functions

        need_models("the functions of a model")
        made = functions(entry, obtain(entry, progress), longest)
        return json.dumps([[each.entry(), base64.b64encode(each.data).decode()] for each in made]).encode()

    name = builds.key("functions", entry.name, [file.sha256 for file in entry.files], longest)
    kept: Any = json.loads(builds.once(name, make) or b"[]")
    return tuple(from_entry(given, base64.b64decode(data)) for given, data in kept)


def built(
    models: Mapping[str, tuple[Artifact, ...]], targets: Iterable[tuple[Target, str]], working: Working
) -> tuple[tuple[Made, ...], Problems]:
    """Every function for every target, in order; compilers run at the same time, as many as there are processors."""
    jobs = [
        (name, target, variant, artifact)
        for target, variant in targets
        for name, artifacts in models.items()
        for artifact in artifacts
    ]
    done: list[Made] = []
    found: list[Problem] = []
    with ThreadPoolExecutor(max(1, _processors())) as pool:
        waiting = [pool.submit(_build, target, variant, artifact) for _, target, variant, artifact in jobs]
        try:
            for (name, target, variant, artifact), job in zip(jobs, waiting, strict=True):
                made, problems = job.result()
                found += problems
                if made is None:
                    break
                done.append(Made(name, target, variant, artifact, made))
                working(f"{name} {artifact.name} for {target.name}", len(done), len(jobs))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return tuple(done), tuple(dict.fromkeys(found))


def _build(target: Target, variant: str, artifact: Artifact) -> tuple[Built | None, Problems]:
    """Build, or find what was built. What is shipped as it is costs nothing to build."""
    name = builds.key("built", artifact.sha256, target.name, variant, target.builder)
    kept = builds.recall(name) if target.builder != "stablehlo" else None
    if kept is not None:
        head, _, data = kept.partition(b"\n")
        said: Any = json.loads(head)
        return Built(data, said["kind"], tuple((what, how) for what, how in said["checks"]), said["note"]), ()
    made, problems = target.build(artifact.data, artifact.name, variant)
    if made is not None and target.builder != "stablehlo":
        head = json.dumps({"kind": made.kind, "checks": made.checks, "note": made.note}).encode()
        builds.keep(name, head + b"\n" + made.data)
    return made, problems


def native(entry: Mapping[str, Any], data: bytes) -> Artifact:
    """The entry of a function whose bytes are machine code: `from_entry` holds bytes against the hash of StableHLO.

    Raises `UnsoundEntry`.
    """
    import hashlib

    made = from_entry({**entry, "sha256": hashlib.sha256(data).hexdigest()}, data)
    return replace(made, platforms=("native",))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
