"""Plain values: maps, cases, elements, conversions, and JSON that a model wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.executor.machine.faults import Fault
from agentlang.executor.machine.semantics import evaluate
from agentlang.executor.values import Shapes
from agentlang.ir.graph import EnumShape, Operation, RecordShape, Value
from agentlang.lang.types import (
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
    TurnType,
    Type,
)

ORDER, INTENT = RecordType("Order"), EnumType("Intent")
SHAPES = Shapes(
    {"Order": RecordShape("Order", (("id", INT), ("note", OptionType(TEXT))))},
    {"Intent": EnumShape("Intent", (("Refund", (("order", INT),)), ("Other", ())))},
)


def value_of(name: str, operands: list[tuple[object, Type]], result: Type, **attributes: Any) -> object:
    values = tuple(Value(number, type_) for number, (_, type_) in enumerate(operands))
    operation = Operation("p.x", f"agent.{name}", values, (Value(99, result),), attributes)
    return evaluate(operation, [value for value, _ in operands], SHAPES)


def test_maps_cases_and_turns() -> None:
    assert value_of("table", [("x", TEXT), ("y", TEXT)], MapType(TEXT), keys=("a", "b")) == {"a": "x", "b": "y"}
    assert value_of("case", [], INTENT, enum="Intent", case="Other", fields=()) == "Other"
    assert value_of("case", [(3, INT)], INTENT, enum="Intent", case="Refund", fields=("order",)) == {
        "Refund": {"order": 3}
    }
    assert value_of("turn", [("x", TEXT)], TurnType(TEXT), stop=True) == (True, "x")
    assert value_of("declassify", [("x", TEXT)], TEXT) == "x"


@pytest.mark.parametrize(
    ("base", "kind", "position", "expected"),
    [
        (("a", "b"), ListType(TEXT), 1, "b"),
        ({"a": "x"}, MapType(TEXT), "a", "x"),
        ({"a": "x"}, MapType(TEXT), "b", None),
        ({"a": (1,)}, JSON, "a", (1,)),
        ((1, 2), JSON, 1, 2),
        ((1, 2), JSON, 2, None),
        ("text", JSON, 0, None),
        (3, JSON, "a", None),
    ],
)
def test_elements(base: object, kind: Type, position: object, expected: object) -> None:
    operand = INT if isinstance(position, int) else TEXT
    assert value_of("index", [(base, kind), (position, operand)], TEXT) == expected


@pytest.mark.parametrize("position", [-1, 2])
def test_an_element_that_is_not_there_is_a_failure(position: int) -> None:
    with pytest.raises(Fault, match=f"no element {position} in a list of 2") as caught:
        value_of("index", [(("a", "b"), ListType(TEXT)), (position, INT)], TEXT)
    assert caught.value.reason == "bad_value"


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (3, INT, FLOAT, 3.0),
        (3, INT, OptionType(FLOAT), 3.0),
        ((1, None), ListType(OptionType(INT)), ListType(OptionType(FLOAT)), (1.0, None)),
        ({"a": 1}, MapType(INT), MapType(FLOAT), {"a": 1.0}),
        ({"id": 3, "note": None}, ORDER, JSON, {"id": 3, "note": None}),
        (b"hi", Primitive("Bytes"), JSON, "aGk="),
        ("x", TEXT, OptionType(TEXT), "x"),
    ],
)
def test_conversions_that_cannot_fail(value: object, source: Type, target: Type, expected: object) -> None:
    converted = value_of("convert", [(value, source)], target, checked=False)
    assert converted == expected and type(converted) is type(expected)


def test_json_becomes_a_value_of_a_type_or_says_where_it_is_none() -> None:
    assert value_of("convert", [({"id": 3}, JSON)], ORDER, checked=True) == {"id": 3, "note": None}
    assert value_of("convert", [({"Refund": {"order": 3}}, JSON)], INTENT, checked=True) == {"Refund": {"order": 3}}
    with pytest.raises(Fault, match=r"no Order: id must be Int, not Text") as caught:
        value_of("convert", [({"id": "3"}, JSON)], ORDER, checked=True)
    assert caught.value.reason == "bad_value"


def parsed(text: str, kind: Type) -> object:
    return value_of("parse", [(text, TEXT)], kind, schema="{}")


def test_what_a_model_wrote() -> None:
    assert parsed('{"id": 3}', ORDER) == {"id": 3, "note": None}
    assert parsed('"Other"', INTENT) == "Other"
    for text, reason in [
        ('{"id": 3', "truncated"),
        ("", "truncated"),
        ('{"id": "3"}', "bad_output"),
        ('{"id": 3}}', "bad_output"),
        ("Sure! Here it is", "bad_output"),
        ('{"id": NaN}', "bad_output"),
        ("[" * 100_000, "bad_output"),
    ]:
        with pytest.raises(Fault) as caught:
            parsed(text, ORDER)
        assert caught.value.reason == reason, text


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 2]), st.data())
def test_every_beginning_of_a_document_is_truncated(data: Any, ascii_: bool, indent: int | None, draw: Any) -> None:
    text = json.dumps([data], ensure_ascii=ascii_, indent=indent)
    end = draw.draw(st.integers(0, len(text) - 1))
    with pytest.raises(Fault) as caught:
        parsed(text[:end], JSON)
    assert caught.value.reason == "truncated", text[:end]


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.sampled_from(["]", ",", "}", "x", '"a', ": 1", "1"]))
def test_a_document_with_more_behind_it_is_wrong(data: Any, more: str) -> None:
    with pytest.raises(Fault) as caught:
        parsed(json.dumps([data]) + more, JSON)
    assert caught.value.reason == "bad_output"
