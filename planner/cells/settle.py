"""Each cell as a plan of its own: what a search proves of it, and who confirmed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..search import search
from ..search.found import FEASIBLE, GAP, ONLY, OPTIMAL, Found
from ..space.evaluate import SLACK
from ..space.problem import Choice, Problem
from .find import Cell, Divided, cells_of, divisions, whole

if TYPE_CHECKING:
    from ..place import Confirmed

Try = Callable[[Problem, Found], "tuple[Found, Confirmed | None]"]
"""Tries what was found of a problem; gives it with the choice first that passed, and what was said of it."""

ATTEMPTS = 3
"""Divisions that are tried, where cells do not pass."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Cells with what is known of each, and what was said of those that were tried."""

    divided: Divided
    found: tuple[Found, ...]
    confirmed: tuple[Confirmed, ...]

    @property
    def refused(self) -> tuple[int, ...]:
        """The places of the cells that did not pass."""
        return tuple(number for number, said in enumerate(self.confirmed) if said.missed)


def divided_and_tried(problem: Problem, single: float | None, tried: Try) -> Settled | None:
    """The best division of which every cell passes; of a few, if none does, the one of which the fewest do not."""
    best: Settled | None = None
    asked = divisions(problem, single)
    found = next(asked, None)
    for _ in range(ATTEMPTS):
        if found is None:
            break
        now = settled(problem, found, tried)
        if best is None or len(now.refused) < len(best.refused):
            best = now
        if not now.refused:
            break
        try:
            before, after = found.cells, now.divided.cells
            found = asked.send([cells[number].choice for number in now.refused for cells in (before, after)])
        except StopIteration:
            break
    return best


def settled(problem: Problem, divided: Divided, tried: Try) -> Settled:
    """The best choice for each cell at its rate on its devices, or one with some of the devices that all of them leave,
    where the best does not pass."""
    left = {
        tier.name: tier.high - sum(cell.outcome.devices[tier.name] for cell in divided.cells)
        for tier in problem.tiers
        if not tier.endpoint
    }
    known: list[Found] = []
    choices: list[Choice] = []
    said: list[Confirmed] = []
    for cell in divided.cells:
        found = search(cell.problem, seconds=2.0, steady=True)
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
