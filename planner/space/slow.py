"""Moments of runs that are large: for what is promised of a percentile, where a trace says how sizes differ.

Means say what a fleet has to carry, and nothing of the twentieth run, whose prompt is three times as long. So a promise
at a percentile is held against a run with every size at that percentile, as if they were large together. The walk is
done again with those sizes, since gaps and overlaps follow from them, and what a stage takes counts as often as it is
longer then: by the growth of its demand, or of its time on whichever option grows most (prompts more than their
operations do, where attention is slow). On other options that is too much, so a promise that is kept is kept.

A reply's steps are those of a batch whose other rows are as they usually are: it grows by its own demand alone.

Who waits, waits for runs of all sizes: how much these differ is a variance of each stage (`varying`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ...ir.graph import Demand
from ..moments import Expression, written
from ..predict import Forecast
from ..traces.load import Load
from .asked import DECODE, Asked
from .links import edges
from .nodes import Builder, Constant, Index, Move, Take
from .problem import Edge, Option, Stage

Moments = tuple[tuple[str, Index], ...]


class Slow:
    """Rewrites the moments of a walk at larger sizes into those of the usual stages and edges, of which each counts so
    many times. `grown` are the stages as they are offered usually and at those sizes, in pairs."""

    def __init__(self, usual: Asked, large: Asked, builder: Builder, grown: Iterable[tuple[Stage, Stage]]) -> None:
        self._builder = builder
        self._grown = {stage.name: (stage, other) for stage, other in grown}
        self._usual, self._large = usual, large
        self._places = {pair: place for place, pair in enumerate(usual.run.moves)}
        self._moves = large.run.moves
        self._edges = dict(zip(usual.run.moves, edges(usual), strict=True))
        self._larger = dict(zip(large.run.moves, edges(large), strict=True))
        self._known: dict[int, Index] = {}
        self._factors: dict[str, float] = {}

    def moments(self, kinds: Iterable[tuple[str, Expression]]) -> Moments:
        return tuple((kind, written(self._builder, made, self._known, self._leaf)) for kind, made in kinds)

    def _leaf(self, leaf: Take | Move | Constant) -> Take | Move | Constant:
        match leaf:
            # What comes before the first item of a reply is the same for a long one.
            case Take(stage, times, first):
                return leaf if first else Take(stage, times * self._factor(stage))
            case Move(edge, times):
                pair = self._moves[edge]
                return Move(self._places[pair], times * _more(self._edges[pair], self._larger[pair]))
            case Constant():
                return leaf

    def _factor(self, stage: str) -> float:
        if stage not in self._factors:
            grown = _growth(self._usual, self._large, stage)
            if self._usual.operation(stage).name != DECODE and stage in self._grown:
                grown += _longer(*self._grown[stage])
            self._factors[stage] = max((1.0, *grown))
        return self._factors[stage]


STEP = 0.1
"""By how much of itself a size is made larger, to see what grows with it."""


def varying(usual: Asked, trace: Load, sizes: Callable[[Mapping[str, float]], Mapping[str, float]]) -> dict[str, float]:
    """For each stage the relative variance of what it takes between runs, from those of the sizes that its demand grows
    with, as if these differed independently; `sizes` makes all sizes of a run from some of them."""
    found: dict[str, float] = {}
    for size in trace.sizes:
        if not size.variance or not size.mean:
            continue
        large = larger(usual, usual.run, sizes({size.name: size.mean * (1.0 + STEP)}))
        for stage in usual.run.operations:
            slope = (max((1.0, *_growth(usual, large, stage))) - 1.0) / STEP
            found[stage] = found.get(stage, 0.0) + slope * slope * size.variance
    return found


def differing(stages: tuple[Stage, ...], variances: Mapping[str, float]) -> tuple[Stage, ...]:
    """The same whose executions differ so between runs."""

    def known(stage: Stage) -> tuple[Option, ...]:
        return tuple(replace(option, varies=variances.get(stage.name, 0.0)) for option in stage.options)

    return tuple(replace(stage, options=known(stage)) for stage in stages)


def _growth(usual: Asked, large: Asked, stage: str) -> list[float]:
    """How many times larger each part of a stage's demand is."""
    demand = usual.demand(stage)
    less, more = _amounts(demand, usual), _amounts(demand, large)
    if usual.operation(stage).name == DECODE:
        # A reply takes a step less than it has tokens.
        less, more = (*less, usual.reply(stage) - 1.0), (*more, large.reply(stage) - 1.0)
    return [b / a for a, b in zip(less, more, strict=True) if a > 0.0]


def _longer(usual: Stage, large: Stage) -> list[float]:
    """How much longer each option takes that is offered at both sizes."""
    pools = {option.pool: option.seconds for option in large.options}
    return [pools[option.pool] / option.seconds for option in usual.options if option.pool in pools and option.seconds]


def _amounts(demand: Demand, asked: Asked) -> tuple[float, ...]:
    each = (
        demand.compute,
        demand.traffic,
        demand.network,
        demand.disk,
        demand.cpu,
        demand.tokens_in,
        demand.tokens_out,
    )
    return tuple(amount.value(asked.sizes) for amount in each)


def _more(usual: Edge, large: Edge) -> float:
    return max(1.0, large.bytes / usual.bytes) if usual.bytes > 0.0 else 1.0


def larger(asked: Asked, run: Forecast, values: Mapping[str, float]) -> Asked:
    """The same asked by a run of these sizes, as it was walked."""
    figures = tuple((name, replace(figure, value=values[name])) for name, figure in asked.work.figures)
    return replace(asked, run=run, work=replace(asked.work, figures=figures))
