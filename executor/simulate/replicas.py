"""A pool that serves a model: replicas, each with the scheduler of the real engines, whose steps take their time.

Steps that are all alike are one event: as long as a replica only decodes and nobody waits, its steps run up to the one
with which the first reply ends. Who comes meanwhile is told to the scheduler in the step that runs then, so that
nothing is different but the time it takes to simulate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

from ..routing import Arrived as Asked
from ..routing import Cancelled as Left
from ..routing import Done, Policy, Rates, ReplicaDown, ReplicaUp, Router, Send, Started, chained
from ..scheduler import (
    Admitted,
    Arrived,
    Cancelled,
    Event,
    Extended,
    Load,
    Priced,
    Refuse,
    Released,
    Save,
    Scheduler,
    Settings,
    Step,
    StepDone,
    StepWanted,
)
from .clock import VirtualClock
from .records import PoolRecord
from .steps import StepTimes

Pace = Callable[[str], float]
"""What the steps of a stage that begin now are slowed down by; of a pool's own where the stage is empty."""


@dataclass(slots=True, eq=False)
class Request:
    """A prompt and then a reply. `moved`: its cache came from elsewhere, so that its prompt costs nothing here. `fine`:
    each of its tokens is awaited. `times` are those at which its tokens were there; `began` is when its first step did.
    `expected` is how many tokens its reply will have, about, where that is known.
    """

    length: int
    factor: float = 1.0
    keys: tuple[Hashable, ...] = ()
    tenant: str = ""
    moved: bool = False
    number: int = 0
    computed: Callable[[], None] | None = None
    refused: Callable[[str], None] | None = None
    token: Callable[[], None] | None = None
    ended: Callable[[], None] | None = None
    fine: bool = False
    left: int = 0
    reply_factor: float = 1.0
    times: list[float] = field(default_factory=list[float])
    began: float | None = None
    over: bool = False
    lost: bool = False
    replica: Replica | None = None
    expected: int = 0
    routed: int = 0
    """Its number where replicas are chosen."""
    cached: int = 0
    stage: str = ""


