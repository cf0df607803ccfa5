"""`match`, enums, conversions, structured output, `repeat` and `race`."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Problem, Related
from ...base.source import Span
from ..types import Type
from .words import listed, rename

# --- match and enums -------------------------------------------------------------------------------------------------


def missing_arm(missing: tuple[str, ...], span: Span, related: tuple[Related, ...], fix: Fix | None) -> Problem:
    return Problem(
        "missing-arm",
        f"this `match` has no arm for {listed(missing)}",
        span,
        hint="add an arm for each, or `_ => …` for all that is left",
        related=related,
        fix=fix,
    )


def unreachable_arm(what: str, span: Span, first: Span | None) -> Problem:
    """`what` says why: "case `Spam` has an arm already"."""
    return Problem(
        "unreachable-arm",
        f"this arm is never taken: {what}",
        span,
        hint="remove it, or let it stand for another case",
        related=(Related(first, "taken here"),) if first else (),
    )


def wrong_binders(case: str, fields: tuple[str, ...], given: int, span: Span, declared: Span | None) -> Problem:
    count = f"{len(fields)} value{'s' if len(fields) != 1 else ''}" if fields else "no values"
    names = f"{given} name{'s' if given != 1 else ''} stand{'s' if given == 1 else ''} here"
    write = f"{case}({', '.join(fields)})" if fields else case
    return Problem(
        "wrong-binders",
        f"case `{case}` holds {count}, but {names}",
        span,
        hint=f"write `{write}`" + ("; `_` stands for a value that is not used" if fields else ""),
        related=(Related(declared, f"`{case}` is declared here"),) if declared else (),
    )


def unknown_case(owner: str, name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-case",
        f"`{owner}` has no case `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"its cases are {listed(known)}",
        fix=rename(span, suggestion),
    )


def ambiguous_case(name: str, owners: tuple[str, ...], span: Span) -> Problem:
    return Problem(
        "ambiguous-case",
        f"`{name}` is a case of {' and of '.join(f'`{owner}`' for owner in owners)}",
        span,
        hint=f"say which one is meant: `{owners[0]}.{name}`",
    )


# --- values and conversions ------------------------------------------------------------------------------------------


def untyped_none(span: Span) -> Problem:
    return Problem(
        "untyped-none",
        "what this `none` could hold instead cannot be known",
        span,
        hint="write `none` where an optional value is expected (an argument, a field), or beside a value of the type",
    )


def bad_conversion(actual: Type, wanted: Type, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem(
        "bad-conversion",
        f"a value of type {actual} can never become {wanted}",
        span,
        hint=hint,
        related=related,
    )


def into_misplaced(actual: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem(
        "into-misplaced",
        f"`into` decodes the reply of a chat call, but this is {actual}",
        span,
        hint=hint,
        related=related,
    )


def secret_misplaced(title: str, span: Span, hint: str) -> Problem:
    return Problem("secret-misplaced", title, span, hint=hint)


def said_twice(what: str, span: Span, first: Span) -> Problem:
    """`what` is the whole subject: "policy `timeout`", "the key `a` of this map"."""
    return Problem(
        "said-twice",
        f"{what} is said twice",
        span,
        hint="keep the one that is meant",
        related=(Related(first, "first said here"),),
    )


# --- repeat and race -------------------------------------------------------------------------------------------------


def missing_next(span: Span, state: str, fix: Fix | None) -> Problem:
    return Problem(
        "missing-next",
        "a turn of this `repeat` can end without `next` or `stop`",
        span,
        hint=f"after it, {fix.title}" if fix else f"let every way through the turn end in `next …`: the next `{state}`",
        fix=fix,
    )


def race_decided(title: str, span: Span, hint: str, fix: Fix | None = None) -> Problem:
    """A race whose winner is known before it starts."""
    return Problem("race-decided", title, span, hint=hint, fix=fix)


def leave_out(title: str, *spans: Span) -> Fix:
    """The fix that removes parts of the text."""
    return Fix(title, tuple(Edit(span, "") for span in spans))
