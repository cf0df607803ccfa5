"""Branch and bound by hand, for problems whose stages nearly decide each other: exact, without a solver.

One stage after the other takes an option, the most expensive stage first; a branch ends where its devices alone cost as
much as the best choice that is known, need more than there are, or leave a promise no room. Plans for served models are
of this kind: hundreds of options each, of which few are as good as the best one at hand. A solver would first write all
of them down. Where the branches become too many, it says so and leaves the rest to the solver.

The bound on cost. Pools in use have at least the replicas that carry what is placed in them, in whole numbers, and a
stage that is not placed yet adds the part of a device that it keeps busy, at its cheapest, unless it may find room in a
pool in use. Hosts come with their devices and add nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, exp

from ..space.evaluate import FULLEST, STEPS, Outcome, evaluate
from ..space.nodes import Take, values
from ..space.problem import Choice, Option
from .clock import Clock, wall
from .reading import Moment, Reading
from .replicas import best

NODES = 200_000
"""Branches that are looked at before the solver is asked."""

_LESS = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Branched:
    """`complete` says that no choice is better than those that were kept, or that there is none; `looked` counts
    branches."""

    complete: bool
    looked: int


Kept = Callable[[Choice, Outcome], tuple[float, float]]
"""Takes a choice that holds; gives the objective and the dollars that the next one has to be below."""


def branched(
    reading: Reading, below: tuple[float, float], keep: Kept, until: float, most: int = NODES, clock: Clock = wall
) -> Branched:
    """Looks for choices below an objective (and its dollars), until a time of the clock."""
    problem = reading.problem
    if problem.objective == "cheapest" and problem.rate is None:
        # Dollars are then a product of devices and seconds, which has no such bound.
        return Branched(False, 0)
    search = _Search(reading, below, keep, until, most, clock)
    complete = search.run()
    return Branched(complete, search.looked)


class _Search:
    def __init__(
        self, reading: Reading, below: tuple[float, float], keep: Kept, until: float, most: int, clock: Clock
    ) -> None:
        self.clock = clock
        self.reading, self.below, self.keep, self.until, self.most = reading, below, keep, until, most
        problem = self.problem = reading.problem
        self.looked = 0
        self.stages = range(len(problem.stages))
        self.pool = [[reading.pool_at[option.pool] for option in stage.options] for stage in problem.stages]
        self.served = [[stage.executions * option.mean_busy for option in stage.options] for stage in problem.stages]
        self.together = [
            [tuple(reading.stage_at[name] for name in option.together) for option in stage.options]
            for stage in problem.stages
        ]
        self.price = [tier.dollars.value for tier in problem.tiers]
        self.part = [[self._part(stage, place) for place in range(len(self.pool[stage]))] for stage in self.stages]
        self.extra = [[stage.executions * option.dollars for option in stage.options] for stage in problem.stages]
        self.joules = [[stage.executions * option.joules for option in stage.options] for stage in problem.stages]
        self.pools_of = [
            frozenset(self.pool[stage][place] for place in reading.allowed[stage]) for stage in self.stages
        ]
        self.order = sorted(self.stages, key=lambda stage: -self._least(self.part, stage))
        self.least_part = [self._least(self.part, stage) for stage in self.stages]
        self.least_extra = [self._least(self.extra, stage) for stage in self.stages]
        self.least_joules = [self._least(self.joules, stage) for stage in self.stages]
        self.hard = [moment for moment in reading.moments if moment.limit is not None]
        self.taken: dict[int, int] = {}
        self.loads: dict[int, float] = {}
        self.quickest = {
            z: [self._quickest(stage, z) for stage in self.stages]
            for z in {moment.z for moment in reading.moments} | {0.0}
        }

    def _least(self, table: list[list[float]], stage: int) -> float:
        return min((table[stage][place] for place in self.reading.allowed[stage]), default=0.0)

    def _quickest(self, stage: int, z: float) -> tuple[float, float]:
        options = [self.problem.stages[stage].options[place] for place in self.reading.allowed[stage]]
        slow = [exp(z * option.noise) for option in options]
        return (
            min(option.seconds * factor for option, factor in zip(options, slow, strict=True)),
            min(option.first * factor for option, factor in zip(options, slow, strict=True)),
        )

    def _part(self, stage: int, place: int) -> float:
        """Dollars a second of the part of devices that a stage keeps busy there."""
        pool = self.problem.pools[self.pool[stage][place]]
        if self.reading.rate is None or not pool.slots or pool.host:
            return 0.0
        busy = self.reading.rate * self.served[stage][place] * STEPS / (pool.slots * FULLEST)
        return busy * pool.devices * self.price[self.reading.tier_of[self.pool[stage][place]]] * _LESS

    def run(self) -> bool:
        """Whether everything was looked at."""
        if not all(self.reading.allowed):
            return True
        return self._branch(0)

    def _branch(self, depth: int) -> bool:
        if depth == len(self.order):
            return self._leaf()
        stage = self.order[depth]
        for place in sorted(self.reading.allowed[stage], key=lambda place: (self.part[stage][place], place)):
            self.looked += 1
            if self.looked > self.most or (self.looked % 256 == 0 and self.clock(256.0) > self.until):
                return False
            pool = self.pool[stage][place]
            if not self._goes(stage, place, pool):
                continue
            self.taken[stage] = place
            before = self.loads.get(pool)
            self.loads[pool] = (before or 0.0) + self.served[stage][place]
            done = not self._worth(stage) or self._branch(depth + 1)
            del self.taken[stage]
            if before is None:
                del self.loads[pool]
            else:
                self.loads[pool] = before
            if not done:
                return False
        return True

    def _goes(self, stage: int, place: int, pool: int) -> bool:
        """Whether an option goes with those taken, as far as pools must be the same."""
        for other in self.together[stage][place]:
            if other in self.taken and self.pool[other][self.taken[other]] != pool:
                return False
        return all(
            stage not in self.together[other][theirs] or self.pool[other][theirs] == pool
            for other, theirs in self.taken.items()
        )

    def _worth(self, stage: int) -> bool:
        """Whether what is taken may become a choice that is wanted."""
        dollars = self._dollars()
        if dollars is None:
            return False
        joules = sum(
            self.joules[each][self.taken[each]] if each in self.taken else self.least_joules[each]
            for each in self.stages
        )
        match self.problem.objective:
            case "greenest":
                least = joules
            case "fastest":
                least = self._seconds(0.0)[self.problem.moment("finish")]
            case _:
                least = dollars
        if (least * _LESS, dollars * _LESS) >= self.below:
            return False
        if self.reading.capped is not None and dollars * _LESS > self.reading.capped:
            return False
        if self.reading.powered is not None and joules * _LESS > self.reading.powered:
            return False
        return all(self._room(moment) for moment in self.hard if stage in moment.stages)

    def _dollars(self) -> float | None:
        """The least dollars a run, or None where devices do not suffice."""
        problem, reading = self.problem, self.reading
        own = [0] * len(problem.tiers)
        hosts = [0] * len(problem.tiers)
        for pool, served in self.loads.items():
            shape = problem.pools[pool]
            replicas = 1
            if reading.rate is not None and shape.slots:
                replicas = max(1, ceil(reading.rate * served * STEPS / (shape.slots * FULLEST) * (1 - 1e-6)))
            (hosts if shape.host else own)[reading.tier_of[pool]] += replicas * shape.devices
        paid = 0.0
        for number, tier in enumerate(problem.tiers):
            count = max(own[number], hosts[number])
            if reading.binding(tier.counted) and count > tier.high:
                return None
            paid += self.price[number] * max(count, tier.low)
        extra = 0.0
        for stage in self.stages:
            if stage in self.taken:
                extra += self.extra[stage][self.taken[stage]]
            else:
                extra += self.least_extra[stage]
                if self.pools_of[stage].isdisjoint(self.loads):
                    paid += self.least_part[stage]
        return paid / problem.rate + extra if problem.rate else extra

    def _room(self, moment: Moment) -> bool:
        assert moment.limit is not None
        return self._seconds(moment.z)[moment.node] * _LESS <= moment.limit

    def _seconds(self, z: float) -> list[float]:
        at, quickest = self.reading.stage_at, self.quickest[z]

        def take(leaf: Take) -> float:
            stage = at[leaf.stage]
            place = self.taken.get(stage)
            if place is None:
                return quickest[stage][leaf.first] * leaf.times
            option: Option = self.problem.stages[stage].options[place]
            return (option.first if leaf.first else option.seconds) * exp(z * option.noise) * leaf.times

        return values(self.problem.nodes, take, lambda _: 0.0)

    def _leaf(self) -> bool:
        options = tuple(self.taken[stage] for stage in self.stages)
        fixed = self.reading.fixed(options)
        if fixed is None:
            return True
        found = best(self.reading, fixed, self.below)
        if not found.exact:
            return False
        if found.choice is None:
            return True
        outcome = evaluate(self.problem, found.choice, self.reading.dropped)
        if outcome.holds:
            self.below = min(self.below, self.keep(found.choice, outcome))
        return True
