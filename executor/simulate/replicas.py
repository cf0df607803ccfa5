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

from ..scheduler import (
    Admitted,
    Arrived,
    Cancelled,
    Event,
    Extended,
    Refuse,
    Released,
    Scheduler,
    Settings,
    Step,
    StepDone,
    StepWanted,
)
from .clock import VirtualClock
from .records import PoolRecord
from .steps import StepTimes


@dataclass(slots=True, eq=False)
class Request:
    """A prompt and then a reply. `moved`: its cache came from elsewhere, so that its prompt costs nothing here. `fine`:
    each of its tokens is awaited. `times` are those at which its tokens were there; `began` is when its first step did.
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
    replica: Replica | None = None


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
        self.open = 0

    @property
    def waiting(self) -> int:
        return self._scheduler.waiting

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
        self._gone(request)
        now = self._clock.now
        self._tell(Cancelled(now, request.number) if cancelled else Released(now, request.number))

    def _gone(self, request: Request) -> None:
        request.over = True
        self.open -= 1
        del self._requests[request.number]

    # --- steps ---

    def _ask(self) -> None:
        """A step is wanted as soon as all that happens at this moment has happened."""
        if self._step is None and not self._asked:
            self._asked = True
            self._clock.at(self._clock.now, self._want)

    def _want(self) -> None:
        self._asked = False
        if self._step is not None:
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
                factors += request.factor
        return seconds + (self._times.prompts(parts, bool(rows)) * factors / len(parts) if parts else 0.0)

    def _factor(self, step: Step) -> float:
        """Of a step of rows: the mean of its sequences'."""
        known = [self._requests.get(row.sequence) for row in step.decode]
        factors = [request.reply_factor for request in known if request is not None]
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
                case Admitted(number, cached):
                    request = self._requests.get(number)
                    if request is not None and request.began is None and not request.moved:
                        self._record.cached += cached
                case Refuse(number, reason):
                    request = self._requests.get(number)
                    if request is not None:
                        self._gone(request)
                        if request.refused is not None:
                            self._clock.at(self._clock.now, partial(request.refused, reason.value))
                case _:
                    pass


class Serving:
    """A pool of replicas; who comes goes to the one with the fewest requests, the first of those."""

    def __init__(
        self, clock: VirtualClock, replicas: int, settings: Settings, times: StepTimes, bulk: bool = True
    ) -> None:
        self.record = PoolRecord()
        self.replicas = [Replica(clock, settings, times, self.record, bulk) for _ in range(replicas)]

    def arrive(self, request: Request) -> None:
        min(self.replicas, key=lambda replica: replica.open).arrive(request)
