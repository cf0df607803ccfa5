"""Goals and fleets."""

from __future__ import annotations

from ...base.problems import Fix, Problem, Related
from ...base.source import Span
from .words import listed, rename


def goal_unknown_pipeline(name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "goal-unknown-pipeline",
        f"there is no pipeline `{name}` to have a goal",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"the pipelines here are {listed(known) or 'none'}",
        fix=rename(span, suggestion),
    )


def goal_twice(name: str, span: Span, first: Span) -> Problem:
    return Problem(
        "goal-twice",
        f"pipeline `{name}` has a second goal",
        span,
        hint="move its terms into the first one",
        related=(Related(first, "the first goal is here"),),
    )


def goal_contradictory(title: str, span: Span, hint: str, first: Span | None = None) -> Problem:
    return Problem(
        "goal-contradictory", title, span, hint=hint, related=(Related(first, "the other is here"),) if first else ()
    )


def goal_unknown_term(name: str, what: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "goal-unknown-term",
        f"{what} `{name}` is none that a goal knows",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"known are {listed(known)}",
        fix=rename(span, suggestion),
    )


def goal_unfit(title: str, span: Span, hint: str, related: tuple[Related, ...] = (), fix: Fix | None = None) -> Problem:
    """A term of a goal that means nothing for this pipeline or this name."""
    return Problem("goal-unfit", title, span, hint=hint, related=related, fix=fix)


def goal_percentile(title: str, span: Span, hint: str, fix: Fix | None = None) -> Problem:
    return Problem("goal-percentile", title, span, hint=hint, fix=fix)


def not_a_device(name: str, span: Span) -> Problem:
    return Problem(
        "not-a-device",
        f"tier `{name}` names no device",
        span,
        hint="write `catalog.NAME`, as in `tier cpu = catalog.laptop { count 1 }`",
    )


def unknown_setting(owner: str, name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-setting",
        f"{owner} has no setting `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"its settings are {listed(known)}",
        fix=rename(span, suggestion),
    )


def tier_unreachable(name: str, fleet: str, span: Span) -> Problem:
    return Problem(
        "tier-unreachable",
        f"no link of fleet `{fleet}` reaches tier `{name}`",
        span,
        hint=f"add `link {name} <-> * 10 Gbit/s, 100 us` with the figures of your network",
    )


def serves_nothing(name: str, span: Span) -> Problem:
    return Problem(
        "serves-nothing",
        f"endpoint `{name}` does not say which models it serves",
        span,
        hint='add `serves ["NAME"]` with the names that `llm.chat` is given',
    )


def bad_address(text: str, span: Span) -> Problem:
    return Problem(
        "bad-address",
        f'"{text}" is no address of a service',
        span,
        hint='write it in full, as in `endpoint("https://models.example/v1")`',
    )
