"""A cell of a plan as the problem that it is a choice of."""

from __future__ import annotations

from dataclasses import replace

from ..space.build import Built
from .plan import CellPlan
from .sizes import at_rate


def built_of(cell: CellPlan, built: Built) -> Built:
    """The whole problem at the cell's rate, with the devices that the plan says it has. KeyError where it names no tier
    of the problem."""
    counts = {tier.name: tier.count for tier in cell.plan.tiers}
    tiers = tuple(replace(tier, low=counts[tier.name][0], high=counts[tier.name][1]) for tier in built.problem.tiers)
    return replace(built, problem=at_rate(replace(built.problem, tiers=tiers), cell.rate))
