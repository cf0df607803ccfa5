"""Regions while they run: scopes of values, tasks that wait for them, and zones, inside of which a failure stays.

A scope is a region that has been entered; a task is one of its operations, waiting for its operands. A value that
appears wakes the tasks that wait for it; a task whose last operand has come goes into the machine's queue of ready
tasks, so that a chain of ten thousand operations needs no recursion. What a task does is in the other files.

A zone is all that fails together: a run, or an attempt at a region of `otherwise`, `race`, `with` and so on. When it
fails, or is not wanted any more, every task in it and in the zones inside of it is dropped: stages are stopped, readers
closed, and nothing in it happens any more. Whoever made the zone then hears of the failure and decides.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from ...ir.graph import Operation
from ..channels import Channel, Epoch
from .faults import Failure
from .feed import Slot
from .prepared import Block, Step

if TYPE_CHECKING:
    from .loops import Turn
    from .run import Run


class Task:
    """An operation in a scope. `missing` counts the operands that are not there yet; it is -1 once the task fired."""

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

    def fire(self) -> None:
        """All operands are there."""
        raise NotImplementedError

    def operands(self) -> list[object]:
        value = self.scope.value
        return [value(operand) for operand in self.step.operands]

    def give(self, value: object) -> None:
        """Set the operation's result."""
        if self.step.result is not None:
            self.scope.set(self.step.result, value)

    def finish(self) -> None:
        """The task is over, with all that it started."""
        if not self.done:
            self.done = True
            scope = self.scope
            if scope.overs is not None and self.operation.id in scope.overs:
                scope.overs.pop(self.operation.id)()
            scope.one_done()

    def give_up(self) -> None:
        """The task will not fire: its holds on streams go."""
        if not self.done:
            self._release()
            self.finish()

    def drop(self) -> None:
        """The zone is stopped, and `done` is set: let go of everything."""
        if self.missing >= 0:
            self._release()
        else:
            self.let_go()

    def let_go(self) -> None:
        """What a task that has fired still holds."""

    def leave(self) -> None:
        """All that its scope waits for is through. (Of a task that is `leaving`.)"""

    def _release(self) -> None:
        for use in (*self.step.uses.values(), *self.step.inner):
            self.scope.channel(use.value).release(use.kept)


class Later(Task):
    """Something to do for a task after what is ready already."""

    __slots__ = ("_action",)

    def __init__(self, task: Task, action: Callable[[], None]) -> None:
        super().__init__(task.scope, task.step)
        self._action = action

    def fire(self) -> None:
        self._action()


class Zone:
    """What fails together. `at` is its own deadline, on the machine's clock; those around it hold as well. `epoch` is
    set where it may be interrupted, `turn` where it is one of a `for` over a stream; `slots` are its places in the
    order of what leaves."""

    __slots__ = (
        *("_failed", "_left", "_paused", "at", "children", "dead", "epoch", "late", "parent", "run", "scopes", "slots"),
        "turn",
    )

    def __init__(self, run: Run, parent: Zone | None, failed: Callable[[Failure], None]) -> None:
        self.run = run
        self.parent = parent
        self.children: dict[Zone, None] = {}
        self.scopes: dict[Scope, None] = {}
        self.dead = False
        self.at: float | None = None
        self.late: Callable[[], None] = self._nothing
        self.epoch: Epoch | None = None
        self.turn: Turn | None = None
        self.slots: tuple[Slot | None, ...] = ()
        self._failed = failed
        self._paused = 0
        self._left = 0.0
        if parent is not None:
            parent.children[self] = None

    # --- ends ---

    def fail(self, failure: Failure) -> None:
        """Stop all that is in it, then tell who made it. Only the first failure counts."""
        if not self.dead:
            if self.parent is not None:
                self.kill()
            self._failed(failure)

    def kill(self) -> None:
        """Stop all that is in it."""
        if self.dead:
            return
        if self.parent is not None:
            self.parent.children.pop(self, None)
        # A stream that is dropped in here must not look, from outside, like one that has ended.
        for slot in self.slots:
            if slot is not None:
                slot.frozen = True
        doomed: list[Task] = []
        self._doom(doomed)
        # Only now that none of them can act any more: letting go of one thing wakes those that stand on it.
        for task in doomed:
            task.drop()

    def over(self) -> None:
        """All that is in it is through."""
        self.dead = True
        self._disarm()
        if self.parent is not None:
            self.parent.children.pop(self, None)

    def _doom(self, doomed: list[Task]) -> None:
        self.dead = True
        self._disarm()
        for zone in self.children:
            zone._doom(doomed)
        self.children.clear()
        for scope in self.scopes:
            for task in scope.tasks or ():
                if not task.done:
                    task.done = True
                    doomed.append(task)
        self.scopes.clear()

    # --- time ---

    def arm(self, at: float, late: Callable[[], None]) -> None:
        """`late` is called at that time, unless the zone is over or dead. Time in which it is paused does not count."""
        self.at = at
        self.late = late
        self.run.machine.arm(self, at)

    def pause(self) -> None:
        self._paused += 1
        if self._paused == 1 and self.at is not None and not self.dead:
            self._left = self.at - self.run.machine.now
            self.run.machine.disarm(self)

    def resume(self) -> None:
        self._paused -= 1
        if not self._paused and self.at is not None and not self.dead:
            self.at = self.run.machine.now + self._left
            self.run.machine.arm(self, self.at)

    def deadline(self) -> float | None:
        """The earliest of its deadline and of those around it."""
        earliest: float | None = None
        zone: Zone | None = self
        while zone is not None:
            at = zone.at
            if at is not None and not zone._paused and (earliest is None or at < earliest):
                earliest = at
            zone = zone.parent
        return earliest

    def _disarm(self) -> None:
        if self.at is not None:
            self.run.machine.disarm(self)

    def _nothing(self) -> None:
        pass


