"""One run while it runs: scopes of values, tasks that wait for them, and the stages that were started.

A scope is a region that has been entered; a task is one of its operations, waiting for its operands. A value that
appears wakes the tasks that wait for it; a task whose last operand has come goes into the run's queue of ready tasks,
so that a chain of ten thousand operations needs no recursion. What a task does is in `tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...ir.graph import Operation
from ..channels import Channel, Reader
from .feed import Slot
from .orders import Deliver, DeliverEnd, Grant, Outcome, StageTiming, Timings
from .prepared import Block, Prepared, Step

if TYPE_CHECKING:
    from .core import Machine

_LONGEST_GAPS = 65_536


class Task:
    """An operation in a scope. `missing` counts the operands that are not there yet."""

    __slots__ = ("done", "missing", "scope", "step")

    def __init__(self, scope: Scope, step: Step) -> None:
        self.scope = scope
        self.step = step
        self.missing = 0
        self.done = False

    @property
    def operation(self) -> Operation:
        return self.step.operation

    @property
    def run(self) -> Run:
        return self.scope.run

    def wake(self) -> None:
        if not self.done:
            self.fire()

    def fire(self) -> None:
        """All operands are there."""
        raise NotImplementedError

    def operands(self) -> list[object]:
        value = self.scope.value
        return [value(operand.id) for operand in self.step.operation.operands]

    def give(self, value: object) -> None:
        """Set the operation's result."""
        if self.step.operation.results:
            self.scope.set(self.step.operation.results[0].id, value)

    def finish(self) -> None:
        """The task is over, with all that it started."""
        if not self.done:
            self.done = True
            self.scope.one_done()

    def give_up(self) -> None:
        """The task will not fire: its holds on streams go."""
        if not self.done:
            for use in (*self.step.uses.values(), *self.step.inner):
                self.scope.channel(use.value).release(use.kept)
            self.finish()


class Scope:
    """A region that was entered. What it sends out goes into slots under `sends`, what it yields into the slot `gives`,
    or to `result` where it has no slot; `index` are the turns of the loops around it."""

    __slots__ = (
        *("block", "channels", "complete", "gives", "index", "open", "parent", "result", "run", "sends", "values"),
        "waiting",
    )

    def __init__(self, run: Run, block: Block, parent: Scope | None, index: tuple[int, ...]) -> None:
        self.run = run
        self.block = block
        self.parent = parent
        self.index = index
        self.sends: Slot | None = None
        self.gives: Slot | None = None
        self.result: Callable[[object], None] | None = None
        self.complete: Callable[[], None] | None = None
        self.values: dict[int, object] = {}
        self.channels: dict[int, Channel] = {}
        self.waiting: dict[int, list[Task]] = {}
        self.open = len(block.steps)

    def enter(self, make: Callable[[Scope, Step], Task]) -> None:
        """Make the region's tasks (by `tasks.make`); those that wait for nothing become ready."""
        for value, stage in self.block.streams.items():
            self.channels[value] = Channel(self.run.buffer, stage)
        # All uses are known before the first task is made, so that no producer believes itself unwanted.
        for step in self.block.steps:
            for use in step.uses.values():
                self.channel(use.value).hold(use.kept)
            for use in step.inner:
                self.channel(use.value).hold(use.kept)
        for step in self.block.steps:
            task = make(self, step)
            for need in step.needs:
                home = self._home(need)
                if home is not None:
                    home.waiting.setdefault(need, []).append(task)
                    task.missing += 1
            if not task.missing:
                self.run.machine.later(self.run, task.wake)

    def _home(self, value: int) -> Scope | None:
        """The scope that will get the value, or None if it is there."""
        scope: Scope | None = self
        while scope is not None:
            if value in scope.values:
                return None
            if value in scope.block.made:
                return scope
            scope = scope.parent
        raise KeyError(value)

    def value(self, number: int) -> object:
        scope: Scope | None = self
        while scope is not None:
            if number in scope.values:
                return scope.values[number]
            scope = scope.parent
        raise KeyError(number)

    def channel(self, number: int) -> Channel:
        scope: Scope | None = self
        while scope is not None:
            if number in scope.channels:
                return scope.channels[number]
            scope = scope.parent
        raise KeyError(number)

    def set(self, number: int, value: object) -> None:
        self.values[number] = value
        for task in self.waiting.pop(number, ()):
            task.missing -= 1
            if not task.missing and not task.done:
                self.run.machine.later(self.run, task.wake)

    def one_done(self) -> None:
        self.open -= 1
        if not self.open and self.complete is not None:
            self.complete()


