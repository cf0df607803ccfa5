"""Runtime values: their text form in templates, and JSON in and out by type.

Text str, Int int, Float float, Bool bool, Bytes bytes, a list a tuple, a map or record a dict in field order, a
quantity a float in base units, `none` None. JSON has the same shapes, with Bytes in base64 and a quantity as a number
of base units or a text with its unit (`"250 ms"`).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

from ..base import units
from ..base.problems import Problem, Problems
from ..base.suggest import suggest
from ..ir.graph import Graph, GraphPipeline, RecordShape, ValueType
from ..lang.types import BOOL, FLOAT, INT, TEXT, ListType, MapType, OptionType, Primitive, RecordType, StreamType, Type
from . import problems

_QUANTITIES = {
    "Duration": units.DURATION,
    "Money": units.MONEY,
    "Bytesize": units.BYTESIZE,
    "Bandwidth": units.BANDWIDTH,
    "Rate": units.RATE,
    "Energy": units.ENERGY,
    "Power": units.POWER,
    "Tokens": units.TOKENS,
}
_NUMBER = re.compile(r"([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*(\S*)")


def text_form(value: object, type_: ValueType) -> str:
    """What a hole of a template inserts."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(type_, Primitive) and type_.name in _QUANTITIES:
        return units.show(units.Quantity(cast(float, value), _QUANTITIES[type_.name]))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(type_, OptionType) and value is not None:
        return text_form(value, type_.element)
    return json.dumps(to_json(value), ensure_ascii=False)


def to_json(value: object) -> object:
    """Plain data for `json.dumps`. Opaque values (handles, caches) become a text that only says what they are."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Sequence):
        return [to_json(item) for item in cast("Sequence[object]", value)]
    return f"<{type(value).__name__}>"


def from_json(value: object, type_: Type, records: Mapping[str, RecordShape], path: str) -> tuple[object, Problems]:
    """The runtime value of JSON data, and what does not fit; `path` names the place in problems (`documents[2]`)."""
    found: list[Problem] = []
    result = _convert(value, type_, records, path, found)
    return result, tuple(found)


def from_text(text: str, type_: Type, records: Mapping[str, RecordShape], path: str) -> tuple[object, Problems]:
    """The runtime value of a command line's `name=text`: a Text is the text itself, all else is JSON or a literal."""
    wanted = type_.element if isinstance(type_, OptionType) and text != "none" else type_
    if wanted == TEXT:
        return text, ()
    if isinstance(type_, OptionType) and text == "none":
        return None, ()
    if isinstance(wanted, Primitive) and wanted.name in _QUANTITIES:
        return from_json(text, wanted, records, path)
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None, (problems.argument_type(path, str(type_), f"{_short(text)}"),)
    return from_json(data, type_, records, path)


def bind(graph: Graph, pipeline: GraphPipeline, given: Mapping[str, object]) -> tuple[dict[str, object], Problems]:
    """Runtime inputs of a pipeline from JSON data by parameter name: every problem at once, none skipped.

    Parameters left to their default are left out; a stream must come as an async iterator and passes unchecked.
    """
    records = {shape.name: shape for shape in graph.records}
    known = tuple(parameter.name for parameter in pipeline.inputs)
    found = [
        problems.argument_unknown(pipeline.name, name, known, suggest(name, known))
        for name in given
        if name not in known
    ]
    inputs: dict[str, object] = {}
    for parameter in pipeline.inputs:
        if parameter.name not in given:
            if parameter.required:
                found.append(
                    problems.argument_missing(pipeline.name, parameter.name, str(parameter.type), pipeline.span)
                )
        elif isinstance(parameter.type, StreamType):
            inputs[parameter.name] = given[parameter.name]
        else:
            inputs[parameter.name] = _convert(given[parameter.name], parameter.type, records, parameter.name, found)
    return inputs, tuple(found)


def _convert(value: object, type_: Type, records: Mapping[str, RecordShape], path: str, found: list[Problem]) -> object:
    if isinstance(type_, OptionType):
        return None if value is None else _convert(value, type_.element, records, path, found)
    if isinstance(type_, ListType) and isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return tuple(_convert(item, type_.element, records, f"{path}[{i}]", found) for i, item in enumerate(items))
    if isinstance(type_, MapType) and isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return {key: _convert(item, type_.element, records, f"{path}.{key}", found) for key, item in entries.items()}
    if isinstance(type_, RecordType) and isinstance(value, Mapping) and type_.name in records:
        return _record(cast("Mapping[str, object]", value), records[type_.name], records, path, found)
    plain = cast(object, value)
    if isinstance(type_, Primitive):
        fits, converted = _primitive(plain, type_)
        if fits:
            return converted
    found.append(problems.argument_type(path, str(type_), _short(plain)))
    return None


def _record(
    value: Mapping[str, object],
    shape: RecordShape,
    records: Mapping[str, RecordShape],
    path: str,
    found: list[Problem],
) -> dict[str, object]:
    known = tuple(name for name, _ in shape.fields)
    found += [
        problems.argument_unknown(f"{path} ({shape.name})", name, known, suggest(name, known))
        for name in value
        if name not in known
    ]
    result: dict[str, object] = {}
    for name, field_type in shape.fields:
        if name in value or isinstance(field_type, OptionType):
            result[name] = _convert(value.get(name), field_type, records, f"{path}.{name}", found)
        else:
            found.append(problems.argument_missing(f"{path} ({shape.name})", name, str(field_type)))
    return result


def _primitive(value: object, type_: Primitive) -> tuple[bool, object]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ == TEXT:
        return isinstance(value, str), value
    if type_ == BOOL:
        return isinstance(value, bool), value
    if type_ == INT:
        return number and isinstance(value, int), value
    if type_ == FLOAT:
        return (True, float(cast(float, value))) if number and _finite(value) else (False, None)
    if type_.name == "Json":
        return True, _frozen(value)
    if type_.name == "Bytes":
        return _bytes(value)
    if type_.name in _QUANTITIES:
        return _quantity(value, _QUANTITIES[type_.name])
    return False, None


def _finite(value: object) -> bool:
    try:
        return math.isfinite(cast(float, value))
    except OverflowError:
        return False


def _bytes(value: object) -> tuple[bool, object]:
    if isinstance(value, bytes):
        return True, value
    if not isinstance(value, str):
        return False, None
    try:
        return True, base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False, None


def _quantity(value: object, dimension: units.Dimension) -> tuple[bool, object]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (True, float(value)) if _finite(value) else (False, None)
    if not isinstance(value, str):
        return False, None
    text = value.strip()
    number, unit = (text[1:], "$") if text.startswith("$") else (text, "")
    match = _NUMBER.fullmatch(number)
    if match is None:
        return False, None
    known = units.UNITS.get(unit or match[2])
    if known is None or known.dimension != dimension or (unit and match[2]):
        return False, None
    return True, float(match[1]) * known.factor


def _frozen(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in cast("Sequence[object]", value))
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in cast("Mapping[str, object]", value).items()}
    return value


_KINDS: dict[type, str] = {
    str: "Text",
    bool: "Bool",
    int: "Int",
    float: "Float",
    type(None): "none",
    list: "a list",
    tuple: "a list",
    dict: "a map",
}


def _short(value: object) -> str:
    """What was given, for a problem: its kind, and the value where that is short."""
    kind = _KINDS.get(type(value), type(value).__name__)
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | int | float) else ""
    return f"{kind} {shown}" if shown and len(shown) <= 40 else kind