# Of all scopes without streams. Nobody may put anything in: it would be found by every one of them.
_NO_CHANNELS = cast("dict[int, Channel]", MappingProxyType[int, Channel]({}))


class Scope:
    """A region that was entered. What it sends out goes into slots under `sends`, what it yields into the slot `gives`,
    or to `result` where it has no slot; `index` are the turns of the loops around it."""

    __slots__ = (
        *("block", "channels", "complete", "gives", "index", "leaving", "open", "overs", "parent", "result", "run"),
        "sends",
        *("tasks", "values", "waiting", "zone"),
    )

    def __init__(self, run: Run, block: Block, parent: Scope | None, index: tuple[int, ...], zone: Zone) -> None:
        self.run = run
        self.block = block
        self.parent = parent
        self.index = index
        self.zone = zone
        self.sends: Slot | None = None
        self.gives: Slot | None = None
        self.result: Callable[[object], None] | None = None
        self.complete: Callable[[], None] | None = None
        self.values: dict[int, object] = {}
        # Made when they are needed: a loop of a thousand turns has a thousand scopes.
        self.channels: dict[int, Channel] = {} if block.streams else _NO_CHANNELS
        self.waiting: dict[int, list[Task]] | None = None
        self.tasks: list[Task] | None = None
        self.overs: dict[str, Callable[[], None]] | None = None  # who wants to hear that an operation is over
        self.leaving: list[Task] | None = None  # what it does not wait for, and lets go of when all else is through
        self.open = len(block.steps)

    def enter(self) -> None:
        """Make the region's tasks; those that wait for nothing become ready."""
        block = self.block
        zone = self.zone
        tracked = zone.parent is not None
        if tracked:
            zone.scopes[self] = None
            self.tasks = []
        for value, (stage, bound, drops) in block.streams.items():
            self.channels[value] = Channel(bound or self.run.buffer, stage, drops)
        # All uses are known before the first task is made, so that no producer believes itself unwanted.
        if block.uses:
            for step in block.steps:
                for use in step.uses.values():
                    self.channel(use.value).hold(use.kept)
                for use in step.inner:
                    self.channel(use.value).hold(use.kept)
        ready, make = self.run.machine.ready, self.run.machine.make
        for step in block.steps:
            task = make(self, step)
            if self.tasks is not None:
                self.tasks.append(task)
            for need in step.needs:
                home = self._home(need)
                if home is not None:
                    if home.waiting is None:
                        home.waiting = {}
                    home.waiting.setdefault(need, []).append(task)
                    task.missing += 1
            if not task.missing:
                ready.append(task)

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
        waiting = self.waiting.pop(number, None) if self.waiting else None
        if waiting is not None:
            ready = self.run.machine.ready
            for task in waiting:
                task.missing -= 1
                if not task.missing and not task.done:
                    ready.append(task)

    def one_done(self) -> None:
        self.open -= 1
        if not self.open:
            for task in self.leaving or ():
                task.leave()
            if self.zone.parent is not None:
                self.zone.scopes.pop(self, None)
            if self.complete is not None:
                self.complete()
