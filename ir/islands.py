"""The islands of a partitioned module, each a whole module of its own: verified, and written and read as any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.problems import Problem, Problems, has_errors
from . import _mlir
from .compile import Module
from .spreading import tell_handles
from .verify import verify


def islands(module: Module) -> tuple[Mapping[str, Module], Problems]:
    """By name, home's first; none for a module that was not partitioned. Each has the handles that it opens, and knows
    its tier (`agent.tier`) and home's."""
    names = [_name(operation) for operation in _declared(module.operation) if operation.name == "agent.island"]
    found: list[Problem] = []
    made: dict[str, Module] = {}
    for name in names:
        with _mlir.working():
            operation = _extracted(module.operation.clone().operation, name)
        found += verify(operation, module.passes)
        made[name] = Module(operation, module.sources, module.passes)
    return ({} if has_errors(found) else made), tuple(found)


def _declared(module: Any) -> list[Any]:
    return _mlir.operations(_mlir.body(module))


def _name(operation: Any) -> str:
    return operation.attributes["name"].value


def _extracted(module: Any, name: str) -> Any:
    for operation in _declared(module):
        if operation.name != "agent.island":
            continue
        if _name(operation) == name:
            module.attributes["agent.tier"] = operation.attributes["tier"]
            for inner in _mlir.operations(operation.regions[0].blocks[0]):
                inner.move_before(operation)
        operation.erase()
    _only_used(module)
    tell_handles(module)
    return module


def _only_used(module: Any) -> None:
    """Handles that nothing here opens go, goals of pipelines that are not here, and steps that no stage here runs."""
    declared = _declared(module)
    pipelines = [operation for operation in declared if operation.name == "agent.pipeline"]
    here = {_name(pipeline) for pipeline in pipelines}
    opened = {
        _name(operation)
        for pipeline in pipelines
        for operation in _mlir.walk(pipeline)
        if operation.name == "agent.open"
    }
    stages = (operation for pipeline in pipelines for operation in _mlir.walk(pipeline))
    steps = {operation.attributes["step"].value for operation in stages if "step" in operation.attributes}
    for operation in reversed(declared):
        if operation.name == "agent.step" and _name(operation) not in steps:
            operation.erase()
        elif operation.name == "agent.handle":
            if _name(operation) in opened:
                arguments = _mlir.plain(operation.attributes["arguments"]).values()
                opened |= {str(value) for value in arguments if isinstance(value, _mlir.SymbolName)}
            else:
                operation.erase()
        elif operation.name == "agent.goal" and operation.attributes["pipeline"].value not in here:
            operation.erase()
