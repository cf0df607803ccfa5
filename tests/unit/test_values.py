"""Runtime values: text forms, JSON in by type with every problem at once, JSON out."""

from __future__ import annotations

import json

import pytest

from agentlang.base.units import quantity
from agentlang.executor.values import NO_SHAPES, Shapes, bind, from_json, from_text, text_form, to_json
from agentlang.ir.graph import EnumShape, Graph, GraphPipeline, Input, RecordShape, Region
from agentlang.lang.types import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    JSON,
    MONEY,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    Type,
)

SHAPES = Shapes(
    {"Source": RecordShape("Source", (("path", TEXT), ("line", INT), ("note", OptionType(TEXT))))},
    {
        "Intent": EnumShape(
            "Intent",
            (("Refund", (("order", INT), ("amount", FLOAT))), ("Follow", (("up", OptionType(TEXT)),)), ("Spam", ())),
        )
    },
)
INTENT = EnumType("Intent")
BYTES = Primitive("Bytes")


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("a", TEXT, "a"),
        (3, INT, 3),
        (3, FLOAT, 3.0),
        (True, BOOL, True),
        (["a", "b"], ListType(TEXT), ("a", "b")),
        ({"a": [1]}, MapType(ListType(INT)), {"a": (1,)}),
        (None, OptionType(INT), None),
        ({"line": 3, "path": "a.md"}, RecordType("Source"), {"path": "a.md", "line": 3, "note": None}),
        ("aGk=", BYTES, b"hi"),
        (0.25, DURATION, 0.25),
        ("250 ms", DURATION, 0.25),
        ("$0.40", MONEY, 0.4),
        ({"any": [1, None]}, JSON, {"any": (1, None)}),
        ("Spam", INTENT, "Spam"),
        ({"Refund": {"amount": 1, "order": 3}}, INTENT, {"Refund": {"order": 3, "amount": 1.0}}),
        ({"Follow": {}}, INTENT, {"Follow": {"up": None}}),
        (["Spam", None], ListType(OptionType(INTENT)), ("Spam", None)),
    ],
)
def test_json_that_fits(value: object, type_: Type, expected: object) -> None:
    assert from_json(value, type_, SHAPES, "x") == (expected, ())


@pytest.mark.parametrize(
    ("value", "type_", "places"),
    [
        ("3", INT, ["x must be Int, not Text"]),
        (True, INT, ["x must be Int, not Bool"]),
        (1.5, INT, ["x must be Int, not Float"]),
        (10**400, FLOAT, ["x must be Float, not Int"]),
        ("a", ListType(TEXT), ["x must be [Text], not Text"]),
        (["a", 2, None], ListType(TEXT), ["x[1] must be Text, not Int", "x[2] must be Text, not none"]),
        (
            {"path": 1, "lines": 2},
            RecordType("Source"),
            ["x has a field", "x.path must be Text", "x lacks the field"],
        ),
        ("250 MB", DURATION, ["x must be Duration"]),
        ("soon", DURATION, ["x must be Duration"]),
        ("$3 ms", MONEY, ["x must be Money"]),
        ("not base64!", BYTES, ["x must be Bytes"]),
        ("Refund", INTENT, ["x must be Intent (Refund(…), Follow(…), Spam), not Text"]),
        ({"Spam": {}}, INTENT, ["x must be Intent"]),
        ({"Refund": {"order": 3}}, INTENT, ["x.Refund lacks the field 'amount'"]),
        ({"Refund": {"order": "3", "amount": 1.0}}, INTENT, ["x.Refund.order must be Int"]),
        ({"Refund": {}, "Spam": {}}, INTENT, ["x must be Intent"]),
        ({3: "a"}, MapType(TEXT), ["x must be {Text: Text}"]),
        ({"a": float("nan")}, JSON, ["x.a must be Json, not Float NaN"]),
        ({"a": [1, {"b": object()}]}, JSON, ["x.a[1].b must be Json, not object"]),
    ],
)
def test_json_that_does_not_fit_says_where(value: object, type_: Type, places: list[str]) -> None:
    _, problems = from_json(value, type_, SHAPES, "x")
    assert len(problems) == len(places)
    for problem, start in zip(problems, places, strict=True):
        assert problem.title.startswith(start)


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ("30", TEXT, "30"),
        ("30", INT, 30),
        ("true", BOOL, True),
        ("2 min", DURATION, 120.0),
        ('["a"]', ListType(TEXT), ("a",)),
        ("none", OptionType(INT), None),
        ("hello", OptionType(TEXT), "hello"),
        ("Spam", INTENT, "Spam"),
        ('{"Follow": {"up": "a"}}', INTENT, {"Follow": {"up": "a"}}),
    ],
)
def test_words_of_a_command_line(text: str, type_: Type, expected: object) -> None:
    assert from_text(text, type_, SHAPES, "x") == (expected, ())


