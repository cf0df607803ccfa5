"""Proofs that nothing holds, in milliseconds: options that no choice can take are struck out until a stage has none.

An option is struck out where it breaks a requirement whatever the other stages do: it is barred, does not fit alone,
its own load takes more devices than there are, a promise is above its limit with every other stage at its least, or
what it exchanges with another stage has no link to any of that stage's options that are left. Each of these is a bound,
so what is refused here has no plan; what is not may have none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, exp

from ..space.evaluate import FULLEST, SLACK, STEPS, missing, z_of
from ..space.nodes import Index, Take, reached, values
from ..space.problem import Option, Pool, Problem, Promise, Stage, Tier

_ROUNDS = 4
_MORE = 1.0 + 2 * SLACK


def refused(problem: Problem, without: Iterable[str] = ()) -> bool:
    """Whether it is certain that nothing holds, requirements in `without` left out."""
    struck = _struck(problem, without)
    return struck.empty or struck.crowded()


def left(problem: Problem, without: Iterable[str] = ()) -> tuple[tuple[int, ...], ...]:
    """For each stage the places of the options that are not struck out."""
    struck = _struck(problem, without)
    found: list[tuple[int, ...]] = []
    for stage in problem.stages:
        kept = {id(option) for option in struck.left[stage.name]}
        found.append(tuple(place for place, option in enumerate(stage.options) if id(option) in kept))
    return tuple(found)


def _struck(problem: Problem, without: Iterable[str]) -> _Struck:
    struck = _Struck(problem, frozenset(without))
    before = -1
    for _ in range(_ROUNDS):
        if struck.empty or struck.size == before:
            break
        before = struck.size
        struck.strike()
    return struck


class _Struck:
    """Options that are left of each stage, by their places."""

    def __init__(self, problem: Problem, dropped: frozenset[str]) -> None:
        self.problem, self.dropped = problem, dropped
        self.pools: dict[str, Pool] = {pool.name: pool for pool in problem.pools}
        self.tiers: dict[str, Tier] = {tier.name: tier for tier in problem.tiers}
        self.stages: dict[str, Stage] = {stage.name: stage for stage in problem.stages}
        rates = [each.name for each in problem.promises if each.kind == "rate"]
        held = problem.rate is not None and not (rates and rates[0] in dropped)
        self.rate = problem.rate if held else None
        self.linked = {frozenset((link.left, link.right)) for link in problem.links}
        self.must_link = missing(problem) not in dropped
        self.neighbours: dict[str, list[str]] = {name: [] for name in self.stages}
        for edge in problem.edges:
            self.neighbours[edge.source].append(edge.target)
            self.neighbours[edge.target].append(edge.source)
        self.left = {
            stage.name: [option for option in stage.options if self._alone(stage, option)] for stage in problem.stages
        }

    @property
    def size(self) -> int:
        return sum(map(len, self.left.values()))

    @property
    def empty(self) -> bool:
        """Whether some stage has no option left."""
        return any(not left for left in self.left.values())

    def need(self, stage: Stage, option: Option) -> float:
        """Devices that a stage keeps busy by itself, at the fullest load that has a bound."""
        pool = self.pools[option.pool]
        if self.rate is None or not pool.slots:
            return 0.0
        return self.rate * stage.executions * option.busy / (pool.slots * FULLEST / STEPS) * pool.devices

    def _alone(self, stage: Stage, option: Option) -> bool:
        if any(name not in self.dropped for name in option.barred):
            return False
        pool = self.pools[option.pool]
        tier = self.tiers[pool.tier]
        if tier.endpoint:
            return True
        if tier.held and tier.held not in self.dropped:
            largest: dict[str, float] = {}
            for held in option.held:
                largest[held.key] = max(largest.get(held.key, 0.0), held.bytes)
            if sum(largest.values()) > pool.devices * tier.memory * _MORE:
                return False
        if tier.counted and tier.counted not in self.dropped:
            replicas = max(1, ceil(self.need(stage, option) / max(1, pool.devices) * (1 - 1e-6)))
            return replicas * pool.devices <= tier.high
        return True

    def strike(self) -> None:
        """One round."""
        for promise in self.problem.promises:
            if promise.soft is None and promise.name not in self.dropped and promise.kind not in ("rate", "cost"):
                self._late(promise)
                if self.empty:
                    return
        for name, options in self.left.items():
            self.left[name] = [option for option in options if self._meets(name, option)]

    def _meets(self, name: str, option: Option) -> bool:
        """Whether the stages that an option has to do with have options that go with it."""
        for other in option.together:
            if all(theirs.pool != option.pool for theirs in self.left[other]):
                return False
        if not self.must_link:
            return True
        tier = self.pools[option.pool].tier
        for other in self.neighbours[name]:
            places = {self.pools[theirs.pool].tier for theirs in self.left[other]}
            if tier not in places and all(frozenset((tier, place)) not in self.linked for place in places):
                return False
        return True

    def _late(self, promise: Promise) -> None:
        """Strike out what is above a promise with all others at their least."""
        if promise.kind == "energy":
            least = {
                name: min(option.joules for option in options) * self.stages[name].executions
                for name, options in self.left.items()
            }
            whole = sum(least.values())
            for name, options in self.left.items():
                rest, times = whole - least[name], self.stages[name].executions
                self.left[name] = [o for o in options if rest + times * o.joules <= promise.limit * _MORE]
            return
        z, top = z_of(promise.percentile), self.problem.moment(promise.kind)
        least_of = {
            name: (min(o.seconds * exp(z * o.noise) for o in options), min(o.first * exp(z * o.noise) for o in options))
            for name, options in self.left.items()
        }
        for name in self._stages_of(top):
            kept: dict[tuple[float, float], bool] = {}

            def fits(option: Option, name: str = name, kept: dict[tuple[float, float], bool] = kept) -> bool:
                ours = (option.seconds * exp(z * option.noise), option.first * exp(z * option.noise))
                if ours not in kept:
                    kept[ours] = self._value(top, least_of | {name: ours}) <= promise.limit * _MORE
                return kept[ours]

            self.left[name] = [option for option in self.left[name] if fits(option)]

    def _value(self, top: Index, seconds: dict[str, tuple[float, float]]) -> float:
        nodes = self.problem.nodes[: top + 1]
        return values(nodes, lambda leaf: seconds[leaf.stage][leaf.first] * leaf.times, lambda _: 0.0)[top]

    def _stages_of(self, top: Index) -> dict[str, None]:
        nodes = self.problem.nodes
        return dict.fromkeys(node.stage for at in reached(nodes, top) if isinstance(node := nodes[at], Take))

    def crowded(self) -> bool:
        """Whether the stages that can only be on one tier take more devices than it has."""
        for tier in self.problem.tiers:
            if tier.endpoint or not tier.counted or tier.counted in self.dropped:
                continue
            for host in (False, True):
                needs = 0.0
                for name, options in self.left.items():
                    pools = [self.pools[option.pool] for option in options]
                    if all(pool.tier == tier.name and pool.host is host for pool in pools):
                        needs += min(self.need(self.stages[name], option) for option in options)
                if needs > tier.high * (1 + 1e-6):
                    return True
        return False
