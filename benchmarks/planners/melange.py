"""In the manner of Mélange (Griggs et al. 2024): requests come in sizes, each size is cut into slices, a slice goes
whole to one kind of device, and a bin packing buys devices for all slices at the least cost.

What a device can do for a size is its greatest rate at which promises hold on an idle fleet. A request stays on one
kind of device from its first stage to its last, whose time is divided among stages as they need it.
"""

# SciPy's annotations know numbers as bounds, not arrays.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf

from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Choice, Problem

from .linear import Program
from .shared import Answer, allowed, coherent, slots_needed, taken_by, with_capacity

SLICES = 8
"""Of each size."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Options of a tier that need fewest devices for a size, and how many, as a fraction."""

    options: tuple[int, ...]
    devices: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Devices by tier, and of each size the slices that go to each tier. `dollars` an hour."""

    devices: Mapping[str, int]
    slices: Mapping[tuple[str, str], int]
    dollars: float


def kept(problem: Problem, tier: str) -> Kept | None:
    """The options within one tier that carry the rate with fewest devices and keep the promises where nobody waits."""
    inside = {pool.name: pool for pool in problem.pools if pool.tier == tier}
    best: Kept | None = None
    choices = [[p for p in allowed(problem, stage) if stage.options[p].pool in inside] for stage in problem.stages]
    idle = replace(problem, promises=tuple(each for each in problem.promises if each.kind not in ("rate", "cost")))
    for options in product(*choices):
        taken = taken_by(problem, options)
        if not coherent(taken):
            continue
        needed = slots_needed(problem, taken)
        devices = sum(slots / inside[name].slots * inside[name].devices for name, slots in needed.items())
        if best is not None and devices >= best.devices:
            continue
        alone = Choice(options, tuple(int(pool.name in needed) for pool in problem.pools))
        medians = replace(idle, rate=None, promises=tuple(replace(each, percentile=50.0) for each in idle.promises))
        if not any(each.requirement in {p.name for p in idle.promises} for each in evaluate(medians, alone).broken):
            best = Kept(options, devices)
    return best


def packed(sizes: Sequence[tuple[str, Problem]]) -> Mix | None:
    """The cheapest devices for all slices of all sizes; None where some size has no device."""
    tiers = {tier.name: tier for tier in sizes[0][1].tiers if not tier.endpoint}
    program = Program()
    bought = {name: program.variable(tier.dollars.value * 3600.0, tier.high, True) for name, tier in tiers.items()}
    slices: dict[tuple[str, str], int] = {}
    for name, problem in sizes:
        for tier in tiers:
            if kept(problem, tier):
                slices[name, tier] = program.variable(0.0, SLICES, True)
        program.row({at: 1.0 for (size, _), at in slices.items() if size == name}, SLICES, SLICES)
    for tier in tiers:
        row = {bought[tier]: -1.0}
        for name, problem in sizes:
            found = kept(problem, tier)
            if found:
                row[slices[name, tier]] = found.devices / SLICES
        program.row(row, -inf, 0.0)
    solved = program.solved()
    if solved is None:
        return None
    value, values = solved
    return Mix(
        {tier: round(values[at]) for tier, at in bought.items() if round(values[at])},
        {key: round(values[at]) for key, at in slices.items() if round(values[at])},
        value,
    )


def melange(problem: Problem) -> Answer:
    """One size: a mix of devices. It is a choice where all slices go to one."""
    name = "bin packing (Mélange)"
    if problem.rate is None:
        return Answer(name, None, said="needs a rate")
    mix = packed([("all", problem)])
    if mix is None:
        return Answer(name, None, said="none keeps the promises")
    said = ", ".join(f"{count} {tier}" for tier, count in mix.devices.items())
    dollars = mix.dollars / 3600.0 / problem.rate
    if len(mix.slices) > 1:
        return Answer(name, dollars, said=said)
    tier = next(iter(mix.slices))[1]
    found = kept(problem, tier)
    choice = with_capacity(problem, found.options) if found else None
    if choice is None:
        return Answer(name, dollars, said=said)
    return Answer(name, dollars, choice, evaluate(problem, choice), said)
