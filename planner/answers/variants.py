"""The same problem with one question put to it: a stage on these tiers only, one more promise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..space.problem import Option, Problem, Promise, Requirement, Stage

ASKED = "asked"
"""The name of the requirement that a question adds."""


def only_on(problem: Problem, stage: str, tiers: Collection[str]) -> Problem:
    """A stage on some of its tiers only. Options keep their places, so that choices mean the same."""
    places = {pool.name: pool.tier for pool in problem.pools}

    def barred(option: Option) -> Option:
        return option if places[option.pool] in tiers else replace(option, barred=(*option.barred, ASKED))

    def asked(each: Stage) -> Stage:
        return replace(each, options=tuple(map(barred, each.options))) if each.name == stage else each

    question = Requirement(ASKED, "keep", f"{stage} on {', '.join(sorted(tiers))}")
    return replace(
        problem,
        stages=tuple(map(asked, problem.stages)),
        requirements=(*problem.requirements, question),
    )


def promised(problem: Problem, promise: Promise) -> Problem:
    """One more promise."""
    return replace(problem, promises=(*problem.promises, promise))


def seen(problem: Problem, promise: Promise) -> Problem:
    """A promise that is only watched: outcomes say what it comes to."""
    return promised(problem, replace(promise, soft=0.0))
