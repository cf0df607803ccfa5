"""What a choice comes to: its moments, waiting lines, memory, dollars and joules, and each requirement that it breaks.

This is what the words of a goal mean; a search may use any method that agrees with it.

Medians. A stage takes its option's time, an edge between tiers the link's latency and its bytes over the bandwidth.

Percentiles. Each stage's time is multiplied by exp(z sigma) of its option, as if all were slow at once, which a sum of
independent times exceeds less often than the percentile says; the waiting of the moment's pools is added.

Waiting. Runs arrive at random (Poisson) at the goal's rate. A pool of c slots serves them in order. One run keeps a
slot for T seconds in all, in k executions: the mean of T is what loads the pool (of a log-normal it is above the
median). The part of runs that wait is Erlang's C; of those that come once, the mean wait is E[T^2] / 2 E[T] / (c (1 -
load)) (Lee and Longton 1959). Who comes back goes to the end of the line each time, where those who came since are
before it: all its waits together are up to k times that, though no more than twice, which is what a slot takes that all
share. The tail is exponential with that mean, as in heavy traffic. The load is rounded up to the next twentieth, so
that a plan holds for a little more than it was asked and a search has few cases; above 95 % there is no bound.

Links. What passes between two tiers at the goal's rate is spread over pairs of devices, as many as the smaller side
has; the link to an endpoint is one.

Cost. With a rate, all devices are paid around the clock and shared by the runs; without one, as many as are used are
paid while a run takes. Dollars of options and of what passes a link are added. `low` devices of a tier are always paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, expm1, floor, inf, log
from statistics import NormalDist

from .nodes import Move, Take, reached, values
from .problem import Choice, Edge, Link, Option, Pool, Problem, Promise, Stage

STEPS = 20
"""Load is rounded up to so many steps between nothing and all."""

FULLEST = 19
"""The greatest step at which a waiting line has a bound."""

SLACK = 1e-9
"""Relative: sums of the same numbers in another order are equal."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A requirement that does not hold: `left` would have to be at most `right` (`left` infinite: there is no bound).
    For a rate, both are loads."""

    requirement: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a choice. `seconds` are medians of all nodes, on an idle fleet. `reached` is what each promise comes to, by
    its name. `loads` are by pool (of its slots, not rounded), `waits` by pool and percentile. `devices` by tier are
    those paid for. `objective` is what a search minimises: dollars a run with soft misses, seconds, or joules."""

    seconds: tuple[float, ...]
    reached: Mapping[str, float]
    loads: Mapping[str, float]
    waits: Mapping[tuple[str, float], float]
    memory: Mapping[str, float]
    devices: Mapping[str, int]
    traffic: Mapping[tuple[str, str], float]
    dollars: float
    joules: float
    objective: float
    broken: tuple[Broken, ...]

    @property
    def holds(self) -> bool:
        return not self.broken


