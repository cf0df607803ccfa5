"""What is different between two plans, term by term: what they were made from, where stages are, how many machines
there are, what is promised, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from ..figures import Prediction, show_value
from ..goals import term_text
from ..plan import GoalPlan, Plan, StagePlan, TierPlan
from ..tables import table

Item = TypeVar("Item")

SAME = 1e-9
"""Relative: numbers as near as this are one."""


@dataclass(frozen=True, slots=True)
class Change:
    """`group` is what it is of (inputs, tier, stage, prediction, goal, cost, search); `before` and `after` are texts,
    empty where there was none. `ratio` is after over before, of numbers."""

    group: str
    name: str
    before: str
    after: str
    ratio: float | None = None


def difference(left: Plan, right: Plan) -> tuple[Change, ...]:
    """Every change from one plan to another, in the order of a plan; none where they decide and promise the same."""
    return (
        *_given(left, right),
        *_listed("tier", left.tiers, right.tiers, lambda tier: tier.name, _tier),
        *_listed("stage", left.stages, right.stages, lambda stage: stage.id, _stage),
        *_predictions(left, right),
        *_goals(left, right),
        *_number("cost", "per 1000 runs", left.cost.per_1000_runs, right.cost.per_1000_runs, "$"),
        *_number("energy", "a run", left.energy.value, right.energy.value, "J"),
        *_text("search", "status", left.search.status, right.search.status),
    )


def _given(left: Plan, right: Plan) -> Iterable[Change]:
    yield from _text("plan", "pipeline", left.pipeline, right.pipeline)
    yield from _text("plan", "fleet", left.fleet, right.fleet)
    yield from _text("plan", "objective", left.objective, right.objective)
    for field in fields(left.inputs):
        before, after = getattr(left.inputs, field.name), getattr(right.inputs, field.name)
        yield from _text("inputs", field.name, _short(before), _short(after))


def _short(text: object) -> str:
    return str(text)[:12]


def _text(group: str, name: str, before: str, after: str) -> Iterable[Change]:
    if before != after:
        yield Change(group, name, before, after)


def _number(group: str, name: str, before: float, after: float, unit: str) -> Iterable[Change]:
    if abs(after - before) > SAME * max(abs(before), abs(after)):
        ratio = after / before if before else None
        yield Change(group, name, show_value(before, unit), show_value(after, unit), ratio)


def _listed(
    group: str, left: Sequence[Item], right: Sequence[Item], name: Callable[[Item], str], text: Callable[[Item], str]
) -> Iterable[Change]:
    before, after = ({name(item): text(item) for item in items} for items in (left, right))
    for key in dict.fromkeys((*before, *after)):
        yield from _text(group, key, before.get(key, ""), after.get(key, ""))


def _tier(tier: TierPlan) -> str:
    if tier.endpoint:
        return "asked elsewhere"
    return f"{tier.devices} x {tier.title}, {show_value(tier.price.value, '$/h')}" if tier.devices else "not used"


def _stage(stage: StagePlan) -> str:
    parts = [f"{stage.tier}, {stage.engine}" + (f" {stage.dtype}" if stage.dtype else "")]
    if stage.tensor_parallel > 1:
        parts.append(f"tensor {stage.tensor_parallel}")
    if stage.pipeline_parallel > 1:
        parts.append(f"pipeline {stage.pipeline_parallel}")
    if stage.batch > 1:
        parts.append(f"batch {stage.batch}")
    if stage.instances > 1:
        parts.append(f"{stage.instances} replicas")
    return ", ".join(parts)


def _predictions(left: Plan, right: Plan) -> Iterable[Change]:
    before, after = ({each.name: each for each in plan.predictions} for plan in (left, right))
    for name in dict.fromkeys((*before, *after)):
        yield from _predicted("prediction", name, before.get(name), after.get(name))


def _predicted(group: str, name: str, before: Prediction | None, after: Prediction | None) -> Iterable[Change]:
    if before is not None and after is not None:
        yield from _number(group, name, before.value, after.value, after.unit)
    elif before is not after:
        texts = ["" if each is None else show_value(each.value, each.unit) for each in (before, after)]
        yield Change(group, name, texts[0], texts[1])


def _goals(left: Plan, right: Plan) -> Iterable[Change]:
    def named(plan: Plan) -> dict[tuple[str, float | None], GoalPlan]:
        return {(each.term, each.percentile): each for each in plan.goals}

    before, after = named(left), named(right)
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        name = key[0] + (f" p{key[1]:g}" if key[1] is not None else "")
        yield from _text("goal", name, term_text(old) if old else "", term_text(new) if new else "")
        if old and new:
            yield from _predicted("goal", f"{name}, reached", old.predicted, new.predicted)
            yield from _text("goal", f"{name}, verdict", _verdict(old), _verdict(new))


def _verdict(term: GoalPlan) -> str:
    return "met" if term.met else "missed"


def difference_text(changes: Sequence[Change]) -> str:
    """A table."""
    if not changes:
        return "the plans are the same"
    rows = [("", "", "before", "after", "")]
    for each in changes:
        ratio = f"{each.ratio - 1.0:+.1%}" if each.ratio is not None else ""
        rows.append((each.group, each.name, each.before or "-", each.after or "-", ratio))
    return "\n".join(table(rows))


def difference_json(changes: Sequence[Change]) -> list[dict[str, str | float | None]]:
    """The same as plain data."""
    return [
        {"group": c.group, "name": c.name, "before": c.before or None, "after": c.after or None, "ratio": c.ratio}
        for c in changes
    ]
