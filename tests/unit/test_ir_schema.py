"""The JSON Schema of types: by hand, and that it allows exactly the values of the type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ir_programs as P
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentlang.ir.schema import Schema, canonical, json_schema, recursive
from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    MONEY,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    TensorType,
    Type,
)


def record(name: str, doc: str | None = None, **fields: Type) -> p.RecordDeclaration:
    return p.RecordDeclaration(name, tuple(P.parameter(field, kind) for field, kind in fields.items()), P.at(1), doc)


def enum(name: str, doc: str | None = None, **cases: Mapping[str, Type]) -> p.EnumDeclaration:
    made = tuple(
        p.EnumCase(case, tuple(P.parameter(field, kind) for field, kind in payload.items()), P.at(1))
        for case, payload in cases.items()
    )
    return p.EnumDeclaration(name, made, P.at(1), doc)


RECORDS = {
    each.name: each
    for each in (
        record("Finding", found=BOOL, quote=TEXT),
        record("Tree", value=INT, children=ListType(RecordType("Tree"))),
        record("Even", odd=OptionType(RecordType("Odd"))),
        record("Odd", even=RecordType("Even")),
        record("shop.Order", id=INT, paid=MONEY, notes=MapType(TEXT), best=OptionType(RecordType("Finding"))),
    )
}
ENUMS = {
    each.name: each
    for each in (
        enum("Intent", Refund={"order": INT, "amount": MONEY}, Question={"topic": TEXT}, Spam={}, Other={}),
        enum("Colour", Red={}, Green={}),
        enum("Only", That={"one": BOOL}),
        enum("Maths", Number={"n": FLOAT}, Sum={"left": EnumType("Maths"), "right": EnumType("Maths")}),
    )
}


def schema(given: Type) -> Schema:
    return json_schema(given, RECORDS, ENUMS)


def an_object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


FINDING = an_object(found={"type": "boolean"}, quote={"type": "string"})
REFUND = an_object(Refund=an_object(order={"type": "integer"}, amount={"type": "number"}))
WRITTEN: list[tuple[Type, Schema]] = [
    (TEXT, {"type": "string"}),
    (JSON, {}),
    (Primitive("Duration"), {"type": "number"}),
    (OptionType(OptionType(INT)), {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (MapType(FLOAT), {"type": "object", "additionalProperties": {"type": "number"}}),
    (TensorType("f32", (2, 3)), {"type": "array", "items": {
        "type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}, "minItems": 2, "maxItems": 2}),
    (RecordType("Finding"), FINDING),
    (EnumType("Colour"), {"enum": ["Red", "Green"]}),
    (EnumType("Only"), an_object(That=an_object(one={"type": "boolean"}))),
    (EnumType("Intent"), {"anyOf": [
        {"enum": ["Spam", "Other"]}, REFUND, an_object(Question=an_object(topic={"type": "string"}))]}),
    (ListType(RecordType("Tree")), {
        "type": "array",
        "items": {"$ref": "#/$defs/Tree"},
        "$defs": {"Tree": an_object(
            value={"type": "integer"}, children={"type": "array", "items": {"$ref": "#/$defs/Tree"}})}}),
    (RecordType("Odd"), {
        "$ref": "#/$defs/Odd",
        "$defs": {
            "Even": an_object(odd={"anyOf": [{"$ref": "#/$defs/Odd"}, {"type": "null"}]}),
            "Odd": an_object(even={"$ref": "#/$defs/Even"})}}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), WRITTEN, ids=[str(given) for given, _ in WRITTEN])
def test_by_hand(given: Type, expected: Schema) -> None:
    assert canonical(schema(given)) == canonical(expected)


def test_properties_stand_in_declared_order() -> None:
    text = canonical(schema(RecordType("shop.Order")))
    assert [text.index(f'"{name}"') for name in ("id", "paid", "notes", "best")] == sorted(
        text.index(f'"{name}"') for name in ("id", "paid", "notes", "best")
    )
    assert json.loads(text)["required"] == ["id", "paid", "notes", "best"]


def test_docs_are_descriptions() -> None:
    field = p.Parameter("paid", MONEY, P.at(1), doc="in dollars ")
    inner = p.Parameter("tree", RecordType("Tree"), P.at(1), doc="not beside a reference")
    bill = p.RecordDeclaration("Bill", (field, inner), P.at(1), " What was paid.\n")
    mood = enum("Mood", "How it sounds.", Good={}, Bad={"why": TEXT})
    made = json_schema(RecordType("Bill"), {**RECORDS, "Bill": bill}, {})
    assert made["description"] == "What was paid."
    assert made["properties"]["paid"] == {"description": "in dollars", "type": "number"}
    assert made["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert json_schema(EnumType("Mood"), {}, {"Mood": mood})["description"] == "How it sounds."


@pytest.mark.parametrize("given", [StreamType(TEXT), HandleType("llm.Model"), Primitive("Secret"), Primitive("Audio")])
def test_what_no_json_is(given: Type) -> None:
    for each in (given, ListType(OptionType(given))):
        with pytest.raises(TypeError, match="no JSON is a value of"):
            schema(each)


def test_which_types_hold_themselves() -> None:
    def names(given: Type) -> set[str]:
        return set(recursive(given, RECORDS, ENUMS))

    assert names(ListType(RecordType("Tree"))) == {"Tree"}
    assert names(RecordType("Odd")) == {"Odd", "Even"}
    assert names(EnumType("Maths")) == {"Maths"}
    assert names(RecordType("shop.Order")) == names(EnumType("Intent")) == names(TEXT) == set()


# --- values of types at random, and a validator of schemas ------------------------------------------------------------

TYPES = [given for given, _ in WRITTEN] + [EnumType("Maths"), RecordType("shop.Order")]


def allows(given: Schema, value: Any) -> bool:
    validator: Any = Draft202012Validator
    validator.check_schema(given)
    return validator(given).is_valid(value)


def values(given: Type, depth: int = 3) -> st.SearchStrategy[Any]:
    """JSON values of a type."""
    match given:
        case Primitive("Text"):
            return st.text(max_size=3)
        case Primitive("Bool"):
            return st.booleans()
        case Primitive("Int"):
            return st.integers(-9, 9)
        case Primitive("Json"):
            return st.one_of(st.none(), st.text(max_size=2), st.lists(st.integers(), max_size=2))
        case OptionType(element):
            return st.none() if depth <= 0 else st.one_of(st.none(), values(element, depth - 1))
        case ListType(element):
            return st.just([]) if depth <= 0 else st.lists(values(element, depth - 1), max_size=2)
        case MapType(element):
            return st.dictionaries(st.text(max_size=2), values(element, depth - 1), max_size=2)
        case TensorType(shape=shape):
            return st.just([[0.5] * shape[1]] * shape[0])
        case RecordType(name):
            return fields(RECORDS[name].fields, depth)
        case EnumType(name):
            cases = [case for case in ENUMS[name].cases if depth > 0 or not _holds(case, given)]
            return st.sampled_from(cases).flatmap(
                lambda case: (
                    fields(case.payload, depth - 1).map(lambda payload: {case.name: payload})
                    if case.payload
                    else st.just(case.name)
                )
            )
        case _:
            return st.floats(-9, 9)


def _holds(case: p.EnumCase, given: Type) -> bool:
    return any(field.type == given for field in case.payload)


def fields(given: tuple[p.Parameter, ...], depth: int) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({field.name: values(field.type, depth - 1) for field in given})


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(TYPES))
def test_every_value_of_a_type_is_allowed(data: st.DataObject, given: Type) -> None:
    value = data.draw(values(given))
    assert allows(schema(given), value)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_field_may_be_missing_or_new(data: st.DataObject) -> None:
    whole = schema(RecordType("shop.Order"))
    value = data.draw(values(RecordType("shop.Order")))
    dropped = data.draw(st.sampled_from(sorted(value)))
    assert not allows(whole, {key: item for key, item in value.items() if key != dropped})
    assert not allows(whole, {**value, "more": 1})
    assert not allows(whole, {**value, "id": "three"})
