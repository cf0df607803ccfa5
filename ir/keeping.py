"""Which uses of a stream must not hold its producer back, found before anything runs.

Bounded buffers can deadlock a dataflow that ends with unbounded ones (an artificial deadlock: T. M. Parks, "Bounded
Scheduling of Process Networks", 1995). The everyday case is

    if judge(all(reply)) { reply } else { "no" }

where the branch will read `reply` only after its end, while the writer of `reply` waits at the bound for the branch.
The answer here is static: such a use is *kept* (see `executor.channels`), and all others stay bounded.

The streams of a pipeline are the nodes of a graph of waiting. t → s says: t may be unable to go on until s goes on.

- A stream waits for what its operation reads, and for the ends that its operation waits for before it starts.
- A use of t by an operation makes t wait for all that the operation may wait for: the ends before its start, the other
  streams that it reads, the stream that it makes, and (for a loop over t) all that happens in a turn.

An `emit` in a generator is a use by the generator: it waits for room in the generator's stream, and for all that is
emitted before it. An operation in between, in whose regions things are emitted, counts as if it made a stream of them
that the generator emits.

Edges of the second sort vanish where the use is kept. A use is kept if one of its edges t → s lies on a cycle: if t can
be reached from s without the edges of the same operation, which waits in one place at a time. Uses are looked at last
first, so that buffers grow where streams meet and not where they part. No cycle is left: one that had two edges of one
operation has a shorter one with one of them.

A use of a stream from outside, in a region that may be entered more than once or beside another (a turn of a `for` or
`repeat`, what is retried or hedged, a fallback, a branch of a `race`), is kept without asking: each entering reads the
stream from its beginning, and none may hold another back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from .graph import Operation, Region
from .live import TERMINATORS, gathers, is_stream, sends

Streams = frozenset[int]
_NONE: Streams = frozenset()
_VIRTUAL = -1  # the position of a use of a stream that is no value
_LOOPS = ("agent.map", "agent.repeat")
# A failure in these is noticed until they are through, so what they give waits for all of what is in them.
_WHOLE = (*_LOOPS, "agent.try", "agent.race", "agent.guard", "agent.interruptible")


def kept_uses(body: Region, live: set[int]) -> set[tuple[int, int]]:
    """(`id()` of an operation, position of the operand) of each use that is kept, those in loops included. `live` are
    the `id()`s of the operations that run."""
    walk = _Walk(live)
    walk.ends.update((argument.id, _NONE) for argument in body.arguments)
    walk.region(body, _Around(_NONE, 0, _NONE))
    for use in reversed(walk.uses):
        if not use.kept and use.position != _VIRTUAL and _on_cycle(use, walk):
            use.kept = True
    return {(use.operation, use.position) for use in walk.uses if use.kept}


@dataclass(slots=True)
class _Use:
    """A use of `stream`, and what it makes the stream wait for. `waiter` is who does the waiting: the operation, or for
    a yield the operation whose region it ends, for an emit the generator around it."""

    operation: int
    position: int
    waiter: int
    stream: int
    waits: Streams
    kept: bool


def _on_cycle(use: _Use, walk: _Walk) -> bool:
    onward: dict[int, list[int]] = {}
    for waiter, stream, waits in walk.needs:
        if waiter != use.waiter:
            onward.setdefault(stream, []).extend(waits)
    for other in walk.uses:
        if not other.kept and other.waiter != use.waiter:
            onward.setdefault(other.stream, []).extend(other.waits)
    seen = set(use.waits)
    todo = list(seen)
    while todo:
        stream = todo.pop()
        if stream == use.stream:
            return True
        for following in onward.get(stream, ()):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return False


@dataclass(slots=True)
class _Inside:
    """Of regions: all that their operations wait for, what must end before their value is there, and what before items
    may leave that are sent behind them."""

    all: Streams = _NONE
    gives: Streams = _NONE
    sent: Streams = _NONE


@dataclass(frozen=True, slots=True)
class _Around:
    """What a region lies in: what must end before it is entered, the operation that enters it, the stream that its
    yield fills, for each `for` around the values that are made inside of it, and who emits what is emitted in it, into
    which stream (none: it leaves the run)."""

    start: Streams
    waiter: int
    target: Streams
    loops: tuple[Streams, ...] = ()
    emitter: tuple[int, Streams] | None = None


class _Walk:
    """Collects the edges of a pipeline, operation by operation."""

    def __init__(self, live: set[int]) -> None:
        self.ends: dict[int, Streams] = {}  # of a value: the streams that must end before it is there
        self.needs: list[tuple[int, int, Streams]] = []  # (waiter, stream that it makes, what that waits for)
        self.uses: list[_Use] = []
        self._live = live
        self._made_from: dict[int, Streams] = {}
        self._sent: Streams = _NONE  # what must end before the next item may leave the run, or who emits it
        self._virtual = count(-1, -1)  # numbers of streams that are no values

    def region(self, region: Region, around: _Around) -> _Inside:
        inside = _Inside()
        for operation in region.operations:
            if id(operation) in self._live:
                self._operation(operation, around, inside)
        return inside

    def _operation(self, operation: Operation, around: _Around, inside: _Inside) -> None:
        emits = operation.name == "agent.emit"
        ends = operation.name == "agent.yield" and around.emitter == (around.waiter, around.target)
        out = emits or ends or operation.name == "agent.return"
        outer = around.emitter if operation.regions and sends(operation) else None
        before = around.start | (self._sent if out else _NONE)
        for operand in operation.operands:
            if not is_stream(operand):
                before |= self.ends[operand.id]
        reads = [operand.id for operand in operation.operands if is_stream(operand)]
        if operation.name == "agent.guard":
            # It starts when all is there that its region uses.
            for region in operation.regions:
                for value in free_values(region, self._live):
                    before |= self.ends.get(value, _NONE)
        read = frozenset(reads)
        made = frozenset(result.id for result in operation.results if is_stream(result))
        emitted = frozenset((next(self._virtual),)) if outer is not None else _NONE
        turns = self._regions(operation, before, made, emitted, around)

        filled, waiter = made, id(operation)
        if operation.name == "agent.yield":
            filled, waiter = around.target, around.waiter
        elif emits and around.emitter is not None:
            waiter, filled = around.emitter
        elif operation.name == "agent.buffered":
            filled = _NONE  # it takes every item at once
        turn = _NONE if gathers(operation) else turns.all
        for position, operand in enumerate(operation.operands):
            if is_stream(operand):
                stream = operand.id
                waits = before | turn | filled | (read - {stream} if reads.count(stream) == 1 else read)
                outside = any(stream not in loop for loop in around.loops)
                self.uses.append(_Use(id(operation), position, waiter, stream, waits, outside))

        if out:
            self._sent = before | read
        if operation.name in TERMINATORS:
            inside.gives = before | read
        inside.all |= before | read | made | turns.all | (filled if emits else _NONE)
        loop, whole = operation.name in _LOOPS, operation.name in _WHOLE
        if outer is not None:
            waits = around.start | self._sent | outer[1]
            self.uses += [_Use(id(operation), _VIRTUAL, outer[0], stream, waits, False) for stream in emitted]
            self._sent |= emitted
        elif operation.regions and sends(operation):
            # Behind a loop, items leave only when its last turn has begun, so when what the others gave has left;
            # behind a region that may fail, when it no longer can.
            self._sent |= before | turns.sent | (turns.all | read | made if whole else _NONE)
        for stream in emitted:
            self._makes(operation, stream, before | read | turns.sent, turns.all if whole else _NONE)
        for result in operation.results:
            if is_stream(result):
                sent = turns.sent if operation.name == "agent.generator" else _NONE
                self._makes(operation, result.id, before | read | turns.gives | sent, turns.all if loop else _NONE)
            else:
                self.ends[result.id] = before | read | (turns.all if whole else turns.gives)

    def _makes(self, operation: Operation, stream: int, needs: Streams, turn: Streams) -> None:
        """It makes a stream of these. The next turn waits for all of this one, but what is upstream of what the turn
        gives has ended with that."""
        sources = frozenset((stream, *needs)).union(*(self._made_from.get(each, _NONE) for each in needs))
        self._made_from[stream] = sources
        self.needs.append((id(operation), stream, needs | (turn - sources)))

    def _regions(
        self, operation: Operation, before: Streams, made: Streams, emitted: Streams, around: _Around
    ) -> _Inside:
        total = _Inside()
        for number, region in enumerate(operation.regions):
            for argument in region.arguments:
                self.ends[argument.id] = before
            loops = around.loops
            if _entered_again(operation, number):
                loops = (*loops, frozenset(_made(region)))
            sent, emitter = self._sent, around.emitter
            if operation.name == "agent.generator" or emitted:
                emitter, self._sent = (id(operation), emitted or made), _NONE
            found = self.region(region, _Around(before, id(operation), made, loops, emitter))
            total.all |= found.all
            total.gives |= found.gives
            total.sent |= self._sent
            self._sent = sent
        return total


def _entered_again(operation: Operation, region: int) -> bool:
    """Whether it may be entered more than once, or while another region of the operation runs."""
    match operation.name:
        case "agent.guard":
            return bool(operation.attributes.get("retries")) or operation.attributes.get("hedge") is not None
        case "agent.try":
            return region > 0
        case _:
            return operation.name in (*_LOOPS, "agent.race")


def free_values(region: Region, live: set[int]) -> frozenset[int]:
    """The values from outside that live operations in the region use."""
    used: set[int] = set()
    made: set[int] = {argument.id for argument in region.arguments}
    for operation in region.operations:
        if id(operation) in live:
            used.update(operand.id for operand in operation.operands)
            made.update(result.id for result in operation.results)
            for inner in operation.regions:
                used |= free_values(inner, live)
    return frozenset(used - made)


def _made(region: Region) -> Iterable[int]:
    for operation in region.operations:
        yield from (result.id for result in operation.results)
        for inner in operation.regions:
            yield from _made(inner)