@pytest.mark.parametrize(("text", "type_"), [("many", INT), ("[", ListType(TEXT)), ("[" * 100_000, ListType(TEXT))])
def test_words_that_are_no_value(text: str, type_: Type) -> None:
    _, (problem,) = from_text(text, type_, SHAPES, "x")
    assert problem.slug == "argument-type" and len(problem.title) < 200


def test_all_arguments_are_looked_at() -> None:
    inputs = (Input("question", TEXT, True), Input("top", INT, False, 8), Input("wide", BOOL, True))
    pipeline = GraphPipeline("find", inputs, TEXT, Region((), ()))
    graph = Graph("", (), (), (pipeline,))
    assert bind(graph, pipeline, {"question": "?", "wide": True}) == ({"question": "?", "wide": True}, ())
    _, problems = bind(graph, pipeline, {"questoin": "?", "top": "x"})
    assert sorted(problem.slug for problem in problems) == [
        "argument-missing",
        "argument-missing",
        "argument-type",
        "argument-unknown",
    ]
    assert any(problem.hint == "did you mean 'question'?" for problem in problems)


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("a", TEXT, "a"),
        (3, INT, "3"),
        (0.1, FLOAT, "0.1"),
        (3.0, FLOAT, "3.0"),
        (True, BOOL, "true"),
        (0.25, DURATION, "250 ms"),
        (0.4, MONEY, "$0.40"),
        ({"a": (1, "ü")}, JSON, '{"a":[1,"ü"]}'),
        ("a", JSON, '"a"'),
        (None, JSON, "null"),
        ("Spam", INTENT, "Spam"),
    ],
)
def test_text_forms(value: object, type_: Type, expected: str) -> None:
    assert text_form(value, type_) == expected


def test_anything_can_be_written_as_json() -> None:
    value = {"a": (1, b"hi", None, float("inf")), "b": object()}
    assert json.loads(json.dumps(to_json(value))) == {"a": [1, "aGk=", None, "inf"], "b": "<object>"}


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("-$1", "Money", -1.0),
        ("4.50 $", "Money", 4.5),
        ("4 per s", "Rate", 4.0),
        ("6 per min", "Rate", 0.1),
        ("1_000 tokens", "Tokens", 1000.0),
        ("1_000", "Int", 1000),
        ("YWJj", "Bytes", b"abc"),
    ],
)
def test_values_are_written_as_in_the_language(text: str, type_: str, value: object) -> None:
    assert from_text(text, Primitive(type_), NO_SHAPES, "x") == (value, ())


@pytest.mark.parametrize(
    ("text", "type_", "hint"),
    [
        ("4", Primitive("Money"), "write `$4`, in single quotes where a shell reads it"),
        ("€4", Primitive("Money"), "write it as in `$4`, in single quotes where a shell reads it"),
        ("3", Primitive("Duration"), "write `3 s`"),
        ("3 GiB", Primitive("Duration"), "write it as in `4 s`"),
        ("yes", Primitive("Bool"), "give true or false"),
        ("1,2", ListType(INT), "give a JSON list with items of type Int, as in [1, 2]"),
    ],
)
def test_a_wrong_value_is_told_how_it_is_written(text: str, type_: Type, hint: str) -> None:
    value, (problem,) = from_text(text, type_, NO_SHAPES, "x")
    assert value is None
    assert (problem.slug, problem.hint) == ("argument-type", hint)


def test_amounts_are_shown_as_people_write_them() -> None:
    shown = {(-1.0, "$"): "-$1.00", (123_456, "tokens"): "123456 tokens", (0.0, "s"): "0 s", (0.25, "s"): "250 ms"}
    assert {key: str(quantity(*key)) for key in shown} == shown
