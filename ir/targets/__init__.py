"""What model functions can be built for. Each target is one file here and one name in `TARGETS`.

A target takes a function as portable StableHLO and gives an artifact for one kind of hardware, whose contents it has
looked at: no hardware is needed to build. Targets whose name begins with nothing else are XLA's (`cpu`, `cuda`,
`rocm`): they ship the StableHLO, and XLA compiles it where it runs. The others are IREE's and ship machine code.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ...base.problems import Problems
from ...base.suggest import suggest
from . import target_problems as problems
from .protocol import Built, Target

__all__ = ["TARGETS", "Built", "Target", "Wanted", "load", "wanted"]

TARGETS = (
    "cpu",
    "cuda",
    "rocm",
    "x86-64",
    "arm64",
    "riscv64",
    "iree-cuda",
    "iree-rocm",
    "vulkan",
    "metal",
)
"""Names, the default first."""


Wanted = tuple[tuple[Target, str], ...]
"""Targets, each with the variant of it."""


def load(name: str) -> Target:
    """The target of a name in `TARGETS`. KeyError for any other."""
    if name not in TARGETS:
        raise KeyError(name)
    return cast("Target", import_module(f".{name.replace('-', '_')}", __name__).TARGET)


def wanted(words: str) -> tuple[Wanted, Problems]:
    """The targets that a word of the command line names, each with its variant: `x86-64,iree-rocm:gfx1100`.

    Every wrong name is a problem of its own. A target that is named twice is taken once; a variant that is not named is
    the target's first.
    """
    taken: dict[tuple[str, str], tuple[Target, str]] = {}
    found: Problems = ()
    for word in (part.strip() for part in words.split(",")):
        name, _, variant = word.partition(":")
        if name not in TARGETS:
            found = (*found, problems.target_unknown(name, TARGETS, suggest(name, TARGETS)))
            continue
        target = load(name)
        if variant and variant not in target.variants:
            near = suggest(variant, target.variants)
            found = (*found, problems.variant_unknown(name, variant, target.variants, near))
            continue
        chosen = variant or (target.variants[0] if target.variants else "")
        taken.setdefault((name, chosen), (target, chosen))
    return tuple(taken.values()), found
