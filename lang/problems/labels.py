"""Labels: where labelled data may not go."""

from __future__ import annotations

from ...base.problems import Problem, Related, Severity
from ...base.source import Span
from .words import listed, rename


def label_reaches_tool(
    label: str, tool: str, effect: str, pipeline: str, tiers: tuple[str, ...], span: Span, related: tuple[Related, ...]
) -> Problem:
    return Problem(
        "label-reaches-tool",
        f"@{label} data reaches the tool `{tool}` (effect `{effect}`), but the goal of `{pipeline}` keeps it"
        f" on {listed(tiers)}",
        span,
        hint="pass what `text.redact(…)` leaves of it, or, where no harm can come of it, `declassify(…)`",
        related=related,
    )


def label_reaches_tier(
    label: str, called: str, tier: str, pipeline: str, tiers: tuple[str, ...], span: Span, related: tuple[Related, ...]
) -> Problem:
    """`tier` says where the call can only run."""
    return Problem(
        "label-reaches-tier",
        f"@{label} data reaches `{called}`, which {tier}, but the goal of `{pipeline}` keeps it on {listed(tiers)}",
        span,
        hint=f"pass what `text.redact(…)` leaves of it, or ask a model that {listed(tiers)} can serve",
        related=related,
    )


def untrusted_input(tool: str, effect: str, listed: bool, span: Span, related: tuple[Related, ...]) -> Problem:
    """`listed` where the tool is one of an agent."""
    return Problem(
        "untrusted-input",
        f"what a network tool returned reaches the tool `{tool}` (effect `{effect}`), and nobody is asked",
        span,
        hint=f'give the agent a pipeline instead, which calls `{tool}` with approve "…?"'
        if listed
        else 'let a person decide: `with approve "…?"` behind the call',
        related=related,
    )


def unknown_label(label: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    there = f"the labels here are {', '.join(f'@{name}' for name in known)}" if known else "nothing here has a label"
    return Problem(
        "unknown-label",
        f"nothing is labelled @{label}, so there is nothing to keep",
        span,
        Severity.WARNING,
        hint=f"did you mean `@{suggestion}`?" if suggestion else there,
        fix=rename(span, f"@{suggestion}" if suggestion else None),
    )
