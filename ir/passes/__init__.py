"""The passes, in order: one file each, which opens with its picture, before => after.

A pass is a function `run(module, library) -> problems` that changes the module it is given; `ir.pipeline` gives it a
clone, and verifies and checks the laws of `ir.laws` afterwards. `PASSES` are names, so that a command can list and
check them without loading MLIR; a pass is imported when it runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

from ...base.problems import Problems
from ..library import Library

Pass: TypeAlias = Callable[[Any, Library], Problems]

PASSES: tuple[str, ...] = (
    "inline_pipelines",
    "split_llm",
    "annotate_demand",
)


def load(name: str) -> Pass:
    """The pass of that name. KeyError if there is none."""
    if name not in PASSES:
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").run
