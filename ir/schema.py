"""The JSON Schema of a type: what a reply is constrained to (`chat(…) into T`), as plain data.

Pure, and the same for the same declarations: keys in one order, properties in declared order (a model writes them in
that order), every field required and no other allowed. How values are written is the language's (see
`executor.values`): an enum's case is its name, or an object of one key where it has a payload; an option is its value
or null; a quantity a number in base units. A type that holds itself is a definition (`$defs`); all others stand where
they are used. Doc comments are descriptions, which a model may be shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..lang.program import EnumDeclaration, Parameter, RecordDeclaration
from ..lang.types import (
    DIMENSIONS,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    TensorType,
    Type,
)

Schema = dict[str, Any]
Records = Mapping[str, RecordDeclaration]
Enums = Mapping[str, EnumDeclaration]

_PRIMITIVES: Mapping[str, Schema] = {
    "Text": {"type": "string"},
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Bool": {"type": "boolean"},
    "Bytes": {"type": "string", "contentEncoding": "base64"},
    "Json": {},
    "None": {"type": "null"},
    **{name: {"type": "number"} for name in DIMENSIONS},
}


def json_schema(given: Type, records: Records, enums: Enums) -> Schema:
    """The schema of `given`. TypeError for a type that no JSON is: a stream, a handle, a secret, sound. KeyError for a
    record or enum that is not declared."""
    writer = _Writer(records, enums, recursive(given, records, enums))
    schema = writer.of(given)
    if writer.definitions:
        schema = {**schema, "$defs": {name: writer.definitions[name] for name in sorted(writer.definitions)}}
    return schema


def canonical(schema: Schema) -> str:
    """The schema as text; equal schemas are equal texts."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def recursive(given: Type, records: Records, enums: Enums) -> frozenset[str]:
    """The records and enums, of those that `given` is made of, whose values may hold values of the same type."""
    uses: dict[str, set[str]] = {}
    waiting = list(_named(given))
    while waiting:
        name = waiting.pop()
        if name not in uses:
            uses[name] = {inner for part in _parts(name, records, enums) for inner in _named(part)}
            waiting += uses[name]

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        ahead = list(uses[start])
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += uses[name]
        return start in seen

    return frozenset(name for name in uses if reaches(name))


def _named(given: Type) -> tuple[str, ...]:
    match given:
        case RecordType(name) | EnumType(name):
            return (name,)
        case ListType(element) | MapType(element) | OptionType(element):
            return _named(element)
        case _:
            return ()


def _parts(name: str, records: Records, enums: Enums) -> list[Type]:
    if name in records:
        return [field.type for field in records[name].fields]
    return [field.type for case in enums[name].cases for field in case.payload]


class _Writer:
    def __init__(self, records: Records, enums: Enums, recursive: frozenset[str]) -> None:
        self._records, self._enums, self._recursive = records, enums, recursive
        self.definitions: dict[str, Schema] = {}

    def of(self, given: Type) -> Schema:
        match given:
            case Primitive(name) if name in _PRIMITIVES:
                return dict(_PRIMITIVES[name])
            case ListType(element):
                return {"type": "array", "items": self.of(element)}
            case MapType(element):
                return {"type": "object", "additionalProperties": self.of(element)}
            case OptionType():
                # Options of options are the same as options.
                inner = given.element
                while isinstance(inner, OptionType):
                    inner = inner.element
                return {"anyOf": [self.of(inner), {"type": "null"}]}
            case TensorType(shape=shape):
                schema: Schema = {"type": "number"}
                for size in reversed(shape):
                    schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
                return schema
            case RecordType(name) | EnumType(name):
                return self._declared(name)
            case _:
                raise TypeError(f"no JSON is a value of {given}")

    def _declared(self, name: str) -> Schema:
        if name not in self._recursive:
            return self._record(self._records[name]) if name in self._records else self._enum(self._enums[name])
        if name not in self.definitions:
            self.definitions[name] = {}
            made = self._record(self._records[name]) if name in self._records else self._enum(self._enums[name])
            self.definitions[name] = made
        return {"$ref": f"#/$defs/{name}"}

    def _record(self, record: RecordDeclaration) -> Schema:
        return {**_described(record.doc), **self._object(record.fields)}

    def _object(self, fields: tuple[Parameter, ...]) -> Schema:
        properties: dict[str, Schema] = {}
        for field in fields:
            schema = self.of(field.type)
            # Beside a reference nothing else is read by everybody.
            properties[field.name] = schema if "$ref" in schema else {**_described(field.doc), **schema}
        return {
            "type": "object",
            "properties": properties,
            "required": [field.name for field in fields],
            "additionalProperties": False,
        }

    def _enum(self, enum: EnumDeclaration) -> Schema:
        plain = [case.name for case in enum.cases if not case.payload]
        choices: list[Schema] = [{"enum": plain}] if plain else []
        for case in enum.cases:
            if case.payload:
                choices.append(
                    {
                        "type": "object",
                        "properties": {case.name: self._object(case.payload)},
                        "required": [case.name],
                        "additionalProperties": False,
                    }
                )
        described = _described(enum.doc)
        return {**described, **choices[0]} if len(choices) == 1 else {**described, "anyOf": choices}


def _described(doc: str | None) -> Schema:
    text = (doc or "").strip()
    return {"description": text} if text else {}
