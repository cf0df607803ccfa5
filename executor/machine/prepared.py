"""A pipeline made ready to run, once per deployment: what each operation waits for, which operations run at all, and
which uses of a stream come too late to hold its producer back.

Liveness, backwards: what is not used does not run, unless it acts on the world. A call of a stage that gives a value
may act, so it runs; a call that gives a stream acts by being read, so a stream that nobody uses is never started.

Late uses (see `executor.channels`): let C(s) be the streams that must end before s ends, U(s) those s is made from,
and R(op) the streams that must end before op can start. A use of t by op is late if U(t) and R(op) meet: op waits for
the end of something that t's producer holds back once t's buffer is full. `all(reply)` in a condition and `reply` in
its branch is the everyday case. A use inside a `for` of a stream from outside happens once per turn and is kept too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ir.graph import GraphPipeline, HandleName, Operation, Region, Value
from ...lang.types import StreamType

_EFFECTS = ("agent.emit", "agent.expect")
_TERMINATORS = ("agent.return", "agent.yield")
_NOTHING: frozenset[int] = frozenset()


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


def is_stream(value: Value) -> bool:
    return isinstance(value.type, StreamType)


def prepare(pipeline: GraphPipeline) -> Prepared:
    """ValueError for a graph that is not ready to run: a call that was not inlined, an unknown shape."""
    live = _Liveness(pipeline.body)
    late = _Lateness(live.operations)
    for argument, given in zip(pipeline.body.arguments, pipeline.inputs, strict=True):
        late.argument(argument, given.name)
    late.region(pipeline.body, _NOTHING)
    body = _block(pipeline.body, live.operations, late.late, frozenset())
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


class _Liveness:
    """Which operations run: `operations` holds their `id()`s (an operation has no number of its own)."""

    def __init__(self, body: Region) -> None:
        self.operations: set[int] = set()
        self._used: set[int] = set()
        self._mark(body)

    def _mark(self, region: Region) -> None:
        for operation in reversed(region.operations):
            if operation.name in _TERMINATORS or _acts(operation) or any(r.id in self._used for r in operation.results):
                self.operations.add(id(operation))
                self._used.update(operand.id for operand in operation.operands)
                for inner in operation.regions:
                    self._mark(inner)


def _acts(operation: Operation) -> bool:
    if operation.name in _EFFECTS:
        return True
    if operation.name == "agent.stage":
        return not any(is_stream(result) for result in operation.results)
    return any(_acts(inner) for region in operation.regions for inner in region.operations)


@dataclass(slots=True)
class _Stream:
    """C, U and S of the module's docstring, S being what must end before the stream can begin."""

    ends_after: frozenset[int]
    made_from: frozenset[int]
    begins_after: frozenset[int]


@dataclass(slots=True)
class _Lateness:
    """Walks a pipeline in order; `late` collects (id of operation, operand position) of late uses."""

    live: set[int]
    late: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    _streams: dict[int, _Stream] = field(default_factory=dict[int, _Stream])
    _values: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])
    _sent: frozenset[int] = _NOTHING  # what must end before the next output can leave

    def argument(self, value: Value, name: str) -> None:
        del name
        if is_stream(value):
            own = frozenset((value.id,))
            self._streams[value.id] = _Stream(own, own, _NOTHING)
        else:
            self._values[value.id] = _NOTHING

    def region(self, region: Region, base: frozenset[int]) -> Value | None:
        result: Value | None = None
        for operation in region.operations:
            if id(operation) in self.live:
                self._operation(operation, base)
                if operation.name in _TERMINATORS and operation.operands:
                    result = operation.operands[0]
        return result

    def _operation(self, operation: Operation, base: frozenset[int]) -> None:
        starts = base
        consumed: frozenset[int] = _NOTHING
        made_from: frozenset[int] = _NOTHING
        sends = operation.name in ("agent.emit", "agent.return")
        if sends:
            starts |= self._sent
        for operand in operation.operands:
            if is_stream(operand):
                stream = self._streams[operand.id]
                starts |= stream.begins_after
                consumed |= stream.ends_after
                made_from |= stream.made_from
            else:
                starts |= self._values[operand.id]
        for position, operand in enumerate(operation.operands):
            if is_stream(operand) and self._streams[operand.id].made_from & starts:
                self.late.add((id(operation), position))
        if sends:
            self._sent = starts | consumed
        # A `for` over a stream has an item as soon as there is one; all else in a region waits for the operation.
        for region in operation.regions:
            for argument in region.arguments:
                self._values[argument.id] = starts
            given = self.region(region, starts)
            if given is None:
                continue
            if is_stream(given):
                stream = self._streams[given.id]
                consumed |= stream.ends_after
                made_from |= stream.made_from
            else:
                consumed |= self._values[given.id]
        for result in operation.results:
            if is_stream(result):
                own = frozenset((result.id,))
                self._streams[result.id] = _Stream(starts | consumed | own, made_from | own, starts)
            else:
                self._values[result.id] = starts | consumed


def _block(region: Region, live: set[int], late: set[tuple[int, int]], outside: frozenset[int]) -> Block:
    """`outside`: streams from outside of the nearest `for`; every use of them in here is kept."""
    streams: dict[int, str] = {}
    steps: list[Step] = []
    result: Value | None = None
    for operation in region.operations:
        if id(operation) not in live:
            continue
        for value in operation.results:
            if is_stream(value):
                streams[value.id] = operation.id
        if operation.name in _TERMINATORS and operation.operands:
            result = operation.operands[0]
        steps.append(_step(operation, live, late, outside))
    made = frozenset(value.id for step in steps for value in step.operation.results)
    return Block(tuple(value.id for value in region.arguments), tuple(steps), made, streams, result)


def _step(operation: Operation, live: set[int], late: set[tuple[int, int]], outside: frozenset[int]) -> Step:
    if operation.name == "agent.call":
        raise ValueError(f"{operation.id}: calls of pipelines are inlined before a graph runs")
    if len(operation.results) > 1:
        raise ValueError(f"{operation.id}: an operation has one result")
    uses = {
        position: Use(operand.id, operand.id in outside or (id(operation), position) in late)
        for position, operand in enumerate(operation.operands)
        if is_stream(operand)
    }
    loop = operation.name == "agent.map"
    inner: dict[int, bool] = {}
    blocks: list[Block] = []
    for region in operation.regions:
        if not region.operations:
            continue
        free = _free_streams(region, live)
        block = _block(region, live, late, outside | free if loop else outside)
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
