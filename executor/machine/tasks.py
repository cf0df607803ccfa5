"""What each operation does when its operands are there: a class for each way to behave, and the table that picks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from .. import problems
from ..channels import Channel, Reader
from .feed import Feed, Slot
from .keeping import is_stream
from .orders import HandleValue, StartStage, StreamInput
from .prepared import Step
from .run import Port, Scope, Started, Task
from .semantics import LEAVES, PLAIN, Fault, evaluate, is_list, joined, leaf


def make(scope: Scope, step: Step) -> Task:
    """The task of a step, by the table at the end of this file."""
    operation = step.operation
    if operation.name == "agent.map":
        return MapList(scope, step) if is_list(operation) else MapStream(scope, step)
    kind = _TASKS.get(operation.name)
    if kind is None:
        raise ValueError(f"{operation.id}: the executor does not know {operation.name}")
    return kind(scope, step)


class Plain(Task):
    """A value from values."""

    __slots__ = ()

    def fire(self) -> None:
        self.give(evaluate(self.step.operation, self.operands()))
        self.finish()


class Open(Task):
    """The value of a declared handle, once it is open."""

    __slots__ = ()

    def fire(self) -> None:
        name = cast(str, self.operation.attributes["name"])
        if name in self.run.waits_for:
            self.run.handle_tasks.setdefault(name, []).append(self)
        else:
            self.give(HandleValue(name))
            self.finish()


class Expect(Task):
    __slots__ = ()

    def fire(self) -> None:
        if not self.operands()[0]:
            raise Fault("expectation", problems.expectation_failed(self.operation.span))
        self.finish()


class Collect(Task):
    """`all(stream)`: takes every item at once and never holds the producer back."""

    __slots__ = ("items", "reader")

    def fire(self) -> None:
        use = self.step.uses[0]
        self.items: list[object] = []
        self.reader: Reader = self.scope.channel(use.value).open(self, use.kept)
        self.notify()

    def notify(self) -> None:
        while self.reader.ready:
            self.items.append(self.reader.hand_out())
            self.reader.confirm()
        if self.reader.finished and not self.done:
            self.reader.close()
            self.give(joined(self.operation, self.items))
            self.finish()


class Leaf(Task):
    """A stage that a kind runs. A stream argument is a port; a stream result is a channel that the stage fills."""

    __slots__ = ("channel",)

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        results = step.operation.results
        self.channel: Channel | None = None
        if results and is_stream(results[0]):
            self.channel = scope.channel(results[0].id)
            self.channel.producer = self

    def more(self) -> None:
        """Room in the channel of a stage that has not started."""

    def unwanted(self) -> None:
        self.give_up()

    def fire(self) -> None:
        operation, scope, run = self.operation, self.scope, self.run
        started = Started(run, operation.id, operation, self.channel)
        entry, names = leaf(operation)
        arguments: dict[str, object] = {}
        for position, name in enumerate(names):
            use = self.step.uses.get(position)
            if use is None:
                arguments[name] = scope.value(operation.operands[position].id)
            else:
                port = Port(run, scope.channel(use.value), use.kept)
                started.ports.append(port)
                arguments[name] = StreamInput(port.number)
        # A stage that reads a stream lasts as long as the stream: only what encloses it bounds it.
        limit = run.deadline
        if not started.ports:
            own = run.machine.now + run.machine.deployment.call_timeout
            if limit is None or own < limit:
                limit = started.deadline = own
        order = StartStage(
            started.number,
            run.number,
            operation,
            scope.index,
            entry,
            arguments,
            self.channel is not None,
            started.granted,
            limit,
        )
        started.ended = self._ended
        run.machine.start(started, order)
        for port in started.ports:
            port.notify()
        if self.channel is not None:
            self.give(self.channel)

    def _ended(self, value: object) -> None:
        if self.channel is None:
            self.give(value)
        else:
            self.channel.end()
        self.finish()


class Send(Task):
    """`emit`, `return` and `yield`: a value or a stream goes to its slot, or to who entered the region."""

    __slots__ = ("slot",)

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.slot: Slot | None = None
        if step.operation.name == "agent.yield":
            self.slot = scope.gives
        elif scope.sends is not None:
            self.slot = scope.sends.leaf()
        if self.slot is not None:
            self.slot.cancel = self.give_up
            if self.slot.feed.dead:
                # The holds of this step are counted already; the producer hears at once that nobody reads.
                self.slot.done = True
                self.run.machine.first(self.run, self.give_up)

    def fire(self) -> None:
        operation = self.operation
        if self.step.uses:
            use = self.step.uses[0]
            if self.slot is None:
                raise ValueError(f"{operation.id}: a stream leaves where no stream is promised")
            self.slot.connect(self.scope.channel(use.value), use.kept, self.finish)
        elif self.slot is not None and operation.operands:
            self.slot.put(self.operands()[0], operation.id, self.finish)
        else:
            if self.slot is not None:
                self.slot.skip()
            if self.scope.result is not None:
                self.scope.result(self.operands()[0] if operation.operands else None)
            self.finish()


class Regions(Task):
    """What `if` and `for` share: a group of slots for what is sent out inside, a feed where the result is a stream, and
    the holds on the streams from outside, which last until every region that uses them has been entered."""

    __slots__ = ("feed", "sends")

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.sends = scope.sends.group() if step.outputs and scope.sends is not None else None
        self.feed: Feed | None = None
        results = step.operation.results
        if results and is_stream(results[0]):
            self.feed = Feed(scope.channel(results[0].id), self.unwanted)

    def unwanted(self) -> None:
        """Nobody reads the result: what has no other effect stops here."""

    def inner_scope(self, block: int, index: tuple[int, ...]) -> Scope:
        return Scope(self.run, self.step.blocks[block], self.scope, index)

    def release(self) -> None:
        for use in self.step.inner:
            self.scope.channel(use.value).release(use.kept)

    def all_entered(self) -> None:
        """No region will be entered any more: what they send and give has its place, and what comes behind it need not
        wait until they are complete."""
        if self.sends is not None:
            self.sends.close()
        if self.feed is not None:
            self.feed.root.close()

    def left(self) -> None:
        """No region will be entered any more, and all that were are complete."""
        self.all_entered()
        self.finish()


class If(Regions):
    """Enters one of two regions; its result is what that region yields."""

    __slots__ = ()

    def unwanted(self) -> None:
        if not self.step.acts and self.missing:
            self.give_up()

    def fire(self) -> None:
        taken = 0 if self.operands()[0] else 1
        if taken >= len(self.step.blocks):
            self.release()
            self.left()
            return
        inner = self.inner_scope(taken, self.scope.index)
        inner.complete = self.left
        if self.sends is not None:
            inner.sends = self.sends
        if self.feed is not None:
            inner.gives = self.feed.root.leaf()
        else:
            inner.result = self.give
        inner.enter(make)
        self.all_entered()
        self.release()
        if self.feed is not None:
            self.give(self.feed.target)


class _Turn:
    """One turn of a `for`: its `where`, then its body."""

    __slots__ = ("gives", "loop", "number", "sends")

    def __init__(self, loop: MapList | MapStream, number: int, item: object) -> None:
        self.loop = loop
        self.number = number
        self.sends = loop.sends.group() if loop.sends is not None else None
        self.gives = loop.feed.root.leaf() if loop.feed is not None else None
        if len(loop.step.blocks) > 1:
            scope = self._scope(1, item)
            verdict: list[object] = []
            scope.result = verdict.append
            scope.complete = lambda: self._judged(verdict[0], item)
            scope.enter(make)
        else:
            self._body(item)

    def _scope(self, block: int, item: object) -> Scope:
        loop = self.loop
        scope = loop.inner_scope(block, (*loop.scope.index, self.number))
        for argument in loop.step.blocks[block].arguments:
            scope.values[argument] = item
        return scope

    def _judged(self, verdict: object, item: object) -> None:
        if verdict:
            self._body(item)
            return
        if self.gives is not None:
            self.gives.skip()
        else:
            self.loop.turn_gave(self.number, ())
        if self.sends is not None:
            self.sends.close()
        self._left()

    def _body(self, item: object) -> None:
        scope = self._scope(0, item)
        scope.sends = self.sends
        scope.gives = self.gives
        if self.gives is None:
            scope.result = lambda value: self.loop.turn_gave(self.number, (value,))
        scope.complete = self._left
        scope.enter(make)
        if self.sends is not None:
            self.sends.close()

    def _left(self) -> None:
        self.loop.turn_left()


class MapList(Regions):
    """`for` over a list: at most N turns at once, results in the list's order; turns that give a stream are
    flattened in that order."""

    __slots__ = ("active", "at_most", "items", "next", "results", "results_missing")

    def fire(self) -> None:
        self.items = cast("Sequence[object]", self.operands()[0])
        self.at_most = cast(int, self.operation.attributes.get("at_most") or self.run.machine.deployment.at_once)
        self.active = 0
        self.next = 0
        self.results: list[tuple[object, ...]] = [()] * len(self.items)
        self.results_missing = len(self.items)
        if self.feed is not None:
            self.give(self.feed.target)
        elif not self.items:
            self.give(())
        self._turns()

    def _turns(self) -> None:
        wanted = self.step.acts or self.feed is None or not self.feed.dead
        while wanted and self.active < self.at_most and self.next < len(self.items):
            self.next += 1
            self.active += 1
            _Turn(self, self.next - 1, self.items[self.next - 1])
        if self.next == len(self.items):
            self.all_entered()
        if not self.active and not self.done:
            self.release()
            self.left()

    def turn_gave(self, number: int, value: tuple[object, ...]) -> None:
        self.results[number] = value
        self.results_missing -= 1
        if not self.results_missing:
            self.give(tuple(item for result in self.results for item in result))

    def turn_left(self) -> None:
        self.active -= 1
        self._turns()


class MapStream(Regions):
    """`for` over a stream: one turn at a time, the next when what the last one gave has left."""

    __slots__ = ("active", "next", "reader")

    def fire(self) -> None:
        use = self.step.uses[0]
        self.active = False
        self.next = 0
        self.reader: Reader = self.scope.channel(use.value).open(self, use.kept)
        if self.feed is not None:
            self.give(self.feed.target)
        self.notify()

    def unwanted(self) -> None:
        if self.step.acts or self.done:
            return
        if self.missing:
            self.give_up()
        else:
            self.run.machine.later(self.run, self.notify)

    def notify(self) -> None:
        if self.reader.finished:
            self.all_entered()
        if self.active or self.done:
            return
        stop = self.feed is not None and self.feed.dead and not self.step.acts
        if self.reader.ready and not stop:
            self.active = True
            self.next += 1
            _Turn(self, self.next - 1, self.reader.hand_out())
            self.reader.confirm()
        elif self.reader.finished or stop:
            self.reader.close()
            self.release()
            self.left()

    def turn_gave(self, number: int, value: tuple[object, ...]) -> None:
        """A `for` over a stream whose result is not used: nothing to keep."""

    def turn_left(self) -> None:
        self.active = False
        self.run.machine.later(self.run, self.notify)


_TASKS: dict[str, type[Task]] = {
    **dict.fromkeys(PLAIN, Plain),
    **dict.fromkeys(LEAVES, Leaf),
    "agent.open": Open,
    "agent.expect": Expect,
    "agent.collect": Collect,
    "agent.emit": Send,
    "agent.return": Send,
    "agent.yield": Send,
    "agent.if": If,
}
