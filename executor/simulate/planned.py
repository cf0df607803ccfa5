"""A plan as the choice that it is, so that it can be simulated."""

from __future__ import annotations

from ...planner.plan import Plan
from ...planner.space.problem import Choice, Problem


def choice_of(plan: Plan, problem: Problem) -> Choice | None:
    """The choice that a plan made of this problem; None where it is the plan of another."""
    options = {stage.id: stage.option for stage in plan.stages}
    pools = {pool.name for pool in problem.pools}
    if any(stage.name not in options or options[stage.name] >= len(stage.options) for stage in problem.stages):
        return None
    if any(pool.name not in pools for pool in plan.pools):
        return None
    replicas = {pool.name: pool.replicas for pool in plan.pools}
    chosen = tuple(options[stage.name] for stage in problem.stages)
    if any(replicas.get(stage.options[o].pool, 0) < 1 for stage, o in zip(problem.stages, chosen, strict=True)):
        return None
    return Choice(chosen, tuple(replicas.get(pool.name, 0) for pool in problem.pools))
