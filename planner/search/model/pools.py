"""Replicas: loads, devices and waits of pools.

A pool that few stages can use has a flag for each content and number of replicas. One that many share has a flag for
each number of replicas and step of load; its load is a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, prod

from ...space.evaluate import FULLEST, SLACK, STEPS, waiting
from ..linear import Terms, plus, value
from ..reading import Load, Reading
from ..replicas import counts
from .edges import Edges

FEW = 30
"""Contents of a pool that are looked at one by one; with more, its load is a sum."""

NEGLIGIBLE = 0.005
"""What the least edges of a link may take of it together, not to be counted."""

Place = tuple[str, int]
"""Where a stage is, as far as an edge cares: its tier, or its pool where values move within the tier."""


class Pools(Edges):
    """`sized` has for each pool its flags: variable, replicas, and the step of the load or what is in it. `used` are
    replicas and `waits` seconds of waiting, by pool (and percentile)."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.sized: dict[int, list[tuple[int, int, int | tuple[tuple[int, int], ...]]]] = {}
        self.waits: dict[tuple[int, float], Terms] = {}
        self.used: dict[int, Terms] = {}
        self._pools()

    def _percentiles(self, stages: set[int]) -> tuple[float, ...]:
        found = [m.promise.percentile for m in self.reading.moments if m.waits and stages & m.stages]
        return tuple(dict.fromkeys(found))

    def _pools(self) -> None:
        wanted = self._wanted()
        for pool, members in self.members.items():
            stages = {stage for stage, _ in members}
            asked = self._percentiles(stages)
            devices = self.problem.pools[pool].devices
            least = ceil(wanted.get(self.reading.tier_of[pool], 0) / devices) if devices else 0
            self.sized[pool] = []
            together = self._subsets(members)
            if together is not None:
                self._combined(pool, together, asked, least)
            else:
                self._shared(pool, members, asked, least)
            for flag, replicas, _ in self.sized[pool]:
                self.used.setdefault(pool, {})[flag] = float(replicas)

    def _wanted(self) -> dict[int, int]:
        """The most devices that the traffic of a tier could need."""
        found: dict[int, int] = {}
        for pair, row in self.traffic.items():
            link = self.reading.links[pair]
            if self.reading.binding(link.carries):
                for tier in pair:
                    found[tier] = max(found.get(tier, 0), self.reading.pairs_for(sum(row.values()), link))
        return {tier: count if count > 1 else 0 for tier, count in found.items()}

    def _load(self, pool: int, stage: int, place: int) -> Load:
        option = self.reading.option(stage, place)
        busy = self.problem.stages[stage].executions * option.busy
        return Load(pool, busy, busy * (1.0 + option.noise * option.noise) / 2.0)

    def _subsets(self, members: list[tuple[int, int]]) -> list[tuple[tuple[int, int], ...]] | None:
        """What may be in a pool at once, of stages with their options, where that is little."""
        by_stage: dict[int, list[tuple[int, int] | None]] = {}
        for stage, place in members:
            by_stage.setdefault(stage, [None]).append((stage, place))
        found: list[tuple[tuple[int, int], ...]] = []
        if prod(map(len, by_stage.values())) > FEW:
            return None
        for each in product(*by_stage.values()):
            inside = tuple(one for one in each if one is not None)
            stages = {self.problem.stages[stage].name for stage, _ in inside}
            if inside and all(stages.issuperset(self.reading.option(*one).together) for one in inside):
                found.append(inside)
        return found

    def _combined(
        self, pool: int, subsets: list[tuple[tuple[int, int], ...]], asked: tuple[float, ...], least: int
    ) -> None:
        """A flag for each content of a pool and number of replicas: load, waits and devices are then constants."""
        flags_of: dict[tuple[int, int], list[int]] = {}
        for inside in subsets:
            loads = [self._load(pool, *one) for one in inside]
            load = Load(pool, sum(one.served for one in loads), sum(one.service for one in loads))
            for one in inside:
                flags_of.setdefault(one, [])
            for count in counts(self.reading, load, asked, least):
                flag = self.program.flag()
                self.program.branch.append(flag)
                self.sized[pool].append((flag, count.replicas, inside))
                for one in inside:
                    flags_of[one].append(flag)
                for percentile, wait in zip(asked, count.waits, strict=True):
                    self.waits.setdefault((pool, percentile), {})[flag] = wait
        for stage, place in {one for inside in subsets for one in inside}:
            self.program.one_of(flags_of[stage, place], {self.flags[stage][place]: 1.0})
        for stage, place in self.members[pool]:
            if (stage, place) not in flags_of:
                self.program.at_most({self.flags[stage][place]: 1.0}, 0.0)
        self.program.at_most({flag: 1.0 for flag, _, _ in self.sized[pool]}, 1.0)

    def _shared(self, pool: int, members: list[tuple[int, int]], asked: tuple[float, ...], least: int) -> None:
        reading, program = self.reading, self.program
        loads = {self.flags[stage][place]: self._load(pool, stage, place) for stage, place in members}
        largest: dict[int, Load] = {}
        for stage, place in members:
            load = self._load(pool, stage, place)
            known = largest.get(stage, load)
            largest[stage] = Load(pool, max(known.served, load.served), max(known.service, load.service))
        served_most = sum(load.served for load in largest.values())
        service_most = sum(load.service for load in largest.values())
        served_least = min(load.served for load in loads.values())
        slots = self.problem.pools[pool].slots
        cells: list[tuple[int, int, float, float]] = []  # replicas, step, load below it, load at its start
        if reading.rate is None or not slots or not served_most:
            most = reading.most(pool)
            high = max(1, least) if most is None else min(max(1, least), most)
            cells = [(replicas, 0, served_most, 0.0) for replicas in range(1, high + 1)]
        else:
            full = Load(pool, served_most, service_most)
            numbers = counts(reading, full, asked, least)
            most = reading.most(pool)
            high = numbers[-1].replicas if numbers else most or 0
            for replicas in range(1, high + 1):
                per_step = replicas * slots / (STEPS * reading.rate)
                free = 0
                for step in range(1, FULLEST + 1):
                    if all(waiting(replicas * slots, step, percentile) == 0.0 for percentile in asked):
                        free = step
                for step in range(max(1, free), FULLEST + 1):
                    top, start = step * per_step, (step - 1) * per_step if step > free else 0.0
                    if top * (1 + SLACK) >= served_least and start <= served_most:
                        cells.append((replicas, step, top, start))
        flags = [program.flag() for _ in cells]
        program.branch += flags
        self.sized[pool] = [(flag, cell[0], cell[1]) for flag, cell in zip(flags, cells, strict=True)]
        for stage in largest:
            own = {self.flags[stage][place]: 1.0 for at, place in members if at == stage}
            program.at_most(plus(own, dict.fromkeys(flags, -1.0)), 0.0)
        program.at_most(dict.fromkeys(flags, 1.0), 1.0)
        served: Terms = {flag: load.served for flag, load in loads.items()}
        service: Terms = {flag: load.service for flag, load in loads.items()}
        room = {flag: -cell[2] * (1 + 2 * SLACK) for flag, cell in zip(flags, cells, strict=True)}
        program.at_most(plus(served, room), 0.0)
        ratio = min((load.service / load.served for load in loads.values() if load.served), default=0.0)
        for percentile in asked:
            factors = {
                flag: waiting(cell[0] * slots, cell[1], percentile) if slots and reading.rate is not None else 0.0
                for flag, cell in zip(flags, cells, strict=True)
            }
            if not any(factors.values()):
                continue
            most_wait = max(factors.values()) * service_most

            def hint(at: Mapping[int, float], factors: Mapping[int, float] = factors) -> float:
                return value(service, at) * sum(factor * at[flag] for flag, factor in factors.items())

            wait = program.amount(most_wait, self.unit, hint)
            for flag, factor in factors.items():
                if factor:
                    program.at_most(plus(plus({}, service, factor), {wait: -1.0}), 0.0, when=flag)
            floor = {flag: factors[flag] * cell[3] * ratio for flag, cell in zip(flags, cells, strict=True)}
            program.at_most(plus(floor, {wait: -1.0}), 0.0)
            self.waits[pool, percentile] = {wait: 1.0}

    def devices(self, tier: int) -> tuple[Terms, ...]:
        """Devices that a tier's pools take, and those that its hosts' pools do: the more of both are in use."""
        both = (self._devices(tier, False), self._devices(tier, True))
        return tuple(terms for terms in both if terms)

    def _devices(self, tier: int, host: bool) -> Terms:
        found: Terms = {}
        for pool, terms in self.used.items():
            if self.reading.tier_of[pool] == tier and self.problem.pools[pool].host is host:
                found = plus(found, terms, float(self.problem.pools[pool].devices))
        return {variable: factor for variable, factor in found.items() if factor}
