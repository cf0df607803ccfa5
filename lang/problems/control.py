"""Blocks, branches, loops, and tests."""

from __future__ import annotations

from ...base.problems import Fix, Problem, Related, Severity
from ...base.source import Span
from ..types import Type


def recursion(title: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem("recursion", title, span, hint=hint, related=related)


def missing_return(what: str, wants: Type | None, span: Span, fix: Fix | None) -> Problem:
    kind = f" of type {wants}" if wants else ""
    return Problem(
        "missing-return",
        f"{what} ends without a value",
        span,
        hint=f"after it, {fix.title}" if fix else f"let its last line be a value{kind}",
        fix=fix,
    )


def unreachable(span: Span, after: Span, word: str = "return") -> Problem:
    return Problem(
        "unreachable",
        f"what stands after `{word}` is never reached",
        span,
        hint=f"remove it, or move it before the `{word}`",
        related=(Related(after, "the pipeline ends here" if word == "return" else "the turn ends here"),),
    )


def misplaced(word: str, where: str, span: Span, hint: str, fix: Fix | None = None) -> Problem:
    """A statement that has no meaning where it stands: `where` says where it belongs."""
    return Problem("misplaced", f"`{word}` belongs {where}", span, hint=hint, fix=fix)


def if_without_else(span: Span) -> Problem:
    return Problem(
        "if-without-else",
        "this `if` has no value when its condition does not hold",
        span,
        hint="add `else { … }` with a value of the same type",
    )


def test_expects_nothing(name: str, span: Span) -> Problem:
    return Problem(
        "test-expects-nothing",
        f"test {name!r} expects nothing, so it cannot fail",
        span,
        Severity.WARNING,
        hint="add a line `expect …` with what must hold",
    )


def bad_bound(title: str, span: Span, hint: str) -> Problem:
    return Problem("bad-bound", title, span, hint=hint)
