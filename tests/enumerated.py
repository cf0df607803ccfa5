"""A search by looking at every choice: slow, and beyond doubt. For small problems."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from problems_made import all_choices, best

from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Choice, Problem

PLENTY = 4
"""Devices of a tier where their number is not asked."""


@dataclass(frozen=True)
class Answer:
    choices: tuple[Choice, ...]
    status: str


def opened(problem: Problem, without: Iterable[str]) -> Problem:
    """The same, with the choices that are there once some counts are left out."""
    dropped = set(without)
    tiers = tuple(
        replace(tier, high=max(tier.high, PLENTY)) if tier.counted in dropped else tier for tier in problem.tiers
    )
    return replace(problem, tiers=tuple(replace(tier, high=min(tier.high, 16)) for tier in tiers))


def search(problem: Problem, *, without: Iterable[str] = (), seconds: float = 10.0) -> Answer:
    found = best(opened(problem, without), tuple(without))
    return Answer((found[0],), "proven optimal") if found else Answer((), "infeasible")


def feasible(problem: Problem, *, without: Iterable[str] = (), seconds: float = 10.0) -> Answer:
    """The first choice that holds."""
    dropped = tuple(without)
    for choice in all_choices(opened(problem, dropped)):
        if evaluate(problem, choice, dropped).holds:
            return Answer((choice,), "feasible")
    return Answer((), "infeasible")
