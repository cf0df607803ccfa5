"""The machine: events in, orders out. It decides everything and does nothing.

It has no clock (time comes in on events), no tasks, no I/O and no luck of its own, so that one and the same code runs a
program, simulates it on a virtual clock, and is driven through every interleaving by tests. `handle` is the only way
in. Numbers of stages and readers are given out here and never used twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from ...ir.fused import inside
from ..deadlines import Deadlines
from ..deployment import Deployment
from ..values import Shapes
from . import events
from .admission import Admission
from .attempts import Attempting
from .dues import LINE, Dues
from .events import Event
from .faults import Failure, Fault, ProtocolError
from .fused import Codes
from .guards import Guard
from .handles import Handles
from .lifecycle import Lifecycle
from .orders import (
    AskPerson,
    CancelTimer,
    EmitItem,
    Order,
    SetTimer,
    StartStage,
    StopAsking,
    StopStage,
)
from .policies import Kept, Policies
from .prepared import Prepared, prepare
from .run import Run
from .scopes import Later, Task
from .slices import Schedule, schedule
from .stages import Port, Started
from .tasks import make
from .telling import Telling


class Timed(Protocol):
    """What a deadline belongs to."""

    @property
    def late(self) -> Callable[[], None]: ...


class Machine:
    """Runs the pipelines of one deployment. `luck` gives numbers from 0 to 1, for the jitter of retries; with `bunches`
    it may order several items to be delivered at once. The attributes are for the files of this folder, not for
    callers."""

    def __init__(
        self, deployment: Deployment, luck: Callable[[], float] | None = None, *, bunches: bool = False
    ) -> None:
        self.bunches = bunches
        self.deployment = deployment
        self.shapes = Shapes.of(deployment.graph)
        self.codes = Codes(self.shapes)
        self.luck = luck or Random(0).random
        self.make = make
        self.now = 0.0
        self.orders: list[Order] = []
        self.ready: deque[Task] = deque()
        self.runs: dict[int, Run] = {}
        self.stages: dict[int, Started] = {}
        self.ports: dict[int, Port] = {}
        self.handles = Handles(self)
        self.lifecycle = Lifecycle(self)
        self._telling = Telling(deployment.graph)
        self._questions: dict[int, Guard] = {}
        self._kept: dict[tuple[str, str], Kept] = {}
        self._numbers = 0
        self._prepared: dict[str, Prepared] = {}
        self._schedules = {each.pipeline: each for each in deployment.promises}
        self._scheduled: dict[str, Schedule] = {}
        self.admissions = {each.pipeline: Admission(each) for each in deployment.promises if each.enforce}
        self._deadlines: Deadlines[Timed] = Deadlines()
        self._armed: float | None = None
        self._dirty = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.RunRequested: self.lifecycle.requested,
            events.HandleOpened: self.handles.opened,
            events.HandleFailed: self.handles.failed,
            events.StageItem: self._stage_item,
            events.StageItems: self._stage_items,
            events.StageEnded: self._stage_ended,
            events.StageFailed: self._stage_failed,
            events.StageStopped: self._stage_stopped,
            events.Taken: self._taken,
            events.ReaderClosed: self._reader_closed,
            events.TimerFired: self._timer_fired,
            events.Answered: self._answered,
            events.CancelRequested: self.lifecycle.cancelled,
        }

    def handle(self, event: Event) -> tuple[Order, ...]:
        """What to do now that this has happened. ProtocolError for an event that may not come."""
        self.now = event.at
        self._handlers[type(event)](event)
        ready = self.ready
        while ready:
            task = ready.popleft()
            scope = task.scope
            if task.done or scope.run.outcome is not None:
                continue
            task.missing = -1
            try:
                task.fire()
            except Fault as fault:
                failed = fault.operation or task.operation
                scope.zone.fail(Failure(fault.reason, self._telling.told(failed, fault.problem)))
        if self._dirty:
            self._arm()
        orders = tuple(self.orders)
        self.orders.clear()
        return orders

    def prepared(self, pipeline: str) -> Prepared:
        """The pipeline made ready. KeyError if there is none, ValueError if its graph cannot run."""
        known = self._prepared.get(pipeline)
        if known is None:
            known = self._prepared[pipeline] = prepare(self.deployment.graph.pipeline(pipeline))
        return known

    def dues(self, run: Run) -> Dues | None:
        """What the run has promised."""
        name = run.prepared.pipeline.name
        promises = self._schedules.get(name)
        if promises is None:
            return None
        known = self._scheduled.get(name)
        if known is None:
            known = self._scheduled[name] = schedule(run.prepared.pipeline, promises)
        return Dues(run, known)

    @property
    def idle(self) -> bool:
        """Whether nothing is running, waiting or remembered for later: no stage, reader, question or deadline."""
        return not (self.runs or self.stages or self.ports or self._questions or len(self._deadlines))

    # --- what the other files of this folder ask for ---

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def later(self, task: Task, action: Callable[[], None]) -> None:
        """Do it in this `handle`, after what is ready already, unless the task is over by then."""
        self.ready.append(_unless_over(task, action))

    def first(self, task: Task, action: Callable[[], None]) -> None:
        self.ready.appendleft(_unless_over(task, action))

    def start(self, started: Started, order: StartStage) -> None:
        self.orders.append(order)
        if started.deadline is not None:
            self.arm(started, started.deadline)

    def stop(self, started: Started) -> None:
        if not started.stopping and not started.gone:
            started.stopping = True
            self._deadlines.cancel(started)
            if started.watch is not None:
                self._deadlines.cancel(started.watch)
            self.orders.append(StopStage(started.number))
            for port in started.ports:
                port.close()

    def arm(self, owner: Timed, at: float) -> None:
        """Call `owner.late` at that time; moves an earlier order."""
        self._deadlines.set(owner, at)
        if self._armed is None or at < self._armed:
            self._dirty = True

    def disarm(self, owner: Timed) -> None:
        self._deadlines.cancel(owner)

    def emit(self, port: Port, item: object, stage: str) -> None:
        run = port.run
        self.orders.append(EmitItem(run.number, port.number, item, stage, run.sent, run.times.item(self.now)))
        run.sent += 1

    def rest(self) -> None:
        """Nothing runs: no timer is needed."""
        if self._armed is not None:
            self._armed = None
            self.orders.append(CancelTimer())

    def ask(self, guard: Guard, text: str) -> int:
        number = self.number()
        self._questions[number] = guard
        run = guard.run
        run.pauses.asking += 1
        run.pauses.look()
        self.orders.append(AskPerson(run.number, number, guard.operation.id, text, run.session))
        return number

    def ask_no_more(self, question: int) -> None:
        guard = self._questions.pop(question, None)
        if guard is not None:
            self._asked(guard.run)
            self.orders.append(StopAsking(question))

    def _asked(self, run: Run) -> None:
        run.pauses.asking -= 1
        run.pauses.look()

    def kept(self, guard: Attempting, policies: Policies) -> Kept:
        """What the guard remembers from run to run."""
        key = guard.run.prepared.pipeline.name, guard.operation.id
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = Kept(policies)
        return known

    # --- stages ---

    def _stage_item(self, event: events.StageItem) -> None:
        started = self.stages.get(event.stage)
        if started is None or started.stopping:
            return
        channel = started.channel
        if channel is None or channel.made >= started.granted:
            raise ProtocolError(f"{started.name} made an item that it had no credit for")
        started.item(event.item, event.at)

    def _stage_items(self, event: events.StageItems) -> None:
        started = self.stages.get(event.stage)
        if started is None or started.stopping:
            return
        channel, items = started.channel, event.items
        if channel is None or channel.made + len(items) > started.granted:
            raise ProtocolError(f"{started.name} made items that it had no credit for")
        started.several(items, event.at)

    def _stage_ended(self, event: events.StageEnded) -> None:
        started = self._gone(event)
        if started is not None:
            run = started.run
            if run.outcome is not None:
                self.lifecycle.finish_if_over(run)
            elif started.ended is not None:
                started.ended(event.value)

    def _stage_failed(self, event: events.StageFailed) -> None:
        started = self._gone(event)
        if started is None:
            return
        if not started.stopping and not started.forgiven:
            operation, stage = started.operation, event.blame or started.name
            if event.inside is not None and operation is not None:
                operation = next(each for each in inside(operation) if each.id == event.inside)
                # A plain operation is told by its place: it is no stage that could be to blame.
                stage = operation.id if "entry" in operation.attributes else None
            problem = self._telling.told(operation, event.problem)
            started.zone.fail(Failure(event.reason, problem, stage))
            self.lifecycle.finish_if_over(started.run)
        else:
            # It was told to stop: what goes wrong on the way out has no reader.
            self._stopped(started)

    def _stage_stopped(self, event: events.StageStopped) -> None:
        started = self._gone(event)
        if started is not None:
            if not started.stopping:
                raise ProtocolError(f"{started.name} stopped without being told to")
            self._stopped(started)

    def _stopped(self, started: Started) -> None:
        """A stage that nobody reads any more is through; its stream had no end that anyone waits for."""
        if started.ended is not None and started.run.outcome is None:
            started.ended(None)
        self.lifecycle.finish_if_over(started.run)

    def _gone(self, event: events.StageEnded | events.StageFailed | events.StageStopped) -> Started | None:
        started = self.stages.pop(event.stage, None)
        if started is None:
            return None
        run = started.run
        del run.stages[started.number]
        started.gone = True
        for port in started.ports:
            port.close()
        if started.deadline is not None:
            self._deadlines.cancel(started)
        if event.usage:
            run.count(event.usage)
        if started.operation is not None:
            run.times.stage(started.name, started.started, started.first_item, event.at, started.items)
        if started.watch is not None:
            self._deadlines.cancel(started.watch)
            started.watch.over(event.usage.get(LINE, 0.0))
        if started.held:
            run.pauses.held -= 1
            run.pauses.look()
        elif run.output is not None and not run.stages:
            run.pauses.look()
        return started

    def _taken(self, event: events.Taken) -> None:
        port = self.ports.get(event.reader)
        if port is None:
            return
        if event.count > port.reader.position - port.reader.taken:
            raise ProtocolError(f"more was taken from reader {event.reader} than delivered")
        port.taken(event.count)

    def _reader_closed(self, event: events.ReaderClosed) -> None:
        port = self.ports.get(event.reader)
        if port is not None:
            port.close()

    def _answered(self, event: events.Answered) -> None:
        guard = self._questions.pop(event.question, None)
        if guard is not None:
            self._asked(guard.run)
            guard.answered(event.granted, event.problem)

    # --- time ---

    def _timer_fired(self, event: events.TimerFired) -> None:
        self._armed = None
        self._dirty = True
        for owner in self._deadlines.due(event.at):
            owner.late()

    def _arm(self) -> None:
        """One timer, for the earliest deadline. It is not moved back when that one is cancelled: firing for nothing
        costs less than an order for each stage that ends in time."""
        self._dirty = False
        earliest = self._deadlines.earliest()
        if earliest is not None and (self._armed is None or earliest < self._armed):
            self._armed = earliest
            self.orders.append(SetTimer(earliest))


def _unless_over(task: Task, action: Callable[[], None]) -> Task:
    def act() -> None:
        if not task.done:
            action()

    return Later(task, act)