class Replica:
    """One engine. `bulk` says whether alike steps are taken at once."""

    def __init__(
        self, clock: VirtualClock, settings: Settings, times: StepTimes, record: PoolRecord, bulk: bool
    ) -> None:
        self._clock = clock
        self._scheduler = Scheduler(settings)
        self._times = times
        self._record = record
        self._bulk = bulk
        self._requests: dict[int, Request] = {}
        self._numbers = 0
        self._step: Step | None = None
        self._turn = 0
        """Which event ends what runs now: one that was put down before somebody came is not heard."""
        self._ahead: list[float] | None = None
        self._began = 0.0
        self._asked = False
        self._prices, self._copying = (0.0, 0.0), 0.0
        self.open = 0
        self.begun: Callable[[Request], None] | None = None
        self.left: Callable[[Request, bool], None] | None = None
        """Hear that a prompt is computed, and that a request is over or cancelled."""
        self._lost = False
        self.pace: Pace | None = None

    @property
    def waiting(self) -> int:
        return self._scheduler.waiting

    def price(self, prefill: float, save: float, load: float) -> None:
        """Seconds of a token of a prompt, and of a page that is put away and brought back, where pages are."""
        self._prices = save, load
        self._tell(Priced(self._clock.now, prefill, save, load))

    # --- who comes and goes ---

    def arrive(self, request: Request) -> None:
        """Compute its prompt; `computed` hears of it, or `refused` with the reason."""
        self._settle()
        self._numbers += 1
        request.number, request.replica = self._numbers, self
        self._requests[self._numbers] = request
        self.open += 1
        self._record.served += 1
        if not request.moved:
            self._record.prompts += request.length
        self._tell(
            Arrived(self._clock.now, self._numbers, length=request.length, keys=request.keys, tenant=request.tenant)
        )
        self._record.longest = max(self._record.longest, self._scheduler.waiting)
        self._ask()

    def reply(self, request: Request, tokens: int) -> None:
        """Compute so many tokens more, one a step; `token` hears of each, where it is set, `ended` of the last."""
        if request.over:
            return
        self._settle()
        request.left = tokens
        self._tell(Extended(self._clock.now, request.number, count=1))
        self._ask()

    def leave(self, request: Request, cancelled: bool = False) -> None:
        """It computes nothing more, and holds nothing."""
        if request.over:
            return
        self._settle()
        self._gone(request, cancelled)
        now = self._clock.now
        self._tell(Cancelled(now, request.number) if cancelled else Released(now, request.number))

    def lost(self) -> None:
        """Nothing of it is heard any more."""
        self.settle()
        if self._step is not None:
            self._record.busy_seconds += self._clock.now - self._began
        self._lost = True
        for request in tuple(self._requests.values()):
            request.lost = True
            self._gone(request)
        self._turn += 1
        self._step = None

    def settle(self) -> None:
        """Steps that are taken as one are told up to now: those that begin later may go at another pace."""
        self._settle()

    def _gone(self, request: Request, cancelled: bool = True) -> None:
        request.over = True
        self.open -= 1
        del self._requests[request.number]
        if self.left is not None:
            self.left(request, cancelled)

    # --- steps ---

    def _ask(self) -> None:
        """A step is wanted as soon as all that happens at this moment has happened."""
        if self._step is None and not self._asked:
            self._asked = True
            self._clock.at(self._clock.now, self._want)

    def _want(self) -> None:
        self._asked = False
        if self._step is not None or self._lost:
            return
        self._tell(StepWanted(self._clock.now))
        if self._step is not None:
            self._run(self._step)

    def _run(self, step: Step) -> None:
        now = self._began = self._clock.now
        self._turn += 1
        for chunk in step.prefill:
            request = self._requests.get(chunk.sequence)
            if request is not None and request.began is None:
                request.began = now
        most = self._most(step) if self._bulk else 0
        if most > 0:
            most = self._scheduler.repeatable(most)
        if most > 0:
            self._ahead = self._ends(step, most + 1)
            self._clock.at(self._ahead[-1], partial(self._alike_over, self._turn))
        else:
            self._ahead = None
            self._clock.at(now + self._seconds(step), partial(self._over, self._turn))

    def _most(self, step: Step) -> int:
        """How many more such steps there could be before anybody is to hear of one."""
        if step.prefill:
            return 0
        requests = [self._requests.get(row.sequence) for row in step.decode]
        if any(request is None or request.fine for request in requests):
            return 0
        return min(request.left for request in requests if request is not None) - 1

    def _ends(self, step: Step, count: int) -> list[float]:
        """When each of so many alike steps ends."""
        rows, factor = len(step.decode), self._factor(step)
        if self.pace is not None:
            factor *= self.pace("")
        context = sum(row.position + 1 for row in step.decode)
        seconds = self._times.rows
        now, ends = self._clock.now, list[float]()
        for _ in range(count):
            now += seconds(rows, context) * factor
            context += rows
            ends.append(now)
        return ends

    def _seconds(self, step: Step) -> float:
        rows = len(step.decode)
        seconds = 0.0
        if rows:
            context = sum(row.position + 1 for row in step.decode)
            seconds = self._times.rows(rows, context) * self._factor(step)
        parts: list[tuple[int, int]] = []
        factors = 0.0
        for chunk in step.prefill:
            request = self._requests.get(chunk.sequence)
            if request is not None and not request.moved:
                parts.append((chunk.start, chunk.count))
                factors += request.factor if self.pace is None else request.factor * self.pace(request.stage)
        copying, self._copying = self._copying, 0.0
        seconds += copying + self._times.prompts(parts, bool(rows)) * factors / len(parts) if parts else 0.0
        return seconds if self.pace is None else seconds * self.pace("")

    def _factor(self, step: Step) -> float:
        """Of a step of rows: the mean of its sequences'."""
        known = [self._requests.get(row.sequence) for row in step.decode]
        factors = [request.reply_factor for request in known if request is not None]
        if self.pace is not None:
            slowed = (self.pace(request.stage) for request in known if request is not None)
            factors = [factor * slow for factor, slow in zip(factors, slowed, strict=True)]
        return sum(factors) / len(factors) if factors else 1.0

    def _settle(self) -> None:
        """Somebody comes or goes: of the steps that are taken as one, those that are over are told."""
        ahead = self._ahead
        if ahead is None:
            return
        self._ahead = None
        passed = bisect_right(ahead, self._clock.now)
        if passed == len(ahead):
            # The last of them ends at this very moment: its own event is still to come.
            passed -= 1
        self._pass(ahead, passed)
        self._turn += 1
        self._clock.at(ahead[passed], partial(self._over, self._turn))

    def _pass(self, ahead: list[float], passed: int) -> None:
        """So many alike steps are over, and the next one runs."""
        assert self._step is not None
        if not passed:
            return
        for row in self._step.decode:
            request = self._requests[row.sequence]
            request.times += ahead[:passed]
            request.left -= passed
        self._count(self._step, ahead[passed - 1] - self._began, passed)
        self._began = ahead[passed - 1]
        self._step = self._scheduler.repeat(self._began, passed)

    def _alike_over(self, turn: int) -> None:
        if turn != self._turn:
            return
        ahead, self._ahead = self._ahead, None
        assert ahead is not None
        self._pass(ahead, len(ahead) - 1)
        self._over(turn)

    def _count(self, step: Step, seconds: float, times: int = 1) -> None:
        record = self._record
        record.busy_seconds += seconds
        record.steps += times
        record.rows += times * (len(step.decode) + len(step.prefill))

    def _over(self, turn: int) -> None:
        step = self._step
        if turn != self._turn or step is None:
            return
        now = self._clock.now
        self._step = None
        self._count(step, now - self._began)
        heard: list[Callable[[], None]] = []
        done = [row.sequence for row in step.decode] + [chunk.sequence for chunk in step.prefill if chunk.last]
        self._tell(StepDone(now, step.number))
        for number in done:
            request = self._requests.get(number)
            if request is None:
                continue
            if request.left:
                self._token(request, now, heard)
            elif request.computed is not None:
                if self.begun is not None:
                    self.begun(request)
                computed, request.computed = request.computed, None
                heard.append(computed)
        for hear in heard:
            hear()
        self._ask()

    def _token(self, request: Request, now: float, heard: list[Callable[[], None]]) -> None:
        request.left -= 1
        request.times.append(now)
        if request.token is not None:
            heard.append(request.token)
        if request.left:
            self._tell(Extended(now, request.number, count=1))
        elif request.ended is not None:
            heard.append(request.ended)

    def _tell(self, event: Event) -> None:
        for order in self._scheduler.handle(event):
            match order:
                case Step():
                    self._step = order
                case Load() | Save():
                    self._copying += self._prices[isinstance(order, Load)]
                case Admitted(number, cached):
                    request = self._requests.get(number)
                    if request is not None and request.began is None and not request.moved:
                        self._record.cached += cached
                        request.cached = cached
                case Refuse(number, reason):
                    request = self._requests.get(number)
                    if request is not None:
                        self._gone(request)
                        if request.refused is not None:
                            self._clock.at(self._clock.now, partial(request.refused, reason.value))
                case _:
                    pass


