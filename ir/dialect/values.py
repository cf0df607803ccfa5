"""Operations that make plain values from plain values. They have no effects and need no kind behind them."""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import (
    BOOL,
    INT,
    JSON,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    StreamType,
)
from ..constants import decoded
from ..graph import ValueType
from .spec import ANY_NUMBER, NUMBERS, QUANTITIES, TEXT_FORM, Is, View, extends, fits, operation, value_fits

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_ARITHMETIC = ("+", "-", "*", "/", "%")
OPERATORS = (*_ARITHMETIC, *_COMPARISONS, "and", "or", "contains")


@operation("constant", attributes={"value": Is.ANYTHING}, pure=True)
def constant(op: View) -> Iterator[str]:
    """A value that the program states. Quantities are numbers in base units; `none` is the unit attribute; maps and
    records are `{keys = […], values = […]}`, in order.

    %0 = "agent.constant"() {value = 32 : i64} : () -> !agent.int
    """
    if not value_fits(decoded(op.attributes["value"]), op.result):
        yield f"has a value that is no {op.result}"


@operation("open", attributes={"name": Is.TEXT}, pure=True)
def open_(op: View) -> Iterator[str]:
    """The value of a declared handle. Opening happens once per run of the program, before the first stage that uses it.

    %0 = "agent.open"() {name = "writer"} : () -> !agent.handle_of<"llm.Model">
    """
    if not isinstance(op.result, HandleType):
        yield f"gives a handle, not {op.result}"


@operation("template", attributes={"parts": Is.ARRAY}, operands=ANY_NUMBER, pure=True)
def template(op: View) -> Iterator[str]:
    """A text with holes: each part is a text, or the index of the operand whose text form stands there.

    %1 = "agent.template"(%0) {parts = ["Greet ", 0, "."]} : (!agent.text) -> !agent.text
    """
    operands = op.operands
    used: set[int] = set()
    for part in op.attributes["parts"]:
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            yield "has a part that is neither a text nor an operand's index"
        elif isinstance(part, int):
            if not 0 <= part < len(operands):
                yield f"has a hole for operand {part}, but {len(operands)} operands"
            used.add(part)
    for index, given in enumerate(operands):
        if index not in used:
            yield f"never uses operand {index}"
        if given not in TEXT_FORM and not isinstance(given, EnumType):
            yield f"has a hole of type {given}, which has no text form"
    if op.result != TEXT:
        yield f"gives a Text, not {op.result}"


@operation(
    "build",
    attributes={"record": Is.TEXT, "fields": Is.TEXTS},
    optional={"extends": Is.BOOLEAN},
    operands=ANY_NUMBER,
    pure=True,
)
def build(op: View) -> Iterator[str]:
    """A record from its fields. That they are the fields of its declaration is a law of the module. A record of many
    fields is built in steps: one that `extends` adds its fields to the record of the first operand.

    %2 = "agent.build"(%0, %1) {record = "Source", fields = ["path", "line"]} : (…) -> !agent.record_of<"Source">
    """
    names: tuple[str, ...] = op.attributes["fields"]
    yield from extends(op)
    if len(names) != len(op.added):
        yield f"has {len(op.added)} operands but {len(names)} field names"
    if len(set(names)) != len(names):
        yield "names a field twice"
    if op.result != RecordType(op.attributes["record"]):
        yield f"gives the record {op.attributes['record']}, not {op.result}"


@operation("field", attributes={"name": Is.TEXT}, operands=(1, 1), pure=True)
def field(op: View) -> Iterator[str]:
    """One field of a record. Its type is a law of the module.

    %1 = "agent.field"(%0) {name = "text"} : (!agent.record_of<"search.Passage">) -> !agent.text
    """
    base = op.operands[0]
    if not isinstance(base, RecordType):
        yield f"takes a record, not {base}"


@operation("list", operands=ANY_NUMBER, pure=True)
def list_(op: View) -> Iterator[str]:
    """A list of values of one type.

    %2 = "agent.list"(%0, %1) : (!agent.text, !agent.text) -> !agent.list_of<!agent.text>
    """
    result = op.result
    if not isinstance(result, ListType):
        yield f"gives a list, not {result}"
        return
    for given in op.operands:
        if not fits(given, result.element):
            yield f"has an item of type {given} in a list of {result.element}"


