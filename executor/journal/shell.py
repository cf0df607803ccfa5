"""The shell that writes down what it tells its machine, and goes on from what another wrote.

What happens inside of the process does not wait for the disk: records are committed in the background, in order. Two
things wait: a stage that acts on the world, and an item (or the end) that leaves to the caller. So whatever has been
seen outside is in the journal, with all that led to it.

After a restart the machine is led through the journal (`course`). Then what stands open is done again: a stage that was
running runs again from its beginning on what it had been given, and what it makes counts from where the journal ends.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import cast

import anyio

from ...base.problems import Problem
from ...ir.fused import inside
from .. import journal_problems as problems
from ..backends import Backend
from ..clock import Clock
from ..deployment import Deployment
from ..frames import Frame, Item, Start
from ..kinds import StageFailure
from ..machine import events, orders
from ..machine.telling import Telling
from ..observers import Observer
from ..running import Approver, Running
from ..shell import Shell
from ..values import Shapes
from .acting import effects_of, idempotent_tools, tool_of
from .backend import DurableBackend
from .clock import RunClock
from .course import Course, frame_of, readers_of
from .course import Running as Open
from .log import Log, NotWritten
from .records import Given
from .values import to_data

MAY_HAVE_ACTED = "may_have_acted"


class DurableShell(Shell):
    """One run and its journal. `course` is what was before a restart; `mask` gives what takes the place of the inputs
    in the journal."""

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        log: Log,
        clock: Clock,
        *,
        run: str,
        immediate: frozenset[str],
        seed: int,
        course: Course | None = None,
        observers: Iterable[Observer] = (),
        signals: Iterable[signal.Signals] = (),
        mask: Callable[[Mapping[str, object]], Mapping[str, object]] = dict,
    ) -> None:
        self._log = log
        self._course = course
        self._mask = mask
        self._sealed = False
        self._lost: Problem | None = None
        self._telling_of = Telling(deployment.graph)
        self._last = 0
        self._retaken: dict[int, int] = {}
        self._remade: dict[int, list[object]] = {}
        self._stopped = False
        self._time = time = RunClock(clock, course.at if course else 0.0, held=course is not None)
        opened = {name: order.handle for name, order in course.opened.items()} if course else {}
        self._between = between = DurableBackend(
            *(backend, log, time, Shapes.of(deployment.graph), immediate, opened),
            lambda value: self._keep(1, value),
            run,
        )
        super().__init__(deployment, between, tuple(observers), time, tuple(signals), Random(seed).random)
        if course is not None:
            self._machine = course.machine
            self._numbers = 1

    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> Running:
        """See `Shell.start`; a journal holds one run."""
        if self._numbers:
            raise RuntimeError("a journal holds one run")
        return super().start(pipeline, inputs, timeout, session=session, approve=approve)

    def _bunches(self) -> bool:
        return False  # each item has a record of its own

    # --- the journal ---

    def _tell(self, event: events.Event) -> None:
        if isinstance(event, events.CancelRequested) and event.why == "interrupted":
            # Whoever stops the process does not end the run: what follows is not written, and it can be resumed.
            self._seal()
        if self._remade and isinstance(event, events.StageItem | events.StageEnded):
            again = self._again(event)
            if again is None:
                return
            event = again
        if not self._sealed:
            self._last = self._log.append(self._masked(event))
        super()._tell(event)

    def _masked(self, event: events.Event) -> events.Event:
        """The event as it is written: without inputs that are not, and words of failures that may quote such data."""
        if isinstance(event, events.RunRequested):
            return replace(event, inputs=dict(self._mask(event.inputs)))
        if isinstance(event, events.StageFailed):
            started = self._machine.stages.get(event.stage)
            operation = None if started is None else started.operation
            if operation is not None and event.inside is not None:
                operation = next(each for each in inside(operation) if each.id == event.inside)
            return replace(event, problem=self._telling_of.told(operation, event.problem))
        return event

    def _seal(self) -> None:
        if not self._sealed:
            self._sealed = True
            for running in self._runs.values():
                cast(DurableRunning, running).seal()

    def lost(self, problem: Problem) -> None:
        """The journal cannot be written: nothing may happen any more that it would not tell."""
        self._lost = problem
        self.interrupt()

    async def gate(self, number: int) -> None:
        """Returns when all that led to a frame is written, or never will be."""
        try:
            await self._log.written(number)
        except NotWritten as error:
            if self._lost is None:
                self.lost(error.problem)

    def given(self, seq: int) -> None:
        """The caller is through with an item."""
        self._log.append(Given(self._now(), seq))

    def taken(self, reader: int, count: int = 1) -> None:
        known = min(self._retaken.get(reader, 0), count)
        if known:
            self._retaken[reader] -= known
        if count > known:
            super().taken(reader, count - known)

    # --- what is put out ---

    def _running(self, number: int) -> Running:
        return DurableRunning(self, number)

    @property
    def position(self) -> int:
        """The record that the orders at hand follow from."""
        return self._last

    def _finished(self, order: orders.FinishRun) -> None:
        if self._lost is not None:
            outcome = orders.Outcome("failed", None, NotWritten.reason, self._lost)
            order = replace(order, outcome=outcome)
        super()._finished(order)

    async def __aenter__(self) -> DurableShell:
        self._log.begin(self.lost)
        await super().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await self._log.close()

    # --- after a restart ---

    async def warm(self) -> None:
        """Open the models of what runs again, before the run's time goes on; of a run with promises all that were
        open, for opening is not counted there. What cannot be opened fails its stage."""
        course = self._course
        if course is None:
            return
        if self.deployment.promises:
            names = set(course.opened)
        else:
            started = [open_.order for open_ in course.stages.values() if isinstance(open_.order, orders.StartStage)]
            values = [value for order in started for value in order.arguments.values()]
            names = {value.name for value in values if isinstance(value, orders.HandleValue)}
        with suppress(Exception):
            await self._between.warm(sorted(names))

    def interrupt(self) -> None:
        self._stopped = True
        super().interrupt()

    def resume(self, streams: Mapping[str, object], approve: Approver | None = None) -> Running:
        """Go on with the run of the course. `streams` are the caller's streams, from their beginnings."""
        assert self._course is not None
        self._time.go()
        # Nothing is heard before all stands again: what one stage ends with may be for another.
        self._telling = True
        running = self._stand(self._course, streams, approve)
        self._hear()
        if self._stopped:
            self.interrupt()
        return running

    def _stand(self, course: Course, streams: Mapping[str, object], approve: Approver | None) -> Running:
        request = course.request
        assert request is not None
        running = self._running(request.run)
        self._runs[request.run] = running
        running.put(Start(request.run, request.pipeline, self.deployment.graph.digest))
        self._people.begin(request.run, approve)
        for name, source in streams.items():
            self._stages.give(request.run, name, cast("AsyncIterable[object]", source))
        for emitted in course.handing:
            running.put(frame_of(emitted))
        for emitted in course.outgoing:
            running.put(frame_of(emitted), emitted.reader)
        if course.finish is not None:
            self._finish_run(course.finish)
            return running
        for handle in course.opening.values():
            self._open_handle(handle)
        for number, open_ in sorted(course.stages.items()):
            over = self._over_already(number, open_)
            if over is None:
                self._run_again(course, open_)
            else:
                self._tell(over)
        for question in course.questions.values():
            self._people.ask(question)
        if course.timer is not None:
            self._timer.set(course.timer)
        return running

    def _over_already(self, number: int, open_: Open) -> events.Event | None:
        """A stage that is not run again: it was told to stop, or may have acted."""
        order = open_.order
        if open_.stopping:
            return events.StageStopped(self._now(), number)
        if open_.begun and isinstance(order, orders.StartStage):
            tool = tool_of(order.operation)
            if tool not in idempotent_tools(self.deployment.graph):
                effects, stage = effects_of(order.operation), order.operation
                problem = problems.may_have_acted(stage.id, tool, effects, stage.span)
                return events.StageFailed(self._now(), number, MAY_HAVE_ACTED, problem)
        return None

    def _run_again(self, course: Course, open_: Open) -> None:
        order = open_.order
        if open_.made:
            self._remade[order.stage] = open_.made
        if isinstance(order, orders.StartInput):
            self._stages.start_input(replace(order, credits=open_.credits))
            return
        self._stages.start(replace(order, credits=open_.credits))
        for number in readers_of(order):
            reader = course.readers[number]
            self._retaken[number] = len(reader.taken)
            for item in (*reader.taken, *reader.waiting):
                self._stages.deliver(orders.Deliver(number, item))
            if reader.ended:
                self._stages.deliver_end(orders.DeliverEnd(number))

    def _again(self, event: events.StageItem | events.StageEnded) -> events.Event | None:
        """What a stage that runs again makes, where it has made that before: the same, and the machine knows it."""
        before = self._remade.get(event.stage)
        if before is None:
            return event
        if isinstance(event, events.StageEnded):
            del self._remade[event.stage]
            problem = self._otherwise(event.stage, f"ended {len(before)} items earlier than before")
            return events.StageFailed(event.at, event.stage, "unreachable", problem, event.usage)
        expected = before.pop(0)
        if not before:
            del self._remade[event.stage]
        if to_data(expected) != to_data(event.item):
            self._remade.pop(event.stage, None)
            raise StageFailure("unreachable", self._otherwise(event.stage, "gave something else than before"))
        return None

    def _otherwise(self, stage: int, why: str) -> Problem:
        started = self._machine.stages.get(stage)
        operation = started.operation if started is not None else None
        name = started.name if started is not None else "a stage"
        return problems.resumed_otherwise(name, why, operation.span if operation is not None else None)


