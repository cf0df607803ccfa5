"""A plan of several cells: each a whole plan for its share of the runs, and what they come to together."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..codec import DecodeError, decode, digest
from ..figures import Prediction
from ..plan import CostPlan, Inequality, Inputs, Made, Plan, Search, from_json, sealed

ALONE = "one placement alone"
"""What cells are compared with: its objective, None where it is proven that none holds."""

UNFOUND = "one placement alone (the search ran out of time)"
"""The same, where none was found and none is proven not to be."""

FORMAT = 3
"""A document with cells. One of a single placement has the format of `planner.plan`, and stays as it is."""


@dataclass(frozen=True, slots=True)
class CellPlan:
    """A plan of the same pipeline at `rate` runs a second, which are `share` of all. Of each tier it may take what it
    takes and no more (`plan.tiers`)."""

    share: float
    rate: float
    plan: Plan


@dataclass(frozen=True, slots=True)
class TierSum:
    """A tier of the fleet: `count` are its bounds there, `devices` how many all cells pay for, of which `used` work."""

    name: str
    device: str
    title: str
    endpoint: bool
    count: tuple[int, int]
    devices: int
    used: int


@dataclass(frozen=True, slots=True)
class CellsPlan:
    """See the module. `rate` is the goal's. Sums: the devices of each tier, and the cost and energy of a run, each cell
    by its share. The `certificate` has the sums alone; whatever else is promised stands in the cells', as every run is
    in one of them. `scarcity` are the dollars a second of a device of each tier that prove `search.bound`."""

    format: int
    pipeline: str
    inputs: Inputs
    made: Made
    fleet: str
    objective: str
    objective_value: float
    rate: float
    cells: tuple[CellPlan, ...]
    tiers: tuple[TierSum, ...]
    cost: CostPlan
    energy: Prediction
    certificate: tuple[Inequality, ...]
    search: Search
    scarcity: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the plan's JSON, in hex."""
        return digest(self)

    @property
    def feasible(self) -> bool:
        """Whether all sums hold and every cell keeps what is promised."""
        return all(line.holds for line in self.certificate) and all(cell.plan.feasible for cell in self.cells)

    @property
    def runs_here(self) -> bool:
        """Several placements at once are nothing that one machine does."""
        return False

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The tiers that are in use, but endpoints."""
        return tuple(tier.name for tier in self.tiers if tier.used and not tier.endpoint)

    def __str__(self) -> str:
        from .text import cells_text

        return cells_text(self)


def placements(plan: Plan | CellsPlan) -> tuple[tuple[str, Plan], ...]:
    """The placements of a plan, with what to call each beside the others: nothing where it is the only one."""
    if isinstance(plan, Plan):
        return (("", plan),)
    return tuple(
        (f"cell {number}, {cell.share:.1%} of the runs", cell.plan) for number, cell in enumerate(plan.cells, 1)
    )


def read(text: str | bytes) -> Plan | CellsPlan:
    """A plan of one placement or of cells. Raises `codec.DecodeError` for anything that is neither."""
    data = text.encode() if isinstance(text, str) else text
    if not _has_cells(data):
        return from_json(data)
    plan = decode(data, CellsPlan)
    if plan.format != FORMAT:
        raise DecodeError(f"the plan with cells has format {plan.format}, this version reads {FORMAT}")
    return plan


def _has_cells(data: bytes) -> bool:
    """Whether a document says that it has cells, whatever else is wrong with it."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False  # `from_json` says what is wrong
    return isinstance(document, dict) and "cells" in document


def write(plan: Plan | CellsPlan, *, indent: int = 2) -> str:
    """The plan as one JSON document, with its seal."""
    return sealed(plan, indent=indent)