@operation("binary", attributes={"operator": Is.TEXT}, operands=(2, 2))
def binary(op: View) -> Iterator[str]:
    """An operator between two values: arithmetic, comparison, `and`, `or`, `contains`; `+` joins texts and lists.

    %2 = "agent.binary"(%0, %1) {operator = ">"} : (!agent.float, !agent.float) -> !agent.bool
    """
    operator, operands, result = op.attributes["operator"], op.operands, op.result
    if operator not in OPERATORS:
        yield f"has no operator {operator!r}"
        return
    left, right = operands
    if operator in ("and", "or"):
        if (left, right, result) != (BOOL, BOOL, BOOL):
            yield f"{operator!r} joins two Bools to a Bool, not {left} and {right} to {result}"
    elif operator == "contains":
        if not (left == right == TEXT or (isinstance(left, ListType) and fits(right, left.element))):
            yield f"no {left} contains {right}"
        if result != BOOL:
            yield f"'contains' gives a Bool, not {result}"
    elif operator in _COMPARISONS:
        if result != BOOL:
            yield f"{operator!r} gives a Bool, not {result}"
        if not (fits(left, right) or fits(right, left)):
            yield f"{operator!r} cannot compare {left} with {right}"
        if operator not in ("==", "!=") and not (_is_number(left) or left == TEXT):
            yield f"{left} has no order"
    elif not _arithmetic(operator, left, right, result):
        yield f"{operator!r} does not take {left} and {right} to {result}"


def _is_number(given: ValueType) -> bool:
    return given in NUMBERS or (isinstance(given, Primitive) and given.name in QUANTITIES)


def _arithmetic(operator: str, left: ValueType, right: ValueType, result: ValueType) -> bool:
    if operator == "+" and (left == right == result == TEXT):
        return True
    if operator == "+" and isinstance(result, ListType):
        return fits(left, result) and fits(right, result)
    return _is_number(left) and _is_number(right) and _is_number(result)


@operation("unary", attributes={"operator": Is.TEXT}, operands=(1, 1), pure=True)
def unary(op: View) -> Iterator[str]:
    """`-` of a number or quantity, `not` of a Bool.

    %1 = "agent.unary"(%0) {operator = "not"} : (!agent.bool) -> !agent.bool
    """
    operator, operand = op.attributes["operator"], op.operands[0]
    if operator not in ("-", "not"):
        yield f"has no operator {operator!r}"
    elif operand != op.result or not (operand == BOOL if operator == "not" else _is_number(operand)):
        yield f"{operator!r} does not take {operand} to {op.result}"


@operation("collect", operands=(1, 1))
def collect(op: View) -> Iterator[str]:
    """`all(stream)`: the texts of a stream of Text joined, else the list of its items. Waits for the stream's end.

    %1 = "agent.collect"(%0) : (!agent.stream_of<!agent.text>) -> !agent.text
    """
    stream = op.operands[0]
    if not isinstance(stream, StreamType):
        yield f"takes a stream, not {stream}"
    elif op.result != (TEXT if stream.element == TEXT else ListType(stream.element)):
        yield f"does not collect {stream} to {op.result}"


@operation("length", operands=(1, 1), pure=True)
def length(op: View) -> Iterator[str]:
    """`len(x)`: the code points of a Text, the items of a list or map.

    %1 = "agent.length"(%0) : (!agent.list_of<!agent.text>) -> !agent.int
    """
    of = op.operands[0]
    if of not in (TEXT, JSON) and not isinstance(of, (ListType, MapType)):
        yield f"takes a Text, list or map, not {of}"
    if op.result != INT:
        yield f"gives an Int, not {op.result}"


@operation("positions", operands=(1, 1), pure=True)
def positions(op: View) -> Iterator[str]:
    """Where the items of a list stand: 0, 1 and so on, in order. A loop over them sees the items of several lists.

    %1 = "agent.positions"(%0) : (!agent.list_of<!agent.text>) -> !agent.list_of<!agent.int>
    """
    if not isinstance(op.operands[0], ListType):
        yield f"takes a list, not {op.operands[0]}"
    if op.result != ListType(INT):
        yield f"gives a list of Int, not {op.result}"
