"""A cell of a plan as the problem that it is a choice of, or as one with all that the others leave it."""

from __future__ import annotations

from dataclasses import replace

from ..space.build import Built
from .plan import CellPlan, CellsPlan
from .sizes import at_rate


def built_of(cell: CellPlan, built: Built) -> Built:
    """The whole problem at the cell's rate, with the devices that the plan says it has. KeyError where it names no tier
    of the problem."""
    counts = {tier.name: tier.count for tier in cell.plan.tiers}
    tiers = tuple(replace(tier, low=counts[tier.name][0], high=counts[tier.name][1]) for tier in built.problem.tiers)
    return replace(built, problem=at_rate(replace(built.problem, tiers=tiers), cell.rate))


def roomy(plan: CellsPlan, number: int, built: Built) -> Built:
    """The whole problem at the rate of a cell, with the devices that the other cells do not take."""
    cell = plan.cells[number]
    others = [each.plan for place, each in enumerate(plan.cells) if place != number]
    taken = {tier.name: 0 for tier in plan.tiers}
    for other in others:
        for tier in other.tiers:
            taken[tier.name] += tier.devices
    tiers = tuple(
        tier if tier.endpoint else replace(tier, low=0, high=max(0, tier.high - taken[tier.name]))
        for tier in built.problem.tiers
    )
    return replace(built, problem=at_rate(replace(built.problem, tiers=tiers), cell.rate))
