"""What the typed program says: labels, constants, operators, defaults, and fixes that mend."""

from __future__ import annotations

import pytest
from agent_sources import blocks, checked, slugs, sound

from agentlang.base.problems import Fix
from agentlang.base.units import DURATION, RATE, Quantity
from agentlang.lang import program as p
from agentlang.lang.types import BOOL, FLOAT, INT, TEXT, Primitive, StreamType

WRITER = 'use std/llm\nuse std/text\nmodel writer = llm.chat("smollm2-135m-instruct")\n'


def bound(text: str, pipeline: str = "f") -> dict[str, p.Expression]:
    """The values that the first pipeline binds, by name, and its result as `return`."""
    found = sound(text).pipeline(pipeline)
    assert found is not None
    values = {s.name: s.value for s in found.body.statements if isinstance(s, p.Bind)}
    assert found.body.result is not None
    return {**values, "return": found.body.result}


# --- labels


LABELLED = """
use std/text
type Card { owner: Text @name, number: Text }
pipeline clean(mail: Text) -> Text { return text.redact(mail) }
pipeline keep(mail: Text, other: Text) -> Text { return "{mail}" }
pipeline marked(mail: Text) -> Text @seen { return mail }
pipeline f(mail: Text @pii, card: Card @bank, flag: Bool @control) -> Text {
  copied  = "{mail}!"
  ended   = text.redact(copied)
  through = clean(mail)
  kept    = keep(mail, "x")
  dropped = keep("x", mail)
  owner   = card.owner
  number  = card.number
  list    = [mail, "x"]
  items   = for item in list { "{item}" }
  chosen  = if flag { "a" } else { number }
  seen    = marked("x")
  both    = text.join([owner, mail])
  count   = len(mail)
  return "{copied}{ended}{through}{kept}{dropped}{owner}{len(items)}{chosen}{seen}{both}{count}"
}
"""


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("copied", {"pii"}),
        ("ended", set[str]()),
        ("through", set[str]()),
        ("kept", {"pii"}),
        ("dropped", set[str]()),
        ("owner", {"bank", "name"}),
        ("number", {"bank"}),
        ("list", {"pii"}),
        ("items", {"pii"}),
        # Data, not control: which branch ran is not told.
        ("chosen", {"bank"}),
        ("seen", {"seen"}),
        ("both", {"bank", "name", "pii"}),
        ("count", {"pii"}),
    ],
)
def test_labels_follow_data(name: str, labels: set[str]) -> None:
    assert bound(LABELLED)[name].labels == labels


# --- constants and literals


def test_constants_are_inlined_where_they_are_used() -> None:
    text = (
        'let a = b * 2\nlet b = 10 + 5\nlet wait = 250 ms * 4\nlet names = ["x", "y"]\nlet share = 10 %\n'
        "let low = -b\nlet rate = 60 / 1 min\n"
        "pipeline f(n: Int = a, w: Duration = wait) -> Text {\n"
        '  return "{a} {wait} {names contains "x"} {share} {low} {n} {w} {rate}"\n}\n'
    )
    found = bound(text)["return"]
    assert isinstance(found, p.Template)
    values = [part.value for part in found.parts if isinstance(part, p.Literal)]
    assert values == [30, Quantity(1.0, DURATION), 0.1, -15, Quantity(1.0, RATE)]
    pipeline = sound(text).pipeline("f")
    assert pipeline is not None
    assert [q.default.value for q in pipeline.parameters if q.default] == [30, Quantity(1.0, DURATION)]


@pytest.mark.parametrize(
    ("expression", "type"),
    [
        ("1 + 2", INT),
        ("1 + 0.5", FLOAT),
        ("n + x", FLOAT),
        ("n / n", FLOAT),
        ("n % 2", INT),
        ("-n", INT),
        ("-x", FLOAT),
        ("t + t", TEXT),
        ("d + d", Primitive("Duration")),
        ("2 * d", Primitive("Duration")),
        ("d / 2", Primitive("Duration")),
        ("d / d", FLOAT),
        ("size / d", Primitive("Bandwidth")),
        ("size / (size / d)", Primitive("Duration")),
        ("1 / d", Primitive("Rate")),
        ("n < x", BOOL),
        ("t < t", BOOL),
        ("d >= 3 s", BOOL),
        ("n == 1.0", BOOL),
        ("not b and b or b", BOOL),
        ("t contains t", BOOL),
        ("[n] contains 3", BOOL),
        ("len([n])", INT),
        ("len(t)", INT),
        ("if b { n } else { 3 }", INT),
        ("if b { 1 } else if b { 2 } else { n }", INT),
    ],
)
def test_operators(expression: str, type: p.Type) -> None:
    text = (
        "pipeline f(n: Int, x: Float, t: Text, d: Duration, size: Bytesize, b: Bool) -> Text {\n"
        f'  a = {expression}\n  return "{{a}}"\n}}\n'
    )
    assert bound(text)["a"].type == type


def test_a_whole_number_beside_a_float_is_one() -> None:
    text = "pipeline f(x: Float) -> [Float] {\n  a = x > 1\n  b = [1, 0.5]\n  return if a { [2] } else { b }\n}\n"
    found = bound(text)
    comparison = found["a"]
    assert isinstance(comparison, p.Binary) and comparison.right.type == FLOAT
    assert isinstance(found["b"], p.ListOf) and [i.type for i in found["b"].items] == [FLOAT, FLOAT]
    chosen = found["return"]
    assert isinstance(chosen, p.If) and isinstance(chosen.then.result, p.ListOf)
    assert chosen.then.result.items[0].type == FLOAT


