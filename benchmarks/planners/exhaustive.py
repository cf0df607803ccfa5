"""Everything is looked at: what any search of a small problem must agree with, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import inf, prod

from agentlang.planner.space.evaluate import Outcome, evaluate
from agentlang.planner.space.problem import Choice, Problem

from .shared import Answer, allowed, coherent, replicated, taken_by

MOST = 30_000
"""Choices of options that are looked at; more are left alone."""


def exhaustive(problem: Problem) -> Answer:
    if prod(len(stage.options) for stage in problem.stages) > MOST:
        return Answer("everything", None, said="too many choices")
    best: tuple[Choice, Outcome] | None = None
    for options in product(*(allowed(problem, stage) for stage in problem.stages)):
        for choice, outcome in _held(problem, options, best[1].objective if best else inf):
            if best is None or outcome.objective < best[1].objective:
                best = choice, outcome
    if best is None:
        return Answer("everything", None, said="there is none")
    return Answer("everything", best[1].dollars, *best)


def _held(problem: Problem, options: tuple[int, ...], below: float) -> Iterator[tuple[Choice, Outcome]]:
    """Replicas with which options keep every requirement: all, or those that are best where they are in order of cost
    (none, where they are no better than what is there)."""
    if not coherent(taken_by(problem, options)):
        return
    if problem.objective == "cheapest" and all(promise.soft is None for promise in problem.promises):
        if found := replicated(problem, options, below):
            yield found
        return
    for choice in _replicas(problem, options):
        outcome = evaluate(problem, choice)
        if outcome.holds:
            yield choice, outcome


def _replicas(problem: Problem, options: tuple[int, ...]) -> Iterator[Choice]:
    used = {option.pool for option in taken_by(problem, options).values()}
    counts: list[range] = []
    for pool in problem.pools:
        most = problem.tier(pool.tier).high // pool.devices if pool.slots and pool.devices else 1
        counts.append(range(1, most + 1) if pool.name in used else range(1))
    for replicas in product(*counts):
        yield Choice(options, replicas)
