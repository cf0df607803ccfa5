"""What simpler ways to choose come to, so that what a search saves is a fact.

- All on the quickest tier, as far as stages can run there.
- All on the best tier: the one that is best for the objective of those that hold.
- Stage by stage, greedily: the cheapest option that keeps its share of each promise: a stage may take longer than on
  its quickest option by the factor that the whole may.

The first two choose options (parallelism, batch) and replicas on the tier as well as a search of a second can.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import exp, inf

from ..space.evaluate import evaluate
from ..space.nodes import values
from ..space.problem import Problem
from .greedy import price_of, trial
from .reading import Reading
from .searching import search

SECONDS = 1.0
"""Of the search on one tier."""


def baselines(problem: Problem, without: Iterable[str] = ()) -> tuple[tuple[str, float | None], ...]:
    """The objective of each, None where it finds nothing that holds; nothing to compare with where there is one tier.
    SolverMissingError as of `search`."""
    dropped = tuple(without)
    if len(problem.tiers) < 2:
        return ()
    alone = {tier.name: on_one(problem, tier.name, dropped) for tier in problem.tiers}
    quickest = min(alone, key=lambda tier: _quickness(problem, tier))
    found: list[tuple[str, float | None]] = [(f"all on the quickest tier, {quickest}", alone[quickest])]
    held = {tier: value for tier, value in alone.items() if value is not None}
    cheapest = min(held, key=lambda tier: held[tier], default="")
    found.append((f"all on the best tier, {cheapest}" if held else "all on one tier", held.get(cheapest)))
    found.append(("stage by stage", greedy(problem, dropped)))
    return tuple(found)


def _places(problem: Problem, stage: int, tier: str) -> list[int]:
    """A stage's options on a tier, or all of them where it has none there."""
    tiers = {pool.name: pool.tier for pool in problem.pools}
    options = problem.stages[stage].options
    return [place for place, option in enumerate(options) if tiers[option.pool] == tier] or list(range(len(options)))


def on_one(problem: Problem, tier: str, without: tuple[str, ...] = ()) -> float | None:
    """The best objective with everything on a tier that can be there."""
    stages = tuple(
        replace(stage, options=tuple(stage.options[place] for place in _places(problem, number, tier)))
        for number, stage in enumerate(problem.stages)
    )
    found = search(replace(problem, stages=stages), without=without, seconds=SECONDS)
    return found.outcomes[0].objective if found.outcomes else None


def _quickness(problem: Problem, tier: str) -> float:
    return sum(
        stage.executions * min(stage.options[place].seconds for place in _places(problem, number, tier))
        for number, stage in enumerate(problem.stages)
    )


def greedy(problem: Problem, without: tuple[str, ...] = ()) -> float | None:
    """See the module."""
    reading = Reading(problem, without)
    if not all(reading.allowed):
        return None

    def seconds(stage: int, place: int, z: float) -> float:
        option = reading.option(stage, place)
        return option.seconds * exp(z * option.noise)

    def least(stage: int, z: float) -> float:
        return min(seconds(stage, place, z) for place in reading.allowed[stage])

    shares: list[tuple[float, float, frozenset[int]]] = []
    for moment in reading.moments:
        if moment.limit is not None:
            quick = values(
                problem.nodes,
                lambda leaf, z=moment.z: least(reading.stage_at[leaf.stage], z) * leaf.times,
                lambda _: 0.0,
            )[moment.node]
            shares.append((moment.limit / quick if quick else inf, moment.z, moment.stages))
    options: list[int] = []
    for stage, allowed in enumerate(reading.allowed):
        fits = [
            place
            for place in allowed
            if all(
                stage not in stages or seconds(stage, place, z) <= factor * least(stage, z)
                for factor, z, stages in shares
            )
        ]
        quickest = [min(allowed, key=lambda place, stage=stage: seconds(stage, place, 0.0))]
        options.append(min(fits or quickest, key=lambda place, stage=stage: price_of(reading, stage, place)))
    found = trial(reading, tuple(options))
    if found.score[0] > 0.0:
        return None
    outcome = evaluate(problem, found.choice, without)
    return outcome.objective if outcome.holds else None
