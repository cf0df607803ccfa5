"""Times that cannot hold inside each other."""

from __future__ import annotations

from ...base.problems import Fix, Problem, Related, Severity
from ...base.source import Span


def deadline_too_short(
    deadline: str, needs: str, span: Span, related: tuple[Related, ...], fix: Fix | None = None
) -> Problem:
    return Problem(
        "deadline-too-short",
        f"the policies inside this `timeout {deadline}` may take {needs}",
        span,
        hint=f"let it be at least {needs}, or take retries or time from what is inside",
        related=related,
        fix=fix,
    )


def fallback_never_runs(deadline: str, first: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "fallback-never-runs",
        f"this fallback has no time: what it replaces may take {first}, and both together have {deadline}",
        span,
        hint="give the left side of `otherwise` less time, or the deadline more",
        related=related,
    )


def hedge_never_starts(after: str, deadline: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "hedge-never-starts",
        f"the hedge would start after {after}, when the call has ended by its timeout of {deadline}",
        span,
        hint=f"let it start earlier than {deadline}",
        related=related,
    )


def idle_never_ends(idle: str, deadline: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "idle-never-ends",
        f"`idle {idle}` never ends a call that its timeout ends after {deadline}",
        span,
        hint=f"let it be shorter than {deadline}, or leave it out",
        related=related,
    )


def goal_below_worst_case(term: str, needs: str, span: Span, related: tuple[Related, ...]) -> Problem:
    return Problem(
        "goal-below-worst-case",
        f"`{term}` is less than the {needs} that the program's own policies allow a run",
        span,
        Severity.WARNING,
        hint="shorten the timeouts or retry less, or expect that some of the runs that need them are late",
        related=related,
    )


def goal_ruled_out(title: str, span: Span, hint: str, related: tuple[Related, ...]) -> Problem:
    return Problem("goal-ruled-out", title, span, hint=hint, related=related)
