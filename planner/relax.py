"""What would make a missed goal hold: the nearest limit, and for each size that the program leaves open the greatest
value at which the term holds. One change at a time; each is found by bisection, as every prediction grows with its
sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .figures import Figure
from .goals import term_text
from .plan import GoalPlan

Evaluate = Callable[[Mapping[str, float]], float | None]
_STEPS = 24


def relaxations(
    term: GoalPlan, evaluate: Evaluate, sizes: tuple[tuple[str, Figure], ...], loose: tuple[str, ...]
) -> tuple[str, ...]:
    """Changes that help, in words: a new limit first, then smaller sizes. `evaluate` predicts the term with some sizes
    given, or gives None where there is no bound."""
    out: list[str] = []
    if term.predicted is not None:
        out.append(f"`{term_text(_with_limit(term, _ceiling(term.predicted.value)))}`")
    for name, figure in sizes:
        if name in loose and figure.value > 1.0:
            most = largest(lambda value, name=name: evaluate({name: value}), term.limit, figure.value)
            if most is not None and most >= 1.0:
                out.append(f"at most {most:.0f} {figure.unit or 'of'} in {name.rpartition('.')[0] or name}")
    return tuple(out[:3])


def largest(evaluate: Callable[[float], float | None], limit: float, now: float) -> float | None:
    """The greatest whole number below `now` at which `evaluate` stays within `limit`; None if not even 1 does."""

    def holds(value: float) -> bool:
        found = evaluate(value)
        return found is not None and found <= limit

    if not holds(1.0):
        return None
    low, high = 1.0, now
    for _ in range(_STEPS):
        if high - low <= 1.0:
            break
        middle = float(int((low + high) / 2))
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _with_limit(term: GoalPlan, limit: float) -> GoalPlan:
    return GoalPlan(term.term, term.percentile, limit, term.unit, term.predicted, term.met, term.soft, term.place)


def _ceiling(value: float) -> float:
    """Two digits, rounded up, so that what is promised holds."""
    from math import ceil, floor, log10

    if value <= 0.0:
        return value
    digits = 10.0 ** (floor(log10(value)) - 1)
    return ceil(value / digits) * digits
