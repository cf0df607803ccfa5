"""How runs begin and end: requests, sessions, what is asked of a run's outermost region, and its outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...ir.live import is_stream
from ...lang.types import StreamType
from .. import problems
from ..channels import Channel
from . import events
from .expectations import lines
from .faults import Failure, ProtocolError
from .feed import Feed
from .orders import FinishRun, Outcome, StartInput, Timings
from .run import Run
from .scopes import Scope
from .stages import Port, Started

if TYPE_CHECKING:
    from .core import Machine


class Lifecycle:
    """Of the runs of one machine, from `RunRequested` to `FinishRun`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.sessions: dict[str, dict[int, Run]] = {}

    def requested(self, event: events.RunRequested) -> None:
        machine = self._machine
        if event.run in machine.runs:
            raise ProtocolError(f"run {event.run} is running already")
        prepared = machine.prepared(event.pipeline)
        admission = machine.admissions.get(event.pipeline)
        if admission is not None:
            refused = admission.refused(event.at, event.timeout)
            if refused is not None:
                problem = problems.not_admitted(
                    event.pipeline,
                    refused.promise.name or refused.promise.moment,
                    *(refused.limit, refused.predicted, refused.waits, refused.runs),
                )
                outcome = Outcome("failed", None, "not_admitted", problem)
                machine.orders.append(FinishRun(event.run, outcome, {}, Timings(0.0), event.pipeline))
                return
            admission.begin(event.run, event.at)
        run = Run(machine, event, prepared)
        if event.session is not None:
            self._supersede(event.session)
            self.sessions[event.session] = {run.number: run}
        machine.runs[run.number] = run
        run.dues = machine.dues(run)
        if event.timeout is not None:
            run.zone.arm(event.at + event.timeout, lambda: self._run_late(run))
        if prepared.handles:
            machine.handles.need(run)
        self._enter(run, event)

    def _enter(self, run: Run, event: events.RunRequested) -> None:
        prepared = run.prepared
        root = Scope(run, prepared.body, None, (), run.zone)
        if prepared.input_streams:
            root.channels = {}
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
            # What waits for the caller waits in the channel that made it: one item at a time is on its way, or few
            # where nothing is ever interrupted.
            output = Channel((run.buffer + 3) // 4 if self._machine.bunches else 1, prepared.pipeline.name)
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
                self._machine.orders.append(StartInput(source.number, run.number, name, source.granted))

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
        machine = self._machine
        if run.expectations:
            outcome = replace(outcome, expectations=tuple(run.expectations))
        run.outcome = outcome
        for attempting in tuple(run.attempting):
            attempting.disarm()
        run.zone.kill()
        for started in tuple(run.stages.values()):
            machine.stop(started)
        if run.output is not None:
            machine.ports.pop(run.output.number, None)
        self.finish_if_over(run)

    def finish_if_over(self, run: Run) -> None:
        """A run is over when it has ended and the last of its stages is gone."""
        machine = self._machine
        if run.outcome is None or run.stages or run.number not in machine.runs:
            return
        del machine.runs[run.number]
        admission = machine.admissions.get(run.prepared.pipeline.name)
        if admission is not None:
            admission.over(run.number)
        if run.session is not None:
            known = self.sessions.get(run.session, {})
            known.pop(run.number, None)
            if not known:
                self.sessions.pop(run.session, None)
        now = machine.now
        executions = () if run.dues is None else run.dues.executions()
        timings = run.times.finish(now, run.pauses.spans(now), executions)
        name = run.prepared.pipeline.name
        machine.orders.append(FinishRun(run.number, run.outcome, run.usage, timings, name))
        if not machine.runs:
            machine.rest()

    def _supersede(self, session: str) -> None:
        """A newer run of the session is there: what is interruptible in those before it ends."""
        for run in tuple(self.sessions.get(session, {}).values()):
            run.superseded = True
            for interruptible in tuple(run.interruptible):
                interruptible.interrupt()
            for epoch in run.epochs:
                epoch.interrupt()

    def cancelled(self, event: events.CancelRequested) -> None:
        run = self._machine.runs.get(event.run)
        if run is not None:
            self._end(run, Outcome(event.why))
