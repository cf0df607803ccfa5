"""Which operations of a graph run at all, backwards from what acts: what is not used does not run, unless it does
something beside its value.

A call of a stage that gives a value may act on the world, so it runs; a call that gives a stream acts by being read, so
a stream that nobody uses is never started. An `emit` acts where it sends out of the run; in a generator it is a part of
the generator's stream. In an island, what is said to another island runs.

Operations are known by `id()` here: a graph made by hand may give none of its own.
"""

from __future__ import annotations

from dataclasses import replace

from ..lang.types import StreamType
from .graph import Operation, Region, Value, walk

TERMINATORS = ("agent.return", "agent.yield")

_LEAVES = "stage embed score transcribe synthesise lookup compute load store"
ACTING = frozenset(f"agent.{name}" for name in _LEAVES.split())
"""Calls that may act on the world, where they give a value."""


def is_stream(value: Value) -> bool:
    return isinstance(value.type, StreamType)


def gathers(operation: Operation) -> bool:
    """Whether it is a `for` over a stream that gives a list: like `all`, it takes every item at once."""
    return (
        operation.name == "agent.map"
        and is_stream(operation.operands[0])
        and any(not is_stream(result) for result in operation.results)
    )


def live(body: Region) -> set[int]:
    """The `id()`s of the operations that run."""
    found: set[int] = set()
    used: set[int] = set()

    def mark(region: Region) -> None:
        for operation in reversed(region.operations):
            wanted = operation.name in TERMINATORS or any(result.id in used for result in operation.results)
            if wanted or acts(operation) or sends(operation) or links(operation):
                found.add(id(operation))
                used.update(operand.id for operand in operation.operands)
                for inner in operation.regions:
                    mark(inner)

    mark(body)
    return found


def acts(operation: Operation) -> bool:
    """Whether it does something beside its value and what it emits: itself, inside, or (`acts`) in another island."""
    if operation.name == "agent.expect" or operation.attributes.get("acts"):
        return True
    if operation.name in ACTING or operation.name == "agent.chat":
        return not any(map(is_stream, operation.results))
    return any(acts(inner) for region in operation.regions for inner in region.operations)


def sends(operation: Operation) -> bool:
    """Whether it sends items out, itself or inside; what a generator emits goes into its stream."""
    if operation.name in ("agent.emit", "agent.generator"):
        return operation.name == "agent.emit"
    return any(sends(inner) for region in operation.regions for inner in region.operations)


def links(operation: Operation) -> bool:
    """Whether it is an end of a channel to another island, or something inside is. A stream is received only if it is
    read."""
    match operation.name:
        case "agent.watch" | "agent.halt":
            return True
        case "agent.send":
            return not operation.results
        case "agent.receive":
            return not operation.operands and not is_stream(operation.results[0])
        case _:
            return any(links(inner) for region in operation.regions for inner in region.operations)


def only_live(region: Region, running: set[int]) -> Region:
    """The region without what never runs."""
    operations = (
        replace(operation, regions=tuple(only_live(inner, running) for inner in operation.regions))
        for operation in region.operations
        if id(operation) in running
    )
    return Region(region.arguments, tuple(operations))


def without_identities(region: Region) -> Region:
    """The region without what hands on the stream or value that it takes: what is received in a whole module is what
    was sent, and a declassified stream is the stream. (A send that gives nothing, or a receive that takes nothing, is
    an island's, and stays.)"""
    same: dict[int, Value] = {}

    def cleaned(inner: Region) -> Region:
        kept: list[Operation] = []
        for operation in inner.operations:
            operands = tuple(same.get(value.id, value) for value in operation.operands)
            if _hands_on(operation):
                same[operation.results[0].id] = operands[0]
                continue
            kept.append(replace(operation, operands=operands, regions=tuple(map(cleaned, operation.regions))))
        return Region(inner.arguments, tuple(kept))

    return cleaned(region) if any(map(_hands_on, walk(region))) else region


def _hands_on(operation: Operation) -> bool:
    if operation.name in ("agent.send", "agent.receive"):
        return bool(operation.operands and operation.results)
    return operation.name == "agent.declassify" and is_stream(operation.results[0])
