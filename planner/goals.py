"""Terms of a goal beside what is predicted of them: the numbers, and whether each holds.

The prediction of a percentile is the median's terms, then the tail, then the waiting, so that a missed term says which
of the three is to blame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..base.units import DURATION, ENERGY_PER_COUNT, MONEY_PER_COUNT, RATE, Dimension
from ..lang.program import Goal, GoalTerm
from .figures import Basis, Prediction, Term, predicted, show_value
from .moments import Moment, explain
from .plan import GoalPlan, Inequality, Tail
from .predict import Forecast
from .tails import MEDIAN, noise_of, tail, waiting

LATENCIES = ("first_token", "first_item", "token_gap", "finish")
PLANNED: dict[str, Dimension] = {
    **dict.fromkeys(LATENCIES, DURATION),
    "rate": RATE,
    "cost": MONEY_PER_COUNT,
    "energy": ENERGY_PER_COUNT,
}
OBJECTIVES = ("cheapest", "fastest", "greenest")


@dataclass(frozen=True, slots=True)
class Load:
    """What the tier is asked: runs a second of one instance (None where no rate is promised) and a run's seconds."""

    rate: float | None
    service: float


def rate_of(goal: Goal | None) -> GoalTerm | None:
    return next((term for term in goal.terms if term.kind == "rate"), None) if goal else None


def objective_of(goal: Goal | None) -> str:
    """`cheapest` unless the goal prefers something else."""
    words = [term.word for term in goal.terms if term.kind == "prefer" and term.word] if goal else []
    return words[0] if words else OBJECTIVES[0]


def moment_of(kind: str, run: Forecast) -> Moment | None:
    """The moment that a latency term speaks of; None where the pipeline has none."""
    match kind:
        case "first_token" | "first_item":
            return run.first
        case "token_gap" | "item_gap":
            return run.gap
        case _:
            return run.finish


def latency(kind: str, percentile: float, run: Forecast, load: Load) -> tuple[Prediction | None, Tail | None]:
    """The prediction of a percentile, and how its tail was found; None where waiting has no bound."""
    moment = moment_of(kind, run)
    assert moment is not None
    middle = explain(kind, moment, run.times)
    noise, basis = noise_of(moment, run.times)
    terms = list(middle.terms)
    found = tail(kind, percentile, noise, basis) if percentile != MEDIAN else None
    if found:
        terms.append(Term(f"tail p{percentile:g}", middle.value * (found.factor - 1.0), "s", basis, found.reason))
    # One sequence is decoded at a time, so a run that has started is not disturbed: gaps do not wait.
    if load.rate is not None and kind != "token_gap":
        wait = waiting(load.service, load.rate, percentile, noise)
        if wait is None:
            return None, found
        if wait:
            detail = f"arrivals at {load.rate:.3g} per s, {show_value(load.service, 's')} each"
            terms.append(Term(f"waiting p{percentile:g}", wait, "s", Basis.DERIVED, detail))
    error = (middle.high - middle.value) / middle.value if middle.value else 0.0
    return predicted(kind, "s", terms, error), found


def carried(instances: int, service: float) -> Prediction:
    """The most runs a second that so many instances carry."""
    runs = instances / service if service else 1e9
    detail = f"{instances} / {show_value(service, 's')}"
    return predicted("rate", "per s", (Term("runs carried", runs, "per s", Basis.DERIVED, detail),), 0.0)


def soft_of(goal: Goal | None) -> dict[str, float]:
    """The terms that may be missed, by their kind, and how much a miss weighs."""
    terms = goal.terms if goal else ()
    return {t.word: t.limit.value for t in terms if t.kind == "soft" and t.word is not None and t.limit is not None}


def goal_plan(term: GoalTerm, prediction: Prediction | None, soft: float | None = None) -> GoalPlan:
    """The term beside its prediction; `soft` is the weight of a miss where it may be missed. A rate is met if it is
    below what is carried, any other term if it is not exceeded."""
    assert term.limit is not None
    limit = term.limit.value
    met = prediction is not None and (limit < prediction.value if term.kind == "rate" else prediction.value <= limit)
    return GoalPlan(
        requirement="",
        term=term.kind,
        percentile=term.percentile,
        limit=limit,
        unit=unit_of(term.kind),
        predicted=prediction,
        met=met,
        soft=soft,
        shares=(),
        place=str(term.span),
    )


def unit_of(kind: str) -> str:
    return {"cost": "$", "energy": "J", "rate": "per s"}.get(kind, "s")


def term_text(term: GoalPlan) -> str:
    """The term as a program writes it: `first_token p95 <= 800 ms`."""
    if term.term == "rate":
        return f"rate {term.limit:g} per s"
    percentile = f" p{term.percentile:g}" if term.percentile is not None else ""
    if term.term == "cost":
        return f"cost <= {show_value(term.limit * 1000, '$')} per 1000 runs"
    limit = show_value(term.limit, term.unit) + (" per run" if term.term == "energy" else "")
    return f"{term.term}{percentile} <= {limit}"


def inequality(term: GoalPlan) -> Inequality:
    """The certificate's line of a term."""
    found = term.predicted
    left, right = (found.value if found else None), term.limit
    if term.term == "rate" and found:
        left, right = term.limit, found.value
    return Inequality(
        name=term_text(term),
        kind="rate" if term.term == "rate" else "promise",
        requirement=term.requirement,
        left=left,
        right=right,
        unit=term.unit,
        holds=term.met,
        soft=term.soft is not None,
        basis=weakest(each.basis for each in found.terms) if found else Basis.DERIVED,
        error=(found.high - found.value) / found.value if found and found.value else 0.0,
        terms=summands(found.terms if found else ()),
        place=term.place,
    )


def weakest(bases: Iterable[Basis]) -> Basis:
    """The weakest of reasons, since an argument is no stronger."""
    order = list(Basis)
    return max(bases, key=order.index, default=Basis.DERIVED)


def summands(terms: Iterable[Term]) -> tuple[str, ...]:
    """Terms as texts: `0.9 s FLOPs / peak of answer.chat.prefill (…)`."""
    out: list[str] = []
    for term in terms:
        stage = f" of {term.stage}" if term.stage else ""
        detail = f" ({term.detail})" if term.detail else ""
        out.append(f"{show_value(term.value, term.unit)} {term.name}{stage}{detail}, {term.basis.value}")
    return tuple(out)
