"""A pipeline made ready to run, once per deployment: what each operation waits for, which operations run at all, and
which uses of a stream hold its producer back (`ir.live` and `ir.keeping` say how these are found).

In an island a use may hold back what it waits for by way of another island, which only the whole module shows: such
uses are said to be kept (`kept`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from ...ir.fused import FUSED
from ...ir.graph import GraphPipeline, HandleName, Operation, Region, Value, walk
from ...ir.keeping import free_values, kept_uses
from ...ir.live import TERMINATORS, acts, is_stream, live, sends, without_identities
from .fused import step_of
from .policies import Policies, policies_of
from .semantics import LEAVES, LINKS, leaf

_CATCH = ("agent.try", "agent.race", "agent.guard")


@dataclass(frozen=True, slots=True)
class Use:
    """A use of the stream `value` by an operation, or by the operations in its regions together."""

    value: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Step:
    """An operation that runs. `needs` are the values that it waits for, each once; `uses` the streams among its
    operands, one for each operand; `inner` the outer streams that its regions use, each once; `outputs` says that it
    sends items out, itself or inside; `acts` that it runs whether anybody wants its value and its items or not."""

    operation: Operation
    needs: tuple[int, ...]
    uses: Mapping[int, Use]  # by the operand's position
    operands: tuple[int, ...]
    result: int | None
    inner: tuple[Use, ...] = ()
    blocks: tuple[Block, ...] = ()
    acts: bool = False
    outputs: bool = False
    entry: str = ""  # of a leaf, with the names of its operands
    parameters: tuple[str, ...] = ()
    timed: bool = False  # a `timeout` is written for this call, so that the one of every call does not count
    policies: Policies | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A region: its arguments, its steps (the terminator last) and the values that they make."""

    arguments: tuple[int, ...]
    steps: tuple[Step, ...]
    made: frozenset[int]
    streams: Mapping[int, tuple[str, int | None, bool]]
    """Those of `made` that are streams: the id of the operation that makes it, its bound where that is not the
    deployment's, and whether it drops its oldest item when it is full."""
    result: Value | None
    uses: bool = False  # whether any step uses a stream
    interruptible: bool = False  # whether anything in it can be interrupted


@dataclass(frozen=True, slots=True)
class Prepared:
    pipeline: GraphPipeline
    body: Block
    handles: tuple[str, ...]  # declared handles that live operations open, by name
    input_streams: Mapping[int, str]  # value id of a parameter that is a stream -> its name
    catches: bool = False  # whether a failure can be caught anywhere in it


def prepare(pipeline: GraphPipeline) -> Prepared:
    """ValueError for a graph that is not ready to run: a call that was not inlined, an unknown shape."""
    region = without_identities(pipeline.body)
    running = live(region)
    ahead = frozenset(value.id for each in walk(region) if "ahead" in each.attributes for value in each.results)
    body = _block(region, _Around(running, kept_uses(region, running), ahead=ahead))
    handles = tuple(dict.fromkeys(_opened(body)))
    streams = {
        argument.id: given.name
        for argument, given in zip(pipeline.body.arguments, pipeline.inputs, strict=True)
        if is_stream(argument)
    }
    return Prepared(pipeline, body, handles, streams, _any(body, _CATCH))


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


@dataclass(frozen=True, slots=True)
class _Around:
    """What a region is prepared with: the live operations, the uses that are kept, and how deep in calls the innermost
    `timeout` around it was written, whether it lies in a generator, and which values are made ahead."""

    live: set[int]
    kept: set[tuple[int, int]]
    timed: int | None = None
    generator: bool = False
    ahead: frozenset[int] = frozenset()


def _block(region: Region, around: _Around) -> Block:
    streams: dict[int, tuple[str, int | None, bool]] = {}
    steps: list[Step] = []
    result: Value | None = None
    for operation in region.operations:
        if id(operation) not in around.live:
            continue
        step = _step(operation, around)
        steps.append(step)
        for value in operation.results:
            if is_stream(value):
                policies = step.policies
                bound, drops = (policies.buffer, policies.drops) if policies else (None, False)
                streams[value.id] = (operation.id, bound, drops)
        if operation.name in TERMINATORS and operation.operands:
            result = operation.operands[0]
    made = frozenset(value.id for step in steps for value in step.operation.results)
    return Block(
        tuple(value.id for value in region.arguments),
        tuple(steps),
        made,
        streams,
        result,
        any(step.uses or step.inner for step in steps),
        any(
            step.operation.name == "agent.interruptible" or any(block.interruptible for block in step.blocks)
            for step in steps
        ),
    )


def _step(operation: Operation, around: _Around) -> Step:
    if operation.name == "agent.call":
        raise ValueError(f"{operation.id}: calls of pipelines are inlined before a graph runs")
    if operation.name == "agent.agent":
        raise ValueError(f"{operation.id}: agents become loops before a graph runs")
    if operation.name == FUSED:
        taken, entry, names = step_of(operation)
        return Step(operation, taken, {}, taken, operation.results[0].id, entry=entry, parameters=names)
    if len(operation.results) > 1:
        raise ValueError(f"{operation.id}: an operation has one result")
    kept = cast("tuple[int, ...]", operation.attributes.get("kept") or ())
    uses = {
        position: Use(operand.id, (id(operation), position) in around.kept or position in kept)
        for position, operand in enumerate(operation.operands)
        if is_stream(operand)
    }
    policies = policies_of(operation) if operation.name == "agent.guard" else None
    within = around
    if policies is not None and policies.timeout is not None:
        within = replace(around, timed=len(operation.callers))
    if operation.name == "agent.generator":
        within = replace(within, generator=True)
    inner: dict[int, bool] = {}
    blocks: list[Block] = []
    for region in operation.regions:
        if not region.operations:
            continue
        free = free_values(region, around.live)
        block = _block(region, within)
        blocks.append(block)
        for use in _uses(block):
            if use.value in free:
                inner[use.value] = inner.get(use.value, True) and use.kept
    entry, parameters = leaf(operation) if operation.name in LEAVES else ("", ())
    outputs = sends(operation)
    needs = [operand.id for operand in operation.operands]
    if policies is not None:
        # The clock of a call starts when all is there that it is called with.
        free = (value for region in operation.regions for value in sorted(free_values(region, around.live)))
        # What is made ahead is no part of what was written: waiting for it is a part of the call, and of its time.
        needs += [value for value in free if value not in around.ahead]
    return Step(
        operation,
        tuple(dict.fromkeys(needs)),
        uses,
        tuple(operand.id for operand in operation.operands),
        operation.results[0].id if operation.results else None,
        tuple(Use(value, kept) for value, kept in inner.items()),
        tuple(blocks),
        acts(operation) or (outputs and not around.generator),
        outputs,
        entry,
        parameters,
        entry in LINKS or (around.timed is not None and len(operation.callers) == around.timed),
        policies,
    )


def _uses(block: Block) -> list[Use]:
    return [use for step in block.steps for use in (*step.uses.values(), *step.inner)]


def _any(block: Block, names: tuple[str, ...]) -> bool:
    return any(step.operation.name in names or any(_any(b, names) for b in step.blocks) for step in block.steps)
