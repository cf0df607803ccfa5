"""The passes, in order: one file each, which opens with its picture, before => after.

A pass is a function `run(module, library, *, option=default, …) -> problems` that changes the module it is given;
`ir.pipeline` gives it a clone, and verifies and checks the laws of `ir.laws` afterwards. Passes are names here, so that
a command can list and check them without loading MLIR; a pass is imported when it runs.

What a pass keeps, beside the program's meaning (docs/execution.md): stage ids are unique, places stay, a label is never
lost, and a name that an `assume` block may use stands somewhere (an operation that does the work of another keeps the
other's names in `also`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

from ...base.problems import Problems

Pass: TypeAlias = Callable[..., Problems]

PASSES: tuple[str, ...] = (
    "split_agent",
    "inline_pipelines",
    "fold_constants",
    "share_duplicates",
    "lift_invariant",
    "drop_unread",
    "batch_calls",
    "split_tool",
    "split_llm",
    "hoist_prefix",
    "overlap_streams",
    "fuse_stages",
    "annotate_demand",
)
"""What every program goes through, in this order."""

PLAIN: tuple[str, ...] = tuple(
    name for name in PASSES if name in ("split_agent", "inline_pipelines", "split_tool", "split_llm", "annotate_demand")
)
"""Those without which a program does not run: what is left when nothing is optimised, and what shows a program as it is
written."""

OPTIMISING: tuple[str, ...] = tuple(name for name in PASSES if name not in PLAIN)
"""Those that make it cheaper and change nothing else."""

PLACING: tuple[str, ...] = ("split_parallel", "insert_transfers", "partition")
"""Those that work on a placed module, whose leaves say their tier. No program goes through them by default."""

LOWERED = "lower"
"""What a command calls the module before any pass."""

ALL: tuple[str, ...] = (*PASSES, *PLACING)


def load(name: str) -> Pass:
    """The pass of that name. KeyError if there is none."""
    if name not in ALL:
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").run
