"""What a run took, under the names that plans use: the bridge from timings to the comparison with a prediction."""

from __future__ import annotations

import statistics

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
