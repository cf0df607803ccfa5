"""The figures that steer a chat: what is told where it stands in the source, and what fails in a run."""

from __future__ import annotations

import pytest
from agent_sources import checked

HEAD = 'use std/llm\nmodel writer = llm.chat("smollm2-135m-instruct")\nlet nothing = 0\n'


def found(arguments: str, call: str = "chat(q, {})", result: str = "stream Text") -> list[tuple[str, str, str]]:
    """The slug, the title, and the source of each problem of a call with these arguments."""
    text = f"{HEAD}pipeline p(q: Text, t: Float) -> {result} {{ return writer.{call.format(arguments)} }}"
    _, problems = checked(text)
    return [
        (problem.slug, problem.title, text[problem.span.start : problem.span.end] if problem.span else "")
        for problem in problems
        if problem.slug != "unused"
    ]


@pytest.mark.parametrize(
    ("arguments", "title", "at"),
    [
        ("max_tokens: 0", "`max_tokens` is 0", "0"),
        ("max_tokens: nothing", "`max_tokens` is 0", "nothing"),
        ("max_tokens: 4 - 9", "`max_tokens` is -5", "4 - 9"),
        ("temperature: -0.5", "`temperature` is -0.5", "-0.5"),
        ("temperature: -1", "`temperature` is -1.0", "-1"),
        ("top_k: -3", "`top_k` is -3", "-3"),
        ("top_p: 0.0", "`top_p` is 0.0", "0.0"),
        ("top_p: 1.01", "`top_p` is 1.01", "1.01"),
        ('stop: ["a", ""]', "`stop` holds an empty text", '["a", ""]'),
    ],
)
def test_a_figure_outside_of_its_range_is_told_where_it_stands(arguments: str, title: str, at: str) -> None:
    assert found(arguments) == [("bad-bound", title, at)]


def test_several_are_told_each() -> None:
    assert [slug for slug, _, _ in found("top_k: -1, top_p: 3.0, max_tokens: 0")] == ["bad-bound"] * 3


@pytest.mark.parametrize(
    "arguments",
    ["top_k: 1, top_p: 1.0", "top_k: 40, top_p: 0.95, temperature: t, seed: -4", "max_tokens: 1, stop: []", "top_p: t"],
)
def test_the_others_are_not(arguments: str) -> None:
    assert found(arguments) == []


def test_a_judgement_has_a_length_too() -> None:
    call = 'agrees(q, "it is so", {})'
    assert [slug for slug, _, _ in found("max_tokens: 0", call, "Bool")] == ["bad-bound"]
    assert found("max_tokens: 9", call, "Bool") == []