def evaluate(problem: Problem, choice: Choice, without: Iterable[str] = ()) -> Outcome:
    """What a choice comes to, requirements in `without` left out. ValueError for a choice that has no meaning: a stage
    whose pool has no replica, or stages apart that an option wants together."""
    dropped = frozenset(without)
    taken = {stage.name: stage.options[place] for stage, place in zip(problem.stages, choice.options, strict=True)}
    replicas = {pool.name: count for pool, count in zip(problem.pools, choice.replicas, strict=True)}
    pools = {pool.name: pool for pool in problem.pools}
    _sane(taken, replicas)
    broken: list[Broken] = []

    def refuse(name: str, left: float, right: float) -> None:
        if name and name not in dropped and left > right * (1 + SLACK):
            broken.append(Broken(name, left, right))

    for option in taken.values():
        for name in option.barred:
            refuse(name, 1.0, 0.0)

    memory = {name: _memory(taken.values(), name) for name, count in replicas.items() if count}
    for name, held in memory.items():
        tier = problem.tier(pools[name].tier)
        if not tier.endpoint:
            refuse(tier.held, held, pools[name].devices * tier.memory)

    devices: dict[str, int] = {}
    for tier in problem.tiers:
        used = used_of(problem, tier.name, replicas)
        devices[tier.name] = max(used, tier.low)
        refuse(tier.counted, used, tier.high)

    places = {name: pools[option.pool].tier for name, option in taken.items()}
    crossed = crossing(problem, taken, places)
    traffic: dict[tuple[str, str], float] = {}
    for edge, link in crossed.values():
        pair = (places[edge.source], places[edge.target])
        traffic[pair] = traffic.get(pair, 0.0) + edge.bytes * edge.moves
        if link is None:
            refuse(missing(problem), 1.0, 0.0)
    for pair, moved in traffic.items():
        link = problem.link(*pair)
        if link is not None and problem.rate is not None:
            pairs = min((devices[name] for name in pair if not problem.tier(name).endpoint), default=1)
            refuse(link.carries, moved * problem.rate, link.bandwidth * pairs)

    rated = problem.rate if problem.rate is not None and _name_of(problem, "rate") not in dropped else None
    loads = {name: _load(problem, taken, pools[name], count, rated) for name, count in replicas.items() if count}
    overloaded = [name for name, load in loads.items() if step_of(load) > FULLEST]
    if overloaded:
        worst = max(overloaded, key=lambda name: loads[name])
        refuse(_name_of(problem, "rate") or "rate", loads[worst], FULLEST / STEPS)

    def seconds_at(z: float) -> list[float]:
        def take(leaf: Take) -> float:
            option = taken[leaf.stage]
            return (option.first if leaf.first else option.seconds) * exp(z * option.noise) * leaf.times

        def move(leaf: Move) -> float:
            if leaf.edge not in crossed:
                return 0.0
            edge, link = crossed[leaf.edge]
            return leaf.times * (transfer(edge, link) if link else 0.0)

        return values(problem.nodes, take, move)

    medians = seconds_at(0.0)
    waits: dict[tuple[str, float], float] = {}
    reached_at: dict[str, float] = {}
    paid = sum(tier.dollars.value * devices[tier.name] for tier in problem.tiers)
    extra = sum(stage.executions * taken[stage.name].dollars for stage in problem.stages)
    extra += sum(edge.bytes * edge.moves * link.dollars for edge, link in crossed.values() if link)
    if problem.rate is not None:
        dollars = paid / problem.rate + extra
    else:
        dollars = paid * medians[problem.moment("finish")] + extra
    joules = sum(stage.executions * taken[stage.name].joules for stage in problem.stages)

    for promise in problem.promises:
        value = _value(problem, promise, dollars, joules)
        if value is None:
            top = problem.promised(promise)
            value = seconds_at(z_of(promise.percentile))[top]
            for name in visited(problem, promise.kind, taken) if promise.kind in problem.waits else ():
                wait = _wait(problem, taken, pools[name], replicas[name], loads[name], promise.percentile, rated)
                waits[name, promise.percentile] = wait
                value += wait
        reached_at[promise.name] = value
        if promise.soft is None and promise.kind != "rate":
            refuse(promise.name, value, promise.limit)

    return Outcome(
        seconds=tuple(medians),
        reached=reached_at,
        loads=loads,
        waits=waits,
        memory=memory,
        devices=devices,
        traffic=traffic,
        dollars=dollars,
        joules=joules,
        objective=_objective(problem, medians, dollars, joules, reached_at),
        broken=tuple(broken),
    )


def used_of(problem: Problem, tier: str, replicas: Mapping[str, int]) -> int:
    """Devices of a tier that are in use: those of its pools, or of its hosts' pools where these need more."""
    pools = [pool for pool in problem.pools if pool.tier == tier]
    own, hosts = (sum(replicas[p.name] * p.devices for p in pools if p.host is host) for host in (False, True))
    return max(own, hosts)


def _sane(taken: Mapping[str, Option], replicas: Mapping[str, int]) -> None:
    for name, option in taken.items():
        if replicas[option.pool] < 1:
            raise ValueError(f"stage {name} is in pool {option.pool}, which has no replica")
        for other in option.together:
            if taken[other].pool != option.pool:
                raise ValueError(f"stage {name} wants {other} in its pool")


def _name_of(problem: Problem, kind: str) -> str:
    return next((promise.name for promise in problem.promises if promise.kind == kind), "")


def missing(problem: Problem) -> str:
    """The requirement that is broken where a value would have to pass between tiers without a link."""
    return next((each.name for each in problem.requirements if each.kind == "links"), "links")


def _memory(taken: Iterable[Option], pool: str) -> float:
    largest: dict[str, float] = {}
    for option in taken:
        if option.pool == pool:
            for held in option.held:
                largest[held.key] = max(largest.get(held.key, 0.0), held.bytes)
    return sum(largest.values())


def crossing(
    problem: Problem, taken: Mapping[str, Option], places: Mapping[str, str]
) -> dict[int, tuple[Edge, Link | None]]:
    """Edges whose value leaves its pool, with the link it passes; nothing moves within a pool, and within a tier only
    where a link of the tier with itself is given."""
    found: dict[int, tuple[Edge, Link | None]] = {}
    for number, edge in enumerate(problem.edges):
        left, right = places[edge.source], places[edge.target]
        if taken[edge.source].pool == taken[edge.target].pool:
            continue
        link = problem.link(left, right)
        if left != right or link is not None:
            found[number] = (edge, link)
    return found


