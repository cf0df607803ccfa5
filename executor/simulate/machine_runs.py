"""Runs of a program: the executor's own machine walks its graph, told by a virtual clock what happened when.

Each stage goes where the choice has it. Prompts and replies of a model that a pool serves go through the scheduler of
the engines (`replicas`); another stage waits for a slot of its pool. What comes from another tier passes a link first.
A stage that reads a stream works on item after item as they come; one that takes less than a millisecond for an item
does not wait for a slot between two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from math import exp, inf
from random import Random
from typing import Any

from ...base.problems import Problem as Said
from ...ir.graph import Operation
from ..deployment import Deployment
from ..machine import Machine, events, orders
from .arrivals import Arrival
from .blaming import parts_of
from .clock import VirtualClock
from .drawn import Drawing, Made
from .lines import Slots
from .program import Program
from .records import PoolRecord, RunRecord
from .replicas import Request, Serving
from .sized import Sized
from .stages import Cache, Execution, Pieces, SimulatedRun
from .system import System

PREFILL, DECODE = "agent.prefill", "agent.decode"
LIGHT = 1e-3
"""Seconds of an item below which a stage does not wait for a slot again and again."""


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
    ) -> None:
        self._system, self._program, self._clock, self._errors, self._over = system, program, clock, errors, over
        self._draw = Random(f"times {seed}")
        self._runs: dict[int, SimulatedRun] = {}
        self._stages: dict[int, Execution] = {}
        self._readers: dict[int, Execution] = {}
        self._told: deque[events.Event] = deque()
        self._telling = False
        self._timer = 0
        self._sizes: dict[tuple[tuple[str, float], ...], Mapping[str, float]] = {}
        self._known: dict[str, Sized] = {}
        drawing = Drawing(program.pipeline.body, seed, lambda run: self._runs[run].sizes)
        # Calls have no deadline but what the program writes: a plan may hold for runs that last.
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
            self.lines[name] = Slots(clock, pool.slots * replicas)
        self._perform: dict[type, Callable[[Any], None]] = {
            orders.OpenHandle: lambda o: self._tell(events.HandleOpened(self._clock.now, o.handle.name)),
            orders.StartStage: self._start,
            orders.StartInput: self._input,
            orders.StopStage: self._stop,
            orders.Grant: self._grant,
            orders.Deliver: self._deliver,
            orders.DeliverEnd: self._deliver_end,
            orders.Withdraw: self._nothing,
            orders.AskPerson: lambda o: self._tell(events.Answered(self._clock.now, o.question, True)),
            orders.StopAsking: self._nothing,
            orders.EmitItem: self._emit,
            orders.SetTimer: self._set_timer,
            orders.CancelTimer: self._cancel_timer,
            orders.LetGo: lambda o: self._let_go(o.value),
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

    def arrive(self, number: int, arrival: Arrival) -> None:
        """A run begins now."""
        program = self._program
        own = tuple(sorted(arrival.sizes.items()))
        sizes = self._sizes.get(own)
        if sizes is None:
            sizes = self._sizes[own] = program.sizes(arrival.sizes)
        run = SimulatedRun(RunRecord(number, self._clock.now), sizes, arrival.keys, arrival.session or "")
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
        self._stages[order.stage] = execution
        run.stages.append(execution)
        if order.reads:
            self._read(execution, stage, order)
            return
        execution.value = next((v for v in order.arguments.values() if isinstance(v, Cache)), None)
        moved = stage.moving(run.sizes)
        if moved > 0.0:
            self._clock.at(now + moved, partial(self._ask, execution, stage))
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
            self._end(execution, self._value(execution))
        elif stage.kind == PREFILL and option.pool in self.serving:
            self._prefill(execution, stage)
        elif stage.kind == DECODE and option.pool in self.serving:
            self._decode(execution, stage)
        else:
            scale = stage.scale(execution.run.sizes) * execution.factor
            begins = partial(self._begins, execution, stage, stage.seconds * scale)
            execution.ticket = self.lines[option.pool].enter(option.busy * scale, begins)

    def _begins(self, execution: Execution, stage: Sized, seconds: float) -> None:
        if execution.over:
            return
        now = execution.began = self._clock.now
        if stage.kind == PREFILL:
            execution.value = self._cache(execution, None)
        if not execution.streams:
            self._at(now + seconds, partial(self._end, execution, self._value(execution)))
            return
        count = stage.items(execution.run.sizes)
        share = stage.first / stage.seconds if stage.seconds else 0.0
        first = now + seconds * share if stage.kind == DECODE else now + seconds / count
        gap = (now + seconds - first) / (count - 1) if count > 1 else 0.0
        times = [first + gap * place for place in range(count)]
        self._send_all(execution, times, now + seconds)

    def _send_all(self, execution: Execution, times: list[float], end: float) -> None:
        """Items that come at these times."""
        if execution.name in self._program.together:
            self._at(times[0], partial(self._send, execution, Pieces(times[:1])))
            if times[1:]:
                self._at(times[-1], partial(self._send, execution, Pieces(times[1:])))
        else:
            for time in times:
                self._at(time, partial(self._send, execution, Pieces([time])))
        self._at(max(end, times[-1]), partial(self._close, execution))

    def _at(self, when: float, action: Callable[[], None]) -> None:
        if when <= self._clock.now:
            action()
        else:
            self._clock.at(when, action)

    def _value(self, execution: Execution) -> object:
        return execution.value if isinstance(execution.value, Cache) else Made()

    # --- models that are served --------------------------------------------------------------------------------------

    def _cache(self, execution: Execution, request: Request | None) -> Cache:
        option = execution.option
        made = Cache(request, option.pool if option else "", execution.run.record.number)
        execution.run.caches.append(made)
        return made

    def _prefill(self, execution: Execution, stage: Sized) -> None:
        run = execution.run
        tokens = max(1, round(stage.tokens_in(run.sizes)))
        keys, run.keys = run.keys, ()
        request = Request(tokens, execution.factor, keys, run.tenant)
        execution.request = request
        option = execution.option
        assert option is not None

        def computed() -> None:
            execution.began = request.began
            self._end(execution, self._cache(execution, request))

        request.computed = computed
        request.refused = partial(self._refused, execution)
        self.serving[option.pool].arrive(request)

    def _refused(self, execution: Execution, reason: str) -> None:
        if execution.over:
            return
        execution.over = True
        execution.began = execution.ended = self._clock.now
        words = Said("prompt-too-long", f"{execution.name} does not fit into the memory of its pool")
        self._tell(events.StageFailed(self._clock.now, execution.number, reason, words))

    def _decode(self, execution: Execution, stage: Sized) -> None:
        option, cache = execution.option, execution.value
        assert option is not None
        if isinstance(cache, Cache) and cache.request is not None and cache.pool == option.pool:
            self._reply(execution, stage, cache.request)
            return
        # Its cache is computed, and comes from elsewhere: what stays there is let go of.
        length = max(1, round(stage.tokens_in(execution.run.sizes)))
        if isinstance(cache, Cache) and cache.request is not None:
            length = cache.request.length
            self._let_go(cache)
        request = Request(length, moved=True, tenant=execution.run.tenant)
        request.computed = partial(self._reply, execution, stage, request)
        request.refused = partial(self._refused, execution)
        self._cache(execution, request)
        self.serving[option.pool].arrive(request)

    def _reply(self, execution: Execution, stage: Sized, request: Request) -> None:
        """The first token is chosen from the prompt's logits; each other one takes a step."""
        now = self._clock.now
        execution.request, execution.began = request, now
        request.reply_factor = execution.factor
        count = max(1, round(stage.tokens_out(execution.run.sizes)))
        first = now + stage.first * execution.factor
        self._at(first, partial(self._send, execution, Pieces([first])))
        if count == 1:
            self._at(first, partial(self._close, execution))
            return
        replica = request.replica
        assert replica is not None
        request.fine = execution.name not in self._program.together

        def token() -> None:
            self._send(execution, Pieces([self._clock.now]))

        def ended() -> None:
            if not request.fine:
                self._send(execution, Pieces(request.times))
            self._close(execution)

        request.token = token if request.fine else None
        request.ended = ended
        replica.reply(request, count - 1)

    def _let_go(self, value: object) -> None:
        if isinstance(value, Cache) and value.request is not None:
            request, value.request = value.request, None
            if request.replica is not None:
                request.replica.leave(request)

    # --- streams -----------------------------------------------------------------------------------------------------

    def _send(self, execution: Execution, pieces: Pieces) -> None:
        if execution.over or execution.closing:
            return
        if execution.first is None:
            execution.first = pieces.times[0]
        if execution.credits > 0 and not execution.backlog:
            execution.credits -= 1
            self._tell(events.StageItem(self._clock.now, execution.number, pieces))
        else:
            execution.backlog.append(pieces)

    def _grant(self, order: orders.Grant) -> None:
        execution = self._stages.get(order.stage)
        if execution is None:
            return
        execution.credits += order.credits
        while execution.credits > 0 and execution.backlog:
            execution.credits -= 1
            self._tell(events.StageItem(self._clock.now, execution.number, execution.backlog.popleft()))
        if execution.closing and not execution.backlog:
            self._end(execution, None)

    def _close(self, execution: Execution) -> None:
        """Nothing more comes; it is over when all has been taken."""
        if execution.over:
            return
        execution.closing = True
        execution.ended = self._clock.now
        if not execution.backlog:
            self._end(execution, None)

    def _end(self, execution: Execution, value: object) -> None:
        if execution.over:
            return
        execution.over = True
        if execution.ended is None:
            execution.ended = self._clock.now
        self._stages.pop(execution.number, None)
        self._tell(events.StageEnded(self._clock.now, execution.number, value))

    def _stop(self, order: orders.StopStage) -> None:
        execution = self._stages.pop(order.stage, None)
        if execution is not None and not execution.over:
            execution.over = True
            execution.ended = self._clock.now
            if execution.ticket is not None and execution.option is not None:
                self.lines[execution.option.pool].leave(execution.ticket)
            if execution.request is not None and execution.request.replica is not None:
                execution.request.replica.leave(execution.request, cancelled=True)
        self._tell(events.StageStopped(self._clock.now, order.stage))

    def _read(self, execution: Execution, stage: Sized, order: orders.StartStage) -> None:
        execution.readers = {v.reader for v in order.arguments.values() if isinstance(v, orders.StreamInput)}
        execution.main = min(execution.readers)
        execution.each = stage.each(execution.run.sizes) * execution.factor
        for reader in execution.readers:
            self._readers[reader] = execution

    def _deliver(self, order: orders.Deliver) -> None:
        execution = self._readers.get(order.reader)
        if execution is None or execution.over:
            return
        now = self._clock.now
        if execution.began is None:
            execution.began = execution.came = execution.asked = now
        execution.last = now
        self._tell(events.Taken(now, order.reader))
        if order.reader == execution.main:
            pieces = order.item if isinstance(order.item, Pieces) else Pieces([now])
            execution.queue.append((order.reader, pieces))
            if not execution.working:
                self._work(execution)

    def _work(self, execution: Execution) -> None:
        """On the item that is next."""
        if execution.over:
            return
        if not execution.queue:
            execution.working = False
            if not execution.readers:
                self._read_all(execution)
            return
        execution.working = True
        _, pieces = execution.queue.popleft()
        option, count = execution.option, len(pieces.times)
        if option is None or not execution.streams:
            self._worked(execution, pieces)
            return
        each = execution.each
        now, shifted = -inf, list[float]()
        for time in pieces.times:
            now = (time if time > now else now) + each
            shifted.append(now)
        if each >= LIGHT and option.busy:
            share = option.busy / option.seconds if option.seconds else 0.0
            begins = partial(self._at_work, execution, each, count)
            execution.ticket = self.lines[option.pool].enter(each * share * count, begins)
        else:
            self.lines[option.pool].busy_seconds += each * count
            self._at(shifted[-1], partial(self._worked, execution, Pieces(shifted)))

    def _at_work(self, execution: Execution, each: float, count: int) -> None:
        """It has a slot for its item."""
        now = self._clock.now
        times = [now + each * (place + 1) for place in range(count)]
        self._clock.at(times[-1], partial(self._worked, execution, Pieces(times)))

    def _worked(self, execution: Execution, pieces: Pieces) -> None:
        if execution.streams:
            self._send(execution, pieces)
        self._work(execution)

    def _deliver_end(self, order: orders.DeliverEnd) -> None:
        execution = self._readers.pop(order.reader, None)
        if execution is None:
            return
        execution.readers.discard(order.reader)
        if not execution.readers and not execution.working and not execution.over:
            self._read_all(execution)

    def _read_all(self, execution: Execution) -> None:
        if execution.began is None:
            execution.began = execution.came = execution.asked = self._clock.now
        if execution.streams:
            self._close(execution)
        elif execution.each > 0.0:
            self._clock.at(self._clock.now + execution.each, lambda: self._end(execution, Made()))
        else:
            self._end(execution, Made())

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
            self._let_go(cache)
        now, record = self._clock.now, run.record
        record.status, record.reason, record.over = order.outcome.status, order.outcome.reason or "", now
        kinds = {kind for kind, _ in self._system.problem.moments}
        if run.items:
            first = "first_token" if "first_token" in kinds else "first_item"
            gap = "token_gap" if "token_gap" in kinds else "item_gap"
            record.moments[first] = run.items[0] - record.at
            record.parts[first] = parts_of(run.stages, record.at, run.items[0], first=True)
            record.gaps[gap] = [later - item for item, later in zip(run.items, run.items[1:], strict=False)]
        if order.outcome.status == "done":
            record.moments["finish"] = now - record.at
            record.parts["finish"] = parts_of(run.stages, record.at, now, first=False)
        self._over(record)
