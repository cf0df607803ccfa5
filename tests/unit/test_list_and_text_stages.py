"""What stands behind `std/list` and the plain stages of `std/text`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import call, context, failure, library, run, value

from agentlang.lang.types import FLOAT, INT, Type


def of(entry: str, result: Type = INT, **arguments: object) -> Any:
    return call(library(Path()), entry, context(result=result), **arguments)


@pytest.mark.parametrize(
    ("entry", "items", "expected"),
    [
        ("first", (1, 2), 1),
        ("first", (), None),
        ("last", (1, 2), 2),
        ("last", (), None),
        ("reverse", (1, 2, 3), (3, 2, 1)),
        ("unique", ("b", "a", "b"), ("b", "a")),
        ("unique", ({"a": 1}, {"a": 2}, {"a": 1}), ({"a": 1}, {"a": 2})),
        ("present", (1, None, 0), (1, 0)),
        ("max", (1, 3, 2), 3),
        ("min", ("b", "a"), "a"),
        ("max", (), None),
        ("sorted", ("b", "B", "a"), ("B", "a", "b")),
        ("sum", (), 0),
        ("sum", (1, 2), 3),
    ],
)
def test_lists(entry: str, items: tuple[Any, ...], expected: object) -> None:
    assert of(f"list:{entry}", items=items) == expected


@pytest.mark.parametrize(
    ("count", "taken", "dropped"), [(0, (), (1, 2, 3)), (2, (1, 2), (3,)), (9, (1, 2, 3), ()), (-1, (), (1, 2, 3))]
)
def test_parts(count: int, taken: tuple[int, ...], dropped: tuple[int, ...]) -> None:
    assert of("list:take", items=(1, 2, 3), count=count) == taken
    assert of("list:drop", items=(1, 2, 3), count=count) == dropped


def test_ranges_end() -> None:
    assert of("list:range", start=2, end=5) == (2, 3, 4)
    assert of("list:range", start=5, end=2) == ()
    failed = failure(library(Path()), "list:range", context(), start=0, end=10**12)
    assert (failed.reason, failed.problem.slug) == ("bad_value", "bad-value")


def test_sums_are_of_their_type() -> None:
    assert repr(of("list:sum", FLOAT, items=())) == "0.0"
    assert repr(of("list:sum", INT, items=())) == "0"
    assert of("list:flatten", lists=((1,), (), (2, 3))) == (1, 2, 3)
    assert failure(library(Path()), "list:sum", context(result=FLOAT), items=(1e308, 1e308)).reason == "bad_value"


@pytest.mark.parametrize(
    ("entry", "arguments", "expected"),
    [
        ("lower", {"text": "ÄB"}, "äb"),
        ("upper", {"text": "äb"}, "ÄB"),
        ("trim", {"text": " a b\n"}, "a b"),
        ("replace", {"text": "a.b.c", "old": ".", "new": "-"}, "a-b-c"),
        ("replace", {"text": "abc", "old": "", "new": "-"}, "abc"),
        ("starts_with", {"text": "abc", "prefix": "ab"}, True),
        ("ends_with", {"text": "abc", "suffix": "ab"}, False),
        ("lines", {"text": "a\r\nb\n\nc\n"}, ("a", "b", "", "c")),
        ("words", {"text": " a  b\tc "}, ("a", "b", "c")),
        ("number", {"text": " -1.5e3 "}, -1500.0),
        ("number", {"text": "1_000"}, 1000.0),
        ("number", {"text": "nan"}, None),
        ("number", {"text": "12 apples"}, None),
        ("number", {"text": "9" * 400}, None),
        ("matches", {"text": "order 7", "pattern": "order"}, True),
        ("matches", {"text": "order 7", "pattern": r"\d+$"}, True),
        ("matches", {"text": "order", "pattern": r"\d+$"}, False),
    ],
)
def test_texts(entry: str, arguments: dict[str, object], expected: object) -> None:
    found = of(f"text:{entry}", **arguments)
    assert found == expected and type(found) is type(expected)


def test_an_expression_that_is_none_fails_by_name() -> None:
    failed = failure(library(Path()), "text:matches", context(), text="a", pattern="(")
    assert (failed.reason, failed.problem.slug) == ("bad_value", "bad-value")


def test_an_expression_that_takes_for_ever_is_ended_with_its_call() -> None:
    shelf = library(Path())

    async def work() -> bool:
        with anyio.move_on_after(0.3) as scope:
            await value(shelf, "text:matches", context(), text="a" * 60 + "b", pattern="(a+)+$")
        return scope.cancelled_caught

    assert run(shelf, work, seconds=3)