class DurableRunning(Running):
    """A run whose frames are given when they are written. Leaving it early leaves it to be resumed."""

    def __init__(self, shell: DurableShell, number: int) -> None:
        super().__init__(shell, number)
        self._durable = shell
        self._places: dict[int, int] = {}
        self._closed = False
        self._given: int | None = None

    def put(self, frame: Frame, reader: int = 0) -> None:
        if self._closed and isinstance(frame, Item):
            return
        # Not even that it began is told before that is written.
        self._places[id(frame)] = max(1, self._durable.position)
        super().put(frame, reader)

    def seal(self) -> None:
        """Nothing is told any more of what is taken, so nothing is given."""
        self._closed = True
        self._frames = deque(entry for entry in self._frames if not isinstance(entry[0], Item))

    async def __anext__(self) -> Frame:
        if self._given is not None:
            self._durable.given(self._given)
            self._given = None
        while True:
            while not self._frames:
                if self.end is not None:
                    raise StopAsyncIteration
                self._more = anyio.Event()
                await self._more.wait()
            entry = self._frames[0]
            if not self._closed:
                await self._durable.gate(self._places[id(entry[0])])
            # It may have been withdrawn while it was written.
            if self._frames and self._frames[0] is entry:
                break
        self._places.pop(id(entry[0]), None)
        frame = await super().__anext__()
        self._given = frame.seq if isinstance(frame, Item) else None
        return frame

    async def __aexit__(self, *_: object) -> None:
        if self.end is None:
            self._durable.interrupt()
            with anyio.CancelScope(shield=True):
                await self.over.wait()
