"""Runs of a program: the executor's own machine walks its graph, told by a virtual clock what happened when.

Each stage goes where the choice has it. Prompts and replies of a model that a pool serves go through the scheduler of
the engines (`models`); one that reads a stream works on item after item (`readers`); another waits for a slot of its
pool. What comes from another tier passes a link first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from math import exp, inf
from random import Random
from typing import Any

from ...ir.graph import Operation
from ..deployment import Deployment
from ..machine import Machine, events, orders
from .arrivals import Arrival
from .blaming import parts_of
from .clock import VirtualClock
from .drawn import Drawing, Made
from .failing import Failing
from .faults import Faults
from .lines import Slots
from .models import Models
from .overdue import Overdue
from .program import Program
from .readers import Readers
from .records import SERVICE, Parts, PoolRecord, RunRecord, add
from .replicas import Serving
from .scaled import Follow, Following
from .sending import Sending
from .sized import Sized
from .stages import Cache, Execution, Pieces, SimulatedRun
from .system import System

PREFILL, DECODE = "agent.prefill", "agent.decode"
_AGAIN = 1 << 32
"""Numbers of runs that are done again begin above this: to the machine they are other runs."""


class MachineRuns:
    """See the module. `over` hears when a run is through. `bulk` is of `replicas`."""

    def __init__(
        self,
        system: System,
        program: Program,
        clock: VirtualClock,
        errors: Mapping[str, float],
        seed: int,
        over: Callable[[RunRecord], None],
        bulk: bool = True,
        faults: Faults | None = None,
        follow: Follow | None = None,
        left: Callable[[], int] = lambda: 0,
    ) -> None:
        self._system, self._program, self._clock, self._errors, self._over = system, program, clock, errors, over
        self._draw = Random(f"times {seed}")
        self._runs: dict[int, SimulatedRun] = {}
        self._told: deque[events.Event] = deque()
        self._telling = False
        self._timer = 0
        self._sizes: dict[tuple[tuple[str, float], ...], Mapping[str, float]] = {}
        self._known: dict[str, Sized] = {}
        drawing = Drawing(program.pipeline.body, seed, lambda run: self._runs[run].sizes)
        # Calls have no deadline but what the program writes: a plan may hold for runs that last. `_overdue` says so.
        deployment = Deployment(program.graph, call_timeout=inf)
        self._machine = Machine(deployment, Random(f"luck {seed}").random)
        self._machine.make = drawing.make
        self.lines: dict[str, Slots] = {}
        self.serving: dict[str, Serving] = {}
        for name, pool in system.pools.items():
            replicas = system.replicas[name]
            if name in program.served:
                served = program.served[name]
                self.serving[name] = Serving(clock, replicas, served.settings, served.times, bulk)
            self.lines[name] = Slots(clock, pool.slots, replicas)
        self._overdue = Overdue()
        self._sending = Sending(clock, self._tell, program.together)
        self._models = Models(clock, self._sending, self.serving, program.together)
        self._reading = Readers(clock, self._sending, self.lines)
        self.failing: Failing | None = None
        self._again = _AGAIN
        if faults:
            self.failing = Failing(system, faults, clock, self.lines, self._models, self._sending, self._runs)
            self._reading.failing, self._models.missing = self.failing, self.failing.unreachable
        self.following: Following | None = None
        if follow is not None:
            lines, serving = self.lines, self.serving
            self.following = Following(system, follow, clock, lines, serving, lambda: not left() and not self._runs)
        self._perform: dict[type, Callable[[Any], None]] = {
            orders.OpenHandle: lambda o: self._tell(events.HandleOpened(self._clock.now, o.handle.name)),
            orders.StartStage: self._start,
            orders.StartInput: self._input,
            orders.StopStage: self._stop,
            orders.Grant: self._sending.grant,
            orders.Deliver: self._reading.deliver,
            orders.DeliverEnd: self._reading.deliver_end,
            orders.Withdraw: self._nothing,
            orders.AskPerson: lambda o: self._tell(events.Answered(self._clock.now, o.question, True)),
            orders.StopAsking: self._nothing,
            orders.EmitItem: self._emit,
            orders.SetTimer: self._set_timer,
            orders.CancelTimer: self._cancel_timer,
            orders.LetGo: lambda o: self._models.let_go(o.value),
            orders.FinishRun: self._finish,
        }

    def pool_records(self) -> dict[str, PoolRecord]:
        out: dict[str, PoolRecord] = {}
        for name, line in self.lines.items():
            record = self.serving[name].record if name in self.serving else PoolRecord()
            if name not in self.serving:
                record.busy_seconds, record.served, record.longest = line.busy_seconds, line.served, line.longest
            out[name] = record
        return out

    def notes(self) -> tuple[str, ...]:
        """What a run would meet that the simulation leaves out."""
        return self._overdue.notes()

    def arrive(self, number: int, arrival: Arrival) -> None:
        """A run begins now."""
        self._begin(number, arrival, RunRecord(number, self._clock.now))

    def _begin(self, number: int, arrival: Arrival, record: RunRecord) -> None:
        program = self._program
        own = tuple(sorted(arrival.sizes.items()))
        sizes = self._sizes.get(own)
        if sizes is None:
            sizes = self._sizes[own] = program.sizes(arrival.sizes)
        run = SimulatedRun(record, sizes, arrival.keys, arrival.session or "")
        run.number, run.begun, run.arrival = number, self._clock.now, arrival
        self._runs[number] = run
        inputs = {given.name: Made() for given in program.pipeline.inputs}
        self._tell(events.RunRequested(self._clock.now, number, program.name, inputs))

    # --- the machine -------------------------------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        self._told.append(event)
        if self._telling:
            return
        self._telling = True
        told, perform, handle = self._told, self._perform, self._machine.handle
        while told:
            for order in handle(told.popleft()):
                perform[type(order)](order)
        self._telling = False

    def _nothing(self, order: object) -> None:
        """What nobody is waiting for here."""

    def _set_timer(self, order: orders.SetTimer) -> None:
        self._timer += 1
        if order.at < inf:
            self._clock.at(order.at, partial(self._fired, self._timer))

    def _fired(self, timer: int) -> None:
        if timer == self._timer:
            self._tell(events.TimerFired(self._clock.now))

    def _cancel_timer(self, order: orders.CancelTimer) -> None:
        del order
        self._timer += 1

    # --- stages ------------------------------------------------------------------------------------------------------

    def _stage(self, operation: Operation) -> Sized:
        known = self._known.get(operation.id)
        if known is None:
            known = self._known[operation.id] = Sized(self._system, self._program, operation)
        return known

    def _start(self, order: orders.StartStage) -> None:
        now, stage, run = self._clock.now, self._stage(order.operation), self._runs[order.run]
        factor = 1.0
        if stage.option is not None:
            factor = self._errors[stage.name]
            if stage.option.noise:
                factor *= exp(self._draw.gauss(0.0, 1.0) * stage.option.noise)
            run.record.dollars += stage.dollars(run.sizes)
        execution = Execution(order.stage, run, order.operation, stage.option, factor, now, order.credits, asked=now)
        execution.streams = order.streams
        execution.bounded = self._machine.stages[order.stage].limit > 0.0
        self._sending.stages[order.stage] = execution
        run.stages.append(execution)
        if order.reads:
            self._reading.read(execution, stage, order)
            return
        execution.value = next((v for v in order.arguments.values() if isinstance(v, Cache)), None)
        moved = stage.moving(run.sizes)
        if moved > 0.0:
            there = now + moved if self.failing is None else self.failing.arrives(execution, moved)
            if there < inf:
                self._clock.at(there, partial(self._ask, execution, stage))
        else:
            self._ask(execution, stage)

    def _ask(self, execution: Execution, stage: Sized) -> None:
        """What it needs is in its tier: into the line."""
        if execution.over:
            return
        execution.asked = self._clock.now
        option = execution.option
        if option is None:
            execution.began = self._clock.now
            self._sending.end(execution, self._value(execution))
        elif self.failing is not None and self.failing.endpoint_away(option.pool):
            self.failing.unreachable(execution, "its endpoint is away")
        elif stage.kind == PREFILL and option.pool in self.serving:
            self._models.prefill(execution, stage)
        elif stage.kind == DECODE and option.pool in self.serving:
            self._models.decode(execution, stage)
        else:
            scale = stage.scale(execution.run.sizes) * execution.factor
            begins = partial(self._begins, execution, stage, stage.seconds * scale)
            lasts = None if self.failing is None else partial(self.failing.lasts, execution.name, option.pool)
            execution.ticket = self.lines[option.pool].enter(option.busy * scale, begins, lasts)

    def _begins(self, execution: Execution, stage: Sized, seconds: float) -> None:
        if execution.over:
            return
        now = execution.began = self._clock.now
        option, lasts = execution.option, None
        if self.failing is not None and option is not None:
            lasts = partial(self.failing.lasts, execution.name, option.pool)
            execution.instance = execution.ticket.instance if execution.ticket is not None else None
        if stage.kind == PREFILL:
            execution.value = self._models.cache(execution, None)
        if not execution.streams:
            seconds = seconds if lasts is None else lasts(now, seconds) - now
            self._sending.at(now + seconds, partial(self._sending.end, execution, self._value(execution)))
            return
        count = stage.items(execution.run.sizes)
        share = stage.first / stage.seconds if stage.seconds else 0.0
        first = now + seconds * share if stage.kind == DECODE else now + seconds / count
        gap = (now + seconds - first) / (count - 1) if count > 1 else 0.0
        times = [first + gap * place for place in range(count)]
        if lasts is not None:
            times = [lasts(now, time - now) for time in times]
            seconds = lasts(now, seconds) - now
        self._sending.send_all(execution, times, now + seconds)

    def _value(self, execution: Execution) -> object:
        return execution.value if isinstance(execution.value, Cache) else Made()

    def _stop(self, order: orders.StopStage) -> None:
        execution = self._sending.stages.pop(order.stage, None)
        if execution is not None and not execution.over:
            execution.over = True
            execution.ended = self._clock.now
            if execution.ticket is not None and execution.option is not None:
                self.lines[execution.option.pool].leave(execution.ticket)
            if execution.request is not None and execution.request.replica is not None:
                execution.request.replica.leave(execution.request, cancelled=True)
            elif execution.request is not None:
                execution.request.over = True
        self._tell(events.StageStopped(self._clock.now, order.stage))

    def _input(self, order: orders.StartInput) -> None:
        """A stream of the caller: one item, since nobody says how many there are."""
        now = self._clock.now
        if order.credits > 0:
            self._tell(events.StageItem(now, order.stage, Pieces([now])))
        self._tell(events.StageEnded(now, order.stage))

    # --- ends --------------------------------------------------------------------------------------------------------

    def _emit(self, order: orders.EmitItem) -> None:
        run = self._runs[order.run]
        run.items += order.item.times if isinstance(order.item, Pieces) else [self._clock.now]
        self._tell(events.Taken(self._clock.now, order.reader))

    def _finish(self, order: orders.FinishRun) -> None:
        run = self._runs.pop(order.run)
        for cache in run.caches:
            self._models.let_go(cache)
        now, record = self._clock.now, run.record
        if run.again and run.arrival is not None:
            record.lost[run.again] = record.lost.get(run.again, 0.0) + now - run.begun
            self._again += 1
            self._begin(self._again, run.arrival, record)
            return
        self._overdue.see(run.stages)
        record.status, record.reason, record.over = order.outcome.status, order.outcome.reason or "", now
        kinds = {kind for kind, _ in self._system.problem.moments}
        if run.items:
            first = "first_token" if "first_token" in kinds else "first_item"
            gap = "token_gap" if "token_gap" in kinds else "item_gap"
            record.moments[first] = run.items[0] - record.at
            record.parts[first] = self._parts(run, run.items[0], first=True)
            record.gaps[gap] = [later - item for item, later in zip(run.items, run.items[1:], strict=False)]
        if order.outcome.status == "done":
            record.moments["finish"] = now - record.at
            record.parts["finish"] = self._parts(run, now, first=False)
        self._over(record)

    def _parts(self, run: SimulatedRun, end: float, *, first: bool) -> Parts:
        """What the time from its arrival went into. What it did before it was done again is lost time."""
        if self.failing is None:
            return parts_of(run.stages, run.begun, end, first=first)
        out = parts_of(run.stages, run.begun, end, first=first, shares=self.failing.parts)
        for name, seconds in run.record.lost.items():
            add(out, name, SERVICE, seconds)
        return out
