"""The words for what can go wrong when stages are placed on tiers. One function per slug."""

from __future__ import annotations

from ..base.problems import Problem, Related, Severity
from ..base.source import Span
from ..base.suggest import suggest


def kept_at_home(stage: str, why: str, away: tuple[str, ...], home: str, span: Span | None) -> Problem:
    """What stands inside of an operation cannot be spread over tiers."""
    return Problem(
        "placed-at-home",
        f"{stage!r} runs on {home!r} as a whole, not on {', '.join(map(repr, away))}: {why}",
        span,
        Severity.NOTE,
        hint=f"place all of it on {home!r}, or take what belongs elsewhere out of it",
    )


def cannot_cross(what: str, type_: str, tier: str, target: str, span: Span | None) -> Problem:
    return Problem(
        "cannot-cross",
        f"{what!r} is {type_} on {tier!r} and cannot be sent to {target!r}, where it is used",
        span,
        hint=f"place what uses it on {tier!r} too",
    )


def no_such_stage(stage: str, known: tuple[str, ...], span: Span | None = None) -> Problem:
    near = suggest(stage, known)
    return Problem(
        "place-unknown-stage",
        f"a placement names {stage!r}, and no stage of the program has that id",
        span,
        hint=f"did you mean {near!r}?" if near else "`agentlang compile --emit graph` lists the stages",
    )


def no_such_tier(stage: str, tier: str, known: tuple[str, ...], span: Span | None) -> Problem:
    return Problem(
        "place-unknown-tier",
        f"{stage!r} is placed on {tier!r}, which is no tier of the fleet",
        span,
        hint=f"the tiers are {', '.join(known)}" if known else "declare it in a fleet",
    )


def placed_elsewhere(stage: str, tier: str, wanted: str, span: Span | None, stated: Span | None) -> Problem:
    return Problem(
        "placed-elsewhere",
        f"{stage!r} is placed on {tier!r}, but the program says `place on {wanted}`",
        span,
        hint=f"place it on {wanted!r}, or take the policy away",
        related=(Related(stated, "it is said here"),) if stated is not None else (),
    )


def label_leaves(stage: str, label: str, tier: str, allowed: tuple[str, ...], span: Span | None) -> Problem:
    return Problem(
        "label-leaves-tier",
        f"{stage!r} is placed on {tier!r}, but what carries @{label} is kept on {' or '.join(map(repr, allowed))}",
        span,
        hint=f"place it on {allowed[0]!r}" if allowed else "no tier may have it",
    )


def which_home(known: tuple[str, ...]) -> Problem:
    return Problem(
        "place-which-home",
        "no tier is said to be home, where the caller is",
        hint=f"set `agent.home` of the module to one of {', '.join(known)}"
        if known
        else "set `agent.home` of the module",
    )


def not_placed(stage: str | None, span: Span | None) -> Problem:
    return Problem(
        "not-placed",
        f"{stage!r} has no tier" if stage is not None else "the module does not say which tier is home",
        span,
        hint="run `insert_transfers` before `partition`",
    )
