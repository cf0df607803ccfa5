"""Operations on data: maps, elements, cases of enums, conversions, and JSON text to values."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ...lang.types import INT, JSON, TEXT, EnumType, ListType, MapType, OptionType
from ..graph import ValueType
from .spec import ANY_NUMBER, Is, View, extends, fits, is_data, operation


@operation("table", attributes={"keys": Is.TEXTS}, optional={"extends": Is.BOOLEAN}, operands=ANY_NUMBER, pure=True)
def table(op: View) -> Iterator[str]:
    """A map from texts, one key for each operand; one that `extends` adds them to the map of the first operand.

    %2 = "agent.table"(%0, %1) {keys = ["a", "b"]} : (!agent.int, !agent.int) -> !agent.map_of<!agent.int>
    """
    keys: tuple[str, ...] = op.attributes["keys"]
    yield from extends(op)
    if len(keys) != len(op.added):
        yield f"has {len(op.added)} operands but {len(keys)} keys"
    if len(set(keys)) != len(keys):
        yield "has a key twice"
    result = op.result
    if not isinstance(result, MapType):
        yield f"gives a map, not {result}"
        return
    for given in op.added:
        if not fits(given, result.element):
            yield f"has a value of type {given} in a map of {result.element}"


def element(base: ValueType, index: ValueType) -> ValueType | None:
    """What `base[index]` is; None where it is nothing. A list gives its element, a map or Json an option."""
    match base:
        case ListType(item) if index == INT:
            return item
        case MapType(item) if index == TEXT:
            return item if isinstance(item, OptionType) else OptionType(item)
        case _:
            return OptionType(JSON) if base == JSON and index in (INT, TEXT) else None


@operation("index", operands=(2, 2))
def index(op: View) -> Iterator[str]:
    """One element. Of a list, failing with `bad_value` outside of it; of a map or of Json, as an option.

    %2 = "agent.index"(%0, %1) : (!agent.list_of<!agent.text>, !agent.int) -> !agent.text
    """
    base, at = op.operands
    found = element(base, at)
    if found is None:
        yield f"takes no {at} of {base}"
    elif found != op.result:
        yield f"gives {found}, not {op.result}"


@operation(
    "case",
    attributes={"enum": Is.TEXT, "case": Is.TEXT, "fields": Is.TEXTS},
    optional={"extends": Is.BOOLEAN},
    operands=ANY_NUMBER,
    pure=True,
)
def case(op: View) -> Iterator[str]:
    """A value of an enum: a case with its payload. That they fit its declaration is a law of the module. One that
    `extends` adds to the payload of the first operand.

    %1 = "agent.case"(%0) {enum = "Intent", case = "Refund", fields = ["order"]}
      : (!agent.int) -> !agent.enum_of<"Intent">
    """
    names: tuple[str, ...] = op.attributes["fields"]
    yield from extends(op)
    if len(names) != len(op.added):
        yield f"has {len(op.added)} operands but {len(names)} field names"
    if op.result != EnumType(op.attributes["enum"]):
        yield f"gives the enum {op.attributes['enum']}, not {op.result}"


@operation("convert", attributes={"checked": Is.BOOLEAN}, operands=(1, 1))
def convert(op: View) -> Iterator[str]:
    """A value as another type. Unchecked it cannot fail: an Int as Float, `T` as `T?`, data as Json. Checked it is Json
    as some type of data, and fails with `bad_value` where it is not.

    %1 = "agent.convert"(%0) {checked = true} : (!agent.json) -> !agent.record_of<"Order">
    """
    (given,), result = op.operands, op.result
    if op.attributes["checked"]:
        if given not in (JSON, OptionType(JSON)) or not is_data(result):
            yield f"can check Json for a type of data, not {given} for {result}"
    elif not fits(given, result):
        yield f"cannot make {result} of {given} without a check"


@operation("declassify", operands=(1, 1), pure=True)
def declassify(op: View) -> Iterator[str]:
    """The same value without labels.

    %1 = "agent.declassify"(%0) : (!agent.text) -> !agent.text
    """
    if op.operands[0] != op.result:
        yield f"changes {op.operands[0]} to {op.result}"


@operation("parse", attributes={"schema": Is.TEXT}, operands=(1, 1))
def parse(op: View) -> Iterator[str]:
    """JSON text to the value of its result's type, which `schema` describes. Fails with `truncated` where the text ends
    inside a document, with `bad_output` where it is none that the type allows.

    %1 = "agent.parse"(%0) {schema = "{\\"type\\":\\"integer\\"}"} : (!agent.text) -> !agent.int
    """
    if op.operands[0] != TEXT:
        yield f"takes a Text, not {op.operands[0]}"
    if not is_data(op.result):
        yield f"gives {op.result}, which no JSON is"
    try:
        json.loads(op.attributes["schema"])
    except ValueError:
        yield "has a schema that is no JSON"
