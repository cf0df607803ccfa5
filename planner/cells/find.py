"""Dividing the runs of a problem among cells: candidates from searches that exist, sizes, and the best of their sums.

Candidates are what the search finds for single tiers and for pairs of those that a lower bound would use, at several
rates, with scarce devices at the prices of the bound. That is a choice of candidates, not all there are; how good it is
the bound says.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite

from ..search import search
from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Problem
from .bound import Bound, bounded
from .choosing import Part, choose
from .sizes import Placement, at_rate, placement

SAVES = 0.01
"""Relative: cells are more to look after than one placement, so they have to be cheaper by this."""

PAIRS = 10
"""Pairs of tiers that are searched."""

HALVES = 6
"""How often a rate is halved until a tier carries it."""

ROUNDS = 3
"""Times that the cells are made better one by one, with what the others leave."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`problem` is the whole one at the cell's rate with the cell's devices, of which `choice` is a choice that
    holds."""

    problem: Problem
    choice: Choice
    outcome: Outcome
    rate: float


@dataclass(frozen=True, slots=True)
class Divided:
    """Cells, largest first, the objective of a run over all of them, and the least that any number of cells comes to
    (0: no bound is known). `prices` are those that prove it, `considered` counts the sums that were looked at."""

    cells: tuple[Cell, ...]
    objective: float
    bound: float
    prices: Mapping[str, float]
    considered: int

    @property
    def gap(self) -> float:
        return 1.0 - self.bound / self.objective if self.objective > 0.0 else 0.0


def divided(problem: Problem, single: float | None = None) -> Divided | None:
    """The best cells that are found, at least two; None where there is nothing to divide, where none are found, and
    where they are not clearly better than one placement, whose objective is `single`. The same each time, as what
    searches may take is counted."""
    return next(divisions(problem, single), None)


def divisions(problem: Problem, single: float | None = None) -> Generator[Divided, Collection[Choice] | None, None]:
    """As `divided`, and on: with the choices that are sent to it refused, the next best."""
    if not divisible(problem):
        return
    bound = bounded(problem)
    if not isfinite(bound.least):
        return
    # Without scarcity nothing keeps the cheapest placement from serving every run.
    if single is not None and (not bound.scarce or bound.least >= single * (1.0 - SAVES)):
        return
    # What the least of a tier costs is paid whatever the cells do: no search has to see it.
    free = replace(problem, tiers=tuple(replace(tier, low=0) for tier in problem.tiers))
    prices = {tier.name: max(tier.dollars.value, bound.prices.get(tier.name, 0.0)) for tier in problem.tiers}
    if problem.objective != "cheapest":
        prices = {tier.name: tier.dollars.value for tier in problem.tiers}
    placements = _candidates(free, bound, prices)
    looked = 0
    while True:
        parts, more = _best(problem, free, placements, prices)
        looked += more
        cells = _cells(problem, placements, parts)
        if len(cells) < 2 or not all(cell.outcome.holds for cell in cells) or not _carried(problem, cells):
            return
        objective = whole(problem, cells)
        if single is not None and objective > single * (1.0 - SAVES):
            return
        refused = yield Divided(cells, objective, min(bound.least, objective), bound.prices, looked)
        out = {choice.options for choice in refused or ()}
        if not any(each.options in out for each in placements):
            return
        placements = [each for each in placements if each.options not in out]


def _best(
    problem: Problem, free: Problem, placements: list[Placement], prices: Mapping[str, float]
) -> tuple[tuple[Part, ...], int]:
    """The best parts of these placements, and of those that are found to improve them (which are added); how many sums
    were looked at."""
    best: tuple[Part, ...] = ()
    objective, looked = inf, 0
    tried = {each.options for each in placements}
    for _ in range(ROUNDS):
        chosen = choose(problem, placements, prices)
        if chosen is None:
            break
        looked += chosen.looked
        if chosen.objective >= objective * (1 - 1e-9):
            break
        best, objective = chosen.parts, chosen.objective
        more = [options for options in dict.fromkeys(_improved(free, best)) if options not in tried]
        if not more:
            break
        tried.update(more)
        placements += [each for options in more if (each := placement(free, options)).sizes]
    return best, looked


def divisible(problem: Problem) -> bool:
    """Whether there is a rate to divide, and more than one tier to divide it among."""
    rates = [each for each in problem.promises if each.kind == "rate"]
    tiers = [tier for tier in problem.tiers if tier.endpoint or tier.high > 0]
    return problem.rate is not None and problem.rate > 0.0 and len(rates) == 1 and len(tiers) > 1


def whole(problem: Problem, cells: tuple[Cell, ...]) -> float:
    """The objective of a run, whichever cell it is in."""
    assert problem.rate is not None
    return sum(cell.outcome.objective * cell.rate for cell in cells) / problem.rate


def _carried(problem: Problem, cells: tuple[Cell, ...]) -> bool:
    """Whether links between endpoints carry what all cells send there; between devices each cell has its own pairs."""
    remote = {tier.name for tier in problem.tiers if tier.endpoint}
    moved: dict[tuple[str, str], float] = {}
    for cell in cells:
        for ends, size in cell.outcome.traffic.items():
            moved[ends] = moved.get(ends, 0.0) + size * cell.rate
    links = {ends: problem.link(*ends) for ends in moved if remote.issuperset(ends)}
    return all(link is None or moved[ends] <= link.bandwidth for ends, link in links.items())


# --- candidates --------------------------------------------------------------------------------------------------


def _candidates(problem: Problem, bound: Bound, prices: Mapping[str, float]) -> list[Placement]:
    found: dict[tuple[int, ...], Placement] = {}
    for names in _subsets(problem, bound):
        for options in _searched(_only(problem, names, prices)):
            if options not in found:
                found[options] = placement(problem, options)
    return [each for each in found.values() if each.sizes]


def _subsets(problem: Problem, bound: Bound) -> Iterator[tuple[str, ...]]:
    tiers = [tier.name for tier in problem.tiers if tier.endpoint or tier.high > 0]
    yield from ((name,) for name in tiers)
    used = [name for name in tiers if name in bound.used]
    pairs = list(combinations(used, 2))[:PAIRS]
    yield from pairs
    if tuple(tiers) not in pairs:
        yield tuple(tiers)


def _only(problem: Problem, names: tuple[str, ...], prices: Mapping[str, float]) -> Problem:
    """With these tiers alone, at prices of scarcity."""
    tiers = tuple(
        replace(
            tier,
            high=tier.high if tier.name in names else 0,
            dollars=replace(tier.dollars, value=prices[tier.name]),
        )
        for tier in problem.tiers
    )
    left_out = {tier.name for tier in problem.tiers if tier.endpoint and tier.name not in names}
    return _without(replace(problem, tiers=tiers), left_out)


def _without(problem: Problem, endpoints: set[str]) -> Problem:
    """Endpoints have no devices to limit: what is asked of them is barred by a requirement of its own."""
    if not endpoints:
        return problem
    asked = {pool.name for pool in problem.pools if pool.tier in endpoints}
    stages = tuple(
        replace(
            stage,
            options=tuple(
                replace(each, barred=(*each.barred, _ELSEWHERE)) if each.pool in asked else each
                for each in stage.options
            ),
        )
        for stage in problem.stages
    )
    return replace(problem, stages=stages)


_ELSEWHERE = "(this cell is not served there)"


def _searched(problem: Problem) -> Iterator[tuple[int, ...]]:
    """What the search finds at the greatest of some rates that these tiers carry, and at half of that."""
    assert problem.rate is not None
    rate, given = problem.rate, 0
    for _ in range(HALVES):
        found = search(at_rate(problem, rate), seconds=1.0, top=2, steady=True)
        if found.choices:
            given += 1
            yield from (choice.options for choice in found.choices)
        if given == 2:
            return
        rate /= 2.0


def _improved(problem: Problem, parts: tuple[Part, ...]) -> Iterator[tuple[int, ...]]:
    """For each part, what the search finds with its devices and those that all parts leave."""
    used = [sum(part.size.devices[number] for part in parts) for number in range(len(problem.tiers))]
    for part in parts:
        tiers = tuple(
            replace(tier, high=tier.high if tier.endpoint else tier.high - all_used + own)
            for tier, all_used, own in zip(problem.tiers, used, part.size.devices, strict=True)
        )
        found = search(at_rate(replace(problem, tiers=tiers), part.rate), seconds=1.0, steady=True)
        if found.choices:
            yield found.choices[0].options


# --- the cells as problems ---------------------------------------------------------------------------------------


def _cells(problem: Problem, placements: list[Placement], parts: tuple[Part, ...]) -> tuple[Cell, ...]:
    """Largest first."""
    parts = tuple(sorted(parts, key=lambda part: -part.rate))
    choices = [_choice(problem, placements[part.placement].options, dict(part.size.replicas)) for part in parts]
    return tuple(cells_of(problem, choices, [part.rate for part in parts]))


def _choice(problem: Problem, options: tuple[int, ...], replicas: Mapping[str, int]) -> Choice:
    return Choice(options, tuple(replicas.get(pool.name, 0) for pool in problem.pools))


def cells_of(problem: Problem, choices: list[Choice], rates: list[float]) -> Iterator[Cell]:
    """Choices as cells: each with the devices that it uses and no more; what is left of the least that is paid of a
    tier in the first."""
    free = replace(problem, tiers=tuple(replace(tier, low=0) for tier in problem.tiers))
    used = [evaluate(at_rate(free, rate), choice).devices for choice, rate in zip(choices, rates, strict=True)]
    for number, (choice, rate) in enumerate(zip(choices, rates, strict=True)):
        own = at_rate(limited(problem, used, number), rate)
        yield Cell(own, choice, evaluate(own, choice), rate)


def limited(problem: Problem, used: list[Mapping[str, int]], number: int) -> Problem:
    """The problem of one of several cells that use these devices."""
    tiers = tuple(
        tier
        if tier.endpoint
        else replace(
            tier,
            low=max(0, tier.low - sum(each[tier.name] for each in used[1:])) if number == 0 else 0,
            high=max(
                used[number][tier.name],
                tier.low - sum(each[tier.name] for each in used[1:]) if number == 0 else 0,
            ),
        )
        for tier in problem.tiers
    )
    return replace(problem, tiers=tiers)
