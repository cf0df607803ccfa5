"""A model's functions as a package brings them, for an engine to run instead of the model's own.

A step of a chat model is `enter ─ layer × layers ─ leave`, and a package holds these three for each static size:
`enter_64`, `layer_64_256` (tokens, positions of the cache), `leave_64`; a step of one token is a decode step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.artifact import CACHE, Artifact

STABLEHLO, IREE = "stablehlo", "iree"


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """The functions of one model by name. `kind` says what their bytes are; `driver` names IREE's for machine code."""

    functions: Mapping[str, Artifact]
    kind: str = STABLEHLO
    driver: str = "local-task"

    @property
    def digest(self) -> str:
        """Names what the functions compute: equal digests may share compiled code."""
        lines = (f"{name} {made.sha256}\n" for name, made in sorted(self.functions.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def longest(self) -> int:
        """The most positions of a sequence; 0 where there is no function of a chat model."""
        return max((made.bucket[1] for made in self.functions.values() if made.stage == "layer"), default=0)

    def layer(self, count: int, length: int) -> Artifact:
        return self.functions[f"layer_{count}_{length}"]

    def cache(self, length: int) -> tuple[tuple[tuple[int, ...], str], ...]:
        """Shape and type of each array of a layer's cache for `length` positions."""
        return tuple((tensor.shape, tensor.dtype) for tensor in self.layer(1, length).of(CACHE))
