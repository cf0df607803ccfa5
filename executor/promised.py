"""The promises of a plan, as the executor keeps them.

A goal may say several percentiles of one moment. One run is held against the highest of them, which nearly every run is
to keep: that half of the runs are faster than some time says nothing of any one.
"""

from __future__ import annotations

from ..planner.plan import GoalPlan, Plan
from .promises import FINISH, FIRST, Line, Promise, Promises


def promises_of(plan: Plan, *, enforce: bool = False) -> Promises | None:
    """None where the plan's goal says nothing of the time of a run."""
    moments = (FIRST, (FINISH,))
    held = [goal for kinds in moments if (goal := _held([g for g in plan.goals if g.term in kinds and g.limit > 0]))]
    if not held:
        return None
    pools = {pool.name: pool for pool in plan.pools}
    lines = tuple(
        Line(name, pool.slots * pool.replicas, pool.service, frozenset(s.id for s in plan.stages if s.pool == name))
        for name, pool in pools.items()
        if pool.slots and pool.service > 0
    )
    times = {stage.id: stage.time.value for stage in plan.stages}
    return Promises(plan.pipeline, tuple(map(_promise, held)), times, lines, enforce)


def _held(goals: list[GoalPlan]) -> GoalPlan | None:
    """The one that a run is held against."""
    return max(goals, key=lambda goal: (goal.soft is None, goal.percentile or 50.0, -goal.limit), default=None)


def _promise(goal: GoalPlan) -> Promise:
    name = goal.term if goal.percentile is None else f"{goal.term} p{goal.percentile:g}"
    # Sums of shares may be off in their last digit.
    whole = sum(share.seconds for share in goal.shares)
    scale = min(1.0, goal.limit / whole) if whole else 1.0
    slices = {share.stage: share.seconds * scale for share in goal.shares}
    if goal.predicted is None:
        return Promise(goal.term, goal.limit, slices, dict.fromkeys(slices, 0.0), name, None, goal.soft is not None)
    # Its terms are medians, and beside them what the percentile and the line add.
    terms = goal.predicted.terms
    needs = {stage: sum(term.value for term in terms if term.stage == stage) for stage in slices}
    if sum(needs.values()) > goal.limit:
        # Not even half of the runs would be in time by the plan: nothing is kept for what it says of them.
        needs = dict.fromkeys(slices, 0.0)
    alone = sum(term.value for term in terms if not term.name.startswith("waiting"))
    return Promise(goal.term, goal.limit, slices, needs, name, alone, goal.soft is not None)
