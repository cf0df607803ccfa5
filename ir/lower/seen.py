"""What a failed `expect` shows: beside its condition an expectation has the values that it was decided by.

    expect window(7) contains "30"      "agent.expect"(%condition, %window, %thirty) {shown = ["window(7)", …]}

Of `and`, `or` and `not` these are the values of their parts, of a call its arguments, of a field what it is a field
of. What people see in the line itself (a constant) is left out, except beside a comparison that is the whole condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...lang import program as p
from ...lang.types import HandleType, StreamType

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "contains")
_MOST = 8
_LONGEST = 200

Seen = tuple[p.Expression, Any]


def seen(program: p.Program, condition: p.Expression, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The values to show of a condition that was lowered to `value`, and the attributes that say what they are."""
    if isinstance(condition, p.Binary) and condition.operator in _COMPARISONS:
        found = list(zip((condition.left, condition.right), value.owner.operands, strict=True))
        said: dict[str, Any] = {"operator": condition.operator}
    else:
        unlike = {id(made): (expression, made) for expression, made in _parts(condition, value)}
        found, said = list(unlike.values())[:_MOST], {}
    if not found:
        return (), {}
    return tuple(made for _, made in found), {**said, "shown": [_written(program, each) for each, _ in found]}


def _parts(expression: p.Expression, value: Any) -> Iterator[Seen]:
    """The parts that decided a value, by the operation that made it."""
    operands = _operands(value)
    match expression:
        case p.Binary(left=left, right=right) if len(operands) == 2:
            for part, made in zip((left, right), operands, strict=True):
                yield from _shown(part, made) if expression.operator in _COMPARISONS else _parts(part, made)
        case p.Unary(operand=operand) if len(operands) == 1:
            yield from _parts(operand, operands[0])
        case p.FieldOf(base=base) | p.IndexOf(base=base) if operands:
            yield from _shown(base, operands[0])
        case p.StageCall(arguments=arguments) if len(operands) == len(arguments):
            for argument, made in zip(arguments, operands, strict=True):
                yield from _shown(argument.value, made)
        case p.Literal():
            return
        case _:
            yield from _shown(expression, value)


def _shown(expression: p.Expression, value: Any) -> Iterator[Seen]:
    if not isinstance(expression, p.Literal) and not isinstance(expression.type, HandleType | StreamType):
        yield expression, value


def _operands(value: Any) -> list[Any]:
    """Those of the operation that made a value; none for what came from outside."""
    owner = value.owner
    return list(owner.operands) if hasattr(owner, "operands") else []


def _written(program: p.Program, expression: p.Expression) -> str:
    """The expression as it stands in the file, in one line."""
    span = expression.span
    for source in (program.source, *program.sources):
        if source.path == span.path:
            text = " ".join(source.text[span.start : span.end].split())
            return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "it"
