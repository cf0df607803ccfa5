"""Greedy: one stage after the other, the dearest first, takes what is cheapest beside those before it.

Of the slack that the goal leaves over the quickest options, a stage may use its part: it may take longer than on its
quickest option by a factor that is the same for all. That factor is first what the whole may take; where the result
does not hold, as transfers and waiting take time too, it is made smaller step by step, down to the quickest options.

An option that wants other stages in its pool (prefill and decode of one model on the same devices) brings them along,
and is compared at the price of all of them. What is in a pool already must leave it memory, and what is on a tier must
leave it devices, and a stage more that can be nowhere else its least. Nothing is ever taken back: that makes it greedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf

from ..space.nodes import Take, reached, values
from .greedy import price_of, trial
from .reading import Reading, held_bytes, joined, load_of

_PARTS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
"""Of the slack: how much of it stages may use."""


def greedy(reading: Reading) -> tuple[int, ...] | None:
    """The options of every stage: the first that hold as the slack is made smaller, else those with all of it; None
    where a stage goes nowhere beside those before it. `Reading.allowed` has an option for each stage."""
    first: tuple[int, ...] | None = None
    for part in _PARTS:
        options = _Greedy(reading, part).run()
        if options is None:
            continue
        if trial(reading, options).score[0] == 0.0:
            return options
        first = first or options
    return first


class _Greedy:
    def __init__(self, reading: Reading, part: float) -> None:
        self.reading, self.taken = reading, dict[int, int]()
        self.limits = self._limits(part)
        self.price = [
            {place: price_of(reading, stage, place) * each.executions for place in reading.allowed[stage]}
            for stage, each in enumerate(reading.problem.stages)
        ]
        self.fits = [
            [place for place in allowed if self._quick(stage, place)] or [self._quickest(stage)]
            for stage, allowed in enumerate(reading.allowed)
        ]

    def _seconds(self, stage: int, place: int, z: float, first: bool) -> float:
        option = self.reading.option(stage, place)
        return (option.first if first else option.seconds) * exp(z * option.noise)

    def _least(self, stage: int, z: float, first: bool) -> float:
        return min(self._seconds(stage, place, z, first) for place in self.reading.allowed[stage])

    def _quickest(self, stage: int) -> int:
        return min(self.reading.allowed[stage], key=lambda place: self._seconds(stage, place, 0.0, False))

    def _limits(self, part: float) -> list[tuple[float, float, frozenset[tuple[int, bool]]]]:
        """By promise: the factor, the z of its percentile, and its stages, whole or only up to their first item."""
        nodes, at = self.reading.problem.nodes, self.reading.stage_at
        found: list[tuple[float, float, frozenset[tuple[int, bool]]]] = []
        for moment in self.reading.moments:
            if moment.limit is None:
                continue
            quick = values(
                nodes,
                lambda leaf, z=moment.z: self._least(at[leaf.stage], z, leaf.first) * leaf.times,
                lambda _: 0.0,
            )[moment.node]
            factor = moment.limit / quick if quick else inf
            leaves = (nodes[index] for index in reached(nodes, moment.node))
            stages = frozenset((at[leaf.stage], leaf.first) for leaf in leaves if isinstance(leaf, Take))
            found.append((1.0 + max(0.0, factor - 1.0) * part, moment.z, stages))
        return found

    def _quick(self, stage: int, place: int) -> bool:
        return all(
            self._seconds(stage, place, z, first) <= factor * self._least(stage, z, first) * (1 + 1e-9)
            for factor, z, stages in self.limits
            for first in (False, True)
            if (stage, first) in stages
        )

    def run(self) -> tuple[int, ...] | None:
        stages = range(len(self.price))
        for stage in sorted(stages, key=lambda stage: -min(self.price[stage][place] for place in self.fits[stage])):
            if stage in self.taken:
                continue
            groups = self._groups(stage, self.fits) or self._least_slow(self._groups(stage, self.reading.allowed))
            if not groups:
                return None
            # What an option brings along, another would have to pay at its cheapest.
            scope = {other for group in groups for other in group}
            self.taken |= min(groups, key=lambda group: (self._price(group, scope), self._full(group)))
        return tuple(self.taken[stage] for stage in stages)

    def _least_slow(self, groups: list[dict[int, int]]) -> list[dict[int, int]]:
        """Where nothing that is quick enough has room: of what has, what is quick enough but for what it brings along,
        else the quickest."""
        slow = [self._slow(group) for group in groups]
        return [group for group, each in zip(groups, slow, strict=True) if each <= max(1.0, min(slow)) * (1 + 1e-9)]

    def _slow(self, group: dict[int, int]) -> float:
        """How many times as long a group takes as it may: the worst of its stages, in any promise."""
        return max(
            (
                self._seconds(stage, place, z, first) / (factor * least)
                for factor, z, stages in self.limits
                for stage, place in group.items()
                for first in (False, True)
                if (stage, first) in stages and (least := self._least(stage, z, first))
            ),
            default=0.0,
        )

    def _full(self, group: dict[int, int]) -> float:
        """Dollars a run if what it takes were always full: of equal devices, those that serve more."""
        return sum(self.price[stage][place] for stage, place in group.items())

    def _price(self, group: dict[int, int], scope: set[int]) -> float:
        """Dollars a run that a group adds: whole devices, and what others of the scope pay at their cheapest."""
        alone = (min(self.price[stage][place] for place in self.fits[stage]) for stage in scope - set(group))
        rate, problem = self.reading.rate, self.reading.problem
        if rate is None:
            return self._full(group) + sum(alone)
        used = self._used({**self.taken, **group})
        paid = sum(
            tier.dollars.value * max(used.get((at, False), 0), used.get((at, True), 0), tier.low)
            for at, tier in enumerate(problem.tiers)
        )
        extra = (
            problem.stages[stage].executions * self.reading.option(stage, at).dollars for stage, at in group.items()
        )
        return paid / rate + sum(extra) + sum(alone)

    def _groups(self, stage: int, among: Sequence[Sequence[int]]) -> list[dict[int, int]]:
        """What a stage may take, with what that brings along, of these options by stage."""
        groups = (self._group(stage, place, among) for place in among[stage])
        return [group for group in groups if group is not None and self._room({**self.taken, **group})]

    def _group(self, stage: int, place: int, among: Sequence[Sequence[int]]) -> dict[int, int] | None:
        """An option with what it brings along, and what was taken has a say in."""
        reading = self.reading
        found = {stage: place}
        waiting = [stage]
        while waiting:
            current = waiting.pop()
            option = reading.option(current, found[current])
            for name in option.together:
                other = reading.stage_at[name]
                known = found.get(other, self.taken.get(other))
                if known is not None:
                    if reading.option(other, known).pool != option.pool:
                        return None
                    continue
                there = [each for each in among[other] if reading.option(other, each).pool == option.pool]
                if not there:
                    return None
                found[other] = min(there, key=lambda each, other=other: self.price[other][each])
                waiting.append(other)
        for other, known in self.taken.items():
            option = reading.option(other, known)
            for name in option.together:
                here = reading.stage_at[name]
                if here in found and reading.option(here, found[here]).pool != option.pool:
                    return None
        return found

    def _room(self, taken: dict[int, int]) -> bool:
        """Whether memory and devices suffice, with as many replicas as the load needs."""
        reading = self.reading
        for pool, stages in self._pools(taken).items():
            room = reading.room(pool)
            if room is not None and not reading.holds(held_bytes(reading.option(at, taken[at]) for at in stages), room):
                return False
        tiers, later = reading.problem.tiers, self._later(taken)
        return all(
            count + (0 if host else later.get(tier, 0)) <= tiers[tier].high or not reading.binding(tiers[tier].counted)
            for (tier, host), count in self._used(taken).items()
        )

    def _later(self, taken: dict[int, int]) -> dict[int, int]:
        """Devices by tier that a stage yet to be placed takes at least, as it can be nowhere else."""
        reading, pools = self.reading, self.reading.problem.pools
        inside = set(self._pools(taken))
        found: dict[int, int] = {}
        for stage, allowed in enumerate(reading.allowed):
            places = {reading.pool_of(stage, place) for place in allowed}
            tiers = {reading.tier_of[pool] for pool in places}
            if stage in taken or len(tiers) > 1 or places & inside or any(pools[pool].host for pool in places):
                continue
            (tier,) = tiers
            found[tier] = max(found.get(tier, 0), min(pools[pool].devices for pool in places))
        return found

    def _pools(self, taken: dict[int, int]) -> dict[int, list[int]]:
        pools: dict[int, list[int]] = {}
        for stage, place in taken.items():
            pools.setdefault(self.reading.pool_of(stage, place), []).append(stage)
        return pools

    def _used(self, taken: dict[int, int]) -> dict[tuple[int, bool], int]:
        """Devices by tier, of hosts and of others."""
        reading, problem = self.reading, self.reading.problem
        used: dict[tuple[int, bool], int] = {}
        for pool, stages in self._pools(taken).items():
            load = joined(pool, [load_of(pool, problem.stages[at], reading.option(at, taken[at])) for at in stages])
            key = reading.tier_of[pool], problem.pools[pool].host
            used[key] = used.get(key, 0) + reading.least(load) * problem.pools[pool].devices
        return used
