"""Runs passes on a clone of a module, and checks after each that the module is sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base.problems import Problem, Problems, has_errors
from . import _mlir
from .library import Library
from .passes import PASSES, load
from .verify import verify

if TYPE_CHECKING:
    from .compile import Module


_ANNOTATE = "annotate_demand"


def run(
    module: Module,
    library: Library,
    *,
    until: str | None = None,
    passes: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    laws: bool = True,
    after: Callable[[str, Module], None] | None = None,
    timed: Callable[[str, float], None] | None = None,
) -> tuple[Module | None, Problems]:
    """See `compile.run_passes`."""
    from .compile import Module

    chosen = tuple(PASSES if passes is None else passes)
    runs = [load(name) for name in chosen]
    if until is not None:
        if until not in chosen:
            raise KeyError(until)
        chosen = chosen[: chosen.index(until) + 1]
    found: list[Problem] = []
    operation = None
    for name, change in zip(chosen, runs, strict=False):
        if name in module.passes and passes is None:
            continue
        began = time.perf_counter()
        # The module that was given is nobody's to change, nor is one that somebody has seen.
        if operation is None or after is not None:
            operation = module.operation.clone().operation
        done = (*module.passes, *(() if name in module.passes else (name,)))
        with _mlir.working():
            if _ANNOTATE in module.passes and name in PASSES and name != _ANNOTATE:
                # What it said of stages holds no more when they are others.
                done = tuple(each for each in done if each != _ANNOTATE)
                _forget(operation)
            found += change(operation, library, **(options or {}).get(name, {}))
            operation.attributes["agent.passes"] = _mlir.attribute(done)
        if timed is not None:
            timed(name, time.perf_counter() - began)
        if laws and not has_errors(found):
            found += verify(operation, done)
        if has_errors(found):
            return None, tuple(found)
        module = Module(operation, module.sources, done)
        if after is not None:
            after(name, module)
    return module, tuple(found)


def _forget(module: Any) -> None:
    """Take away what `annotate_demand` said. What the parts of a model's step need does not depend on the program."""
    for declared in _mlir.operations(_mlir.body(module)):
        for operation in () if declared.name == "agent.step" else (declared, *_mlir.walk(declared)):
            for name in ("times", "demand", "sizes"):
                if name in operation.attributes:
                    del operation.attributes[name]
