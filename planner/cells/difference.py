"""What is different between two plans of which one, or both, have cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace

from ..answers.difference import SAME, Change, difference
from ..figures import show_value
from ..plan import Plan
from .plan import CellPlan, CellsPlan

Either = Plan | CellsPlan


def between(left: Either, right: Either) -> tuple[Change, ...]:
    """Every change from one plan to another; none where they decide and promise the same. Of cells: what they come to
    together, then each beside the one with its number. A plan of one placement has one cell, with all runs."""
    if isinstance(left, Plan) and isinstance(right, Plan):
        return difference(left, right)
    return (*_whole(left, right), *_cells(_parts(left), _parts(right)))


def _whole(left: Either, right: Either) -> Iterator[Change]:
    for name in ("pipeline", "fleet", "objective"):
        yield from _text("plan", name, str(getattr(left, name)), str(getattr(right, name)))
    for field in fields(left.inputs):
        before, after = str(getattr(left.inputs, field.name)), str(getattr(right.inputs, field.name))
        yield from _text("inputs", field.name, before[:12], after[:12])
    yield from _number("plan", "cells", len(_parts(left)), len(_parts(right)), "")
    before, after = _devices(left), _devices(right)
    for name in dict.fromkeys((*before, *after)):
        yield from _number("tier", name, before.get(name, 0), after.get(name, 0), "devices")
    yield from _number("cost", "per 1000 runs", left.cost.per_1000_runs, right.cost.per_1000_runs, "$")
    yield from _number("energy", "a run", left.energy.value, right.energy.value, "J")


def _cells(left: tuple[CellPlan, ...], right: tuple[CellPlan, ...]) -> Iterator[Change]:
    for number in range(max(len(left), len(right))):
        group = f"cell {number + 1}"
        if number >= len(left) or number >= len(right):
            texts = [_text_of(cells[number]) if number < len(cells) else "" for cells in (left, right)]
            yield Change(group, "runs and devices", texts[0], texts[1])
            continue
        yield from _number(group, "runs", left[number].rate, right[number].rate, "per s")
        for each in difference(left[number].plan, right[number].plan):
            if each.group not in ("plan", "inputs"):  # these are of the whole
                yield replace(each, group=f"{group}, {each.group}")


def _parts(plan: Either) -> tuple[CellPlan, ...]:
    if isinstance(plan, CellsPlan):
        return plan.cells
    return (CellPlan(1.0, plan.workload.rate.value if plan.workload.rate is not None else 0.0, plan),)


def _devices(plan: Either) -> Mapping[str, int]:
    return {tier.name: tier.devices for tier in plan.tiers if not tier.endpoint}


def _text_of(cell: CellPlan) -> str:
    devices = ", ".join(f"{tier.devices} {tier.name}" for tier in cell.plan.tiers if tier.devices)
    return f"{show_value(cell.rate, 'per s')} on {devices or 'no devices'}"


def _text(group: str, name: str, before: str, after: str) -> Iterable[Change]:
    if before != after:
        yield Change(group, name, before, after)


def _number(group: str, name: str, before: float, after: float, unit: str) -> Iterable[Change]:
    if abs(before - after) > SAME * max(abs(before), abs(after)):
        ratio = after / before if before else None
        yield Change(group, name, show_value(before, unit), show_value(after, unit), ratio)
