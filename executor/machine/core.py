"""The machine: events in, orders out. It decides everything and does nothing.

It has no clock (time comes in on events), no tasks, no I/O and no luck of its own, so that one and the same code runs a
program, simulates it on a virtual clock, and is driven through every interleaving by tests. `handle` is the only way
in. Numbers of stages and readers are given out here and never used twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from ...ir.live import is_stream
from ...lang.types import StreamType
from .. import problems
from ..channels import Channel
from ..deadlines import Deadlines
from ..deployment import Deployment
from ..values import Shapes
from . import events
from .attempts import Attempting
from .events import Event
from .expectations import lines
from .faults import Failure, Fault
from .feed import Feed
from .guards import Guard
from .handles import Handles
from .orders import (
    AskPerson,
    CancelTimer,
    EmitItem,
    FinishRun,
    Order,
    Outcome,
    SetTimer,
    StartInput,
    StartStage,
    StopAsking,
    StopStage,
)
from .policies import Kept, Policies
from .prepared import Prepared, prepare
from .run import Run
from .scopes import Later, Scope, Task
from .stages import Port, Started
from .tasks import make


class ProtocolError(Exception):
    """The shell or a backend broke the contract of events and orders: a bug of ours."""


class Timed(Protocol):
    """What a deadline belongs to."""

    @property
    def late(self) -> Callable[[], None]: ...


class Machine:
    """Runs the pipelines of one deployment. `luck` gives numbers from 0 to 1, for the jitter of retries. The attributes
    are for the files of this folder, not for callers."""

    def __init__(self, deployment: Deployment, luck: Callable[[], float] | None = None) -> None:
        self.deployment = deployment
        self.shapes = Shapes.of(deployment.graph)
        self.luck = luck or Random(0).random
        self.make = make
        self.now = 0.0
        self.orders: list[Order] = []
        self.ready: deque[Task] = deque()
        self.runs: dict[int, Run] = {}
        self.stages: dict[int, Started] = {}
        self.ports: dict[int, Port] = {}
        self.handles = Handles(self)
        self._questions: dict[int, Guard] = {}
        self._kept: dict[tuple[str, str], Kept] = {}
        self._sessions: dict[str, dict[int, Run]] = {}
        self._numbers = 0
        self._prepared: dict[str, Prepared] = {}
        self._deadlines: Deadlines[Timed] = Deadlines()
        self._armed: float | None = None
        self._dirty = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.RunRequested: self._run_requested,
            events.HandleOpened: self.handles.opened,
            events.HandleFailed: self.handles.failed,
            events.StageItem: self._stage_item,
            events.StageEnded: self._stage_ended,
            events.StageFailed: self._stage_failed,
            events.StageStopped: self._stage_stopped,
            events.Taken: self._taken,
            events.ReaderClosed: self._reader_closed,
            events.TimerFired: self._timer_fired,
            events.Answered: self._answered,
            events.CancelRequested: self._cancel_requested,
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
                scope.zone.fail(Failure(fault.reason, fault.problem))
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

    def ask(self, guard: Guard, text: str) -> int:
        number = self.number()
        self._questions[number] = guard
        run = guard.run
        self.orders.append(AskPerson(run.number, number, guard.operation.id, text, run.session))
        return number

    def ask_no_more(self, question: int) -> None:
        if self._questions.pop(question, None) is not None:
            self.orders.append(StopAsking(question))

    def kept(self, guard: Attempting, policies: Policies) -> Kept:
        """What the guard remembers from run to run."""
        key = guard.run.prepared.pipeline.name, guard.operation.id
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = Kept(policies)
        return known

    # --- runs ---

    def _run_requested(self, event: events.RunRequested) -> None:
        if event.run in self.runs:
            raise ProtocolError(f"run {event.run} is running already")
        prepared = self.prepared(event.pipeline)
        run = Run(self, event, prepared)
        if event.session is not None:
            self._supersede(event.session)
            self._sessions[event.session] = {run.number: run}
        self.runs[run.number] = run
        if event.timeout is not None:
            run.zone.arm(event.at + event.timeout, lambda: self._run_late(run))
        if prepared.handles:
            self.handles.need(run)
        self._enter(run, event)

    def _enter(self, run: Run, event: events.RunRequested) -> None:
        prepared = run.prepared
        root = Scope(run, prepared.body, None, (), run.zone)
        sources: list[tuple[str, Channel]] = []
        for argument, given in zip(prepared.pipeline.body.arguments, prepared.pipeline.inputs, strict=True):
            if is_stream(argument):
                channel = Channel(run.buffer, given.name)
                root.channels[argument.id] = channel
                root.values[argument.id] = channel
                sources.append((given.name, channel))
            elif given.name in event.inputs:
                root.values[argument.id] = event.inputs[given.name]
            elif given.required:
                raise ProtocolError(f"{prepared.pipeline.name} was given no {given.name}")
            else:
                root.values[argument.id] = given.default
        if isinstance(prepared.pipeline.result, StreamType):
            # One item at a time: what waits for the caller waits in the channel that made it.
            output = Channel(1, prepared.pipeline.name)
            output.hold(kept=False)
            run.output = Port(run, output, kept=False, stage=None)
            root.sends = Feed(output, lambda: None).root
        root.result = lambda value: setattr(run, "value", value)
        root.complete = lambda: self._complete(run, root)
        root.enter()
        for name, channel in sources:
            if channel.wanted:
                source = Started(run, run.zone, name, None, channel)
                source.ended = lambda _value, channel=channel: channel.end()
                self.orders.append(StartInput(source.number, run.number, name, source.granted))

    def _complete(self, run: Run, root: Scope) -> None:
        if root.sends is not None:
            root.sends.close()
        unmet = next((one for one in run.expectations if not one.holds), None)
        if unmet is None:
            self._end(run, Outcome("done", run.value))
        else:
            problem = problems.expectation_failed(unmet.operation.span, *lines(unmet))
            self._end(run, Outcome("failed", None, "expectation", problem))

    def fail(self, run: Run, failure: Failure) -> None:
        status = "interrupted" if failure.reason == "interrupted" else "failed"
        problem = None if status == "interrupted" else failure.problem
        self._end(run, Outcome(status, None, failure.reason, problem, failure.stage))

    def _run_late(self, run: Run) -> None:
        name = run.prepared.pipeline.name
        self.fail(run, Failure("timeout", problems.run_timeout(name, run.timeout or 0.0)))

    def _end(self, run: Run, outcome: Outcome) -> None:
        """The run is ending; it is over when its last stage is gone. The first reason counts."""
        if run.outcome is not None:
            return
        if run.expectations:
            outcome = replace(outcome, expectations=tuple(run.expectations))
        run.outcome = outcome
        for attempting in tuple(run.attempting):
            attempting.disarm()
        run.zone.kill()
        for started in tuple(run.stages.values()):
            self.stop(started)
        if run.output is not None:
            self.ports.pop(run.output.number, None)
        self._finish_if_over(run)

    def _finish_if_over(self, run: Run) -> None:
        if run.outcome is None or run.stages or run.number not in self.runs:
            return
        del self.runs[run.number]
        if run.session is not None:
            known = self._sessions.get(run.session, {})
            known.pop(run.number, None)
            if not known:
                self._sessions.pop(run.session, None)
        self.orders.append(FinishRun(run.number, run.outcome, run.usage, run.times.finish(self.now)))
        if not self.runs and self._armed is not None:
            self._armed = None
            self.orders.append(CancelTimer())

    def _supersede(self, session: str) -> None:
        """A newer run of the session is there: what is interruptible in those before it ends."""
        for run in tuple(self._sessions.get(session, {}).values()):
            run.superseded = True
            for interruptible in tuple(run.interruptible):
                interruptible.interrupt()
            for epoch in run.epochs:
                epoch.interrupt()

    def _cancel_requested(self, event: events.CancelRequested) -> None:
        run = self.runs.get(event.run)
        if run is not None:
            self._end(run, Outcome(event.why))

    # --- stages ---

    def _stage_item(self, event: events.StageItem) -> None:
        started = self.stages.get(event.stage)
        if started is None or started.stopping:
            return
        channel = started.channel
        if channel is None or channel.made >= started.granted:
            raise ProtocolError(f"{started.name} made an item that it had no credit for")
        started.item(event.item, event.at)

    def _stage_ended(self, event: events.StageEnded) -> None:
        started = self._gone(event)
        if started is not None:
            run = started.run
            if run.outcome is not None:
                self._finish_if_over(run)
            elif started.ended is not None:
                started.ended(event.value)

    def _stage_failed(self, event: events.StageFailed) -> None:
        started = self._gone(event)
        if started is None:
            return
        if not started.stopping:
            started.zone.fail(Failure(event.reason, event.problem, event.blame or started.name))
            self._finish_if_over(started.run)
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
        self._finish_if_over(started.run)

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
