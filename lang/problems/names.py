"""Names: unknown, taken, unused, and what they stand for."""

from __future__ import annotations

from ...base.problems import Fix, Problem, Related, Severity
from ...base.source import Span
from ..types import StreamType, Type
from .words import listed, rename


def unknown_name(
    name: str,
    span: Span,
    suggestion: str | None = None,
    *,
    what: str = "nothing here",
    hint: str | None = None,
    related: tuple[Related, ...] = (),
    fix: Fix | None = None,
) -> Problem:
    meant = f"did you mean `{suggestion}`?" if suggestion else hint or "bind it first, or check the spelling"
    return Problem(
        "unknown-name",
        f"{what} is called `{name}`",
        span,
        hint=meant,
        related=related,
        fix=fix or rename(span, suggestion),
    )


def unknown_module(name: str, span: Span, suggestion: str | None) -> Problem:
    return Problem(
        "unknown-module",
        f"there is no module `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else "the library's modules are written `std/NAME`",
        fix=rename(span, suggestion),
    )


def unknown_member(
    owner: str,
    kind: str,
    name: str,
    span: Span,
    suggestion: str | None,
    known: tuple[str, ...],
    told: tuple[str, Fix | None] | None = None,
) -> Problem:
    """`kind` is what is looked for: "field", "method", "stage or type"; `told` a hint and a fix that say more."""
    offer = told[0] if told is not None else f"it has {listed(known)}" if known else f"it has no {kind}s"
    return Problem(
        "unknown-member",
        f"`{owner}` has no {kind} `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else offer,
        fix=told[1] if told is not None else rename(span, suggestion),
    )


def bound_twice(name: str, span: Span, first: Span | None, what: str, hint: str) -> Problem:
    """`what` says what the name already is: "a binding", "an imported module", "always in scope"."""
    return Problem(
        "bound-twice",
        f"`{name}` is already {what}",
        span,
        hint=hint,
        related=(Related(first, "first bound here"),) if first else (),
    )


def unused(what: str, name: str, span: Span, fix: Fix | None = None) -> Problem:
    return Problem(
        "unused",
        f"{what} `{name}` is never used",
        span,
        Severity.WARNING,
        hint="use it or remove it",
        fix=fix,
    )


def unused_value(span: Span, type: Type) -> Problem:
    return Problem(
        "unused-value",
        f"the value of this line ({type}) is used by nothing",
        span,
        Severity.WARNING,
        hint="send its items out with `emit`, take them with `for` or `all`, or remove the line"
        if isinstance(type, StreamType)
        else "bind it to a name that is used, or remove the line",
    )
