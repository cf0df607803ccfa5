"""A problem made ready for a search: what was left out is gone, what is asked often is looked up once.

`Reading.fixed` says of one combination of options everything that does not depend on replicas, in the arithmetic of
`evaluate`; what remains is a small problem in the number of replicas alone (`replicas`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp

from ..space.evaluate import FULLEST, SLACK, STEPS, missing, service, step_of, transfer, varied, waiting, z_of
from ..space.nodes import Move, Take, reached, values
from ..space.problem import Edge, Link, Option, Problem, Promise, Stage, Tier

MONEY, POWER, RATE = "cost", "energy", "rate"


@dataclass(frozen=True, slots=True)
class Moment:
    """A promise about a moment: its node, the z of its percentile, and whether (and with which stages' pools) waiting
    counts. `limit` is None where it need not hold; `price` is that of a miss, 0 for none."""

    promise: Promise
    node: int
    z: float
    waits: bool
    stages: frozenset[int]
    limit: float | None
    price: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a pool in use is kept busy with: `served` seconds of a slot by each run, with their `variance`, in so many
    `visits`."""

    pool: int
    served: float
    variance: float = 0.0
    visits: float = 0.0

    @property
    def service(self) -> float:
        """The seconds that waits are multiples of."""
        return service(self.served, self.variance, self.visits)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A combination of options that could hold. `at` are the seconds of each of `Reading.moments` without waiting,
    `visited` the places in `loads` whose waiting counts for it. `pairs` are tier, tier and how many pairs of devices
    the traffic between them needs. `extra` is dollars a run beside machines, `finish` the median of the whole run.
    `faults` is above 0 where no replicas make it hold: by how much, relative to each limit."""

    options: tuple[int, ...]
    loads: tuple[Load, ...]
    at: tuple[float, ...]
    visited: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[tuple[int, ...], int], ...]
    extra: float
    joules: float
    finish: float
    faults: float = 0.0


class Reading:
    """See the module. `allowed` are the options of each stage that are not struck out, by their place."""

    def __init__(self, problem: Problem, without: Iterable[str] = ()) -> None:
        self.problem = problem
        self.dropped = frozenset(without)
        self.stage_at = {stage.name: number for number, stage in enumerate(problem.stages)}
        self.pool_at = {pool.name: number for number, pool in enumerate(problem.pools)}
        self.tier_at = {tier.name: number for number, tier in enumerate(problem.tiers)}
        self.tier_of = tuple(self.tier_at[pool.tier] for pool in problem.pools)
        self.links: dict[tuple[int, int], Link] = {}
        for link in reversed(problem.links):  # the first of several counts
            for left, right in ((link.left, link.right), (link.right, link.left)):
                if left in self.tier_at and right in self.tier_at:
                    self.links[self.tier_at[left], self.tier_at[right]] = link
        self.linked = self.binding(missing(problem))
        rated = next((each.name for each in problem.promises if each.kind == RATE), "")
        self.rate = problem.rate if rated not in self.dropped else None
        self.moments = tuple(self._moments())
        self.capped = self._limit(MONEY)
        self.powered = self._limit(POWER)
        self.allowed = tuple(
            tuple(place for place, option in enumerate(stage.options) if self._possible(option))
            for stage in problem.stages
        )

    def binding(self, name: str) -> bool:
        """Whether a requirement of this name has to hold."""
        return bool(name) and name not in self.dropped

    def holds(self, left: float, right: float) -> bool:
        return left <= right * (1 + SLACK)

    def tier(self, pool: int) -> Tier:
        return self.problem.tiers[self.tier_of[pool]]

    def option(self, stage: int, place: int) -> Option:
        return self.problem.stages[stage].options[place]

    def pool_of(self, stage: int, place: int) -> int:
        return self.pool_at[self.option(stage, place).pool]

    def face(self, options: Sequence[int]) -> tuple[int, ...]:
        """What tells choices apart for people: the options of stages that take devices. Which host does the small work
        beside them does not."""
        pools = [self.problem.pools[self.pool_of(stage, place)] for stage, place in enumerate(options)]
        return tuple(-1 if pool.host else place for pool, place in zip(pools, options, strict=True))

    def room(self, pool: int) -> float | None:
        """Bytes of a replica, None where there is no bound."""
        tier = self.tier(pool)
        if tier.endpoint or not self.binding(tier.held):
            return None
        return self.problem.pools[pool].devices * tier.memory

    def most(self, pool: int) -> int | None:
        """Replicas for which there are devices, None where there is no bound."""
        tier, devices = self.tier(pool), self.problem.pools[pool].devices
        return tier.high // devices if devices and self.binding(tier.counted) else None

    @cached_property
    def soft_money(self) -> tuple[Promise, ...]:
        return tuple(each for each in self.problem.promises if each.kind == MONEY and each.soft is not None)

    @cached_property
    def soft_power(self) -> tuple[Promise, ...]:
        return tuple(each for each in self.problem.promises if each.kind == POWER and each.soft is not None)

    def _limit(self, kind: str) -> float | None:
        limits = [
            each.limit
            for each in self.problem.promises
            if each.kind == kind and each.soft is None and self.binding(each.name)
        ]
        return min(limits, default=None)

    def _moments(self) -> Iterable[Moment]:
        for promise in self.problem.promises:
            hard = promise.soft is None and self.binding(promise.name)
            if promise.kind in (MONEY, POWER, RATE) or not (hard or promise.soft):
                continue
            node = self.problem.promised(promise)
            stages = frozenset(
                self.stage_at[leaf.stage]
                for index in reached(self.problem.nodes, node)
                if isinstance(leaf := self.problem.nodes[index], Take)
            )
            waits = promise.kind in self.problem.waits and self.rate is not None
            limit = promise.limit if hard else None
            yield Moment(promise, node, z_of(promise.percentile), waits, stages, limit, promise.soft or 0.0)

    def _possible(self, option: Option) -> bool:
        if any(self.binding(name) for name in option.barred):
            return False
        pool = self.pool_at[option.pool]
        room, most = self.room(pool), self.most(pool)
        if most is not None and most < 1:
            return False
        return room is None or self.holds(held_bytes((option,)), room)

    # What a combination comes to.

    def fixed(self, options: Sequence[int], lenient: bool = False) -> Fixed | None:
        """Everything that does not depend on replicas; None where no number of them helps, unless `lenient`."""
        problem = self.problem
        taken = [stage.options[place] for stage, place in zip(problem.stages, options, strict=True)]
        pools = [self.pool_at[option.pool] for option in taken]
        faults = 0.0
        for option, pool in zip(taken, pools, strict=True):
            faults += sum(1.0 for other in option.together if pools[self.stage_at[other]] != pool)
        members: dict[int, list[int]] = {}
        for stage, pool in enumerate(pools):
            members.setdefault(pool, []).append(stage)
        for pool, stages in members.items():
            faults += self._over(held_bytes(taken[stage] for stage in stages), self.room(pool))
        crossing, unlinked = self._crossing(pools)
        faults += unlinked
        if faults and not lenient:
            return None
        at = self._seconds(taken, crossing)
        finish = 0.0
        if problem.rate is None or problem.objective == "fastest":
            finish = self._values(taken, crossing, 0.0)[problem.moment("finish")]
        faults += sum(self._over(value, moment.limit) for moment, value in zip(self.moments, at, strict=True))
        joules = sum(stage.executions * option.joules for stage, option in zip(problem.stages, taken, strict=True))
        faults += self._over(joules, self.powered)
        if faults and not lenient:
            return None
        extra = sum(stage.executions * option.dollars for stage, option in zip(problem.stages, taken, strict=True))
        extra += sum(edge.bytes * edge.moves * link.dollars for edge, link in crossing.values() if link)
        used = sorted(members)
        loads = tuple(self._load(pool, members[pool], taken) for pool in used)
        visited = tuple(
            tuple(place for place, pool in enumerate(used) if moment.stages.intersection(members[pool]))
            if moment.waits
            else ()
            for moment in self.moments
        )
        pairs = self._pairs(pools, crossing)
        return Fixed(tuple(options), loads, at, visited, pairs, extra, joules, finish, faults)

    def _over(self, left: float, right: float | None) -> float:
        """By which part of it a limit is missed."""
        if right is None or self.holds(left, right):
            return 0.0
        return min(100.0, left / right - 1.0) if right > 0.0 else 100.0

    def _crossing(self, pools: Sequence[int]) -> tuple[dict[int, tuple[Edge, Link | None]], int]:
        """The edges that something passes, and how many of them have no link and need one."""
        found: dict[int, tuple[Edge, Link | None]] = {}
        unlinked = 0
        for number, (edge, source, target) in enumerate(self._edges):
            left, right = pools[source], pools[target]
            if left == right:
                continue
            tiers = self.tier_of[left], self.tier_of[right]
            link = self.links.get(tiers)
            unlinked += link is None and tiers[0] != tiers[1] and self.linked
            if link is not None or tiers[0] != tiers[1]:
                found[number] = (edge, link)
        return found, unlinked

    @cached_property
    def _edges(self) -> tuple[tuple[Edge, int, int], ...]:
        at = self.stage_at
        return tuple((edge, at[edge.source], at[edge.target]) for edge in self.problem.edges)

    def _seconds(self, taken: Sequence[Option], crossing: dict[int, tuple[Edge, Link | None]]) -> tuple[float, ...]:
        by_z = {z: self._values(taken, crossing, z) for z in {moment.z for moment in self.moments}}
        return tuple(by_z[moment.z][moment.node] for moment in self.moments)

    def _values(self, taken: Sequence[Option], crossing: dict[int, tuple[Edge, Link | None]], z: float) -> list[float]:
        at = self.stage_at

        def take(leaf: Take) -> float:
            option = taken[at[leaf.stage]]
            seconds = option.first if leaf.first else option.time.value
            return (seconds * exp(z * option.noise) if z else seconds) * leaf.times

        def move(leaf: Move) -> float:
            edge, link = crossing.get(leaf.edge, (None, None))
            return leaf.times * transfer(edge, link) if edge is not None and link is not None else 0.0

        return values(self.problem.nodes, take, move)

    def _load(self, pool: int, stages: Sequence[int], taken: Sequence[Option]) -> Load:
        return joined(pool, [load_of(pool, self.problem.stages[stage], taken[stage]) for stage in stages])

    def _pairs(
        self, pools: Sequence[int], crossing: dict[int, tuple[Edge, Link | None]]
    ) -> tuple[tuple[tuple[int, ...], int], ...]:
        if self.problem.rate is None:
            return ()
        moved: dict[tuple[int, int], float] = {}
        for number, (edge, _) in crossing.items():
            _, source, target = self._edges[number]
            pair = self.tier_of[pools[source]], self.tier_of[pools[target]]
            moved[pair] = moved.get(pair, 0.0) + edge.bytes * edge.moves
        found: list[tuple[tuple[int, ...], int]] = []
        for pair, size in moved.items():
            link = self.links.get(pair)
            if link is not None and self.binding(link.carries):
                needed = self.pairs_for(size, link)
                if needed > 1:
                    ends = tuple(tier for tier in dict.fromkeys(pair) if not self.problem.tiers[tier].endpoint)
                    found.append((ends, needed))
        return tuple(found)

    def pairs_for(self, moved: float, link: Link) -> int:
        """Pairs of devices that a link needs for so many bytes a run."""
        if self.problem.rate is None:
            return 1
        return max(1, ceil(moved * self.problem.rate / (link.bandwidth * (1 + SLACK))))

    # What replicas come to.

    def least(self, load: Load) -> int:
        """The fewest replicas that carry a load."""
        pool = self.problem.pools[load.pool]
        if self.rate is None or not pool.slots:
            return 1
        count = max(1, ceil(self.rate * load.served * STEPS / (pool.slots * FULLEST) * (1 - 1e-6)))
        while self.step(load, count) > FULLEST:
            count += 1
        return count

    def step(self, load: Load, replicas: int) -> int:
        pool = self.problem.pools[load.pool]
        if self.rate is None or not pool.slots:
            return 0
        return step_of(self.rate * load.served / (replicas * pool.slots))

    def wait(self, load: Load, replicas: int, percentile: float) -> float:
        slots = self.problem.pools[load.pool].slots
        if self.rate is None or not slots:
            return 0.0
        return load.service * waiting(replicas * slots, self.step(load, replicas), percentile)


def load_of(pool: int, stage: Stage, option: Option) -> Load:
    """What one stage brings to its pool."""
    if not option.busy:
        return Load(pool, 0.0)
    return Load(pool, stage.executions * option.mean_busy, varied(stage, option), stage.executions)


def joined(pool: int, loads: Sequence[Load]) -> Load:
    """What several stages bring to a pool."""
    return Load(
        pool,
        sum(load.served for load in loads),
        sum(load.variance for load in loads),
        sum(load.visits for load in loads),
    )


def held_bytes(options: Iterable[Option]) -> float:
    """What a replica with these options holds."""
    largest: dict[str, float] = {}
    for option in options:
        for held in option.held:
            largest[held.key] = max(largest.get(held.key, 0.0), held.bytes)
    return sum(largest.values())
