"""Strikes out options that no choice can take: what is left is often little enough to look at all of it.

An option goes where it breaks something whatever the other stages do: its own load takes more devices than there are, a
promise is above its limit with every other stage at its least, or what it exchanges with another stage has no link to
any place that is left for that one. Each is a bound, so no choice that holds is lost; where nothing is left of a stage,
nothing holds, which often is known in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

from ..space.evaluate import FULLEST, SLACK, STEPS
from ..space.nodes import Take, values
from ..space.problem import Problem
from .reading import Load, Reading

MORE = 1.0 + 2 * SLACK


def prune(reading: Reading) -> None:
    """Leaves in `reading.allowed` only what may be taken. Where nothing is left of a stage, nothing holds."""
    reading.allowed = tuple(
        tuple(place for place in allowed if _carried(reading, stage, place))
        for stage, allowed in enumerate(reading.allowed)
    )
    before = -1
    while all(reading.allowed) and (size := sum(map(len, reading.allowed))) != before:
        before = size
        for moment in range(len(reading.moments)):
            if reading.moments[moment].limit is not None and all(reading.allowed):
                _late(reading, moment)
        _powered(reading)
        _together(reading)
        _linked(reading)


def refused(problem: Problem, without: Iterable[str] = ()) -> bool:
    """Whether it is certain that nothing holds, requirements in `without` left out."""
    reading = Reading(problem, without)
    prune(reading)
    return not all(reading.allowed) or _crowded(reading)


def _carried(reading: Reading, stage: int, place: int) -> bool:
    pool = reading.pool_of(stage, place)
    most = reading.most(pool)
    if most is None:
        return True
    busy = reading.problem.stages[stage].executions * reading.option(stage, place).mean_busy
    slots = reading.problem.pools[pool].slots
    if reading.rate is None or not slots or reading.rate * busy / slots > most * 2.0:
        return reading.rate is None or not slots
    return reading.least(Load(pool, busy)) <= most


def _late(reading: Reading, number: int) -> None:
    """Of one promise: options that are late with every other stage at its least, and waiting as little as it can."""
    moment = reading.moments[number]
    nodes = reading.problem.nodes[: moment.node + 1]
    limit = (moment.limit or 0.0) * MORE

    def taken(stage: int, place: int) -> tuple[float, float]:
        option = reading.option(stage, place)
        factor = exp(moment.z * option.noise)
        return option.seconds * factor, option.first * factor

    least: dict[int, tuple[float, ...]] = {
        stage: tuple(min(each) for each in zip(*(taken(stage, place) for place in allowed), strict=True))
        for stage, allowed in enumerate(reading.allowed)
    }
    used = {reading.stage_at[node.stage] for node in nodes if isinstance(node, Take)}

    def reached(at: dict[int, tuple[float, ...]]) -> float:
        return values(nodes, lambda leaf: at[reading.stage_at[leaf.stage]][leaf.first] * leaf.times, lambda _: 0.0)[
            moment.node
        ]

    base = reached(least)
    nothing: dict[int, tuple[float, ...]] = dict.fromkeys(least, (0.0, 0.0))
    allowed = list(reading.allowed)
    for stage in used:
        # A second more of a stage is at most so many more of the moment: mostly that settles it.
        times = reached({**nothing, stage: (1.0, 1.0)})
        known: dict[tuple[float, float], bool] = {}
        kept: list[int] = []
        for place in allowed[stage]:
            ours = taken(stage, place)
            more = max(one - other for one, other in zip(ours, least[stage], strict=True))
            if base + times * more <= limit:
                kept.append(place)
                continue
            if ours not in known:
                known[ours] = reached({**least, stage: ours}) <= limit
            if known[ours]:
                kept.append(place)
        allowed[stage] = tuple(kept)
    reading.allowed = tuple(allowed)


def _powered(reading: Reading) -> None:
    if reading.powered is None or not all(reading.allowed):
        return
    stages = reading.problem.stages

    def joules(stage: int, place: int) -> float:
        return stages[stage].executions * reading.option(stage, place).joules

    least = [min(joules(stage, place) for place in allowed) for stage, allowed in enumerate(reading.allowed)]
    whole, limit = sum(least), reading.powered * MORE
    reading.allowed = tuple(
        tuple(place for place in allowed if whole - least[stage] + joules(stage, place) <= limit)
        for stage, allowed in enumerate(reading.allowed)
    )


def _together(reading: Reading) -> None:
    pools = [{reading.pool_of(stage, place) for place in allowed} for stage, allowed in enumerate(reading.allowed)]
    reading.allowed = tuple(
        tuple(
            place
            for place in allowed
            if all(
                reading.pool_of(stage, place) in pools[reading.stage_at[other]]
                for other in reading.option(stage, place).together
            )
        )
        for stage, allowed in enumerate(reading.allowed)
    )


def _linked(reading: Reading) -> None:
    if not reading.linked or not all(reading.allowed):
        return
    tiers = [
        {reading.tier_of[reading.pool_of(stage, place)] for place in allowed}
        for stage, allowed in enumerate(reading.allowed)
    ]
    around: dict[int, set[int]] = {}
    for edge in reading.problem.edges:
        source, target = reading.stage_at[edge.source], reading.stage_at[edge.target]
        around.setdefault(source, set()).add(target)
        around.setdefault(target, set()).add(source)

    def meets(stage: int, place: int) -> bool:
        here = reading.tier_of[reading.pool_of(stage, place)]
        return all(
            here in tiers[other] or any((here, there) in reading.links for there in tiers[other])
            for other in around.get(stage, ())
        )

    reading.allowed = tuple(
        tuple(place for place in allowed if meets(stage, place)) for stage, allowed in enumerate(reading.allowed)
    )


def _crowded(reading: Reading) -> bool:
    """Whether the stages that can only be on one tier take more devices than it has."""
    problem = reading.problem
    needs: dict[tuple[int, bool], float] = {}
    for stage, allowed in enumerate(reading.allowed):
        pools = [problem.pools[reading.pool_of(stage, place)] for place in allowed]
        places = {(reading.tier_at[pool.tier], pool.host) for pool in pools}
        if len(places) != 1 or reading.rate is None:
            continue
        least = min(
            pool.devices * reading.option(stage, place).mean_busy / pool.slots if pool.slots else 0.0
            for place, pool in zip(allowed, pools, strict=True)
        )
        (only,) = places
        busy = reading.rate * problem.stages[stage].executions * least * STEPS / FULLEST
        needs[only] = needs.get(only, 0.0) + busy
    return any(
        need > problem.tiers[tier].high * (1 + 1e-6)
        for (tier, _), need in needs.items()
        if reading.binding(problem.tiers[tier].counted) and not problem.tiers[tier].endpoint
    )
