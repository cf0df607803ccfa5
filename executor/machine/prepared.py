"""A pipeline made ready to run, once per deployment: what each operation waits for, which operations run at all, and
which uses of a stream hold its producer back (see `keeping`).

Liveness, backwards: what is not used does not run, unless it acts on the world. A call of a stage that gives a value
may act, so it runs; a call that gives a stream acts by being read, so a stream that nobody uses is never started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import GraphPipeline, HandleName, Operation, Region, Value
from .keeping import TERMINATORS, is_stream, kept_uses

_EFFECTS = ("agent.emit", "agent.expect")


@dataclass(frozen=True, slots=True)
class Use:
    """A use of the stream `value` by an operation, or by the operations in its regions together."""

    value: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Step:
    """An operation that runs. `needs` are the values that it waits for, each once; `uses` the streams among its
    operands, one for each operand; `inner` the outer streams that its regions use, each once; `outputs` says that it
    sends items out, itself or inside."""

    operation: Operation
    needs: tuple[int, ...]
    uses: Mapping[int, Use]  # by the operand's position
    inner: tuple[Use, ...] = ()
    blocks: tuple[Block, ...] = ()
    acts: bool = False
    outputs: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A region: its arguments, its steps (the terminator last) and the values that they make."""

    arguments: tuple[int, ...]
    steps: tuple[Step, ...]
    made: frozenset[int]
    streams: Mapping[int, str]  # those of `made` that are streams -> the id of the operation that makes it
    result: Value | None


@dataclass(frozen=True, slots=True)
class Prepared:
    pipeline: GraphPipeline
    body: Block
    handles: tuple[str, ...]  # declared handles that live operations open, by name
    input_streams: Mapping[int, str]  # value id of a parameter that is a stream -> its name


def prepare(pipeline: GraphPipeline) -> Prepared:
    """ValueError for a graph that is not ready to run: a call that was not inlined, an unknown shape."""
    live = _live(pipeline.body)
    body = _block(pipeline.body, live, kept_uses(pipeline.body, live))
    handles = tuple(dict.fromkeys(_opened(body)))
    streams = {
        argument.id: given.name
        for argument, given in zip(pipeline.body.arguments, pipeline.inputs, strict=True)
        if is_stream(argument)
    }
    return Prepared(pipeline, body, handles, streams)


def handle_needs(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """The handles that a handle's arguments name."""
    return tuple(value.name for value in arguments.values() if isinstance(value, HandleName))


def _opened(block: Block) -> list[str]:
    names: list[str] = []
    for step in block.steps:
        if step.operation.name == "agent.open":
            names.append(str(step.operation.attributes["name"]))
        for inner in step.blocks:
            names += _opened(inner)
    return names


def _live(body: Region) -> set[int]:
    """The operations that run, by `id()`: an operation has no number of its own."""
    live: set[int] = set()
    used: set[int] = set()

    def mark(region: Region) -> None:
        for operation in reversed(region.operations):
            if operation.name in TERMINATORS or _acts(operation) or any(r.id in used for r in operation.results):
                live.add(id(operation))
                used.update(operand.id for operand in operation.operands)
                for inner in operation.regions:
                    mark(inner)

    mark(body)
    return live


def _acts(operation: Operation) -> bool:
    if operation.name in _EFFECTS:
        return True
    if operation.name == "agent.stage":
        return not any(is_stream(result) for result in operation.results)
    return any(_acts(inner) for region in operation.regions for inner in region.operations)


def _block(region: Region, live: set[int], kept: set[tuple[int, int]]) -> Block:
    streams: dict[int, str] = {}
    steps: list[Step] = []
    result: Value | None = None
    for operation in region.operations:
        if id(operation) not in live:
            continue
        for value in operation.results:
            if is_stream(value):
                streams[value.id] = operation.id
        if operation.name in TERMINATORS and operation.operands:
            result = operation.operands[0]
        steps.append(_step(operation, live, kept))
    made = frozenset(value.id for step in steps for value in step.operation.results)
    return Block(tuple(value.id for value in region.arguments), tuple(steps), made, streams, result)


def _step(operation: Operation, live: set[int], kept: set[tuple[int, int]]) -> Step:
    if operation.name == "agent.call":
        raise ValueError(f"{operation.id}: calls of pipelines are inlined before a graph runs")
    if len(operation.results) > 1:
        raise ValueError(f"{operation.id}: an operation has one result")
    uses = {
        position: Use(operand.id, (id(operation), position) in kept)
        for position, operand in enumerate(operation.operands)
        if is_stream(operand)
    }
    inner: dict[int, bool] = {}
    blocks: list[Block] = []
    for region in operation.regions:
        if not region.operations:
            continue
        free = _free_streams(region, live)
        block = _block(region, live, kept)
        blocks.append(block)
        for use in _uses(block):
            if use.value in free:
                inner[use.value] = inner.get(use.value, True) and use.kept
    return Step(
        operation,
        tuple(dict.fromkeys(operand.id for operand in operation.operands)),
        uses,
        tuple(Use(value, kept) for value, kept in inner.items()),
        tuple(blocks),
        _acts(operation),
        operation.name == "agent.emit" or any(step.outputs for block in blocks for step in block.steps),
    )


def _uses(block: Block) -> list[Use]:
    return [use for step in block.steps for use in (*step.uses.values(), *step.inner)]


def _free_streams(region: Region, live: set[int]) -> frozenset[int]:
    """The streams from outside that live operations in the region use."""
    used: set[int] = set()
    made: set[int] = {argument.id for argument in region.arguments}
    for operation in region.operations:
        if id(operation) in live:
            used.update(operand.id for operand in operation.operands if is_stream(operand))
            made.update(result.id for result in operation.results)
            for inner in operation.regions:
                used |= _free_streams(inner, live)
    return frozenset(used - made)