class Serving:
    """A pool of replicas; the router that chooses among those of a real model chooses here, by what it takes a replica
    to be: `times` at the sizes of a chunk and of full rows."""

    def __init__(
        self,
        clock: VirtualClock,
        replicas: int,
        settings: Settings,
        times: StepTimes,
        bulk: bool = True,
        policy: Policy = "cache_aware",
        affinity: float = 1.0,
    ) -> None:
        self.record = PoolRecord()
        self.router = Router(policy, settings.page, affinity)
        self.replicas = [Replica(clock, settings, times, self.record, bulk) for _ in range(replicas)]
        self._clock = clock
        self._numbers = 0
        self._made = partial(Replica, clock, settings, times, self.record, bulk)
        self._several = replicas > 1
        """Whether there is anything to choose; from the first time that instances go or come."""
        self.pace: Pace | None = None
        self._waiting: dict[int, Request] = {}
        """Those that came while no replica was there."""
        self._rates, self._size = rates_of(times, settings), (settings.rows, settings.pages)
        for number in range(replicas):
            self.up(number)

    def arrive(self, request: Request) -> None:
        if not self._several:
            self.replicas[0].arrive(request)
            return
        self._numbers += 1
        request.routed = self._numbers
        tokens = 1 if request.moved else request.length
        asked = Asked(self._clock.now, request.routed, tokens, chained(request.keys), request.expected)
        self._waiting[request.routed] = request
        for order in self.router.handle(asked):
            if isinstance(order, Send):
                self.replicas[order.replica].arrive(self._waiting.pop(request.routed))

    def down(self, number: int, drains: bool = False) -> None:
        """Nothing more is sent to a replica. Whoever loses it says so to its requests (`Replica.lost`) first."""
        if self._several:
            self.router.handle(ReplicaDown(self._clock.now, number, drains))

    def up(self, number: int) -> None:
        """A replica is there (again), with nothing in its cache."""
        if self._several:
            replica = self.replicas[number]
            for order in self.router.handle(ReplicaUp(self._clock.now, number, self._rates, *self._size)):
                if isinstance(order, Send):
                    self.replicas[order.replica].arrive(self._waiting.pop(order.request))
            replica.begun, replica.left = self._begun, self._left

    # --- instances that go and come ---

    def close(self, number: int) -> None:
        """It takes nobody any more, and finishes what it has."""
        self._choose()
        self.down(number, drains=True)

    def lose(self, number: int) -> None:
        """It is gone with all that it has; what is opened in its place has nothing in its cache."""
        self._choose()
        self.replicas[number].lost()
        self.down(number)
        self.replicas[number] = self._made()
        self.replicas[number].pace = self.pace

    def open(self, number: int) -> None:
        """It takes who comes: one that was closed, or the next new one."""
        self._choose()
        if number == len(self.replicas):
            self.replicas.append(self._made())
            self.replicas[number].pace = self.pace
        self.up(number)

    def idle(self, number: int) -> bool:
        """Whether it has nothing to finish."""
        return not self.replicas[number].open

    @property
    def waiting(self) -> int:
        return len(self._waiting) + sum(replica.waiting for replica in self.replicas)

    @property
    def busy(self) -> int:
        """Requests that wait for nobody."""
        return sum(replica.open - replica.waiting for replica in self.replicas)

    def _choose(self) -> None:
        if not self._several:
            self._several = True
            self.up(0)

    def paced(self, pace: Pace) -> None:
        """Steps that begin from now on go at this pace; to be told again when it changes."""
        self.pace = pace
        for replica in self.replicas:
            replica.settle()
            replica.pace = pace

    def _begun(self, request: Request) -> None:
        if not request.routed:
            return
        self.router.handle(Started(self._clock.now, request.routed, None if request.moved else request.cached))

    def _left(self, request: Request, cancelled: bool) -> None:
        if not request.routed:
            return
        now = self._clock.now
        self.router.handle(Left(now, request.routed) if cancelled else Done(now, request.routed))


def rates_of(times: StepTimes, settings: Settings) -> Rates:
    """What a router takes a replica to be that has such times."""
    chunk, rows = settings.chunk, settings.rows
    one, all_rows = times.rows(1, _CONTEXT), times.rows(rows, rows * _CONTEXT)
    row = (all_rows - one) / (rows - 1) if rows > 1 else 0.0
    return Rates(times.prompts(((0, chunk),), beside=False) / chunk, one, max(0.0, row))


_CONTEXT = 1024
"""Positions of a row, about."""
