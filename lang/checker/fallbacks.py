"""`otherwise` and `race`: what takes the place of what fails or is late."""

from __future__ import annotations

from ...base import units
from ...base.problems import Fix, Related
from ...base.source import Span
from .. import problems, program, syntax
from ..types import ListType, Type
from .body import Body, nothing, stands_in
from .branches import agree, guide_of
from .conversions import is_unknown

# Why a call can fail, by the names that a program can catch.
REASONS = (
    *("timeout", "denied", "truncated", "refused", "unreachable", "bad_output", "bad_value", "tool_error"),
    *("too_long", "unavailable", "interrupted", "crashed", "expectation", "out_of_memory"),
    "may_have_acted",
)
_ANY = frozenset(REASONS)
_NONE: frozenset[str] = frozenset()
_BAD_VALUE = frozenset({"bad_value"})


def check_otherwise(body: Body, node: syntax.Otherwise, expected: Type | None) -> program.Expression:
    reasons = _reasons(body, node)
    value = body.plain(body.value(node.value, expected, open=True))
    fallback = body.plain(body.value(node.fallback, expected or guide_of(value), open=True))
    if not is_unknown(value.type):
        _report_unused(body, node, value, reasons)
    what = "what stands on both sides of `otherwise`"
    type, (value, fallback) = agree(body, (value, fallback), expected, what, "the left side")
    if is_unknown(type):
        return nothing(node.span, type)
    return program.Otherwise(
        type=type,
        span=node.span,
        labels=value.labels | fallback.labels,
        value=value,
        reasons=reasons,
        fallback=fallback,
    )


def _reasons(body: Body, node: syntax.Otherwise) -> tuple[str, ...]:
    first: dict[str, Span] = {}
    for word in node.reasons:
        if word.text not in REASONS:
            near = body.context.nearest(word.text, REASONS)
            body.context.report(problems.unknown_reason(word.text, word.span, near, REASONS))
        elif word.text in first:
            body.context.report(problems.said_twice(f"the reason `{word.text}`", word.span, first[word.text]))
        first.setdefault(word.text, word.span)
    return tuple(first)


def _report_unused(body: Body, node: syntax.Otherwise, value: program.Expression, reasons: tuple[str, ...]) -> None:
    """A fallback for failures that cannot come."""
    caught = frozenset(reasons) & _ANY if reasons else _ANY
    if reasons and not caught:
        return
    possible = failures(value)
    if possible & caught:
        return
    at = body.context.keyword("otherwise", node.fallback.span, node.fallback.span)
    behind = body.context.source.span(node.value.span.end, node.span.end)
    fix = problems.leave_out("leave the fallback out", behind)
    if possible:
        names = ", ".join(f"`{name}`" for name in sorted(caught))
        why = f"what stands before it does not fail with {names}"
        hint = "leave it out, or catch another reason"
    else:
        why = "what stands before it cannot fail"
        hint = "leave `otherwise` out"
        named = value
        while isinstance(named, program.Buffered | program.Collect):
            named = named.stream
        if isinstance(named, program.Reference):
            hint = f"a name is not called again: write `otherwise` where `{named.name}` is bound"
    related: tuple[Related, ...] = body.origin(value)
    if isinstance(node.value, syntax.Otherwise):
        before = node.value.fallback.span
        related = (Related(before, "the fallback before it catches what comes"),)
    body.context.report(problems.unreachable_fallback(why, at, hint, related, fix))


def failures(expression: program.Expression) -> frozenset[str]:
    """The reasons for which a value can fail where it stands. A call can fail for any; a name cannot, since what it
    stands for fails where it is bound."""
    match expression:
        case program.StageCall() | program.PipelineCall() | program.Into():
            return _ANY
        case program.Otherwise():
            left = failures(expression.value)
            caught = frozenset(expression.reasons) if expression.reasons else _ANY
            return (left - caught) | failures(expression.fallback) if left & caught else left
        case program.Binary() if expression.operator in ("/", "%") and not _is_nonzero(expression.right):
            own = _BAD_VALUE
        case program.Convert() if expression.checked:
            own = _BAD_VALUE
        case program.IndexOf() if isinstance(expression.base.type, ListType):
            own = _BAD_VALUE
        case _:
            own = _NONE
    return own.union(*(failures(part) for part in program.children(expression)))


def _is_nonzero(node: program.Expression) -> bool:
    value = node.value if isinstance(node, program.Literal) else None
    if isinstance(value, units.Quantity):
        return value.value != 0
    return isinstance(value, int | float) and value != 0


# --- race ------------------------------------------------------------------------------------------------------------


def check_race(body: Body, node: syntax.Race, expected: Type | None) -> program.Expression:
    found: list[program.Expression] = []
    guide = expected
    for branch in node.branches:
        value = body.plain(body.value(branch, guide, open=True))
        guide = guide or guide_of(value)
        found.append(value)
    if len(found) == 1:
        fix = _only_branch(body, node)
        title, hint = "a race of one branch is won before it starts", "add another branch, or leave `race` out"
        body.context.report(problems.race_decided(title, node.span, hint, fix))
    type, branches = agree(body, found, expected, "every branch of this `race`", "the first branch")
    if len(found) > 1 and not any(stands_in(value) for value in branches):
        _report_instant(body, branches)
    if is_unknown(type):
        return nothing(node.span, type)
    labels = frozenset[str]().union(*(value.labels for value in branches))
    return program.Race(type=type, span=node.span, labels=labels, branches=tuple(branches))


def _report_instant(body: Body, found: list[program.Expression]) -> None:
    """A branch that waits for nothing of its own: it has won when the race starts."""
    for value in found:
        waits = isinstance(value, program.Reference) or any(_is_call(part) for part in _inside(value))
        if not waits:
            title = "this branch of `race` is there at once, so no other can win"
            hint = "let each branch call something, or catch failures with `otherwise`"
            body.context.report(problems.race_decided(title, value.span, hint))
            return


def _is_call(node: program.Expression) -> bool:
    return isinstance(node, program.StageCall | program.PipelineCall | program.Reference)


def _inside(expression: program.Expression) -> list[program.Expression]:
    found: list[program.Expression] = []
    waiting = [expression]
    while waiting:
        found.append(waiting.pop())
        waiting += program.children(found[-1])
    return found


def _only_branch(body: Body, node: syntax.Race) -> Fix | None:
    inner = node.branches[0].span
    source = body.context.source
    before, behind = source.span(node.span.start, inner.start), source.span(inner.end, node.span.end)
    return problems.leave_out("leave `race` out", before, behind)
