"""What would make a missed goal hold: the nearest limit, and for each size that the program leaves open the greatest
value at which the term holds. One change at a time; each is found by bisection, as every prediction grows with its
sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, floor, log10

from .figures import Figure
from .goals import term_text
from .plan import GoalPlan

Evaluate = Callable[[Mapping[str, float]], float | None]
Scale = Callable[[float], float | None]
_STEPS = 24
_MOST = 64
_SHOWN = 3


def relaxations(
    term: GoalPlan, evaluate: Evaluate, sizes: tuple[tuple[str, Figure], ...], loose: tuple[str, ...]
) -> tuple[str, ...]:
    """Changes that help, in words: a new limit first, then smaller sizes. `evaluate` predicts the term with some sizes
    given, or gives None where there is no bound."""
    out: list[str] = []
    if term.predicted is not None:
        out.append(f"`{term_text(replace(term, limit=ceiling(term.predicted.value)))}`")
    for name, figure in sizes:
        if name in loose and figure.value > 1.0:
            most = largest(lambda value, name=name: evaluate({name: value}), term.limit, figure.value)
            if most is not None:
                what, _, kind = name.rpartition(".")
                unit = "output tokens" if kind == "output" else figure.unit
                out.append(f"at most {most:.0f} {unit} in {what}" if unit else f"{name} of at most {most:.0f}")
    return tuple(out[:_SHOWN])


def calmer(term: GoalPlan, at_rate: Scale, rate: float, instances: int, tier: str) -> tuple[str, ...]:
    """Changes of the load that help, where waiting is to blame: a lower rate, or more instances. `at_rate` predicts the
    term at a rate of one instance; `rate` is what all together get."""
    idle = at_rate(0.0)
    if idle is None or idle > term.limit:
        return ()
    low, high = 0.0, rate / instances
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = at_rate(middle)
        low, high = (middle, high) if found is not None and found <= term.limit else (low, middle)
    out: list[str] = []
    if low > 0.0:
        out.append(f"`rate {floor_of(low * instances):g} per s`")
    for count in range(instances + 1, _MOST + 1):
        found = at_rate(rate / count)
        if found is not None and found <= term.limit:
            out.append(f"{count} of {tier}")
            break
    return tuple(out)


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


def ceiling(value: float) -> float:
    """Two digits, rounded up, so that what a hint promises holds."""
    return _two_digits(value, ceil)


def floor_of(value: float) -> float:
    """Two digits, rounded down."""
    return _two_digits(value, floor)


def _two_digits(value: float, rounding: Callable[[float], int]) -> float:
    if value <= 0.0:
        return 0.0
    exponent = floor(log10(value)) - 1
    # A power of ten below one is not exact: dividing by its inverse keeps the digits clean.
    scale = 10.0 ** abs(exponent)
    return rounding(value / scale) * scale if exponent >= 0 else rounding(value * scale) / scale
