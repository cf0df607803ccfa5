"""A JSON Schema's text as a `Document`, or the problem that names what is not understood.

Known is what programs make of their types: objects whose fields are declared, maps, arrays, texts, numbers, booleans,
choices, references. Whatever would be left unchecked is refused: a keyword that is passed over would be a promise that
nobody keeps. Annotations promise nothing and are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn, cast

from ....base.problems import OutsideError
from ..problems import schema_unsupported
from .shapes import (
    Choice,
    Document,
    Entries,
    Field,
    Fields,
    Free,
    Integer,
    Items,
    Literal,
    Number,
    Reference,
    Shape,
    Text,
    heights,
    parts,
)

_ANNOTATIONS = {"$comment", "$schema", "default", "deprecated", "description", "examples", "title"}
_DEFINITIONS = ("$defs", "definitions")
_KEYWORDS = {
    "string": {"minLength", "maxLength", "contentEncoding"},
    "integer": set[str](),
    "number": set[str](),
    "boolean": set[str](),
    "null": set[str](),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
_LONGEST = 65_536
"""The largest bound on items or characters: a grammar spells them out."""


def read(text: str) -> Document:
    """Raises `OutsideError` (schema-unsupported)."""
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OutsideError(schema_unsupported("", f"is not JSON ({error})")) from None
    try:
        document = _Reader(data).document()
        ending = heights(document)
    except RecursionError:
        raise OutsideError(schema_unsupported("", "is nested too deeply")) from None
    for name in document.definitions:
        if name not in ending:
            _refuse(name, "describes only documents that never end")
    return document


class _Reader:
    def __init__(self, root: object) -> None:
        self._root = root
        self._definitions: dict[str, Shape | None] = {}
        """By their place (`#/$defs/Order`); None while one is being read."""

    def document(self) -> Document:
        root = self._defined("#")
        used = {place: cast("Shape", shape) for place, shape in self._definitions.items()}
        if not any(_refers(shape, "#") for shape in used.values()):
            del used["#"]
        else:
            root = Reference("#")
        return Document(root, used)

    def _defined(self, place: str) -> Shape:
        self._definitions[place] = None
        shape = self._shape(self._at(place), place)
        self._definitions[place] = shape
        return shape

    def _at(self, place: str) -> object:
        found = self._root
        for step in place.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                _refuse(place, "is referred to and is not there")
            found = cast("dict[str, object]", found)[name]
        return found

    def _shape(self, schema: object, place: str) -> Shape:
        if schema is True:
            return Free()
        if not isinstance(schema, dict):
            _refuse(place, "is no schema" if schema is not False else "allows nothing")
        given = {
            name: value
            for name, value in cast("dict[str, object]", schema).items()
            if name not in _ANNOTATIONS and not (place == "#" and name in _DEFINITIONS)
        }
        if not given:
            return Free()
        forms = {
            "$ref": self._reference,
            "anyOf": self._choice,
            "enum": self._enum,
            "const": self._constant,
            "type": self._typed,
        }
        known = next((name for name in forms if name in given), None)
        if known is None:
            _refuse(f"{place}/{_step(next(iter(given)))}", "is a keyword that is not supported here")
        return forms[known](given, place)

    def _reference(self, given: Mapping[str, object], place: str) -> Shape:
        _only(given, {"$ref"}, place)
        target = given["$ref"]
        if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
            _refuse(f"{place}/$ref", "refers to another document")
        if target not in self._definitions:
            self._defined(target)
        return Reference(target)

    def _choice(self, given: Mapping[str, object], place: str) -> Shape:
        _only(given, {"anyOf"}, place)
        among = _list(given["anyOf"], f"{place}/anyOf")
        return Choice(tuple(self._shape(part, f"{place}/anyOf/{i}") for i, part in enumerate(among)))

    def _enum(self, given: Mapping[str, object], place: str) -> Shape:
        _only(given, {"enum", "type"}, place)
        values = _list(given["enum"], f"{place}/enum")
        return Choice(tuple(_literal(value, f"{place}/enum/{i}") for i, value in enumerate(values)))

    def _constant(self, given: Mapping[str, object], place: str) -> Shape:
        _only(given, {"const", "type"}, place)
        return _literal(given["const"], f"{place}/const")

    def _typed(self, given: Mapping[str, object], place: str) -> Shape:
        kinds = given["type"]
        names = _list(cast(object, kinds), f"{place}/type") if isinstance(kinds, list) else (kinds,)
        allowed = {"type"}
        for name in names:
            if not isinstance(name, str) or name not in _KEYWORDS:
                _refuse(f"{place}/type", f"names the type {json.dumps(name)}, which there is not")
            allowed |= _KEYWORDS[name]
        _only(given, allowed, place)
        shapes = tuple(self._of_type(cast(str, name), given, place) for name in names)
        return shapes[0] if len(shapes) == 1 else Choice(shapes)

    def _of_type(self, name: str, given: Mapping[str, object], place: str) -> Shape:
        match name:
            case "string":
                encoding = given.get("contentEncoding")
                if encoding not in (None, "base64"):
                    _refuse(f"{place}/contentEncoding", f"names {json.dumps(encoding)}; known is base64")
                least, most = _bounds(given, "minLength", "maxLength", place)
                if encoding is not None and (least, most) != (0, None):
                    _refuse(f"{place}/contentEncoding", "cannot be bounded in length")
                return Text(least, most, encoding is not None)
            case "integer":
                return Integer()
            case "number":
                return Number()
            case "boolean":
                return Choice((Literal("true"), Literal("false")))
            case "null":
                return Literal("null")
            case "array":
                item = self._shape(given.get("items", True), f"{place}/items")
                return Items(item, *_bounds(given, "minItems", "maxItems", place))
            case _:
                return self._object(given, place)

    def _object(self, given: Mapping[str, object], place: str) -> Shape:
        more = given.get("additionalProperties", True)
        properties = given.get("properties", {})
        if not isinstance(properties, dict):
            _refuse(f"{place}/properties", "is no object")
        declared = cast("dict[str, object]", properties)
        required = _list(given.get("required", []), f"{place}/required", empty=True)
        for name in required:
            if name not in declared:
                _refuse(f"{place}/required", f"names {json.dumps(name)}, which is not declared")
        if more is not False:
            if declared:
                _refuse(f"{place}/additionalProperties", "must be false beside properties")
            return Entries(self._shape(more, f"{place}/additionalProperties"))
        return Fields(
            tuple(
                Field(name, self._shape(schema, f"{place}/properties/{_step(name)}"), name in required)
                for name, schema in declared.items()
            )
        )


def _refers(shape: Shape, name: str) -> bool:
    return (isinstance(shape, Reference) and shape.name == name) or any(_refers(part, name) for part in parts(shape))


def _only(given: Mapping[str, object], allowed: set[str], place: str) -> None:
    for name in given:
        if name not in allowed:
            _refuse(f"{place}/{_step(name)}", "is a keyword that is not supported here")


def _list(value: object, place: str, empty: bool = False) -> tuple[object, ...]:
    if not isinstance(value, list) or not (value or empty):
        _refuse(place, "is no list" if not isinstance(value, list) else "is empty: nothing is allowed")
    return tuple(cast("list[object]", value))


def _bounds(given: Mapping[str, object], least: str, most: str, place: str) -> tuple[int, int | None]:
    for name in (least, most):
        value = given.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LONGEST:
            _refuse(f"{place}/{name}", f"is no whole number from 0 to {_LONGEST:,}")
    low, high = cast(int, given.get(least, 0)), cast("int | None", given.get(most))
    if high is not None and low > high:
        _refuse(f"{place}/{most}", f"is below {least}: nothing is allowed")
    return low, high


def _literal(value: object, place: str) -> Literal:
    if isinstance(value, dict | list):
        _refuse(place, "is no text, number, boolean or null")
    return Literal(json.dumps(value, ensure_ascii=False))


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _refuse(place: str, why: str) -> NoReturn:
    raise OutsideError(schema_unsupported(place, why))
