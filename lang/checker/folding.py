"""The value of an expression that is known before the program runs: literals, what is built of them, and operators.

It is the value that the machine would find (`executor/machine/semantics.py`), which a law in the tests holds it to.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any, cast

from ...base.source import Span
from ...base.units import NUMBER, Quantity, show
from .. import program
from ..program import CaseValue, Constant, Expression, RecordValue, TableValue, as_json, plain
from ..types import FLOAT, JSON, Type
from .conversions import constant_as


class NoConstant(Exception):
    """A part that is known in a run alone, such as a call."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self.span = span


class NoValue(Exception):
    """An expression that is constant and means nothing, such as a division by zero."""

    def __init__(self, title: str, span: Span, hint: str) -> None:
        super().__init__(title)
        self.title = title
        self.span = span
        self.hint = hint


def value_of(node: Expression) -> Constant:
    """The value of a checked expression. Raises `NoConstant`, `NoValue`."""
    match node:
        case program.Literal():
            return node.value
        case program.Template():
            return "".join(part if isinstance(part, str) else _text(part) for part in node.parts)
        case program.ListOf():
            return tuple([value_of(item) for item in node.items])
        case program.TableOf():
            return TableValue(_named(node.entries))
        case program.BuildRecord():
            return RecordValue(node.record, _named(node.fields))
        case program.BuildCase():
            return CaseValue(node.case, _named(node.payload))
        case program.FieldOf():
            return _field(node)
        case program.IndexOf():
            return _element(node)
        case program.Length():
            return _length(value_of(node.of))
        case program.Convert() if not node.checked:
            return _converted(value_of(node.value), node.value.type, node.type)
        case program.Declassify():
            return value_of(node.value)
        case program.Unary():
            return _unary(node)
        case program.Binary():
            return _binary(node)
        case _:
            raise NoConstant(node.span)


def text_of(value: Constant, type: Type) -> str:
    """The text form of a constant: what a hole inserts. Only for types that have one."""
    if type == JSON:
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Quantity():
            return show(value)
        case CaseValue():
            return value.case
        case _:
            return repr(value)


def _text(node: Expression) -> str:
    return text_of(value_of(node), node.type)


def _named(arguments: tuple[program.Argument, ...]) -> tuple[tuple[str, Constant], ...]:
    return tuple([(argument.name, value_of(argument.value)) for argument in arguments])


def _field(node: program.FieldOf) -> Constant:
    base = value_of(node.base)
    if isinstance(base, RecordValue):
        for name, value in base.fields:
            if name == node.field_name:
                return value
    raise NoConstant(node.span)


def _element(node: program.IndexOf) -> Constant:
    base, index = value_of(node.base), value_of(node.index)
    if isinstance(base, TableValue):
        return next((value for name, value in base.entries if name == index), None)
    if isinstance(base, tuple) and isinstance(index, int):
        if 0 <= index < len(base):
            return base[index]
        if node.base.type != JSON:
            title = f"a list of {len(base)} has no item at {index}"
            raise NoValue(title, node.index.span, "the first item is at 0")
    # Of Json, what is not there is `none`.
    return None


def _length(value: Constant) -> int:
    match value:
        case str() | tuple():
            return len(value)
        case TableValue():
            return len(value.entries)
        case _:
            raise TypeError(f"{value!r} has no length")


def _converted(value: Constant, actual: Type, wanted: Type) -> Constant:
    if wanted == JSON:
        return value if actual == JSON else as_json(plain(value))
    converted = constant_as(value, actual, wanted)
    return value if converted is None else converted[0]


# --- operators -------------------------------------------------------------------------------------------------------


def _unary(node: program.Unary) -> Constant:
    value = value_of(node.operand)
    if node.operator == "not":
        return not value
    if isinstance(value, Quantity):
        return Quantity(-value.value, value.dimension)
    return -cast("int | float", value)


def _binary(node: program.Binary) -> Constant:
    sign = node.operator
    left, right = value_of(node.left), value_of(node.right)
    if sign in _SAME:
        return (plain(left) == plain(right)) == (sign == "==")
    if sign == "contains":
        if isinstance(left, tuple):
            return plain(right) in [plain(item) for item in left]
        return cast(str, right) in cast(str, left)
    if sign == "and":
        return bool(left and right)
    if sign == "or":
        return bool(left or right)
    if sign == "+" and isinstance(left, str | tuple):
        return cast(Any, left) + right
    a, b = cast("Any", plain(left)), cast("Any", plain(right))
    if sign in _ORDER:
        return _ORDER[sign](a, b)
    if sign in ("/", "%") and b == 0:
        raise NoValue("this divides by zero", node.span, "write another number behind it")
    try:
        result = _ARITHMETIC[sign](a, b)
    except OverflowError:
        result = float("inf")
    return _measured(sign, left, right, result, node.type)


def _measured(sign: str, left: Constant, right: Constant, result: float, type: Type) -> Constant:
    """The result with its unit, where it has one."""
    here = left.dimension if isinstance(left, Quantity) else NUMBER
    there = right.dimension if isinstance(right, Quantity) else NUMBER
    dimension = here * there if sign == "*" else here / there if sign == "/" else here
    if dimension == NUMBER:
        return float(result) if type == FLOAT else result
    return Quantity(float(result), dimension)


_SAME = ("==", "!=")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b,
    "%": operator.mod,
}
