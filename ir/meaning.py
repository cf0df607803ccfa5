"""What the plain operations mean: values in, a value out, no time, no effects. The machine computes them when a program
runs, `passes.fold_constants` where all that they take is known before.

Runtime values are those of `executor.values`; anything else (handles, KV caches, token ids) passes through unseen. A
turn of a `repeat` is a pair: whether it stops, and the state.

What has no result raises what Python raises: ZeroDivisionError, OverflowError, IndexError.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..lang.types import FLOAT, INT, TEXT, ListType, MapType, OptionType, StreamType, Type
from .graph import Operation
from .texts import text_form


def joined(operation: Operation, items: Sequence[object]) -> object:
    """`all(stream)`: the texts in one, or a list."""
    stream = operation.operands[0].type
    if isinstance(stream, StreamType) and stream.element == TEXT:
        return "".join(cast("Sequence[str]", items))
    return tuple(items)


def element(operation: Operation, operands: Sequence[object]) -> object:
    """`base[index]`: an element of a list, or the option of one of a map or Json. IndexError outside of a list."""
    base, position = operands
    if isinstance(operation.operands[0].type, ListType):
        items = cast("Sequence[object]", base)
        at = cast(int, position)
        if not 0 <= at < len(items):
            raise IndexError(at)
        return items[at]
    if isinstance(base, Mapping) and isinstance(position, str):
        return cast("Mapping[str, object]", base).get(position)
    if isinstance(base, tuple) and isinstance(position, int):
        items = cast("tuple[object, ...]", base)
        return items[position] if 0 <= position < len(items) else None
    return None


def widened(value: object, target: Type, source: Type) -> object:
    """Int to Float and `T` to `T?`, inside lists, maps and options too. OverflowError for what no Float is."""
    if target == source or value is None:
        return value
    if isinstance(target, OptionType):
        return widened(value, target.element, source.element if isinstance(source, OptionType) else source)
    if target == FLOAT and source == INT:
        return float(cast(int, value))
    if isinstance(target, ListType) and isinstance(source, ListType):
        return tuple(widened(item, target.element, source.element) for item in cast("Sequence[object]", value))
    if isinstance(target, MapType) and isinstance(source, MapType):
        entries = cast("Mapping[str, object]", value)
        return {key: widened(item, target.element, source.element) for key, item in entries.items()}
    return value


def _constant(operation: Operation, operands: Sequence[object]) -> object:
    del operands
    return operation.attributes["value"]


def _template(operation: Operation, operands: Sequence[object]) -> object:
    parts = cast("tuple[str | int, ...]", operation.attributes["parts"])
    return "".join(
        part if isinstance(part, str) else text_form(operands[part], operation.operands[part].type) for part in parts
    )


def _build(operation: Operation, operands: Sequence[object]) -> object:
    return _named(operation, "fields", operands)


def _named(operation: Operation, names: str, operands: Sequence[object]) -> dict[str, object]:
    """The operands by their names; after what the first of them holds, if the operation extends that."""
    keys = cast("tuple[str, ...]", operation.attributes[names])
    if not operation.attributes.get("extends"):
        return dict(zip(keys, operands, strict=True))
    base = cast("Mapping[str, object]", operands[0])
    return {**base, **dict(zip(keys, operands[1:], strict=True))}


def _field(operation: Operation, operands: Sequence[object]) -> object:
    return cast("Mapping[str, object]", operands[0])[cast(str, operation.attributes["name"])]


def _table(operation: Operation, operands: Sequence[object]) -> object:
    return _named(operation, "keys", operands)


def _case(operation: Operation, operands: Sequence[object]) -> object:
    name = cast(str, operation.attributes["case"])
    if not operands:
        return name
    if operation.attributes.get("extends"):
        operands = (cast("Mapping[str, object]", operands[0])[name], *operands[1:])
    return {name: _named(operation, "fields", operands)}


def _same(operation: Operation, operands: Sequence[object]) -> object:
    del operation
    return operands[0]


def _turn(operation: Operation, operands: Sequence[object]) -> object:
    return bool(operation.attributes["stop"]), operands[0]


def _list(operation: Operation, operands: Sequence[object]) -> object:
    del operation
    return tuple(operands)


def _length(operation: Operation, operands: Sequence[object]) -> object:
    del operation
    return len(cast("Sequence[object]", operands[0]))


def _positions(operation: Operation, operands: Sequence[object]) -> object:
    del operation
    return tuple(range(len(cast("Sequence[object]", operands[0]))))


def _unary(operation: Operation, operands: Sequence[object]) -> object:
    sign = operation.attributes["operator"]
    value = cast(Any, operands[0])
    return not value if sign == "not" else -value


def _binary(operation: Operation, operands: Sequence[object]) -> object:
    sign = cast(str, operation.attributes["operator"])
    left, right = operands
    if sign == "/" and operation.results[0].type == INT:
        sign = "//"
    return _OPERATORS[sign](left, right)


def _contains(left: Any, right: Any) -> bool:
    return right in left


def _divide(left: Any, right: Any) -> object:
    return left / right


def _floor(left: Any, right: Any) -> object:
    return left // right


def _and(left: Any, right: Any) -> bool:
    return bool(left and right)


def _or(left: Any, right: Any) -> bool:
    return bool(left or right)


_OPERATORS: dict[str, Callable[[Any, Any], object]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "//": _floor,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": _and,
    "or": _or,
    "contains": _contains,
}

PLAIN: dict[str, Callable[[Operation, Sequence[object]], object]] = {
    "agent.constant": _constant,
    "agent.template": _template,
    "agent.build": _build,
    "agent.field": _field,
    "agent.list": _list,
    "agent.length": _length,
    "agent.positions": _positions,
    "agent.unary": _unary,
    "agent.binary": _binary,
    "agent.table": _table,
    "agent.case": _case,
    "agent.declassify": _same,
    "agent.turn": _turn,
}
