"""Terms of a goal: which are planned, how they are written, and their lines in a certificate."""

from __future__ import annotations

from collections.abc import Iterable

from ..base.units import DURATION, ENERGY_PER_COUNT, MONEY_PER_COUNT, RATE, Dimension
from ..lang.program import Goal
from .figures import Basis, Term, show_value
from .plan import GoalPlan, Inequality

LATENCIES = ("first_token", "first_item", "token_gap", "finish")
PLANNED: dict[str, Dimension] = {
    **dict.fromkeys(LATENCIES, DURATION),
    "rate": RATE,
    "cost": MONEY_PER_COUNT,
    "energy": ENERGY_PER_COUNT,
}
OBJECTIVES = ("cheapest", "fastest", "greenest")


def objective_of(goal: Goal | None) -> str:
    """`cheapest` unless the goal prefers something else."""
    words = [term.word for term in goal.terms if term.kind == "prefer" and term.word] if goal else []
    return words[0] if words else OBJECTIVES[0]


def soft_of(goal: Goal | None) -> dict[str, float]:
    """The terms that may be missed, by their kind, and how much a miss weighs."""
    terms = goal.terms if goal else ()
    return {t.word: t.limit.value for t in terms if t.kind == "soft" and t.word is not None and t.limit is not None}


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
