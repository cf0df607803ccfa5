"""What a run took, under the names that plans use: the bridge from timings to the comparison with a prediction."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from ..ir.formula import Formula
from ..ir.graph import GraphPipeline, walk
from ..lang.types import StreamType
from .blame import counted
from .frames import End


def measured(pipeline: GraphPipeline, end: End) -> dict[str, float]:
    """Seconds by name: `first_token` and `first_item`, `token_gap` (the median, and `token_gap p95`), `finish`, `load`,
    and each stage's id with the time in which it ran, once or often. Of the moments counts what `blame.counted` says:
    opening is paid once, and what a person or the caller takes is not the program's.

    A stage that reads a stream lasts as long as what it reads, so its time says nothing of its own work: left out.
    """
    timings = end.timings
    out: dict[str, float] = {"finish": counted(timings, timings.finish)}
    if timings.opening:
        out["load"] = timings.opening
    if timings.first_item is not None:
        out["first_token"] = out["first_item"] = counted(timings, timings.first_item)
    if len(timings.gaps) > 1:
        out["token_gap"] = statistics.median(timings.gaps)
        out["token_gap p95"] = statistics.quantiles(timings.gaps, n=20, method="inclusive")[-1]
    readers = {o.id for o in walk(pipeline.body) if any(isinstance(v.type, StreamType) for v in o.operands)}
    return out | {stage.stage: stage.seconds for stage in timings.stages if stage.stage not in readers}


def sizes(pipeline: GraphPipeline, end: End) -> dict[str, float]:
    """The sizes that this run had, by the names of the pipeline's size variables: what each decode made, on average."""
    made = {stage.stage: stage.items / stage.count for stage in end.timings.stages if stage.count and stage.items}
    out: dict[str, float] = {}
    for operation in walk(pipeline.body):
        demand = operation.demand
        if demand is None or operation.id not in made:
            continue
        match demand.tokens_out.terms:
            case (((name,), 1.0),):
                out[name] = made[operation.id]
            case _:
                pass
    return out


CALLS = frozenset({"agent.prefill", "agent.decode"})
"""Stages that every run tells of which executes them; others may be part of what runs as one."""


def brought(pipeline: GraphPipeline, ends: Sequence[End]) -> dict[str, float]:
    """What several runs brought, as means, by the names of the pipeline's size variables: the length of each reply,
    and, from how often stages ran, the items and turns of loops and the shares of branches. What no stage tells is left
    out. Means of a call's replies are over its executions, of all else over runs."""
    counts: dict[str, float] = {}
    items: dict[str, float] = {}
    for end in ends:
        for stage in end.timings.stages:
            counts[stage.stage] = counts.get(stage.stage, 0.0) + stage.count
            items[stage.stage] = items.get(stage.stage, 0.0) + stage.items
    known: dict[str, float] = {}
    told: list[tuple[Formula, float]] = []
    for operation in walk(pipeline.body):
        if operation.demand is None or operation.times is None:
            continue
        count = counts.get(operation.id, 0.0)
        if count or operation.name in CALLS:
            told.append((operation.times, count / len(ends)))
        match operation.demand.tokens_out.terms:
            case (((name,), 1.0),) if operation.name == "agent.decode" and count and items[operation.id]:
                known[name] = items[operation.id] / count
            case _:
                pass
    names = {size.name for size in pipeline.sizes if size.basis != "program"}
    while (found := _next(told, known, names)) is not None:
        known[found[0]] = found[1]
    return known


def _next(
    told: Sequence[tuple[Formula, float]], known: Mapping[str, float], names: set[str]
) -> tuple[str, float] | None:
    """A size that is the only one not known of how often a stage ran: a product of sizes, or one share and the rest."""
    for formula, count in told:
        open_names = [name for name in formula.variables if name not in known]
        if len(open_names) != 1 or open_names[0] not in names:
            continue
        (name,) = open_names
        rest, slope = (formula.value({**known, name: at}) for at in (0.0, 1.0))
        slope -= rest
        # Linear in it, as all are of which it is a factor once.
        if slope and abs(formula.value({**known, name: 2.0}) - rest - 2.0 * slope) <= 1e-9 * abs(slope):
            return name, max(0.0, (count - rest) / slope)
    return None
