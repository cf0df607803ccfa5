"""Replicas: loads, devices and waits of pools.

A pool that few stages can use has a flag for each content and number of replicas. One that many share has a flag for
each number of replicas and step of load, and one for how often a run comes to it; its load and the variance of it are
sums. Its wait is then a little too short, never too long: the variance is divided by the most that the step allows, and
the number of executions is rounded down. What is refused for it by `evaluate` is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, inf, prod

from ...space.evaluate import FULLEST, SLACK, STEPS, waiting
from ..linear import CONSTANT, Terms, plus, value
from ..reading import Load, Reading, joined, load_of
from ..replicas import counts
from .edges import Edges
from .seconds import FINE

FEW = 30
"""Contents of a pool that are looked at one by one; with more, its load is a sum."""

VISITS = (1.0, 1.24, 1.49, 1.74, 1.99)
"""Executions of a run in a pool at which more of its work counts: a little below those that there are."""

Cell = tuple[int, int, float, float]
"""Replicas, step, the load below it and the load at its start, in seconds of a run."""


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
        return load_of(pool, self.problem.stages[stage], self.reading.option(stage, place))

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
            load = joined(pool, [self._load(pool, *one) for one in inside])
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
            largest[stage] = Load(
                pool,
                max(known.served, load.served),
                max(known.variance, load.variance),
                max(known.visits, load.visits),
            )
        full = joined(pool, list(largest.values()))
        cells = self._cells(full, min(load.served for load in loads.values()), asked, least)
        flags = [program.flag() for _ in cells]
        program.branch += flags
        self.sized[pool] = [(flag, cell[0], cell[1]) for flag, cell in zip(flags, cells, strict=True)]
        for stage in largest:
            own = {self.flags[stage][place]: 1.0 for at, place in members if at == stage}
            program.at_most(plus(own, dict.fromkeys(flags, -1.0)), 0.0)
        program.at_most(dict.fromkeys(flags, 1.0), 1.0)
        served: Terms = {flag: load.served for flag, load in loads.items()}
        room = {flag: -cell[2] * (1 + 2 * SLACK) for flag, cell in zip(flags, cells, strict=True)}
        program.at_most(plus(served, room), 0.0)
        slots = self.problem.pools[pool].slots
        if reading.rate is None or not slots or not full.served:
            return
        steps = dict(zip(flags, cells, strict=True))
        factors = {
            percentile: {flag: waiting(cell[0] * slots, cell[1], percentile) for flag, cell in steps.items()}
            for percentile in asked
        }
        if not any(any(each.values()) for each in factors.values()):
            return
        often = self._often(loads, full.visits)
        seconds = self._counted({flag: load.served for flag, load in loads.items()}, full.served, often)
        squares = self._counted({flag: load.variance for flag, load in loads.items()}, full.variance, often)
        most = full.served + max(load.variance / load.served for load in loads.values() if load.served)
        for percentile in asked:
            self._waits_of(pool, percentile, factors[percentile], steps, seconds, squares, most)

    def _cells(self, full: Load, served_least: float, asked: tuple[float, ...], least: int) -> list[Cell]:
        """Of a pool whose loads are between `served_least` and `full`; steps at which nobody waits are one."""
        reading, slots, most = self.reading, self.problem.pools[full.pool].slots, self.reading.most(full.pool)
        if reading.rate is None or not slots or not full.served:
            high = max(1, least) if most is None else min(max(1, least), most)
            return [(replicas, 0, full.served, 0.0) for replicas in range(1, high + 1)]
        cells: list[Cell] = []
        numbers = counts(reading, full, asked, least)
        high = numbers[-1].replicas if numbers else most or 0
        for replicas in range(1, high + 1):
            per_step = replicas * slots / (STEPS * reading.rate)
            free = 0
            for step in range(1, FULLEST + 1):
                if all(waiting(replicas * slots, step, percentile) == 0.0 for percentile in asked):
                    free = step
            for step in range(max(1, free), FULLEST + 1):
                top, start = step * per_step, (step - 1) * per_step if step > free else 0.0
                if top * (1 + SLACK) >= served_least and start <= full.served:
                    cells.append((replicas, step, top, start))
        return cells

    def _often(self, loads: Mapping[int, Load], most: float) -> dict[int, float]:
        """Flags of which one is 1: how often a run comes to a pool, with the part of its work that counts then (of
        `service`), a little too small."""
        visits: Terms = {flag: load.visits for flag, load in loads.items() if load.visits}
        bounds = [bound for bound in VISITS if bound == VISITS[0] or bound < most]
        found: dict[int, float] = {}
        for number, bound in enumerate(bounds):
            last = number + 1 == len(bounds)

            def here(
                at: Mapping[int, float], low: float = bound, high: float = inf if last else bounds[number + 1]
            ) -> float:
                count = value(visits, at)
                return float((low < count or low == bounds[0]) and count <= high)

            flag = self.program.count(1, here)
            found[flag] = bound / 2.0
            if not last:
                self.program.at_most(visits, bounds[number + 1], when=flag)
        self.program.one_of(found, {CONSTANT: 1.0})
        return found

    def _counted(self, terms: Terms, most: float, often: Mapping[int, float]) -> Terms:
        """A sum of flags, times what the flag that is 1 says."""
        terms = {flag: factor for flag, factor in terms.items() if factor}
        if not terms:
            return {}
        if len(often) == 1:
            return plus({}, terms, *often.values())

        def hint(at: Mapping[int, float]) -> float:
            return value(terms, at) * sum(part * at[flag] for flag, part in often.items())

        found = self.program.amount(most, most * FINE, hint)
        for flag, part in often.items():
            self.program.at_most(plus(plus({}, terms, part), {found: -1.0}), 0.0, when=flag)
        self.program.at_most(plus(plus({}, terms, min(often.values())), {found: -1.0}), 0.0)
        return {found: 1.0}

    def _waits_of(
        self,
        pool: int,
        percentile: float,
        factors: Mapping[int, float],
        steps: Mapping[int, Cell],
        seconds: Terms,
        squares: Terms,
        most: float,
    ) -> None:
        if not any(factors.values()):
            return

        def service(step: Cell) -> Terms:
            return plus(seconds, squares, 1.0 / (step[2] * (1 + 2 * SLACK)))

        def hint(at: Mapping[int, float]) -> float:
            return sum(factors[flag] * value(service(step), at) * at[flag] for flag, step in steps.items())

        wait = self.program.amount(max(factors.values()) * most, self.unit, hint)
        for flag, factor in factors.items():
            if factor:
                self.program.at_most(plus(plus({}, service(steps[flag]), factor), {wait: -1.0}), 0.0, when=flag)
        # Half of what a step begins at is waited for, whatever is in the pool.
        floor = {flag: factors[flag] * step[3] * 0.5 for flag, step in steps.items()}
        self.program.at_most(plus(floor, {wait: -1.0}), 0.0)
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
