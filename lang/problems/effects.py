"""What tools do to the world, and how often."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Problem, Related, Severity
from ...base.source import Span


def dangerous_repeated(
    tool: str, why: str, span: Span, related: tuple[Related, ...], parameter: str | None, place: Span | None
) -> Problem:
    """`why` says what repeats it; `parameter` could tell two of its calls apart, and `place` is where to say so."""
    words = f"idempotent by {parameter or 'PARAMETER'}"
    fix = Fix(f"declare it `{words}`", (Edit(place, f" {words}"),)) if parameter and place else None
    return Problem(
        "dangerous-repeated",
        f"`{tool}` may act twice: {why}, and nothing says that a second call does no harm",
        span,
        hint=f"if the tool knows a repeated call by its `{parameter}`, declare it `{words}`; else call it once"
        if parameter
        else f"if the tool knows a repeated call by an argument, declare it `{words}`; else call it once",
        related=related,
        fix=fix,
    )


def dangerous_cached(tool: str, effect: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "dangerous-cached",
        f"`{tool}` (effect `{effect}`) does nothing while its answer is cached",
        span,
        Severity.WARNING,
        hint="put `cache` behind what only reads, if every call is meant to act",
        related=related,
    )
