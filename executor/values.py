"""Runtime values: their text form in templates, and JSON in and out by type. The one place that checks data from
outside (arguments, answers of tools and models, `json as T`) against a type.

Text str, Int int, Float float, Bool bool, Bytes bytes, a list a tuple, a map or record a dict in field order, a
quantity a float in base units, `none` None. A case of an enum is its name (`"Spam"`), or with a payload a dict of one
entry (`{"Refund": {"order": 3}}`). Json is any of these. JSON has the same shapes, with Bytes in base64 and a quantity
as a number of base units or a text with its unit (`"250 ms"`). Sound is an `Audio`, in JSON a WAV file in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ..base import units
from ..base.audio import Audio, NotSound, decoded
from ..base.problems import Problem, Problems
from ..base.suggest import suggest
from ..ir.graph import EnumShape, Graph, GraphPipeline, RecordShape, ValueType
from ..ir.texts import text_form as text_form
from ..ir.texts import to_json as to_json
from ..lang.types import (
    BOOL,
    DIMENSIONS,
    FLOAT,
    INT,
    JSON,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    Type,
)
from . import problems

_UNDERSCORE = re.compile(r"(?<=[0-9])_(?=[0-9])")
_NUMBER = re.compile(r"([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*(per\s+\S+|\S*)")


@dataclass(frozen=True, slots=True)
class Shapes:
    """The records and enums of a graph by name: what data of their types must look like."""

    records: Mapping[str, RecordShape]
    enums: Mapping[str, EnumShape]

    @classmethod
    def of(cls, graph: Graph) -> Shapes:
        return cls({shape.name: shape for shape in graph.records}, {shape.name: shape for shape in graph.enums})


# What data that stands alone is called in problems.
WHOLE = "it"
NO_SHAPES = Shapes({}, {})


def with_units(value: object, type_: ValueType, shapes: Shapes) -> object:
    """Plain data for people: as `to_json`, but that quantities are as they write them (`4 s`, `$0.40`), also inside of
    lists, maps, records and cases."""
    match type_:
        case OptionType() if value is not None:
            return with_units(value, type_.element, shapes)
        case Primitive() if type_.name in DIMENSIONS and value is not None:
            return text_form(value, type_)
        case ListType() if isinstance(value, Sequence):
            return [with_units(item, type_.element, shapes) for item in cast("Sequence[object]", value)]
        case MapType() if isinstance(value, Mapping):
            entries = cast("Mapping[str, object]", value)
            return {name: with_units(item, type_.element, shapes) for name, item in entries.items()}
        case RecordType() if isinstance(value, Mapping) and type_.name in shapes.records:
            return _fields_with_units(cast("Mapping[str, object]", value), shapes.records[type_.name].fields, shapes)
        case EnumType() if isinstance(value, Mapping) and type_.name in shapes.enums:
            cases = dict(shapes.enums[type_.name].cases)
            held = cast("Mapping[str, Mapping[str, object]]", value)
            return {name: _fields_with_units(part, cases.get(name, ()), shapes) for name, part in held.items()}
        case _:
            return to_json(cast(object, value))


def _fields_with_units(
    value: Mapping[str, object], fields: tuple[tuple[str, Type], ...], shapes: Shapes
) -> dict[str, object]:
    types = dict(fields)
    return {name: with_units(part, types.get(name, JSON), shapes) for name, part in value.items()}


def from_json(
    value: object, type_: Type, shapes: Shapes, path: str, *, encoded: bool = True
) -> tuple[object, Problems]:
    """The runtime value of JSON data, and what does not fit; `path` names the place in problems (`documents[2]`). Where
    bytes do not come `encoded`, a text is none."""
    found: list[Problem] = []
    try:
        result = _Conversion(shapes, found, encoded).convert(value, type_, path)
    except RecursionError:
        return None, (problems.argument_type(path, str(type_), "a value nested too deeply"),)
    return result, tuple(found)


def from_text(text: str, type_: Type, shapes: Shapes, path: str) -> tuple[object, Problems]:
    """The runtime value of a command line's `name=text`: a Text is the text itself, as is the name of an enum's case;
    all else is JSON or a literal."""
    wanted = type_.element if isinstance(type_, OptionType) and text != "none" else type_
    if wanted == TEXT:
        return text, ()
    if isinstance(type_, OptionType) and text == "none":
        return None, ()
    if isinstance(wanted, Primitive) and (wanted.name in DIMENSIONS or wanted.name == "Bytes"):
        return from_json(text, wanted, shapes, path)
    if isinstance(wanted, EnumType) and not text.lstrip().startswith(("{", '"')):
        return from_json(text, wanted, shapes, path)
    if wanted in (INT, FLOAT):
        text = _UNDERSCORE.sub("", text)
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None, (problems.argument_type(path, str(type_), f"{_short(text)}", value=text),)
    return from_json(data, type_, shapes, path)


def as_data(value: object) -> object:
    """The value as Json: what `to_json` gives, with lists as tuples."""
    return _frozen(to_json(value))


def bind(graph: Graph, pipeline: GraphPipeline, given: Mapping[str, object]) -> tuple[dict[str, object], Problems]:
    """Runtime inputs of a pipeline from JSON data by parameter name: every problem at once, none skipped.

    Parameters left to their default are left out; a stream must come as an async iterator and passes unchecked.
    """
    shapes = Shapes.of(graph)
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
            inputs[parameter.name], wrong = from_json(given[parameter.name], parameter.type, shapes, parameter.name)
            found += wrong
    return inputs, tuple(found)


class _Conversion:
    """One walk over data and its type; what does not fit is put into `found`, and None in its place."""

    __slots__ = ("_encoded", "_found", "_shapes")

    def __init__(self, shapes: Shapes, found: list[Problem], encoded: bool) -> None:
        self._shapes = shapes
        self._found = found
        self._encoded = encoded

    def convert(self, value: object, type_: Type, path: str) -> object:
        match type_:
            case OptionType():
                return None if value is None else self.convert(value, type_.element, path)
            case ListType() if isinstance(value, list | tuple):
                items = cast("Sequence[object]", value)
                return tuple(self.convert(item, type_.element, f"{path}[{i}]") for i, item in enumerate(items))
            case MapType() if isinstance(value, Mapping) and _texts(cast("Mapping[object, object]", value)):
                entries = cast("Mapping[str, object]", value)
                return {key: self.convert(item, type_.element, _inside(path, key)) for key, item in entries.items()}
            case RecordType() if isinstance(value, Mapping) and type_.name in self._shapes.records:
                fields = self._shapes.records[type_.name].fields
                return self._fields(cast("Mapping[str, object]", value), fields, path, type_.name)
            case EnumType() if type_.name in self._shapes.enums:
                return self._case(cast(object, value), self._shapes.enums[type_.name], path)
            case Primitive():
                fits, converted = _primitive(cast(object, value), type_)
                if fits and (self._encoded or type_.name != "Bytes" or not isinstance(value, str)):
                    return converted
                if type_ == JSON:
                    path, value = _no_data(cast(object, value), path)
            case _:
                pass
        self._found.append(
            problems.argument_type(path, str(type_), _short(cast(object, value)), value=cast(object, value))
        )
        return None

    def _fields(
        self, value: Mapping[str, object], fields: tuple[tuple[str, Type], ...], path: str, owner: str
    ) -> dict[str, object]:
        known = tuple(name for name, _ in fields)
        self._found += [
            problems.field_unknown(path, owner, name, known, suggest(name, known))
            for name in map(str, value)
            if name not in known
        ]
        result: dict[str, object] = {}
        for name, field_type in fields:
            if name in value or isinstance(field_type, OptionType):
                result[name] = self.convert(value.get(name), field_type, _inside(path, name))
            else:
                self._found.append(problems.field_missing(path, owner, name, str(field_type)))
        return result

    def _case(self, value: object, shape: EnumShape, path: str) -> object:
        cases = dict(shape.cases)
        if isinstance(value, str) and value in cases and not cases[value]:
            return value
        if isinstance(value, Mapping) and len(cast("Mapping[object, object]", value)) == 1:
            ((name, payload),) = cast("Mapping[str, object]", value).items()
            fields = cases.get(name)
            if fields and isinstance(payload, Mapping):
                given = cast("Mapping[str, object]", payload)
                return {name: self._fields(given, fields, _inside(path, name), f"{shape.name}.{name}")}
        shown = ", ".join(name + ("(…)" if fields else "") for name, fields in shape.cases)
        near = suggest(value, cases) if isinstance(value, str) else None
        self._found.append(
            problems.argument_type(path, f"{shape.name} ({shown})", _short(cast(object, value)), near=near)
        )
        return None


def _inside(path: str, name: str) -> str:
    """The place of a part. What stands alone is called `it`, which its parts need not say."""
    return name if path == WHOLE else f"{path}.{name}"


def _texts(value: Mapping[object, object]) -> bool:
    return all(isinstance(key, str) for key in value)


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
    if type_ == JSON:
        return _is_data(value), _frozen(value)
    if type_.name == "Bytes":
        return _bytes(value)
    if type_.name == "Audio":
        return _sound(value)
    if type_.name in DIMENSIONS:
        return _quantity(value, DIMENSIONS[type_.name])
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


def _sound(value: object) -> tuple[bool, object]:
    """Sound is a WAV file in base64."""
    if isinstance(value, Audio):
        return True, value
    if not isinstance(value, str):
        return False, None
    try:
        return True, decoded(value)
    except NotSound:
        return False, None


def _quantity(value: object, dimension: units.Dimension) -> tuple[bool, object]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (True, float(value)) if _finite(value) else (False, None)
    if not isinstance(value, str):
        return False, None
    text = value.strip()
    # `-$4` is how an amount is printed.
    sign, amount = ("-", text[1:]) if text.startswith("-$") else ("", text)
    number, unit = (sign + amount[1:], "$") if amount.startswith("$") else (text, "")
    match = _NUMBER.fullmatch(number)
    if match is None or (sign and match[1].startswith(("--", "-+"))):
        return False, None
    per = units.UNITS.get(match[2].removeprefix("per").strip()) if match[2].startswith("per ") else None
    if dimension == units.RATE and per is not None and per.dimension == units.DURATION:
        return True, float(match[1]) / per.factor
    known = units.UNITS.get(unit or match[2])
    if known is None or known.dimension != dimension or (unit and match[2]):
        return False, None
    return True, float(match[1]) * known.factor


def _no_data(value: object, path: str) -> tuple[str, object]:
    """The first part that is no JSON data, and where it is."""
    parts: Iterable[tuple[str, object]] = ()
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        parts = ((f"{path}[{index}]", item) for index, item in enumerate(items))
    elif isinstance(value, Mapping) and _texts(cast("Mapping[object, object]", value)):
        parts = ((f"{path}.{key}", item) for key, item in cast("Mapping[str, object]", value).items())
    for place, item in parts:
        if not _is_data(item):
            return _no_data(item, place)
    return path, cast(object, value)


def _is_data(value: object) -> bool:
    """Whether it is JSON data: no number that JSON cannot write, no object of Python's."""
    match value:
        case None | str() | bool() | int():
            return True
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_data, cast("Sequence[object]", value)))
        case Mapping():
            entries = cast("Mapping[object, object]", value)
            return _texts(entries) and all(map(_is_data, entries.values()))
        case _:
            return False


def _frozen(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in cast("Sequence[object]", value))
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in cast("Mapping[str, object]", value).items()}
    return value


_KINDS: dict[type, str] = {
    str: "Text",
    bytes: "Bytes",
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
