"""Types and units: what a value must be, and what it is."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Problem, Related
from ...base.source import Span
from ..types import Type


def wrong_type(
    what: str,
    expected: str,
    actual: str,
    span: Span,
    related: tuple[Related, ...] = (),
    hint: str | None = None,
    fix: Fix | None = None,
) -> Problem:
    return Problem(
        "wrong-type",
        f"{what} must be {expected}, but this is {actual}",
        span,
        # What is wanted is either one type or a description of several.
        hint=hint or (f"give {expected}" if expected.startswith("a ") else f"give a value of type {expected}"),
        related=related,
        fix=fix,
    )


def stream_as_value(what: str, actual: Type, span: Span, related: tuple[Related, ...] = ()) -> Problem:
    opening = Span(span.path, span.start, span.start, span.line, span.column, span.line, span.column)
    ending = Span(span.path, span.end, span.end, span.end_line, span.end_column, span.end_line, span.end_column)
    return Problem(
        "stream-as-value",
        f"{what} must be a value, but this is {actual}",
        span,
        hint="wait for all of it with `all(…)`",
        related=related,
        fix=Fix("wrap it in `all(…)`", (Edit(opening, "all("), Edit(ending, ")"))),
    )


def unit_mismatch(title: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem("unit-mismatch", title, span, hint=hint, related=related)


def no_text_form(type: Type, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem("no-text-form", f"a value of type {type} has no text form", span, hint=hint, related=related)


def empty_list(span: Span) -> Problem:
    return Problem(
        "empty-list",
        "the type of this empty list cannot be known",
        span,
        hint="write `[]` where a list is expected (an argument, a field), not on its own",
    )


def stream_inside(what: str, type: str, span: Span) -> Problem:
    return Problem(
        "stream-inside",
        f"{what} cannot hold {type}",
        span,
        hint="only a parameter, a binding or a result is a stream; hold the collected value instead",
    )


def not_a_value(name: str, what: str, span: Span, hint: str) -> Problem:
    return Problem("not-a-value", f"`{name}` is {what}, not a value", span, hint=hint)


def not_callable(
    what: str, span: Span, hint: str, related: tuple[Related, ...] = (), fix: Fix | None = None
) -> Problem:
    return Problem("not-callable", f"{what} cannot be called", span, hint=hint, related=related, fix=fix)


def handle_as_value(type: Type, span: Span) -> Problem:
    return Problem(
        "handle-as-value",
        f"`{type}` is a handle, not a value to keep or to pass on",
        span,
        hint="use its declared name where a stage takes it, or call its methods",
    )


def not_data(title: str, span: Span, hint: str) -> Problem:
    """A type or value that cannot be written down stands where only such may: `title` says which and where."""
    return Problem("not-data", title, span, hint=hint)
