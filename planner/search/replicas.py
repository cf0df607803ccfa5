"""The best numbers of replicas for one combination of options, exactly.

More replicas cost more and make waits shorter, never longer, so only those numbers matter at which some wait that
counts becomes shorter, up to where none is left; and as many as the traffic between tiers needs. Pools are tried one
after the other, with the rest at its cheapest for the bound on cost and at its best for the bound on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from ..space.problem import Choice
from .reading import Fixed, Load, Reading

BUDGET = 50_000
"""Steps of one search; past it, `Best.exact` is false."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best replicas of a combination, with its objective and dollars a run; `choice` is None where none hold.
    `exact` is false where the search was cut short."""

    choice: Choice | None
    objective: float = inf
    dollars: float = inf
    exact: bool = True

    @property
    def key(self) -> tuple[float, float]:
        return self.objective, self.dollars


@dataclass(frozen=True, slots=True)
class Count:
    """A number of replicas of a pool, its devices, and the waits it leaves at each percentile in question."""

    replicas: int
    devices: int
    waits: tuple[float, ...]


def counts(reading: Reading, load: Load, percentiles: Sequence[float], wanted: int = 0) -> tuple[Count, ...]:
    """The numbers of replicas that matter, fewest first; all of them up to `wanted`, which traffic may need."""
    most = reading.most(load.pool)
    devices = reading.problem.pools[load.pool].devices
    found: list[Count] = []
    replicas = reading.least(load)
    while most is None or replicas <= most:
        waits = tuple(reading.wait(load, replicas, percentile) for percentile in percentiles)
        if not found or replicas <= wanted or any(w < v for w, v in zip(waits, found[-1].waits, strict=True)):
            found.append(Count(replicas, replicas * devices, waits))
        if replicas >= wanted and not any(waits):
            break
        replicas += 1
    return tuple(found)


def best(reading: Reading, fixed: Fixed, below: tuple[float, float] = (inf, inf), budget: int = BUDGET) -> Best:
    """The replicas with the least objective, among those the least dollars, if that is less than `below`."""
    search = _Search(reading, fixed, below, budget)
    search.run()
    return (
        Best(search.choice, *search.best, exact=search.left >= 0)
        if search.choice
        else Best(None, exact=search.left >= 0)
    )


class _Search:
    def __init__(self, reading: Reading, fixed: Fixed, below: tuple[float, float], budget: int) -> None:
        self.reading, self.fixed, self.best, self.left = reading, fixed, below, budget
        self.choice: Choice | None = None
        problem = reading.problem
        self.tiers = tuple(reading.tier_of[load.pool] for load in fixed.loads)
        self.hosts = tuple(problem.pools[load.pool].host for load in fixed.loads)
        self.wanted = dict.fromkeys(self.tiers, 0)
        for ends, pairs in fixed.pairs:
            for tier in ends:
                self.wanted[tier] = max(self.wanted[tier], pairs)
        self.moments = [
            (moment, at, frozenset(visited))
            for moment, at, visited in zip(reading.moments, fixed.at, fixed.visited, strict=True)
        ]
        self.rows: list[tuple[Count, ...]] = []
        self.at_best: list[tuple[float, ...]] = []
        for place, load in enumerate(fixed.loads):
            asked = tuple(dict.fromkeys(m.promise.percentile for m, _, visited in self.moments if place in visited))
            devices = problem.pools[load.pool].devices
            wanted = ceil(self.wanted[self.tiers[place]] / devices) if devices else 0
            row = counts(reading, load, asked, wanted)
            # From here on waits are by moment, zero where they do not count.
            where = [asked.index(m.promise.percentile) if place in visited else -1 for m, _, visited in self.moments]
            row = tuple(
                Count(each.replicas, each.devices, tuple(each.waits[at] if at >= 0 else 0.0 for at in where))
                for each in row
            )
            self.rows.append(row)
        self.chosen = [0] * len(self.rows)
        self.taken = {False: [0] * len(problem.tiers), True: [0] * len(problem.tiers)}
        """Devices by tier, of pools that are not hosts and of those that are: the more of both are in use."""

    def run(self) -> None:
        if not all(self.rows) or any(not ends for ends, _ in self.fixed.pairs):
            return
        for tier, host, row in zip(self.tiers, self.hosts, self.rows, strict=True):
            self.taken[host][tier] += row[0].devices
        # Waits with all pools at their best, and what going from best to some count adds.
        start = [at + sum(row[-1].waits[k] for row in self.rows) for k, (_, at, _) in enumerate(self.moments)]
        self._place(0, start)

    def _place(self, place: int, waits: list[float]) -> None:
        """Chooses for the pools from `place` on; `waits` has those at their best, `taken` has them at their fewest."""
        self.left -= 1
        if self.left < 0 or not self._possible(waits):
            return
        bound = self._bound(waits)
        if bound >= self.best:
            return
        if place == len(self.rows):
            if self._enough():
                self.best = bound
                self.choice = self._choice()
            return
        row, tier, taken = self.rows[place], self.tiers[place], self.taken[self.hosts[place]]
        last, first = row[-1].waits, row[0].devices
        for count in row:
            taken[tier] += count.devices - first
            self.chosen[place] = count.replicas
            more = [value + own - best for value, own, best in zip(waits, count.waits, last, strict=True)]
            dear = self._money() >= self.best[0] if self.reading.problem.objective == "cheapest" else False
            if not dear and self._counted(tier):
                self._place(place + 1, more)
            taken[tier] -= count.devices - first
            if dear or self.left < 0:
                return

    def _used(self, tier: int) -> int:
        return max(self.taken[False][tier], self.taken[True][tier])

    def _counted(self, tier: int) -> bool:
        of = self.reading.problem.tiers[tier]
        return self._used(tier) <= of.high or not self.reading.binding(of.counted)

    def _possible(self, waits: list[float]) -> bool:
        holds = self.reading.holds
        for (moment, _, _), value in zip(self.moments, waits, strict=True):
            if moment.limit is not None and not holds(value, moment.limit):
                return False
        if any(not self._counted(tier) for tier in dict.fromkeys(self.tiers)):
            return False
        capped = self.reading.capped
        return capped is None or holds(self._money(), capped)

    def _enough(self) -> bool:
        tiers = self.reading.problem.tiers
        return all(
            min(max(self._used(tier), tiers[tier].low) for tier in ends) >= pairs for ends, pairs in self.fixed.pairs
        )

    def _money(self) -> float:
        problem = self.reading.problem
        paid = sum(tier.dollars.value * max(self._used(number), tier.low) for number, tier in enumerate(problem.tiers))
        return (paid / problem.rate if problem.rate is not None else paid * self.fixed.finish) + self.fixed.extra

    def _bound(self, waits: list[float]) -> tuple[float, float]:
        """Objective and dollars that no choice for the remaining pools is below; those of the choice at the end."""
        reading, dollars = self.reading, self._money()
        slack = sum(
            moment.price * max(0.0, value - moment.promise.limit)
            for (moment, _, _), value in zip(self.moments, waits, strict=True)
            if moment.price
        )
        slack += sum((each.soft or 0.0) * max(0.0, dollars - each.limit) for each in reading.soft_money)
        slack += sum((each.soft or 0.0) * max(0.0, self.fixed.joules - each.limit) for each in reading.soft_power)
        match reading.problem.objective:
            case "fastest":
                return self.fixed.finish + slack, dollars
            case "greenest":
                return self.fixed.joules + slack, dollars
            case _:
                return dollars + slack, dollars

    def _choice(self) -> Choice:
        replicas = [0] * len(self.reading.problem.pools)
        for load, count in zip(self.fixed.loads, self.chosen, strict=True):
            replicas[load.pool] = count
        return Choice(self.fixed.options, tuple(replicas))
