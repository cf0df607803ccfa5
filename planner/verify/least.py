"""What prices of devices prove: no plan of the same problem, in however many cells, has a smaller objective.

Whoever found the prices, the proof is an addition. Charge every device of a tier the tier's price instead of what is
paid. A run then costs at least what its stages cost with each where that is least: in a pool, a stage keeps a device at
least for its busy time over the 95 % that may be taken. What the charges bring in above what is paid is at most that of
all devices there are, and is given back. Options that break a promise whatever the other stages do cost nobody
anything; stages that an option wants together go together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, fsum, inf

from ..space.nodes import Take, values
from ..space.problem import Option, Problem, Promise
from .facts import CLOSE, FULL, TWENTIETHS, quantile

Places = dict[str, list[Option]]
Way = tuple[frozenset[str], float]
"""Stages that are placed together, and what they cost a run at the least."""


def least(problem: Problem, prices: Mapping[str, float]) -> float:
    """The proven bound, in units of the objective a run; `prices` are those of a device, a second. 0 where they prove
    nothing, infinite where a stage can be nowhere."""
    assert problem.rate is not None
    if problem.objective == "fastest":
        return 0.0
    places = possible(problem)
    if not all(places.values()):
        return inf
    cheapest = problem.objective == "cheapest"
    rent = 0.0
    for tier in problem.tiers:
        if not tier.endpoint:
            above = prices.get(tier.name, 0.0) - (tier.dollars.value if cheapest else 0.0)
            rent += above * (tier.high if above > 0.0 else tier.low)
    return max(0.0, _run(problem, places, prices) - rent / problem.rate)


# --- what one run costs ----------------------------------------------------------------------------------------------


def _run(problem: Problem, places: Places, prices: Mapping[str, float]) -> float:
    ways = list(_ways(problem, places, prices))
    return fsum(_cheapest(ways, group) for group in _groups(set(places), ways))


def _ways(problem: Problem, places: Places, prices: Mapping[str, float]) -> Iterator[Way]:
    """Who may be placed with whom, and what that costs; of each company the cheapest."""
    in_pool: dict[str, dict[str, float]] = {}
    loose: dict[str, dict[str, float]] = {}
    tied: dict[str, set[frozenset[str]]] = {}
    for stage, options in places.items():
        for option in options:
            cost = _cost(problem, stage, option, prices)
            of = in_pool.setdefault(option.pool, {})
            of[stage] = min(cost, of.get(stage, inf))
            if option.together:
                tied.setdefault(option.pool, set()).add(frozenset((stage, *option.together)))
            else:
                alone = loose.setdefault(option.pool, {})
                alone[stage] = min(cost, alone.get(stage, inf))
    found: dict[frozenset[str], float] = {}
    for pool, costs in in_pool.items():
        sets = tied.get(pool, set())
        # Companies that overlap would have to be joined; that their stages go alone costs no more.
        apart = any(one != two and one & two for one in sets for two in sets)
        for stage, cost in (costs if apart else loose.get(pool, {})).items():
            found[frozenset((stage,))] = min(cost, found.get(frozenset((stage,)), inf))
        for company in sets if not apart else ():
            cost = fsum(costs.get(stage, inf) for stage in company)
            found[company] = min(cost, found.get(company, inf))
    yield from found.items()


def _cost(problem: Problem, stage: str, option: Option, prices: Mapping[str, float]) -> float:
    times = next(each.executions for each in problem.stages if each.name == stage)
    pool = problem.pool(option.pool)
    own = option.joules if problem.objective == "greenest" else option.dollars
    if not pool.slots or pool.host or problem.tier(pool.tier).endpoint:
        return times * own
    seconds = option.busy * exp(0.5 * option.noise**2) * pool.devices / pool.slots * TWENTIETHS / FULL
    return times * (own + seconds * prices.get(pool.tier, 0.0))


def _groups(stages: set[str], ways: list[Way]) -> Iterator[frozenset[str]]:
    """Stages that may have to be placed together, directly or through others."""
    left = set(stages)
    while left:
        group = {min(left)}
        while True:
            more = {name for company, _ in ways if company & group for name in company}
            if more <= group:
                break
            group |= more
        left -= group
        yield frozenset(group)


def _cheapest(ways: list[Way], group: frozenset[str]) -> float:
    """The least that the stages of a group cost, over every way to divide them into companies."""
    known: dict[frozenset[str], float] = {frozenset(): 0.0}

    def of(rest: frozenset[str]) -> float:
        if rest not in known:
            first = min(rest)
            fitting = ((company, cost) for company, cost in ways if first in company and company <= rest)
            known[rest] = min((cost + of(rest - company) for company, cost in fitting), default=inf)
        return known[rest]

    return of(group)


# --- where stages may be ---------------------------------------------------------------------------------------------


def possible(problem: Problem) -> Places:
    """The options of each stage that break nothing by themselves: no label, no memory, no number of devices, and no
    promise with all other stages at their quickest."""
    places = {stage.name: [each for each in stage.options if _fits(problem, each)] for stage in problem.stages}
    hard = [each for each in problem.promises if each.soft is None and each.kind not in ("rate", "cost", "energy")]
    before = -1
    while all(places.values()) and before != (before := sum(map(len, places.values()))):
        for promise in hard:
            _on_time(problem, promise, places)
            if not all(places.values()):
                break
    return places


def _fits(problem: Problem, option: Option) -> bool:
    pool = problem.pool(option.pool)
    tier = problem.tier(pool.tier)
    held = {each.key: each.bytes for each in sorted(option.held, key=lambda each: each.bytes)}
    if any(option.barred) or pool.devices > tier.high:
        return False
    return tier.endpoint or fsum(held.values()) <= pool.devices * tier.memory * (1.0 + CLOSE)


def _on_time(problem: Problem, promise: Promise, places: Places) -> None:
    """Strikes out of `places` what is late for a promise, whatever the others do."""
    top = problem.promised(promise)
    z = quantile(promise.percentile)
    nodes = problem.nodes[: top + 1]

    def slow(option: Option) -> tuple[float, float]:
        factor = exp(z * option.noise)
        return option.seconds * factor, option.first * factor

    def reached(at: Mapping[str, tuple[float, float]]) -> float:
        return values(nodes, lambda leaf: at[leaf.stage][leaf.first] * leaf.times, lambda _: 0.0)[top]

    quickest: dict[str, tuple[float, float]] = {}
    for stage, options in places.items():
        times = [slow(option) for option in options]
        quickest[stage] = (min(whole for whole, _ in times), min(first for _, first in times))
    for stage in dict.fromkeys(node.stage for node in nodes if isinstance(node, Take)):
        known: dict[tuple[float, float], bool] = {}
        kept: list[Option] = []
        for option in places[stage]:
            time = slow(option)
            if time not in known:
                known[time] = reached({**quickest, stage: time}) <= promise.limit * (1.0 + 2.0 * CLOSE)
            if known[time]:
                kept.append(option)
        places[stage] = kept
