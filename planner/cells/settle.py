"""Each cell as a plan of its own: what a search proves of it, and who confirmed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..search import search
from ..search.found import FEASIBLE, GAP, ONLY, OPTIMAL, Found
from ..space.evaluate import SLACK
from ..space.problem import Choice, Problem
from .find import Cell, Divided, cells_of, whole

T = TypeVar("T")
Try = Callable[[Problem, Found], tuple[Found, T | None]]
"""Tries what was found of a problem; gives it with the choice first that passed, and what was said of it."""


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """Cells with what is known of each, and what was said of those that were tried."""

    divided: Divided
    found: tuple[Found, ...]
    confirmed: tuple[T, ...]


def settled(problem: Problem, divided: Divided, tried: Try[T]) -> Settled[T]:
    """The best choice for each cell at its rate on its devices, or one with some of the devices that all of them leave,
    where the best does not pass."""
    left = {
        tier.name: tier.high - sum(cell.outcome.devices[tier.name] for cell in divided.cells)
        for tier in problem.tiers
        if not tier.endpoint
    }
    known: list[Found] = []
    choices: list[Choice] = []
    said: list[T] = []
    for cell in divided.cells:
        found = search(cell.problem, seconds=2.0)
        if not found.choices:
            found = Found((cell.choice,), (cell.outcome,), FEASIBLE)
        chosen, told = tried(_roomier(cell.problem, left), found)
        if told is not None:
            said.append(told)
        for tier in left:
            left[tier] -= max(0, chosen.outcomes[0].devices[tier] - cell.outcome.devices[tier])
        known.append(found)
        choices.append(chosen.choices[0])
    cells = tuple(cells_of(problem, choices, [cell.rate for cell in divided.cells]))
    objective = whole(problem, cells)
    better = replace(divided, cells=cells, objective=objective, bound=min(divided.bound, objective))
    return Settled(better, tuple(map(_found, cells, known)), tuple(said))


def _roomier(problem: Problem, left: dict[str, int]) -> Problem:
    tiers = tuple(tier if tier.endpoint else replace(tier, high=tier.high + left[tier.name]) for tier in problem.tiers)
    return replace(problem, tiers=tiers)


def _found(cell: Cell, known: Found) -> Found:
    """What is known of a cell's own choice, which may be another than the best."""
    objective = cell.outcome.objective
    bound = min(known.bound, objective)
    proven = known.status in (ONLY, OPTIMAL) and objective - bound <= SLACK * abs(objective)
    if proven:
        return replace(known, choices=(cell.choice,), outcomes=(cell.outcome,), gap=0.0, bound=objective)
    gap = (objective - bound) / abs(objective) if objective else 0.0
    return Found((cell.choice,), (cell.outcome,), GAP, gap, bound, known.considered)
