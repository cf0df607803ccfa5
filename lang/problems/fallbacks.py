"""`with` and `otherwise`, each where it stands."""

from __future__ import annotations

from ...base.problems import Fix, Problem, Related
from ...base.source import Span
from .words import listed, rename


def policy_misplaced(title: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    """A policy of something that it means nothing for."""
    return Problem("policy-misplaced", title, span, hint=hint, related=related)


def unknown_reason(name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-reason",
        f"no failure has the reason `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"the reasons are {listed(known, len(known))}",
        fix=rename(span, suggestion),
    )


def unreachable_fallback(why: str, span: Span, hint: str, related: tuple[Related, ...], fix: Fix | None) -> Problem:
    """`why` ends the title: "what stands before `otherwise` cannot fail"."""
    return Problem(
        "unreachable-fallback", f"this fallback is never used: {why}", span, hint=hint, related=related, fix=fix
    )
