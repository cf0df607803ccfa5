"""What the operations mean that the machine evaluates itself: values in, a value out, no time, no effects.

Runtime values are those of `executor.values`; anything else (handles, KV caches, token ids) passes through unseen. A
turn of a `repeat` is a pair: whether it stops, and the state.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ...ir.graph import Operation
from ...lang.types import INT, TEXT, ListType, StreamType
from .. import problems
from ..values import NO_SHAPES, Shapes, text_form
from .conversions import CONVERSIONS
from .faults import Fault


def evaluate(operation: Operation, operands: Sequence[object], shapes: Shapes = NO_SHAPES) -> object:
    """The operation's value. Raises `Fault`; KeyError for an operation that is not a plain one."""
    plain = PLAIN.get(operation.name)
    return plain(operation, operands) if plain else CONVERSIONS[operation.name](operation, operands, shapes)


def joined(operation: Operation, items: Sequence[object]) -> object:
    """`all(stream)`: the texts in one, or a list."""
    stream = operation.operands[0].type
    if isinstance(stream, StreamType) and stream.element == TEXT:
        return "".join(cast("Sequence[str]", items))
    return tuple(items)


def _constant(operation: Operation, operands: Sequence[object]) -> object:
    del operands
    return operation.attributes["value"]


def _template(operation: Operation, operands: Sequence[object]) -> object:
    parts = cast("tuple[str | int, ...]", operation.attributes["parts"])
    return "".join(
        part if isinstance(part, str) else text_form(operands[part], operation.operands[part].type) for part in parts
    )


def _build(operation: Operation, operands: Sequence[object]) -> object:
    fields = cast("tuple[str, ...]", operation.attributes["fields"])
    return dict(zip(fields, operands, strict=True))


def _field(operation: Operation, operands: Sequence[object]) -> object:
    return cast("Mapping[str, object]", operands[0])[cast(str, operation.attributes["name"])]


def _table(operation: Operation, operands: Sequence[object]) -> object:
    return dict(zip(cast("tuple[str, ...]", operation.attributes["keys"]), operands, strict=True))


def _case(operation: Operation, operands: Sequence[object]) -> object:
    name = cast(str, operation.attributes["case"])
    if not operands:
        return name
    fields = cast("tuple[str, ...]", operation.attributes["fields"])
    return {name: dict(zip(fields, operands, strict=True))}


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


def _unary(operation: Operation, operands: Sequence[object]) -> object:
    sign = operation.attributes["operator"]
    value = cast(Any, operands[0])
    return not value if sign == "not" else -value


def _binary(operation: Operation, operands: Sequence[object]) -> object:
    sign = cast(str, operation.attributes["operator"])
    left, right = operands
    if sign == "/" and operation.results[0].type == INT:
        sign = "//"
    try:
        return _OPERATORS[sign](left, right)
    except ZeroDivisionError:
        raise Fault("bad_value", problems.division_by_zero(operation.span)) from None
    except OverflowError:
        raise Fault("bad_value", problems.number_too_large(operation.span)) from None


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
    "agent.unary": _unary,
    "agent.binary": _binary,
    "agent.table": _table,
    "agent.case": _case,
    "agent.declassify": _same,
    "agent.turn": _turn,
}

# Operations that a kind runs, by the entry that they ask for. `agent.stage` says its own.
LEAVES: dict[str, str] = {
    "agent.stage": "",
    "agent.chat": "llm:chat",
    "agent.tokenize": "llm:tokenize",
    "agent.prefill": "llm:prefill",
    "agent.transfer": "llm:transfer",
    "agent.decode": "llm:decode",
    "agent.detokenize": "llm:detokenize",
}

# The names of the operands where the operation does not say them.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "agent.tokenize": ("self", "prompt", "system"),
    "agent.prefill": ("self", "tokens"),
    "agent.transfer": ("kv",),
    "agent.decode": ("self", "kv", "max_tokens", "temperature", "seed"),
    "agent.detokenize": ("self", "tokens", "stop"),
}


def leaf(operation: Operation) -> tuple[str, tuple[str, ...]]:
    """The entry that runs a leaf, and the name of each operand."""
    entry = cast(str, operation.attributes.get("entry") or LEAVES[operation.name])
    said = operation.attributes.get("parameters")
    names = PARAMETERS[operation.name] if said is None else cast("tuple[str, ...]", said)
    return entry, names[: len(operation.operands)]


def is_list(operation: Operation) -> bool:
    """Whether a `for` runs over a list (and not a stream)."""
    return isinstance(operation.operands[0].type, ListType)
