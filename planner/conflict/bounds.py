"""What no choice can beat, without a search: each stage at its quickest, wherever that is.

As sums and maxima grow with their parts, a moment of stages that each take their least is below that of any choice.
Where even that is above a promise, nothing else is to blame.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf

from ..figures import Term
from ..space.evaluate import z_of
from ..space.nodes import Take, critical, reached, values
from ..space.problem import Option, Problem, Promise

Allowed = Callable[[str, Option], bool]


def _anywhere(*_: object) -> bool:
    return True


def least(problem: Problem, promise: Promise, allowed: Allowed = _anywhere) -> float:
    """A lower bound of what a promise comes to, of choices whose options are allowed; 0 where nothing is known."""
    if promise.kind == "energy":
        return sum(
            stage.executions
            * min((option.joules for option in stage.options if allowed(stage.name, option)), default=inf)
            for stage in problem.stages
        )
    if promise.kind in ("cost", "rate"):
        return 0.0
    return _seconds(problem, promise, allowed)[problem.promised(promise)]


def _seconds(problem: Problem, promise: Promise, allowed: Allowed) -> list[float]:
    z = z_of(promise.percentile)
    stages = {stage.name: stage for stage in problem.stages}

    def take(leaf: Take) -> float:
        found = (
            (option.first if leaf.first else option.seconds) * exp(z * option.noise)
            for option in stages[leaf.stage].options
            if allowed(leaf.stage, option)
        )
        return leaf.times * min(found, default=inf)

    return values(problem.nodes, take, lambda _: 0.0)


def too_slow(problem: Problem, promise: Promise) -> tuple[tuple[str, str, float], ...]:
    """Stages and tiers that a promise forbids by itself, with what it would at least come to there."""
    if promise.kind in ("cost", "rate"):
        return ()
    places = {pool.name: pool.tier for pool in problem.pools}
    found: list[tuple[str, str, float]] = []
    for stage in problem.stages:
        for tier in dict.fromkeys(places[option.pool] for option in stage.options):
            value = least(
                problem,
                promise,
                lambda name, option, stage=stage, tier=tier: name != stage.name or places[option.pool] == tier,
            )
            if value > promise.limit * (1 + 1e-9):
                found.append((stage.name, tier, value))
    return tuple(found)


def bound_by(problem: Problem, promise: Promise) -> tuple[str, str, float, Term | None]:
    """Of the least that a moment takes: the stage with the most of it, its tier, those seconds, and the largest term of
    its time, which is the bound that forbids more."""
    seconds = _seconds(problem, promise, _anywhere)
    z = z_of(promise.percentile)
    parts: dict[tuple[str, bool], float] = {}
    for leaf, factor in critical(problem.nodes, seconds, problem.promised(promise)):
        if isinstance(leaf, Take):
            index = problem.nodes.index(leaf)
            parts[leaf.stage, leaf.first] = parts.get((leaf.stage, leaf.first), 0.0) + factor * seconds[index]
    if not parts:
        return "", "", 0.0, None
    name, first = max(parts, key=lambda key: parts[key])
    stage = next(stage for stage in problem.stages if stage.name == name)
    option = min(stage.options, key=lambda one: (one.first if first else one.seconds) * exp(z * one.noise))
    return name, problem.pool(option.pool).tier, parts[name, first], option.time.dominating


def stages_of(problem: Problem, kind: str) -> tuple[str, ...]:
    """The stages that a moment is made of."""
    found: dict[str, None] = {}
    for index in reached(problem.nodes, problem.moment(kind)):
        node = problem.nodes[index]
        if isinstance(node, Take):
            found[node.stage] = None
    return tuple(found)
