"""The machine: events in, orders out. It decides everything and does nothing.

It has no clock (time comes in on events), no tasks and no I/O, so that one and the same code runs a program, simulates
it on a virtual clock, and is driven through every interleaving by tests. `handle` is the only way in. Numbers of stages
and readers are given out here and never used twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...base.problems import Problem
from .. import problems
from ..channels import Channel
from ..deadlines import Deadlines
from ..deployment import Deployment
from . import events
from .events import Event
from .feed import Feed
from .keeping import is_stream
from .orders import (
    CancelTimer,
    EmitItem,
    FinishRun,
    OpenHandle,
    Order,
    Outcome,
    SetTimer,
    StartInput,
    StartStage,
    StopStage,
)
from .prepared import Prepared, handle_needs, prepare
from .run import Port, Run, Scope, Started
from .semantics import Fault
from .tasks import make

Owner = tuple[str, int]  # ("run", number) or ("stage", number)


class ProtocolError(Exception):
    """The shell or a backend broke the contract of events and orders: a bug of ours."""


class Machine:
    """Runs the pipelines of one deployment. The attributes are for the files of this folder, not for callers."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.now = 0.0
        self.orders: list[Order] = []
        self.runs: dict[int, Run] = {}
        self.stages: dict[int, Started] = {}
        self.ports: dict[int, Port] = {}
        self._ready: deque[tuple[Run, Callable[[], None]]] = deque()
        self._numbers = 0
        self._prepared: dict[str, Prepared] = {}
        self._open: set[str] = set()
        self._opening: set[str] = set()
        self._deadlines: Deadlines[Owner] = Deadlines()
        self._armed: float | None = None
        self._dirty = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.RunRequested: self._run_requested,
            events.HandleOpened: self._handle_opened,
            events.HandleFailed: self._handle_failed,
            events.StageItem: self._stage_item,
            events.StageEnded: self._stage_ended,
            events.StageFailed: self._stage_failed,
            events.StageStopped: self._stage_stopped,
            events.Taken: self._taken,
            events.ReaderClosed: self._reader_closed,
            events.TimerFired: self._timer_fired,
            events.CancelRequested: self._cancel_requested,
        }

    def handle(self, event: Event) -> tuple[Order, ...]:
        """What to do now that this has happened. ProtocolError for an event that may not come."""
        self.now = event.at
        self._handlers[type(event)](event)
        ready = self._ready
        while ready:
            run, action = ready.popleft()
            if run.outcome is not None:
                continue
            try:
                action()
            except Fault as fault:
                self._end(run, Outcome("failed", None, fault.reason, fault.problem))
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

    # --- what the other files of this folder ask for ---

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def later(self, run: Run, action: Callable[[], None]) -> None:
        """Do it in this `handle`, after what is ready already."""
        self._ready.append((run, action))

    def first(self, run: Run, action: Callable[[], None]) -> None:
        self._ready.appendleft((run, action))

    def start(self, started: Started, order: StartStage) -> None:
        self.orders.append(order)
        if started.deadline is not None:
            self._deadlines.set(("stage", started.number), started.deadline)
            self._dirty = True

    def stop(self, started: Started) -> None:
        if not started.stopping and not started.gone:
            started.stopping = True
            self._deadlines.cancel(("stage", started.number))
            self.orders.append(StopStage(started.number))
            for port in started.ports:
                port.close()

    def resume(self, started: Started) -> None:
        """A stage that its reader held back goes on: its deadline moves by as long."""
        if started.deadline is not None:
            started.deadline = self.now + started.remaining
            self._deadlines.set(("stage", started.number), started.deadline)
            self._dirty = True

    def emit(self, port: Port, item: object, stage: str) -> None:
        run = port.run
        self.orders.append(EmitItem(run.number, port.number, item, stage, run.sent, run.times.item(self.now)))
        run.sent += 1

    # --- runs ---

    def _run_requested(self, event: events.RunRequested) -> None:
        if event.run in self.runs:
            raise ProtocolError(f"run {event.run} is running already")
        prepared = self.prepared(event.pipeline)
        run = Run(self, event.run, prepared, event.at, event.timeout)
        self.runs[run.number] = run
        if run.deadline is not None:
            self._deadlines.set(("run", run.number), run.deadline)
            self._dirty = True
        run.waits_for = self._closure(prepared.handles) - self._open
        self._open_what_can()
        self._enter(run, event)

    def _enter(self, run: Run, event: events.RunRequested) -> None:
        prepared = run.prepared
        root = Scope(run, prepared.body, None, ())
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
        result = prepared.body.result
        if result is not None and is_stream(result):
            # One item at a time: what waits for the caller waits in the channel that made it.
            output = Channel(1, result.name or "")
            output.hold(kept=False)
            run.output = Port(run, output, kept=False, emits=True)
            root.sends = Feed(output, lambda: None).root
        root.result = lambda value: setattr(run, "value", value)
        root.complete = lambda: self._complete(run, root)
        root.enter(make)
        for name, channel in sources:
            if channel.wanted:
                source = Started(run, name, None, channel)
                source.ended = lambda _value, channel=channel: channel.end()
                self.orders.append(StartInput(source.number, run.number, name, source.granted))

    def _complete(self, run: Run, root: Scope) -> None:
        if root.sends is not None:
            root.sends.close()
        self._end(run, Outcome("done", run.value))

    def _end(self, run: Run, outcome: Outcome) -> None:
        """The run is ending; it is over when its last stage is gone. The first reason counts."""
        if run.outcome is not None:
            return
        run.outcome = outcome
        self._deadlines.cancel(("run", run.number))
        for started in tuple(run.stages.values()):
            self.stop(started)
        if run.output is not None:
            self.ports.pop(run.output.number, None)
        self._finish_if_over(run)

    def _finish_if_over(self, run: Run) -> None:
        if run.outcome is None or run.stages or run.number not in self.runs:
            return
        del self.runs[run.number]
        self.orders.append(FinishRun(run.number, run.outcome, run.usage, run.times.finish(self.now)))
        if not self.runs and self._armed is not None:
            self._armed = None
            self.orders.append(CancelTimer())

    def _cancel_requested(self, event: events.CancelRequested) -> None:
        run = self.runs.get(event.run)
        if run is not None:
            self._end(run, Outcome(event.why))

    # --- handles ---

    def _closure(self, names: tuple[str, ...]) -> set[str]:
        """The handles and those that they are made of."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += handle_needs(self.deployment.graph.handle(name).arguments)
        return found

    def _open_what_can(self) -> None:
        """Open every handle that some run waits for and whose own handles are open; all of them at the same time."""
        for run in self.runs.values():
            for name in sorted(run.waits_for - self._opening):
                handle = self.deployment.graph.handle(name)
                if self._open.issuperset(handle_needs(handle.arguments)):
                    self._opening.add(name)
                    self.orders.append(OpenHandle(handle))

    def _handle_opened(self, event: events.HandleOpened) -> None:
        self._opening.discard(event.name)
        self._open.add(event.name)
        for run in self.runs.values():
            if event.name in run.waits_for:
                run.waits_for.discard(event.name)
                if not run.waits_for:
                    run.times.opened = self.now
                for task in run.handle_tasks.pop(event.name, ()):
                    self.later(run, task.wake)
        self._open_what_can()

    def _handle_failed(self, event: events.HandleFailed) -> None:
        self._opening.discard(event.name)
        for run in tuple(self.runs.values()):
            if event.name in run.waits_for:
                self._end(run, Outcome("failed", None, event.reason, event.problem, event.name))

    # --- stages ---

    def _stage_item(self, event: events.StageItem) -> None:
        started = self.stages.get(event.stage)
        if started is None or started.stopping:
            return
        channel = started.channel
        if channel is None or channel.made >= started.granted:
            raise ProtocolError(f"{started.name} made an item that it had no credit for")
        if not started.items:
            started.first_item = event.at
        started.items += 1
        channel.push(event.item)
        if channel.made >= started.granted and not started.held and not started.stopping:
            started.held = True
            if started.deadline is not None:
                started.remaining = started.deadline - event.at
                self._deadlines.cancel(("stage", started.number))

    def _stage_ended(self, event: events.StageEnded) -> None:
        started = self._gone(event)
        if started is not None and started.ended is not None and started.run.outcome is None:
            started.ended(event.value)
        self._after(started)

    def _stage_failed(self, event: events.StageFailed) -> None:
        started = self._gone(event)
        if started is not None:
            if started.stopping:
                # It was told to stop: what goes wrong on the way out has no reader.
                self._stopped(started)
            else:
                self._end(started.run, Outcome("failed", None, event.reason, event.problem, started.name))
        self._after(started)

    def _stage_stopped(self, event: events.StageStopped) -> None:
        started = self._gone(event)
        if started is not None:
            if not started.stopping:
                raise ProtocolError(f"{started.name} stopped without being told to")
            self._stopped(started)
        self._after(started)

    def _stopped(self, started: Started) -> None:
        """A stage that nobody reads any more is through; its stream had no end that anyone waits for."""
        if started.ended is not None and started.run.outcome is None:
            started.ended(None)

    def _gone(self, event: events.StageEnded | events.StageFailed | events.StageStopped) -> Started | None:
        started = self.stages.pop(event.stage, None)
        if started is None:
            return None
        run = started.run
        del run.stages[started.number]
        started.gone = True
        for port in started.ports:
            port.close()
        self._deadlines.cancel(("stage", started.number))
        run.count(event.usage)
        if started.operation is not None:
            run.times.stage(started.name, started.started, started.first_item, event.at, started.items)
        return started

    def _after(self, started: Started | None) -> None:
        if started is not None:
            self._finish_if_over(started.run)

    def _taken(self, event: events.Taken) -> None:
        port = self.ports.get(event.reader)
        if port is None:
            return
        if event.count > port.reader.position - port.reader.taken:
            raise ProtocolError(f"more was taken from reader {event.reader} than delivered")
        port.reader.confirm(event.count)
        if port.reader.ready:
            port.notify()

    def _reader_closed(self, event: events.ReaderClosed) -> None:
        port = self.ports.get(event.reader)
        if port is not None:
            port.close()

    # --- time ---

    def _timer_fired(self, event: events.TimerFired) -> None:
        self._armed = None
        self._dirty = True
        for kind, number in self._deadlines.due(event.at):
            if kind == "run":
                run = self.runs.get(number)
                if run is None:
                    continue
                timeout = run.timeout or 0.0
                self._end(run, _timeout(problems.run_timeout(run.prepared.pipeline.name, timeout), None))
            elif number in self.stages:
                started = self.stages[number]
                span = started.operation.span if started.operation is not None else None
                problem = problems.call_timeout(started.name, self.deployment.call_timeout, span)
                self._end(started.run, _timeout(problem, started.name))

    def _arm(self) -> None:
        """One timer, for the earliest deadline. It is not moved back when that one is cancelled: firing for nothing
        costs less than an order for each stage that ends in time."""
        self._dirty = False
        earliest = self._deadlines.earliest()
        if earliest is not None and (self._armed is None or earliest < self._armed):
            self._armed = earliest
            self.orders.append(SetTimer(earliest))


def _timeout(problem: Problem, stage: str | None) -> Outcome:
    return Outcome("failed", None, "timeout", problem, stage)
