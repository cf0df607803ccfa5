"""Runs passes on a clone of a module, and checks after each that the module is sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from . import _mlir
from .library import Library
from .passes import PASSES, load
from .verify import verify

if TYPE_CHECKING:
    from .compile import Module


def run(
    module: Module, library: Library, until: str | None, after: Callable[[str, Module], None] | None
) -> tuple[Module | None, Problems]:
    """The module after the passes that it has not been through, up to and including `until`.

    The first pass that leaves problems which are errors, or an unsound module, is the last. KeyError for a pass that
    does not exist.
    """
    from .compile import Module

    last = PASSES.index(until) if until in PASSES else len(PASSES) - 1
    if until is not None and until not in PASSES:
        raise KeyError(until)
    found: list[Problem] = []
    for name in PASSES[: last + 1]:
        if name in module.passes:
            continue
        operation = module.operation.clone().operation
        done = (*module.passes, name)
        with _mlir.working():
            found += load(name)(operation, library)
            operation.attributes["agent.passes"] = _mlir.attribute(done)
        if not has_errors(found):
            found += verify(operation, done)
        if has_errors(found):
            return None, tuple(found)
        module = Module(operation, module.sources, done)
        if after is not None:
            after(name, module)
    return module, tuple(found)
