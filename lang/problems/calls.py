"""Calls and their arguments."""

from __future__ import annotations

from ...base.problems import Problem, Related
from ...base.source import Span
from .words import listed, rename


def missing_argument(
    callee: str, missing: tuple[str, ...], span: Span, related: tuple[Related, ...], hint: str | None = None
) -> Problem:
    return Problem(
        "missing-argument",
        f"`{callee}` is not given {listed(missing)}",
        span,
        hint=hint or f"add `{missing[0]}: …`",
        related=related,
    )


def unknown_argument(callee: str, name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-argument",
        f"`{callee}` takes no argument `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"it takes {listed(known) or 'none'}",
        fix=rename(span, suggestion),
    )


def argument_twice(callee: str, name: str, span: Span, first: Span) -> Problem:
    return Problem(
        "argument-twice",
        f"`{callee}` is given `{name}` twice",
        span,
        hint="keep one of the two; arguments by position come in the declared order",
        related=(Related(first, "first given here"),),
    )


def too_many_arguments(callee: str, takes: int, given: int, span: Span, known: tuple[str, ...]) -> Problem:
    count = "no arguments" if takes == 0 else "1 argument" if takes == 1 else f"{takes} arguments"
    return Problem(
        "too-many-arguments",
        f"`{callee}` takes {count}, but {given} are given"
        if given != 1
        else f"`{callee}` takes {count}, but 1 is given",
        span,
        hint=f"it takes {listed(known)}" if known else "remove what is inside the brackets",
    )
