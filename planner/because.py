"""Why a plan does not hold: for each line of its certificate that fails, the number, what dominates it, and the
smallest changes that would help. Where the rate alone is to blame, that is said once, not for each percentile behind
it."""

from __future__ import annotations

from dataclasses import replace

from ..base.problems import Problem, Problems
from ..base.source import Span
from . import problems
from .cost import resource_of
from .figures import Prediction, Term, show_value
from .goals import LATENCIES, Load, latency, term_text
from .placement import Placement
from .plan import GoalPlan, Plan
from .relax import calmer, floor_of, relaxations
from .tails import MEDIAN
from .workload import loose

_IDLE = Load(None, 0.0)


def explain(placement: Placement, plan: Plan) -> Problems:
    """A problem for each thing that does not hold; none for a feasible plan."""
    found: list[Problem] = []
    tier, pool = plan.tiers[0], plan.pools[0]
    if pool.memory.value > pool.capacity.value:
        part = pool.memory.dominating
        largest = f"{part.name} ({show_value(part.value, 'B')})" if part else ""
        span = placement.tier.span if placement.tier else None
        found.append(problems.does_not_fit(tier.name, pool.memory.value, pool.capacity.value, largest, span))
    overloaded = tier.utilisation >= 1.0
    load = _IDLE if overloaded else placement.load_of(tier.devices)
    for term in plan.goals:
        if term.met or term.soft is not None:
            continue
        if term.term == "rate":
            found.append(_overloaded(placement, plan, term))
            continue
        shown = _under(placement, term, load) if overloaded else term
        if not shown.met:
            found.append(_missed(placement, plan, shown, load))
    return tuple(found)


def _overloaded(placement: Placement, plan: Plan, term: GoalPlan) -> Problem:
    busy, service = placement.run.busy, placement.run.busy_seconds
    largest = max(busy, key=lambda stage: busy[stage])
    tier = plan.tiers[0]
    most = tier.devices / service
    return problems.overloaded(
        tier.name,
        tier.devices,
        term.limit,
        service,
        most,
        f"{resource_of(placement.run.times[largest].time)} of {largest}",
        (f"`rate {floor_of(most):g} per s`", f"{int(term.limit * service) + 1} of {tier.name}"),
        _span(placement, term),
        placement.options.enforce_goal,
    )


def _missed(placement: Placement, plan: Plan, term: GoalPlan, load: Load) -> Problem:
    assert term.predicted is not None

    def evaluate(sizes: dict[str, float]) -> float | None:
        other = placement.with_sizes(sizes)
        asked = replace(load, service=other.run.busy_seconds)
        found = _prediction(other, term, asked, plan.tiers[0].devices)
        return found.value if found else None

    tier = plan.tiers[0]
    rate = placement.rate

    def at_rate(asked: float) -> float | None:
        found = _prediction(placement, term, replace(load, rate=asked), tier.devices)
        return found.value if found else None

    sizes = placement.work.figures
    helps = relaxations(term, lambda sizes: evaluate(dict(sizes)), sizes, loose(sizes))
    if load.rate and rate and term.term in LATENCIES:
        helps = (*helps[:1], *calmer(term, at_rate, rate, tier.devices, tier.name), *helps[1:])
    value = term.predicted.value
    text = f"{show_value(value * 1000, '$')} per 1000 runs" if term.term == "cost" else show_value(value, term.unit)
    return problems.goal_missed(
        term_text(term),
        tier.name,
        text,
        _blame(term.predicted.dominating),
        helps,
        _span(placement, term),
        idle=placement.rate is not None and load.rate is None,
        enforced=placement.options.enforce_goal,
    )


def _under(placement: Placement, term: GoalPlan, load: Load) -> GoalPlan:
    """The term under another load."""
    prediction = _prediction(placement, term, load, 1)
    return replace(term, predicted=prediction, met=prediction is not None and prediction.value <= term.limit)


def _prediction(placement: Placement, term: GoalPlan, load: Load, instances: int) -> Prediction | None:
    if term.term in LATENCIES:
        return latency(term.term, term.percentile or MEDIAN, placement.run, load)[0]
    return placement.cost(instances).per_run if term.term == "cost" else placement.energy()


def _blame(term: Term | None) -> str:
    if term is None:
        return "nothing in particular"
    return f"{term.name}{f' of {term.stage}' if term.stage else ''} ({show_value(term.value, term.unit)})"


def _span(placement: Placement, term: GoalPlan) -> Span | None:
    terms = placement.goal.terms if placement.goal else ()
    return next((t.span for t in terms if t.kind == term.term and str(t.span) == term.place), None)