def transfer(edge: Edge, link: Link) -> float:
    """Seconds that one transfer takes."""
    return link.latency + edge.bytes / link.bandwidth


def served(problem: Problem, taken: Mapping[str, Option], pool: str) -> float:
    """Seconds that one run keeps a slot of a pool, in the mean."""
    return sum(
        stage.executions * option.mean_busy for stage in problem.stages if (option := taken[stage.name]).pool == pool
    )


def varied(stage: Stage, option: Option) -> float:
    """The variance of the seconds that one run keeps a slot for a stage: executions differ from each other, those of a
    large run from those of a small one, and one run has a whole number of them that may be above another's."""
    rest = stage.executions - floor(stage.executions)
    mean = option.mean_busy
    alike = stage.executions * stage.executions * option.varies
    return mean * mean * (stage.executions * expm1(option.noise * option.noise) + alike + rest * (1.0 - rest))


def service(served: float, variance: float, visits: float) -> float:
    """The seconds that waits are multiples of (`waiting`): E[T^2] / E[T] of what a run keeps a slot for, half of it
    where the run comes but once (see the module)."""
    return (served + variance / served) * min(max(1.0, visits), 2.0) / 2.0 if served else 0.0


def _load(problem: Problem, taken: Mapping[str, Option], pool: Pool, replicas: int, rate: float | None) -> float:
    if rate is None or not pool.slots:
        return 0.0
    return rate * served(problem, taken, pool.name) / (replicas * pool.slots)


def step_of(load: float) -> int:
    """The step that a load is rounded up to; above `FULLEST` there is no bound."""
    return ceil(load * STEPS * (1 - SLACK))


def _wait(
    problem: Problem,
    taken: Mapping[str, Option],
    pool: Pool,
    replicas: int,
    load: float,
    percentile: float,
    rate: float | None,
) -> float:
    if rate is None or not pool.slots:
        return 0.0
    here = [stage for stage in problem.stages if taken[stage.name].pool == pool.name]
    variance = sum(varied(stage, taken[stage.name]) for stage in here)
    visits = sum(stage.executions for stage in here if taken[stage.name].busy)
    kept = service(served(problem, taken, pool.name), variance, visits)
    return kept * waiting(replicas * pool.slots, step_of(load), percentile)


@lru_cache(maxsize=1 << 16)
def waiting(servers: int, step: int, percentile: float) -> float:
    """The percentile of the wait, in twice the services of constant length (multiply by `service`); infinite above the
    fullest step."""
    if step > FULLEST:
        return inf
    load = step / STEPS
    late = 1.0 - percentile / 100.0
    waits = erlang_c(servers, load * servers)
    if waits <= late:
        return 0.0
    return log(waits / late) / (servers * (1.0 - load))


def erlang_c(servers: int, offered: float) -> float:
    """The part of arrivals that wait, M/M/c: by the recurrence of Erlang's B, which has no overflow."""
    if offered <= 0.0:
        return 0.0
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    load = offered / servers
    return blocked / (1.0 - load * (1.0 - blocked))


@lru_cache(maxsize=64)
def z_of(percentile: float) -> float:
    """The quantile of the standard normal distribution; below the median, zero: a promise is never read as more."""
    return max(0.0, NormalDist().inv_cdf(percentile / 100.0))


def visited(problem: Problem, kind: str, taken: Mapping[str, Option]) -> tuple[str, ...]:
    """The pools whose waiting lines count for a moment: of all stages that it is made of."""
    found: dict[str, None] = {}
    for index in reached(problem.nodes, problem.moment(kind)):
        node = problem.nodes[index]
        if isinstance(node, Take):
            found[taken[node.stage].pool] = None
    return tuple(found)


def _value(problem: Problem, promise: Promise, dollars: float, joules: float) -> float | None:
    """What a promise comes to that is not a moment."""
    match promise.kind:
        case "cost":
            return dollars
        case "energy":
            return joules
        case "rate":
            return problem.rate or 0.0
        case _:
            return None


def _objective(
    problem: Problem, medians: list[float], dollars: float, joules: float, reached_at: Mapping[str, float]
) -> float:
    slack = sum(
        promise.soft * max(0.0, reached_at[promise.name] - promise.limit)
        for promise in problem.promises
        if promise.soft is not None
    )
    match problem.objective:
        case "fastest":
            return medians[problem.moment("finish")] + slack
        case "greenest":
            return joules + slack
        case _:
            return dollars + slack