# --- streams


def test_a_stream_flows_through_stages_and_bodies() -> None:
    text = WRITER + (
        "pipeline f(question: Text) -> stream Text {\n"
        "  sentences = text.sentences(writer.chat(question))\n"
        "  return for sentence in sentences where len(sentence) > 3 { writer.chat(sentence) }\n}\n"
        "pipeline g(words: stream Int) -> [Int] { return all(words) }\n"
    )
    flattened = bound(text)["return"]
    assert isinstance(flattened, p.MapOver)
    assert flattened.type == StreamType(TEXT) and flattened.at_most == 1 and flattened.variable_type == TEXT


def test_return_in_the_branches_that_end_a_pipeline() -> None:
    text = 'pipeline f(b: Bool) -> Text {\n  if b { return "x" } else if not b { return "y" } else { "z" }\n}\n'
    chosen = bound(text)["return"]
    assert isinstance(chosen, p.If) and isinstance(chosen.otherwise.result, p.If)


# --- faults


def test_an_unknown_part_is_reported_once() -> None:
    text = "pipeline f() -> Text {\n  a = missing\n  b = a.x\n  c = b + 1\n  d = for i in c { i.y }\n  return d\n}\n"
    assert slugs(text) == ["unknown-name"]


def test_misspelt_uses_are_uses() -> None:
    text = (
        WRITER
        + 'pipeline f(name: Text) -> Text {\n  hello = "x"\n  return all(wrter.chat(txt.join([helo, name])))\n}\n'
    )
    assert slugs(text) == ["unknown-name"] * 3


def test_faults_of_all_declarations_are_reported() -> None:
    text = (
        "use std/nothing\nlet a = missing\nmodel m = 3\ntype R { x: Nowhere }\n"
        "pipeline f() -> Text { return 3 }\ngoal g { finish p95 <= 3 s }\nfleet x { tier t = 3 }\n"
        'test "t" { expect 3 }\n'
    )
    found = [slug for slug in slugs(text) if slug != "unused"]
    assert found == [
        "unknown-module",
        "unknown-name",
        "not-a-handle",
        "unknown-name",
        "wrong-type",
        "goal-unknown-pipeline",
        "not-a-device",
        "wrong-type",
    ]


def test_deep_nesting_and_long_chains_end_with_a_problem_or_a_program() -> None:
    deep = "len(" * 120 + "t" + ")" * 120
    assert set(slugs(f"pipeline f(t: Text) -> Int {{ return {deep} }}\n")) <= {"too-deep", "wrong-type"}
    pipes = "t" + " |> g()" * 140
    text = f"pipeline g(t: Text) -> Text {{ return t }}\npipeline f(t: Text) -> Text {{ return {pipes} }}\n"
    assert set(slugs(text)) <= {"too-deep"}
    calls = "".join(f"pipeline p{i}(t: Text) -> Text {{ return p{i + 1}(t) }}\n" for i in range(1500))
    assert slugs(calls + "pipeline p1500(t: Text) -> Text { return t }\n") == []


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e999", "9_223_372_036_854_775_808"])
def test_numbers_that_no_machine_holds(number: str) -> None:
    found = slugs(f"let most = 2\npipeline f() -> Float {{ return {number} * most }}\n")
    assert found and set(found) <= {"bad-number", "bad-bound"}


def test_a_rate_per_nothing_and_a_quantity_too_large() -> None:
    goal = 'pipeline f() -> Text { return "x" }\ngoal f {\n  cost <= $1 per 0 runs\n  finish p95 <= 1e308 d\n}\n'
    assert slugs(goal) == ["bad-bound", "bad-bound"]


# --- fixes


def applied(text: str, fix: Fix) -> str:
    for edit in sorted(fix.edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


@pytest.mark.parametrize(
    "text",
    [
        WRITER + 'pipeline f(name: Text) -> Text { return text.redact(all(writer.chat("{nmae}"))) }\n',
        WRITER + 'pipeline f(name: Text) -> Text { return text.redact(writer.chat("{name}")) }\n',
        WRITER + "pipeline f(name: Text) -> stream Text { return writer.chat(text.redact(txt: name), sed: 1) }\n",
        "pipeline f(name: Text) -> Text { return text.redact(name) }\n",
        "## What it is.\npipeline f(name: Text) -> Text { return text.redact(name) }\n",
        "use std/text\npipeline f(name: Text) -> Text { return redact(name) }\n",
        "use std/text\nuse std/llm\npipeline f(name: Text) -> Text { return text.redact(name) }\n",
        'pipeline f(name: Text) -> Text {\n  shown = "{name}"\n}\n',
        'pipeline f(names: [Text]) -> [Text] {\n  return for name in names { return "{name}" }\n}\n',
        "pipeline f(n: Txt) -> Text { return n }\ngoal ff { finish <= 3 s }\n",
        "use std/search\npipeline f(hit: Passage) -> Text { return hit.txt }\n",
        "use std/txt\npipeline f(name: Text) -> Text { return text.redact(name) }\n",
    ],
)
def test_fixes_mend(text: str) -> None:
    for _ in range(6):
        _, problems = checked(text)
        if not problems:
            return
        assert all(problem.fix for problem in problems), [problem.title for problem in problems]
        fix = problems[0].fix
        assert fix is not None
        text = applied(text, fix)
    raise AssertionError(text)


def test_pages_have_blocks() -> None:
    assert [kind for kind, _, _ in blocks("a\n\n```agent\nx\n```\n\n```problems\ny\n```\n")] == ["agent", "problems"]
