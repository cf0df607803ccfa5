"""What simpler ways to choose come to, so that a saving is a fact: everything on one kind of device, and greedily.

Each is a search of its own in fewer options, or a rule; what a rule misses is nothing to compare with (None).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..space.evaluate import evaluate
from ..space.problem import Choice, Problem
from .greedy import greedy
from .searching import search

SHORT = 2.0
"""Seconds for each search."""


def baselines(problem: Problem, seconds: float = SHORT) -> tuple[tuple[str, float | None], ...]:
    """Objectives by name, the best first. A stage that a tier cannot run stays where it can. Nothing where there is one
    tier only."""
    tiers = [tier.name for tier in problem.tiers if not tier.endpoint and tier.high]
    if len(problem.tiers) < 2:
        return ()
    found = [(f"all on {name}", _only(problem, name, seconds)) for name in tiers]
    found.append(("each stage for itself", _greedy(problem)))
    return tuple(sorted(found, key=lambda each: (each[1] is None, each[1] or 0.0)))


def _only(problem: Problem, tier: str, seconds: float) -> float | None:
    """The best with all stages on one tier, as far as it runs them."""
    own = {pool.name for pool in problem.pools if pool.tier == tier}
    stages = tuple(
        replace(stage, options=tuple(option for option in stage.options if option.pool in own) or stage.options)
        for stage in problem.stages
    )
    found = search(replace(problem, stages=stages), seconds=seconds)
    return found.outcomes[0].objective if found.outcomes else None


def _greedy(problem: Problem) -> float | None:
    """Each stage where it is cheapest for itself, with as many replicas as that takes."""
    return next((o.objective for o in (evaluate(problem, c) for c in _choices(problem)) if o.holds), None)


def _choices(problem: Problem) -> Iterator[Choice]:
    choice = greedy(problem)
    if choice is not None:
        yield choice
