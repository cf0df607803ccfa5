"""The words for what can be wrong with the meaning of a program; those for its spelling are in `syntax_problems.py`.

One function per slug. Facts come in, a `Problem` comes out; each slug has a page in `docs/problems/`. A title stands
alone in one line, a hint is the next step, and a fix is there wherever a machine could apply it.
"""

from __future__ import annotations

from ..base.problems import Edit, Fix, Problem, Related, Severity
from ..base.source import Span
from .types import Type


def _rename(span: Span, suggestion: str | None) -> Fix | None:
    return Fix(f"write `{suggestion}`", (Edit(span, suggestion),)) if suggestion else None


def _listed(names: tuple[str, ...], most: int = 8) -> str:
    shown = ", ".join(name if " " in name else f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


# --- names -----------------------------------------------------------------------------------------------------------


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
        fix=fix or _rename(span, suggestion),
    )


def unknown_module(name: str, span: Span, suggestion: str | None) -> Problem:
    return Problem(
        "unknown-module",
        f"there is no module `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else "the library's modules are written `std/NAME`",
        fix=_rename(span, suggestion),
    )


def unknown_member(
    owner: str, kind: str, name: str, span: Span, suggestion: str | None, known: tuple[str, ...]
) -> Problem:
    """`kind` is what is looked for: "field", "method", "stage or type"."""
    offer = f"it has {_listed(known)}" if known else f"it has no {kind}s"
    return Problem(
        "unknown-member",
        f"`{owner}` has no {kind} `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else offer,
        fix=_rename(span, suggestion),
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
        hint="bind it to a name that is used, or remove the line",
    )


# --- types -----------------------------------------------------------------------------------------------------------


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


def not_callable(what: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem("not-callable", f"{what} cannot be called", span, hint=hint, related=related)


def not_constant(what: str, span: Span) -> Problem:
    return Problem(
        "not-constant",
        f"{what} must be known before the program runs",
        span,
        hint="write it out: a text without holes, a number, a quantity, a list of these, or a constant of the file",
    )


def not_a_handle(keyword: str, name: str, span: Span, actual: str) -> Problem:
    example = "llm.chat(…)" if keyword == "model" else "search.index(…)"
    return Problem(
        "not-a-handle",
        f"{keyword} `{name}` must be built by a stage of the library, but this is {actual}",
        span,
        hint=f"write for example `{keyword} {name} = {example}`; a plain constant is declared with `let`",
    )


def handle_not_declared(stage: str, result: Type, span: Span) -> Problem:
    return Problem(
        "handle-not-declared",
        f"`{stage}` builds a {result}, which must be declared at the top of the file",
        span,
        hint=f"write `model NAME = {stage}(…)` (or `resource`) outside the pipeline, and use NAME here",
    )


# --- calls -----------------------------------------------------------------------------------------------------------


def missing_argument(
    callee: str, missing: tuple[str, ...], span: Span, related: tuple[Related, ...], hint: str | None = None
) -> Problem:
    return Problem(
        "missing-argument",
        f"`{callee}` is not given {_listed(missing)}",
        span,
        hint=hint or f"add `{missing[0]}: …`",
        related=related,
    )


def unknown_argument(callee: str, name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-argument",
        f"`{callee}` takes no argument `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"it takes {_listed(known) or 'none'}",
        fix=_rename(span, suggestion),
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
        hint=f"it takes {_listed(known)}" if known else "remove what is inside the brackets",
    )


def recursion(title: str, span: Span, hint: str, related: tuple[Related, ...] = ()) -> Problem:
    return Problem("recursion", title, span, hint=hint, related=related)


# --- blocks ----------------------------------------------------------------------------------------------------------


def missing_return(what: str, wants: Type | None, span: Span, fix: Fix | None) -> Problem:
    kind = f" of type {wants}" if wants else ""
    return Problem(
        "missing-return",
        f"{what} ends without a value",
        span,
        hint=f"after it, {fix.title}" if fix else f"let its last line be a value{kind}",
        fix=fix,
    )


def unreachable(span: Span, after: Span) -> Problem:
    return Problem(
        "unreachable",
        "what stands after `return` is never reached",
        span,
        hint="remove it, or move it before the `return`",
        related=(Related(after, "the pipeline ends here"),),
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


# --- goals and fleets ------------------------------------------------------------------------------------------------


def goal_unknown_pipeline(name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "goal-unknown-pipeline",
        f"there is no pipeline `{name}` to have a goal",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"the pipelines here are {_listed(known) or 'none'}",
        fix=_rename(span, suggestion),
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
        hint=f"did you mean `{suggestion}`?" if suggestion else f"known are {_listed(known)}",
        fix=_rename(span, suggestion),
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


def unknown_setting(name: str, span: Span, suggestion: str | None, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-setting",
        f"a tier has no setting `{name}`",
        span,
        hint=f"did you mean `{suggestion}`?" if suggestion else f"its settings are {_listed(known)}",
        fix=_rename(span, suggestion),
    )


def tier_unreachable(name: str, fleet: str, span: Span) -> Problem:
    return Problem(
        "tier-unreachable",
        f"no link of fleet `{fleet}` reaches tier `{name}`",
        span,
        hint=f"add `link {name} <-> * 10 Gbit/s, 100 us` with the figures of your network",
    )


# --- what is not built yet -------------------------------------------------------------------------------------------


def not_checked_yet(construct: str, span: Span, hint: str, plural: bool = False) -> Problem:
    """Part of the language that the checker does not know yet: refused, so that nothing unchecked runs."""
    return Problem("not-checked-yet", f"{construct} {'are' if plural else 'is'} not checked yet", span, hint=hint)
