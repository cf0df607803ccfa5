"""Good choices quickly, without a solver: where an exact search starts, and what is given out when time is short.

It starts from the best of some simple choices (each stage's quickest option, its cheapest, everything on one tier) and
improves one stage at a time, then whole pools. What does not hold is compared by how far it is from holding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, exp, inf
from random import Random

from ..space.problem import Choice
from .clock import Clock, wall
from .reading import Fixed, Load, Reading

Score = tuple[float, float, float]
"""By how much it misses, its objective, and dollars: the least is the best."""

NEVER: Score = (inf, inf, inf)


@dataclass(frozen=True, slots=True)
class Trial:
    options: tuple[int, ...]
    replicas: tuple[int, ...]
    score: Score

    @property
    def choice(self) -> Choice:
        return Choice(self.options, self.replicas)


def trial(reading: Reading, options: tuple[int, ...], above: Score = NEVER) -> Trial:
    """A combination with replicas that are added one by one, where waits miss a limit, to the pool that gains most for
    its price. Cut short where it is worse than `above` for sure."""
    if above[0] == 0.0 and reading.problem.objective == "cheapest" and _floor(reading, options) >= above[1]:
        return Trial(options, (), NEVER)
    fixed = reading.fixed(options, lenient=True)
    if fixed is None or fixed.faults > above[0]:
        return Trial(options, (), NEVER)
    counts = _replicas(reading, fixed)
    problem = reading.problem
    replicas = [0] * len(problem.pools)
    own, hosts = [0] * len(problem.tiers), [0] * len(problem.tiers)
    for load, count in zip(fixed.loads, counts, strict=True):
        replicas[load.pool] = count
        pool = problem.pools[load.pool]
        (hosts if pool.host else own)[reading.tier_of[load.pool]] += count * pool.devices
    used = [max(both) for both in zip(own, hosts, strict=True)]
    faults, slack = fixed.faults, 0.0
    for tier, of in enumerate(problem.tiers):
        if used[tier] > of.high and reading.binding(of.counted):
            faults += used[tier] / max(1, of.high) - 1.0 + 0.1
    for ends, pairs in fixed.pairs:
        least = min((max(used[tier], problem.tiers[tier].low) for tier in ends), default=1)
        faults += max(0.0, pairs / max(1, least) - 1.0)
    for number, moment in enumerate(reading.moments):
        value = fixed.at[number] + sum(
            reading.wait(fixed.loads[place], counts[place], moment.promise.percentile)
            for place in fixed.visited[number]
        )
        if moment.limit is not None and not reading.holds(value, moment.limit):
            faults += max(0.0, min(100.0, (value - max(moment.limit, fixed.at[number])) / max(moment.limit, 1e-12)))
        if moment.price:
            slack += moment.price * max(0.0, value - moment.promise.limit)
    paid = sum(of.dollars.value * max(used[tier], of.low) for tier, of in enumerate(problem.tiers))
    dollars = (paid / problem.rate if problem.rate is not None else paid * fixed.finish) + fixed.extra
    if reading.capped is not None and not reading.holds(dollars, reading.capped):
        faults += min(100.0, dollars / max(reading.capped, 1e-12) - 1.0)
    slack += sum((each.soft or 0.0) * max(0.0, dollars - each.limit) for each in reading.soft_money)
    slack += sum((each.soft or 0.0) * max(0.0, fixed.joules - each.limit) for each in reading.soft_power)
    value = {"fastest": fixed.finish, "greenest": fixed.joules}.get(problem.objective, dollars)
    return Trial(options, tuple(replicas), (faults, value + slack, dollars))


def _floor(reading: Reading, options: tuple[int, ...]) -> float:
    """Dollars that a combination takes at least: the devices that carry its load, where that is paid by the hour."""
    problem = reading.problem
    if problem.rate is None:
        return 0.0
    served: dict[int, float] = {}
    extra = 0.0
    for stage, place in zip(problem.stages, options, strict=True):
        option = stage.options[place]
        pool = reading.pool_at[option.pool]
        served[pool] = served.get(pool, 0.0) + stage.executions * option.mean_busy
        extra += stage.executions * option.dollars
    own, hosts = [0] * len(problem.tiers), [0] * len(problem.tiers)
    for pool, busy in served.items():
        devices = reading.least(Load(pool, busy)) * problem.pools[pool].devices
        (hosts if problem.pools[pool].host else own)[reading.tier_of[pool]] += devices
    paid = sum(
        tier.dollars.value * max(count, host, tier.low)
        for tier, count, host in zip(problem.tiers, own, hosts, strict=True)
    )
    return paid / problem.rate + extra


def _replicas(reading: Reading, fixed: Fixed) -> list[int]:
    problem = reading.problem
    counts = [reading.least(load) for load in fixed.loads]
    for ends, pairs in fixed.pairs:
        for tier in ends:
            own = [place for place, load in enumerate(fixed.loads) if reading.tier_of[load.pool] == tier]
            devices = [problem.pools[fixed.loads[place].pool].devices for place in own]
            have = sum(counts[place] * size for place, size in zip(own, devices, strict=True))
            if own and have < pairs and devices[0]:
                counts[own[0]] += ceil((pairs - have) / devices[0])
    free = [reading.most(load.pool) for load in fixed.loads]
    for number, moment in enumerate(reading.moments):
        if moment.limit is None or not fixed.visited[number]:
            continue
        percentile = moment.promise.percentile
        waits = {p: reading.wait(fixed.loads[p], counts[p], percentile) for p in fixed.visited[number]}
        while not reading.holds(fixed.at[number] + sum(waits.values()), moment.limit):
            gains: list[tuple[float, int, float]] = []
            for place, wait in waits.items():
                most = free[place]
                if wait > 0.0 and (most is None or counts[place] < most):
                    pool = fixed.loads[place].pool
                    after = reading.wait(fixed.loads[place], counts[place] + 1, percentile)
                    price = reading.tier(pool).dollars.value * problem.pools[pool].devices
                    gains.append(((wait - after) / (price + 1e-12), -place, after))
            if not gains:
                break
            _, place, after = max(gains)
            counts[-place] += 1
            waits[-place] = after
    return counts


def starts(reading: Reading) -> Iterator[tuple[int, ...]]:
    """Simple combinations: quickest, cheapest, and one for each tier."""
    yield tuple(min(allowed, key=lambda place: _time(reading, stage, place)) for stage, allowed in _allowed(reading))
    yield tuple(min(allowed, key=lambda place: price_of(reading, stage, place)) for stage, allowed in _allowed(reading))
    for tier in range(len(reading.problem.tiers)):
        for key in (price_of, _time):
            yield tuple(
                min(
                    allowed,
                    key=lambda place: (
                        reading.tier_of[reading.pool_of(stage, place)] != tier,
                        key(reading, stage, place),
                    ),
                )
                for stage, allowed in _allowed(reading)
            )


def _allowed(reading: Reading) -> Iterator[tuple[int, tuple[int, ...]]]:
    yield from enumerate(reading.allowed)


def _time(reading: Reading, stage: int, place: int) -> float:
    option = reading.option(stage, place)
    return option.seconds * exp(2.0 * option.noise)


def price_of(reading: Reading, stage: int, place: int) -> float:
    """What a run pays for a stage if its pool is always full."""
    option, pool = reading.option(stage, place), reading.pool_of(stage, place)
    of = reading.problem.pools[pool]
    return reading.tier(pool).dollars.value * of.devices * option.mean_busy / max(1, of.slots) + option.dollars


def improved(
    reading: Reading,
    seed: int,
    until: float,
    stop_at_first: bool = False,
    patient: bool = False,
    clock: Clock = wall,
) -> Trial | None:
    """The best combination that it comes to before `until` (of the clock), where no single change is better; where
    `patient`, it goes on until then. None for stages without options."""
    if not all(reading.allowed):
        return None
    rng = Random(seed)
    best: Trial | None = None
    for options in dict.fromkeys(starts(reading)):
        found = trial(reading, options)
        if best is None or found.score < best.score:
            best = found
        if clock(len(reading.allowed)) > until:
            break
    if best is None:
        return None
    best = _descended(reading, best, rng, until, stop_at_first, clock)
    while clock(len(reading.allowed)) < until and patient and not (stop_at_first and best.score[0] == 0.0):
        # From somewhere near the best, down again.
        stages = rng.sample(range(len(reading.allowed)), min(len(reading.allowed), rng.randint(2, 5)))
        changed = {stage: rng.choice(reading.allowed[stage]) for stage in stages}
        started = trial(reading, _with(reading, best.options, changed))
        found = _descended(reading, started, rng, until, stop_at_first, clock)
        if found.score < best.score:
            best = found
    return best


def _descended(reading: Reading, best: Trial, rng: Random, until: float, stop_at_first: bool, clock: Clock) -> Trial:
    better = True
    while better and clock() < until:
        better = False
        for changed in _moves(reading, best.options, rng):
            if clock(len(reading.allowed)) > until or (stop_at_first and best.score[0] == 0.0):
                break
            options = _with(reading, best.options, changed)
            if options == best.options:
                continue
            found = trial(reading, options, best.score)
            if found.score < best.score:
                best, better = found, True
    return best


def _moves(reading: Reading, options: tuple[int, ...], rng: Random) -> Iterator[dict[int, int]]:
    """Other options for some stages: each stage elsewhere, then all stages of a pool in another."""
    stages = list(range(len(reading.allowed)))
    rng.shuffle(stages)
    for stage in stages:
        for place in reading.allowed[stage]:
            yield {stage: place}
    pools: dict[int, list[int]] = {}
    for stage, place in enumerate(options):
        pools.setdefault(reading.pool_of(stage, place), []).append(stage)
    for pool, members in pools.items():
        if len(members) > 1:
            for other in range(len(reading.problem.pools)):
                if other != pool:
                    changed = {
                        stage: place
                        for stage in members
                        for place in reading.allowed[stage]
                        if reading.pool_of(stage, place) == other
                    }
                    if changed:
                        yield changed


def _with(reading: Reading, options: tuple[int, ...], changed: dict[int, int]) -> tuple[int, ...]:
    """The combination with these changes, and what their options want with them."""
    made = list(options)
    for stage, place in changed.items():
        made[stage] = place
    for stage, place in changed.items():
        pool = reading.option(stage, place).pool
        for name in reading.option(stage, place).together:
            other = reading.stage_at[name]
            for there in reading.allowed[other]:
                if reading.option(other, there).pool == pool:
                    made[other] = there
    return tuple(made)
