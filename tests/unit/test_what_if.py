"""Changes in the language's own words: put where they belong, checked like any program."""

import pytest

from agentlang import api
from agentlang.base.source import Source
from agentlang.lang.parser import parse
from agentlang.planner.answers.what_if import NotAChange, changed

TEXT = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text) -> stream Text {
  return writer.chat("Greet {name}.", max_tokens: 32)
}

goal hello {
  rate        2 per s
  assume { name 3 tokens }
  finish p95 <= 10 s
  prefer cheapest
}

fleet market {
  tier quick = catalog.h100 { count 0..4, price $2.50 per h }
  tier slow = catalog.a40
  link quick <-> slow 100 Gbit/s, 10 us
}
"""

LINK = "link quick <-> slow 100 Gbit/s, 10 us"


def after(words: str, text: str = TEXT) -> str:
    source = Source("hello.agent", text)
    file, problems = parse(source)
    assert not problems
    return changed(source, file, words, goal="hello").text


@pytest.mark.parametrize(
    ("words", "before", "now"),
    [
        ("tier quick price $1.80 per h", "price $2.50 per h", "price $1.80 per h"),
        ("tier quick count 0..9", "count 0..4", "count 0..9"),
        ("tier quick count 1, price $3 per h", "count 0..4, price $2.50 per h", "count 1, price $3 per h"),
        ("tier slow price $0.40 per h", "catalog.a40\n", "catalog.a40 { price $0.40 per h }\n"),
        ("tier slow = catalog.l40s", "tier slow = catalog.a40", "tier slow = catalog.l40s"),
        ("link slow <-> quick 1 bit/s, 1 s", LINK, "link slow <-> quick 1 bit/s, 1 s"),
        ("rate 40 per s", "rate        2 per s", "rate 40 per s"),
        ("goal finish p95 <= 1 s", "finish p95 <= 10 s", "finish p95 <= 1 s"),
        ("prefer fastest", "prefer cheapest", "prefer fastest"),
        ("assume name 200 tokens", "name 3 tokens", "name 200 tokens"),
    ],
)  # fmt: skip
def test_what_is_there_is_replaced(words: str, before: str, now: str) -> None:
    assert after(words) == TEXT.replace(before, now, 1)


@pytest.mark.parametrize(
    "words",
    [
        "first_token p95 <= 300 ms",
        "cost <= $1 per 1000 runs",
        "soft finish 10",
    ],
)
def test_what_is_not_there_is_added_and_the_program_still_checks(words: str) -> None:
    text = after(words)
    assert text != TEXT
    assert words in text
    assert not [each for each in api.check(Source("hello.agent", text)).problems if each.severity.value == "error"]


def test_changes_follow_each_other() -> None:
    text = after("link more <-> * 10 Gbit/s, 100 us", after("tier more = catalog.b200 { count 0..1 }"))
    assert not [each for each in api.check(Source("hello.agent", text)).problems if each.severity.value == "error"]


def test_a_pipeline_without_a_goal_gets_one() -> None:
    text = TEXT[: TEXT.index("goal")] + TEXT[TEXT.index("fleet") :]
    assert "goal hello {\n  finish p95 <= 1 s\n}" in after("finish p95 <= 1 s", text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("tier fast price $1 per h", "has no tier 'fast'; it has quick, slow"),
        ("tier quick price", "is no change"),
        ("finish <= ", "is no change"),
        ("", "is no change"),
        ("link quick <-> slow", "is no change"),
        ("rate 2 per s } fleet x {", "is no change"),
    ],
)
def test_what_is_no_change_is_said(words: str, why: str) -> None:
    with pytest.raises(NotAChange, match=why):
        after(words)
