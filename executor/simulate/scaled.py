"""Instances that follow the load, in a simulation: each pool is looked at every few seconds, and what
`executor.scaling` wants is opened or drained.

A new instance is paid from the moment that it is ordered and serves when it is open; one that goes takes nobody new,
and is paid until it is through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ...planner.space.evaluate import served
from ..scaling import Rule, Scaling, Seen
from .clock import VirtualClock
from .lines import Slots
from .replicas import Serving
from .system import System

EVERY = 5.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Follow:
    """How instances follow the load: each takes `opening` seconds until it serves, and none goes before it was calm for
    `calm` seconds. `wait` is how long a run may wait in a pool's line, in seconds, where the plan's own bound is not to
    be taken."""

    opening: float = 30.0
    calm: float = 60.0
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Grown:
    """Of a pool: the mean number of instances that were paid, the most, and how often their number changed."""

    pool: str
    mean: float
    most: int
    changes: int


def rules(system: System, follow: Follow) -> dict[str, Rule]:
    """For each pool that has slots and may be in several instances. The wait is what the promises leave: what is
    promised at the highest percentile, less what the plan predicts without its line, shared by the pools."""
    problem, outcome = system.problem, system.outcome
    times = [p for p in problem.promises if p.kind in problem.waits and p.limit > 0.0]
    held = max(times, key=lambda p: p.percentile, default=None)
    out: dict[str, Rule] = {}
    for name, pool in system.pools.items():
        if not pool.slots or _beside_devices(system, name):
            continue
        tier = problem.tier(pool.tier)
        service = served(problem, system.taken, name)
        percentile = held.percentile if held is not None else 95.0
        wait = follow.wait
        if wait is None:
            own = outcome.waits.get((name, percentile), 0.0)
            room = held.limit - outcome.reached[held.name] if held is not None else 0.0
            wait = max(0.0, own + room)
        others = sum(
            system.replicas[n] * p.devices for n, p in system.pools.items() if p.tier == tier.name and n != name
        )
        high = max(1, (tier.high - others) // max(1, pool.devices))
        if service > 0.0:
            out[name] = Rule(name, 1, high, pool.slots, service, wait, percentile, follow.opening, follow.calm)
    return out


class Following:
    """`over` says whether nothing is left to happen but looks."""

    def __init__(
        self,
        system: System,
        follow: Follow,
        clock: VirtualClock,
        lines: Mapping[str, Slots],
        serving: Mapping[str, Serving],
        over: Callable[[], bool],
    ) -> None:
        self._system, self._follow, self._clock, self._over = system, follow, clock, over
        self._pools: dict[str, Slots | Serving] = {}
        self._scaling: dict[str, Scaling] = {}
        self._served: dict[str, int] = {}
        self._visits: dict[str, float] = {}
        self._open: dict[str, set[int]] = {}
        self._coming: dict[str, set[int]] = {}
        self._going: dict[str, set[int]] = {}
        self._next: dict[str, int] = {}
        self._paid: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._most: dict[str, int] = {}
        self._changes: dict[str, int] = {}
        rate = system.problem.rate or 0.0
        for name, rule in rules(system, follow).items():
            self._pools[name] = serving[name] if name in serving else lines[name]
            self._scaling[name] = Scaling(rule, rate)
            count = system.replicas[name]
            self._open[name], self._coming[name], self._going[name] = set(range(count)), set(), set()
            self._next[name] = self._most[name] = count
            self._served[name] = 0
            self._visits[name] = _visits(system, name, name in serving)
            self._paid[name] = self._since[name] = 0.0
            self._changes[name] = 0
        clock.at(EVERY, self._look)

    def grown(self) -> tuple[Grown, ...]:
        now = max(self._clock.now, 1e-9)
        for name in self._pools:
            self._pay(name)
        return tuple(Grown(name, self._paid[name] / now, self._most[name], self._changes[name]) for name in self._pools)

    def dollars(self) -> float:
        """What the devices cost in all: those of pools that follow for as long as they were paid, others throughout."""
        system, total = self._system, 0.0
        for name in self._pools:
            self._pay(name)
        for tier in system.problem.tiers:
            seconds = 0.0
            for name, pool in system.pools.items():
                if pool.tier == tier.name and not _beside_devices(system, name):
                    paid = self._paid.get(name)
                    seconds += (self._clock.now * system.replicas[name] if paid is None else paid) * pool.devices
            seconds = max(seconds, tier.low * self._clock.now)
            total += seconds * tier.dollars.value
        return total

    def _look(self) -> None:
        if self._over():
            return
        now = self._clock.now
        for name, pool in self._pools.items():
            count = pool.record.served if isinstance(pool, Serving) else pool.served
            # Who stands in line has come, and was not served yet.
            came = count + pool.waiting - self._served[name]
            self._served[name] = count + pool.waiting
            there = len(self._open[name]) + len(self._coming[name])
            seen = Seen(now, round(max(0, came) / self._visits[name]), pool.waiting, pool.busy, there)
            self._resize(name, self._scaling[name].see(seen).instances)
            for gone in [each for each in self._going[name] if pool.idle(each)]:
                self._pay(name)
                self._going[name].discard(gone)
        self._clock.at(now + EVERY, self._look)

    def _resize(self, name: str, wanted: int) -> None:
        there = len(self._open[name]) + len(self._coming[name])
        if wanted == there:
            return
        self._pay(name)
        self._changes[name] += 1
        while there < wanted:
            there += 1
            if self._going[name]:
                # One that is not through yet stays.
                number = self._going[name].pop()
                self._open[name].add(number)
                self._pools[name].open(number)
                continue
            number, self._next[name] = self._next[name], self._next[name] + 1
            self._coming[name].add(number)
            self._clock.at(self._clock.now + self._follow.opening, partial(self._opened, name, number))
        while there > wanted and len(self._open[name]) > 1:
            there -= 1
            number = max(self._open[name])
            self._open[name].discard(number)
            self._going[name].add(number)
            self._pools[name].close(number)
        self._most[name] = max(self._most[name], there)

    def _opened(self, name: str, number: int) -> None:
        self._coming[name].discard(number)
        self._open[name].add(number)
        self._pools[name].open(number)

    def _pay(self, name: str) -> None:
        now = self._clock.now
        count = len(self._open[name]) + len(self._coming[name]) + len(self._going[name])
        self._paid[name] += count * (now - self._since[name])
        self._since[name] = now


def _beside_devices(system: System, name: str) -> bool:
    """Whether a pool is of the machines that a tier's devices stand in, and goes and comes with those."""
    pool = system.pools[name]
    return pool.host and any(each.tier == pool.tier and not each.host for each in system.pools.values())


def _visits(system: System, pool: str, serves: bool) -> float:
    """How often a run comes to a pool: to one that serves a model with each prompt, or with each reply where prompts
    are computed elsewhere."""
    stages = [name for name, option in system.taken.items() if option.pool == pool and option.busy]
    if serves:
        prompts = [name for name in stages if name.endswith(".prefill")]
        stages = prompts or [name for name in stages if name.endswith(".decode")]
    return max(1.0, sum(system.executions[name] for name in stages))
