"""The benchmark of function calls: its schemas hold what they should, its check finds what they miss, its rules count
as BFCL's do. The questions are made up; the set itself is not in this repository."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentlang.executor.engines import engine
from agentlang.executor.engines.constraint.reading import read
from agentlang.executor.engines.protocol import ModelSpec

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.bfcl import asking, data, rules, schemas  # noqa: E402

sys.path.remove(str(ROOT))

WEATHER: dict[str, Any] = {
    "name": "weather.at",
    "description": "The weather of a day.",
    "parameters": {
        "type": "dict",
        "properties": {
            "place": {"type": "string", "description": "A town."},
            "day": {"type": "string", "format": "date"},
            "hours": {"type": "array", "items": {"type": "integer"}},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "height": {"type": "float", "maximum": 9000},
            "more": {"type": "dict", "properties": {"wind": {"type": "boolean"}}, "required": ["wind"]},
        },
        "required": ["place"],
    },
}
ADD: dict[str, Any] = {
    "name": "add",
    "description": "A sum.",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}, "b": {"type": "any"}}, "required": ["a"]},
}
TRUTH: dict[str, dict[str, list[Any]]] = {
    "weather.at": {
        "place": ["New York", "NYC"],
        "hours": [[1, 2], [3]],
        "unit": ["C", ""],
        "height": [100.0, ""],
        "more": [{"wind": [True]}, ""],
    }
}


def test_what_the_dialect_has_no_word_for_is_counted_and_checked_all_the_same() -> None:
    left_out: Counter[str] = Counter()
    document = read(schemas.choice([WEATHER, ADD], left_out))
    assert left_out == {"format": 1, "maximum": 1}
    assert not any(name in str(document) for name in ("description", "default"))
    for arguments, word in (({"day": "someday"}, "date"), ({"height": 9001}, "maximum")):
        call, why = schemas.well_formed(json.dumps({"weather.at": {"place": "x", **arguments}}), [WEATHER, ADD])
        assert call is None and word in why


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("{", "no JSON"),
        ("[1]", "not one call"),
        ('{"add": {"a": 1}, "weather.at": {"place": "x"}}', "not one call"),
        ('{"sub": {}}', "no function"),
        ('{"add": {}}', "'a' is a required property"),
        ('{"add": {"a": "1"}}', "'1' is not of type 'integer'"),
        ('{"add": {"a": 1, "c": 2}}', "Additional properties"),
        ('{"weather.at": {"place": "x", "unit": "K"}}', "is not one of"),
        ('{"weather.at": {"place": "x", "hours": [1, "2"]}}', "'2' is not of type 'integer'"),
        ('{"weather.at": {"place": "x", "more": {}}}', "'wind' is a required property"),
    ],
)
def test_what_is_not_well_formed_is_found(reply: str, why: str) -> None:
    call, found = schemas.well_formed(reply, [WEATHER, ADD])
    assert call is None and why in found


def test_well_formed_calls_are_taken_apart() -> None:
    assert schemas.well_formed('{"add": {"a": 1, "b": [2]}}', [WEATHER, ADD]) == (("add", {"a": 1, "b": [2]}), "")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, None),
        ({"place": "new-york."}, None),  # case and marks do not count
        ({"place": "nyc", "unit": "C", "height": 100, "more": {"wind": True}}, None),  # a whole number for a float
        ({"hours": [3]}, None),
        ({"place": "Boston"}, "another value"),
        ({"hours": [2, 1]}, "another value"),
        ({"hours": ["3"]}, "another type"),
        ({"hours": 3}, "another type"),
        ({"unit": "F"}, "another value"),
        ({"height": "100"}, "another type"),
        ({"more": {"wind": False}}, "another value"),
        ({"more": {}}, "another value"),
        ({"day": "2026-01-01"}, "an argument too many"),
        ({"hours": None}, "an argument missing"),
        ({"place": None}, "an argument missing"),
    ],
)
def test_the_rules_count_as_bfcl_does(change: dict[str, Any], found: str | None) -> None:
    """`None` leaves an argument out."""
    given = {"place": "New York", "hours": [1, 2], **change}
    arguments = {name: value for name, value in given.items() if value is not None}
    assert rules.wrong(("weather.at", arguments), [WEATHER, ADD], TRUTH) == found


def test_another_function_is_wrong() -> None:
    assert rules.wrong(("add", {"a": 1}), [WEATHER, ADD], TRUTH) == "another function"


def test_every_call_is_well_formed_whatever_the_model() -> None:
    """The null engine invents replies by the same schemas, so they are as random as schemas allow."""
    questions = [data.Question(f"q{i}", f"What {i}?", (WEATHER, ADD), TRUTH) for i in range(12)]

    async def main() -> asking.Outcome:
        model = await engine("null").load(ModelSpec("any"))
        try:
            return await asking.ask_all(model, "made up", questions, 4)
        finally:
            await model.close()

    outcome = anyio.run(main)
    # What the dialect cannot say may be wrong, and then the check finds it; nothing else is.
    assert all("date" in why or "maximum" in why for why in outcome.ill_formed.values()), outcome.ill_formed
    assert outcome.asked == 12 and outcome.well_formed + len(outcome.ill_formed) == 12
    assert outcome.left_out == {"format": 12, "maximum": 12}


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "possible_answer").mkdir()
    for name in ("", "possible_answer/"):
        (tmp_path / f"{name}{data.SETS['simple']}").write_text('{"id": "1"}\n')
    with pytest.raises(data.Changed):
        data.questions("simple", tmp_path)