class Run:
    """One execution of a pipeline. `outcome` is set as soon as it is ending; it is over when `stages` is empty too."""

    def __init__(self, machine: Machine, number: int, prepared: Prepared, at: float, timeout: float | None) -> None:
        self.machine = machine
        self.number = number
        self.prepared = prepared
        self.timeout = timeout
        self.deadline = None if timeout is None else at + timeout
        self.buffer = machine.deployment.buffer
        self.stages: dict[int, Started] = {}
        self.output: Port | None = None
        self.sent = 0
        self.value: object = None
        self.outcome: Outcome | None = None
        self.waits_for: set[str] = set()
        self.handle_tasks: dict[str, list[Task]] = {}
        self.usage: dict[str, float] = {}
        self.times = Times(at)

    def count(self, usage: Mapping[str, float]) -> None:
        for unit, amount in usage.items():
            self.usage[unit] = self.usage.get(unit, 0.0) + amount


class Port:
    """A reader outside the machine: a stream argument of a stage, or the caller of a run (`emits`). Delivers as much as
    may lie there untaken."""

    __slots__ = ("emits", "ended", "number", "reader", "run")

    def __init__(self, run: Run, channel: Channel, kept: bool, emits: bool = False) -> None:
        self.run = run
        self.emits = emits
        self.ended = False
        self.number = run.machine.number()
        self.reader: Reader = channel.open(self, kept)
        run.machine.ports[self.number] = self

    def notify(self) -> None:
        reader = self.reader
        machine = self.run.machine
        if self.run.outcome is not None:
            return
        while reader.ready and reader.position - reader.taken < reader.channel.bound:
            if self.emits:
                machine.emit(self, reader.hand_out(), reader.channel.stage)
            else:
                machine.orders.append(Deliver(self.number, reader.hand_out()))
        if reader.finished and not self.ended:
            self.ended = True
            if not self.emits:
                machine.orders.append(DeliverEnd(self.number))

    def close(self) -> None:
        self.run.machine.ports.pop(self.number, None)
        self.reader.close()


class Started:
    """A stage that runs (or the caller's stream that is read): producer of its channel, if it has one. `ended` is
    called with its value when it is over and was not stopped because of the run's end."""

    __slots__ = (
        *(
            "channel",
            "deadline",
            "ended",
            "first_item",
            "gone",
            "granted",
            "held",
            "items",
            "name",
            "number",
            "operation",
        ),
        *("ports", "remaining", "run", "started", "stopping"),
    )

    def __init__(self, run: Run, name: str, operation: Operation | None, channel: Channel | None) -> None:
        self.run = run
        self.name = name
        self.operation = operation
        self.number = run.machine.number()
        self.channel = channel
        self.granted = 0
        self.ports: list[Port] = []
        self.ended: Callable[[object], None] | None = None
        self.started = run.machine.now
        self.first_item: float | None = None
        self.items = 0
        self.deadline: float | None = None
        self.remaining = 0.0
        self.held = False  # it has no credit: its reader's time, not its own
        self.stopping = False
        self.gone = False
        run.stages[self.number] = self
        run.machine.stages[self.number] = self
        if channel is not None:
            channel.producer = self
            self.granted = channel.allowed()

    def more(self) -> None:
        channel = self.channel
        if channel is None or self.stopping or self.gone:
            return
        extra = channel.allowed() - self.granted
        # A grant for every item taken would be an order per item; a quarter of the buffer at once keeps the producer
        # running, and one that has used all its credit gets the next as soon as a quarter is free.
        if extra >= (channel.bound + 3) // 4:
            if self.held:
                self.held = False
                self.run.machine.resume(self)
            self.granted += extra
            self.run.machine.orders.append(Grant(self.number, extra))

    def unwanted(self) -> None:
        self.run.machine.stop(self)


class Times:
    """Adds up what `Timings` says; all times given are on the shell's clock."""

    __slots__ = ("_last", "_stages", "first_item", "gaps", "items", "opened", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.first_item: float | None = None
        self.items = 0
        self.gaps: list[float] = []
        self.opened = started
        self._last = started
        self._stages: dict[str, StageTiming] = {}

    def item(self, at: float) -> float:
        """Notes an item that leaves; its time from the start of the run."""
        if self.first_item is None:
            self.first_item = at - self.started
        elif len(self.gaps) < _LONGEST_GAPS:
            self.gaps.append(at - self._last)
        self._last = at
        self.items += 1
        return at - self.started

    def stage(self, name: str, start: float, first_item: float | None, end: float, items: int) -> None:
        start, end = start - self.started, end - self.started
        first = None if first_item is None else first_item - self.started
        known = self._stages.get(name)
        if known is not None:
            firsts = [time for time in (known.first_item, first) if time is not None]
            first = min(firsts) if firsts else None
            start, end, items = min(start, known.start), max(end, known.end), items + known.items
        self._stages[name] = StageTiming(name, known.count + 1 if known else 1, start, first, end, items)

    def finish(self, at: float) -> Timings:
        stages = tuple(sorted(self._stages.values(), key=lambda stage: (stage.start, stage.end)))
        opening = self.opened - self.started
        return Timings(at - self.started, self.first_item, tuple(self.gaps), self.items, opening, stages)
