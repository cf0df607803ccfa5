"""What each operation does when its operands are there: the classes without regions, and the table that picks one."""

from __future__ import annotations

from collections import deque
from typing import cast

from ...ir.fused import FUSED
from ...ir.live import gathers
from ...ir.projection import STOPPED
from .. import island_problems
from ..channels import Epoch, Reader
from .attempts import Race, Try
from .branches import Generator, If, Match
from .conversions import CONVERSIONS
from .faults import Failure, Fault
from .feed import Slot
from .guards import Guard
from .interrupting import Interruptible
from .leaves import Ahead, Leaf, Receive
from .loops import MapArriving, MapList, MapStream, Repeat
from .orders import Expectation, HandleValue
from .prepared import Step
from .scopes import Scope, Task
from .semantics import LEAVES, PLAIN, evaluate, is_list, joined


def make(scope: Scope, step: Step) -> Task:
    """The task of a step, by the table at the end of this file."""
    name = step.operation.name
    kind = Ahead if "ahead" in step.operation.attributes and name in LEAVES else _TASKS.get(name)
    if kind is None:
        if name == "agent.map":
            if gathers(step.operation):
                return MapArriving(scope, step)
            return MapList(scope, step) if is_list(step.operation) else MapStream(scope, step)
        if name == FUSED:
            return Leaf(scope, step) if step.entry else Computed(scope, step)
        raise ValueError(f"{step.operation.id}: the executor does not know {name}")
    return kind(scope, step)


class Plain(Task):
    """A value from values."""

    __slots__ = ()

    def fire(self) -> None:
        self.give(evaluate(self.step.operation, self.operands(), self.run.machine.shapes))
        self.finish()


class Computed(Task):
    """Plain operations that were fused into one."""

    __slots__ = ()

    def fire(self) -> None:
        code = self.run.machine.codes.get(self.operation)
        values = [*self.operands(), *code.start]
        for part in code.parts:
            assert part.compute is not None
            try:
                values.append(part.compute([values[slot] for slot in part.slots]))
            except Fault as fault:
                raise Fault(fault.reason, fault.problem, part.operation) from None
        self.give(values[code.result])
        self.finish()


class Open(Task):
    """The value of a declared handle, once it is open. One that does not open fails the stages that are given it."""

    __slots__ = ()

    def fire(self) -> None:
        name = cast(str, self.operation.attributes["name"])
        if name in self.run.waits_for:
            self.run.handle_tasks.setdefault(name, []).append(self)
        else:
            self.give(HandleValue(name))
            self.finish()


class Expect(Task):
    """One that does not hold fails the run at its end: whoever reads the others wants to know of them too."""

    __slots__ = ()

    def fire(self) -> None:
        holds, *values = self.operands()
        self.run.expectations.append(Expectation(self.operation, bool(holds), tuple(values)))
        self.finish()


class Reading(Task):
    """What takes every item of a stream at once, and never holds the producer back."""

    __slots__ = ("reader",)

    def fire(self) -> None:
        use = self.step.uses[0]
        self.reader: Reader = self.scope.channel(use.value).open(self, use.kept)
        self.notify()

    def let_go(self) -> None:
        self.reader.close()

    def notify(self) -> None:
        reader = self.reader
        while reader.ready:
            self.take(reader.hand_out())
            reader.confirm()
        if reader.finished and not self.done:
            reader.close()
            self.read()

    def withdraw(self, places: tuple[int, ...]) -> None:
        """What is handed out here is taken at once."""

    def take(self, item: object) -> None:
        raise NotImplementedError

    def read(self) -> None:
        """The stream has ended."""
        raise NotImplementedError


class Collect(Reading):
    """`all(stream)`"""

    __slots__ = ("items",)

    def fire(self) -> None:
        self.items: list[object] = []
        super().fire()

    def take(self, item: object) -> None:
        self.items.append(item)

    def read(self) -> None:
        self.give(joined(self.operation, self.items))
        self.finish()


class Buffered(Reading):
    """`buffered(call)`: the same stream, from when it has ended on."""

    __slots__ = ("channel", "items", "whole")

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.items: deque[tuple[object, Epoch | None]] = deque()
        self.whole = False
        self.channel = scope.channel(step.operation.results[0].id)
        self.channel.producer = self

    def fire(self) -> None:
        self.give(self.channel)
        super().fire()

    def take(self, item: object) -> None:
        self.items.append((item, self.reader.epoch))

    def read(self) -> None:
        self.whole = True
        self.channel.stage = self.reader.channel.stage
        self.more()

    def more(self) -> None:
        if not self.whole or self.done:
            return
        while self.items and self.channel.room() > 0:
            item, epoch = self.items.popleft()
            if epoch is None or not epoch.stale:
                self.channel.push(item, epoch)
        if not self.items and not self.done:
            self.channel.end()
            self.finish()

    def unwanted(self) -> None:
        if self.done:
            return
        if self.missing >= 0:
            self.give_up()
            return
        self.items.clear()
        self.reader.close()
        self.finish()


class Halt(Task):
    """Fails as soon as its operand is there: what stands beside it in its region is not wanted any more."""

    __slots__ = ()

    def fire(self) -> None:
        operation = self.operation
        problem = island_problems.stopped_elsewhere(operation.id, operation.span)
        self.scope.zone.fail(Failure(STOPPED, problem, operation.id))


class Over(Task):
    """True, when another operation of its region is over."""

    __slots__ = ("_over",)

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self._over = False
        if scope.overs is None:
            scope.overs = {}
        scope.overs[cast(str, step.operation.attributes["of"])] = self._heard

    def _heard(self) -> None:
        self._over = True
        if self.missing < 0:
            self.fire()

    def fire(self) -> None:
        if self._over and not self.done:
            self.give(True)
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
                self.run.machine.first(self, self.give_up)

    def let_go(self) -> None:
        # Its slot is killed by who owns the region; here that would look like the end of a stream.
        if self.slot is not None and self.slot.reader is not None:
            self.slot.reader.close()

    def fire(self) -> None:
        step = self.step
        if step.uses:
            use = step.uses[0]
            if self.slot is None:
                raise ValueError(f"{step.operation.id}: a stream leaves where no stream is promised")
            self.slot.connect(self.scope.channel(use.value), use.kept, self.finish)
        elif self.slot is not None and step.operands:
            self.slot.put(self.operands()[0], step.operation.id, self.finish)
        else:
            if self.slot is not None:
                self.slot.skip()
            if self.scope.result is not None:
                self.scope.result(self.operands()[0] if step.operands else None)
            self.finish()


_TASKS: dict[str, type[Task]] = {
    **dict.fromkeys((*PLAIN, *CONVERSIONS), Plain),
    **dict.fromkeys(LEAVES, Leaf),
    "agent.receive": Receive,
    "agent.halt": Halt,
    "agent.over": Over,
    "agent.open": Open,
    "agent.expect": Expect,
    "agent.collect": Collect,
    "agent.buffered": Buffered,
    "agent.emit": Send,
    "agent.return": Send,
    "agent.yield": Send,
    "agent.generator": Generator,
    "agent.if": If,
    "agent.match": Match,
    "agent.repeat": Repeat,
    "agent.try": Try,
    "agent.race": Race,
    "agent.guard": Guard,
    "agent.interruptible": Interruptible,
}
