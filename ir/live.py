"""Which operations of a graph run at all, backwards from what acts: what is not used does not run, unless it does
something beside its value.

A call of a stage that gives a value may act on the world, so it runs; a call that gives a stream acts by being read, so
a stream that nobody uses is never started. An `emit` acts where it sends out of the run; in a generator it is a part of
the generator's stream.
"""

from __future__ import annotations

from dataclasses import replace

from ..lang.types import StreamType
from .graph import Operation, Region, Value

TERMINATORS = ("agent.return", "agent.yield")


def is_stream(value: Value) -> bool:
    return isinstance(value.type, StreamType)


def live(body: Region) -> set[str]:
    """The ids of the operations that run."""
    found: set[str] = set()
    used: set[int] = set()

    def mark(region: Region) -> None:
        for operation in reversed(region.operations):
            wanted = operation.name in TERMINATORS or any(result.id in used for result in operation.results)
            if wanted or acts(operation) or sends(operation):
                found.add(operation.id)
                used.update(operand.id for operand in operation.operands)
                for inner in operation.regions:
                    mark(inner)

    mark(body)
    return found


def acts(operation: Operation) -> bool:
    """Whether it does something beside its value and what it emits."""
    if operation.name == "agent.expect":
        return True
    if operation.name in ("agent.stage", "agent.lookup", "agent.compute"):
        return not any(is_stream(result) for result in operation.results)
    return any(acts(inner) for region in operation.regions for inner in region.operations)


def sends(operation: Operation) -> bool:
    """Whether it sends items out, itself or inside; what a generator emits goes into its stream."""
    if operation.name in ("agent.emit", "agent.generator"):
        return operation.name == "agent.emit"
    return any(sends(inner) for region in operation.regions for inner in region.operations)


def only_live(region: Region, running: set[str]) -> Region:
    """The region without what never runs."""
    operations = (
        replace(operation, regions=tuple(only_live(inner, running) for inner in operation.regions))
        if operation.regions
        else operation
        for operation in region.operations
        if operation.id in running
    )
    return Region(region.arguments, tuple(operations))
