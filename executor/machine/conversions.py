"""The plain operations that look at types: conversions, elements of lists, and JSON text that a model wrote.

They can fail, as arithmetic can: `bad_value` for data that is not what the program says, `bad_output` and `truncated`
for a model's text that is no document of its schema, or not all of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import cast

from ...base.problems import Problem
from ...ir.graph import Operation
from ...ir.meaning import element, widened
from ...lang.types import JSON, Type
from .. import problems
from ..values import WHOLE, Shapes, as_data, from_json
from .faults import Fault


def index(operation: Operation, operands: Sequence[object], shapes: Shapes) -> object:
    """`base[index]`: an element of a list, or the option of one of a map or Json."""
    del shapes
    try:
        return element(operation, operands)
    except IndexError:
        base, at = operands
        count = len(cast("Sequence[object]", base))
        raise Fault("bad_value", problems.index_outside(cast(int, at), count, operation.span)) from None


def convert(operation: Operation, operands: Sequence[object], shapes: Shapes) -> object:
    """A value of one type as one of another, by what the two types are."""
    (value,) = operands
    source, target = operation.operands[0].type, cast("Type", operation.results[0].type)
    if not operation.attributes.get("checked") or target == JSON:
        try:
            return as_data(value) if target == JSON and source != JSON else widened(value, target, cast("Type", source))
        except OverflowError:
            raise Fault("bad_value", problems.number_too_large(operation.span)) from None
    converted, found = from_json(value, target, shapes, WHOLE)
    if found:
        raise Fault("bad_value", problems.conversion_failed(str(target), _said(found), operation.span))
    return converted


def parse(operation: Operation, operands: Sequence[object], shapes: Shapes) -> object:
    """A model's text, which is to be a JSON document of the result's type."""
    text = cast(str, operands[0])
    target = cast("Type", operation.results[0].type)
    try:
        data: object = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        if unfinished(text):
            raise Fault("truncated", problems.document_truncated(str(target), operation.span)) from None
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Fault("bad_output", problems.document_invalid(str(target), what, operation.span)) from None
    except RecursionError:
        what = "it is nested too deeply"
        raise Fault("bad_output", problems.document_invalid(str(target), what, operation.span)) from None
    value, found = from_json(data, target, shapes, WHOLE)
    if found:
        raise Fault("bad_output", problems.document_invalid(str(target), _said(found), operation.span))
    return value


def unfinished(text: str) -> bool:
    """Whether a text is the beginning of a JSON document and not all of one: nothing is wrong but that it ends."""
    expected = "value"
    open_: list[str] = []
    at = 0
    while True:
        at = cast("re.Match[str]", _SPACE.match(text, at)).end()
        if at == len(text):
            return expected != "end"
        sign = text[at]
        if sign in "]}" and open_ and expected in ("more", "first " + open_[-1]):
            if sign != open_.pop():
                return False
            at, expected = at + 1, "more"
        elif sign == "," and expected == "more":
            at, expected = at + 1, "key" if open_[-1] == "}" else "value"
        elif sign == ":" and expected == "colon":
            at, expected = at + 1, "value"
        elif sign == '"' and expected in ("key", "first }"):
            whole = _STRING.match(text, at)
            if whole is None:
                return _STRING_BEGUN.match(text, at) is not None
            at, expected = whole.end(), "colon"
            continue
        elif expected not in ("value", "first ]"):
            return False
        elif sign in "[{":
            open_.append("]" if sign == "[" else "}")
            at, expected = at + 1, "first " + open_[-1]
        else:
            whole = _SCALAR.match(text, at)
            if whole is None or _NUMBER_BEGUN.match(text, at):
                begun = any(word.startswith(text[at:]) for word in ("true", "false", "null"))
                return begun or (_STRING_BEGUN.match(text, at) or _NUMBER_BEGUN.match(text, at)) is not None
            at, expected = whole.end(), "more"
        if expected == "more" and not open_:
            expected = "end"


_PART = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*'
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(f'"{_PART}"')
_STRING_BEGUN = re.compile(f'"{_PART}' + r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_SCALAR = re.compile(rf'"{_PART}"|true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')
_NUMBER_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.|(?:\.[0-9]+)?[eE][-+]?))?\Z")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _said(found: Sequence[Problem]) -> str:
    more = len(found) - 1
    return found[0].title + (f" (and {more} more)" if more else "")


CONVERSIONS: dict[str, Callable[[Operation, Sequence[object], Shapes], object]] = {
    "agent.index": index,
    "agent.convert": convert,
    "agent.parse": parse,
}
