"""What no division of the runs into cells can beat, whatever their number: a linear program, and its prices.

A stage of a cell is in a pool, and keeps part of its devices' time: at least its busy time for each run, over what may
be taken of it (95 %). So a cell that serves r runs a second takes at least r times that of the devices of a tier, whole
devices, waiting and what does not fit together left aside; and the cells together take no more than there are. Sharing
each stage's runs freely among its pools, so that this holds, costs no more than any division does. Stages that an
option wants together are shared together.

The prices of the devices that come out of the program prove the bound by addition alone (`verify.least`): with them, a
run costs at least what each stage costs at its cheapest, less what the devices that there are bring in. What is claimed
is that sum, which anybody can add up again, and not what the program itself says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import fsum, inf, isfinite

from ..search.pruning import prune
from ..search.reading import Reading
from ..space.evaluate import FULLEST, STEPS
from ..space.problem import MANY, Option, Problem
from ..verify.least import least
from .simplex import minimise

_LITTLE = 1e-4
"""The part of the runs that a cell may have at the least, for what can be struck out beforehand."""

_SURE = 1e-6
"""Relative: by how much more than there are devices must be needed before that is called a proof."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Stages that are together in a pool of `tier`: of each run they keep `seconds` of a device at least, and `own` is
    what they add to the objective beside devices."""

    stages: tuple[int, ...]
    tier: int
    seconds: float
    own: float


@dataclass(frozen=True, slots=True)
class Bound:
    """`least` is proven: no division has a smaller objective (infinite: there is none, 0 where nothing is known).
    `prices` are those that prove it: of a device of each tier, in units of the objective a second; above what is paid
    where there are too few. `scarce` are the tiers of which all are taken, `used` those that take part."""

    least: float
    prices: Mapping[str, float]
    scarce: tuple[str, ...]
    used: tuple[str, ...]


def bounded(problem: Problem) -> Bound:
    """The bound of a problem with a rate."""
    assert problem.rate is not None
    found = bundles(problem)
    if found is None:
        return Bound(inf, {}, (), ())
    stages, tiers = len(problem.stages), problem.tiers
    weights = [tier.dollars.value if problem.objective == "cheapest" else 0.0 for tier in tiers]
    limited = [number for number, tier in enumerate(tiers) if tier.high < MANY and not tier.endpoint]
    # Columns: runs of each bundle; devices paid beyond the least of each tier; those of the least that are idle; those
    # that nobody pays.
    wide = len(found)
    rows = [
        [1.0 if stage in each.stages else 0.0 for each in found] + [0.0] * (3 * len(tiers)) for stage in range(stages)
    ]
    right = [1.0] * stages
    for number, tier in enumerate(tiers):
        row = [each.seconds * problem.rate if each.tier == number else 0.0 for each in found] + [0.0] * (3 * len(tiers))
        row[wide + number], row[wide + len(tiers) + number] = -1.0, 1.0
        rows.append(row)
        right.append(float(tier.low))
    for number in limited:
        row = [0.0] * (wide + 3 * len(tiers))
        row[wide + number] = row[wide + 2 * len(tiers) + number] = 1.0
        rows.append(row)
        right.append(float(tiers[number].high - tiers[number].low))
    costs = [each.own for each in found] + [weight / problem.rate for weight in weights] + [0.0] * (2 * len(tiers))
    solved = minimise(costs, rows, right)
    prices = [max(0.0, -price) * problem.rate for price in solved.prices[stages : stages + len(tiers)]]
    if not solved.feasible:
        short = _short(problem, found, list(solved.prices[:stages]), prices)
        return Bound(inf if short else 0.0, {}, (), ())
    named = {tier.name: price for tier, price in zip(tiers, prices, strict=True) if not tier.endpoint}
    scarce = tuple(tiers[n].name for n in limited if prices[n] > weights[n] * (1.0 + 1e-6))
    taking = {each.tier for each, part in zip(found, solved.values, strict=False) if part > 1e-9}
    used = tuple(tier.name for n, tier in enumerate(tiers) if n in taking)
    return Bound(least(problem, named), named, scarce, used)


def _short(problem: Problem, found: list[Bundle], shares: list[float], prices: list[float]) -> bool:
    """Whether prices prove that all devices together are too few: what a run takes at the least, by the prices of its
    stages (no more of each than lets every bundle cost what its stages do), is more than there is of all."""
    assert problem.rate is not None
    needed = fsum(shares)
    for each in found:
        over = fsum(shares[stage] for stage in each.stages) - each.seconds * prices[each.tier]
        if over > 0.0:
            shares[each.stages[0]] -= over
    there = fsum(price * tier.high for tier, price in zip(problem.tiers, prices, strict=True) if not tier.endpoint)
    return fsum(shares) - there / problem.rate > _SURE * needed > 0.0


# --- what stages take --------------------------------------------------------------------------------------------


def bundles(problem: Problem) -> list[Bundle] | None:
    """Everything that stages can be in, of each tier the cheapest; None where nothing is left of a stage."""
    assert problem.rate is not None
    promised = next((each.name for each in problem.promises if each.kind == "rate"), "")
    reading = Reading(problem.with_limit(promised, problem.rate * _LITTLE))
    prune(reading)
    if not all(reading.allowed):
        return None
    options: dict[tuple[int, str], list[Option]] = {}
    for stage, allowed in enumerate(reading.allowed):
        for place in allowed:
            option = problem.stages[stage].options[place]
            options.setdefault((stage, option.pool), []).append(option)
    found: dict[tuple[tuple[int, ...], int], list[Bundle]] = {}
    for each in _bundles(problem, reading, options):
        alike = found.setdefault((each.stages, each.tier), [])
        if not any(other.seconds <= each.seconds and other.own <= each.own for other in alike):
            alike[:] = [o for o in alike if not (each.seconds <= o.seconds and each.own <= o.own)] + [each]
    return [each for alike in found.values() for each in alike]


def _bundles(problem: Problem, reading: Reading, options: Mapping[tuple[int, str], list[Option]]) -> Iterator[Bundle]:
    tied: dict[str, set[frozenset[int]]] = {}
    for (stage, pool), some in options.items():
        for option in some:
            if option.together:
                members = frozenset({stage, *(reading.stage_at[name] for name in option.together)})
                tied.setdefault(pool, set()).add(members)
    # Sets of one pool that overlap without being equal would have to be put together; to share them apart is less.
    loose = {pool for pool, sets in tied.items() if any(one != two and one & two for one in sets for two in sets)}
    for (stage, pool), some in options.items():
        alone = [option for option in some if pool in loose or not option.together]
        yield from (_bundle(problem, reading, pool, {stage: option}) for option in alone)
    for pool, sets in tied.items():
        for members in sorted(sets, key=sorted) if pool not in loose else ():
            if all((stage, pool) in options for stage in members):
                yield from _least(problem, reading, pool, members, options)


def _least(
    problem: Problem,
    reading: Reading,
    pool: str,
    members: frozenset[int],
    options: Mapping[tuple[int, str], list[Option]],
) -> Iterator[Bundle]:
    """Of stages together in a pool: each at its least, of seconds and of all else."""
    each = [[_bundle(problem, reading, pool, {stage: option}) for option in options[stage, pool]] for stage in members]
    seconds = fsum(min(one.seconds for one in some) for some in each)
    own = fsum(min(one.own for one in some) for some in each)
    yield Bundle(tuple(sorted(members)), each[0][0].tier, seconds, own)


def _bundle(problem: Problem, reading: Reading, pool: str, members: Mapping[int, Option]) -> Bundle:
    place = reading.pool_at[pool]
    of, tier = problem.pools[place], reading.tier_of[place]
    seconds = own = 0.0
    for stage, option in members.items():
        times = problem.stages[stage].executions
        if of.slots and not of.host and not problem.tiers[tier].endpoint:
            seconds += times * option.mean_busy * of.devices / of.slots * STEPS / FULLEST
        own += times * (option.joules if problem.objective == "greenest" else option.dollars)
    if problem.objective == "fastest" or not isfinite(own):
        own = 0.0
    return Bundle(tuple(sorted(members)), tier, seconds, own)
