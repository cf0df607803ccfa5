"""What tests give: answers in place of calls, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from agent_sources import checked
from ir_oracle import expectations
from ir_programs import SmallLibrary

from agentlang.base.problems import has_errors
from agentlang.executor.kinds import Context, Usage
from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph, GraphPipeline, walk
from agentlang.ir.passes import PLAIN
from agentlang.stdlib.library import Library

HEAD = """use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")
enum Want { More(what: Text), Less }
tool order(id: Int) -> Text = python("shop:order") effects [reads "orders"]
pipeline inner(id: Int) -> Text { return "{order(id)}!" }
pipeline outer(id: Int) -> Text {
  want = writer.chat("what? {id}", max_tokens: 8) into Want
  said = writer.chat("say {id}", max_tokens: 8)
  return match want {
    More(what) => "{what} {inner(id)} {all(said)}"
    Less       => text.redact("less {id}")
  }
}
"""


def graph_of(text: str, until: str | None = None) -> Graph:
    program, problems = checked(HEAD + text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    module, problems = irc.lower(program, tests=True)
    assert module is not None, [problem.title for problem in problems]
    module, problems = irc.run_passes(module, SmallLibrary(), until, passes=PLAIN)
    assert module is not None, [problem.title for problem in problems]
    return module.graph()


def leaves(pipeline: GraphPipeline) -> list[str]:
    return [str(o.attributes["entry"]) for o in walk(pipeline.body) if "entry" in o.attributes]


GIVENS = """
  given order(1) = "first"
  given order(2) = "second"
  given writer.chat("what? 1") = More(what: "tea")
  given writer.chat("say 1") = "hm"
  given writer.chat("what? 2") = Less
"""
HOLD = [
    (GIVENS, 'outer(1) == "tea first! hm"'),
    # What fits no given runs: the text of `redact` is the oracle's own.
    (GIVENS, 'outer(2) == "<less 2>"'),
    (GIVENS + '  given text.redact = "r"\n', 'outer(2) == "r"'),
    ('given order(1) = "a"\n  given order(1) = "b"\n', 'inner(1) == "a!"'),
    ('given order(2) = "b"\n  given order = "any"\n', 'inner(1) == "any!" and inner(2) == "b!"'),
    ('given order(id: 1) = "a"\n', 'order(1) == "a"'),
    ('given inner(7) = "seven"\n  given writer.chat = More(what: "x")\n', 'outer(7) contains "x seven"'),
    ('given outer = "all"\n', 'outer(7) == "all"'),
    ('given writer.chat("x", max_tokens: 9) = "y"\n', 'all(writer.chat("x", max_tokens: 9)) == "y"'),
    (
        'given writer.chat("x", max_tokens: 9) = "y"\n  given writer.chat = "z"\n',
        'all(writer.chat("x", max_tokens: 8)) == "z"',
    ),
]


@pytest.mark.parametrize(("givens", "expected"), HOLD, ids=[expected for _, expected in HOLD])
@pytest.mark.parametrize("until", ["inline_pipelines", "split_llm", "annotate_demand"])
def test_what_a_test_gives_is_answered(givens: str, expected: str, until: str) -> None:
    graph = graph_of(f'test "t" {{\n  {givens}\n  expect {expected}\n}}', until)
    assert expectations(graph, "t") == [True]


def test_givens_are_of_their_test_only() -> None:
    text = 'test "a" {\n  given outer = "x"\n  expect outer(1) == "x"\n}\ntest "b" { expect outer(1) == "x" }'
    graph = graph_of(text, "split_llm")
    first, second = graph.tests
    assert leaves(first) == []
    assert "python:call" in leaves(second)
    # Nothing of it is left in the pipelines: they are those that are run.
    plain = graph_of("")
    assert graph_of(text).pipelines == plain.pipelines


def test_a_call_that_is_always_answered_is_gone() -> None:
    graph = graph_of('test "t" {\n  given order = "x"\n  given writer.chat = Less\n  expect outer(1) != ""\n}')
    entries = leaves(graph.tests[0])
    assert "python:call" not in entries and "llm:decode" not in entries
    assert [o.name for o in walk(graph.tests[0].body) if o.name == "agent.given"] == []


def test_the_answer_has_the_calls_name_and_labels() -> None:
    text = 'test "t" {\n  given writer.chat("what? 1") = Less\n  expect outer(1) != ""\n}'
    names = [(o.name, v.name) for o in walk(graph_of(text, "split_llm").tests[0].body) for v in o.results if v.name]
    assert names == [("agent.if", "outer.want"), ("agent.if", "outer.said")]


def test_givens_of_a_test_are_read_back() -> None:
    program, _ = checked(HEAD + f'test "t" {{\n  {GIVENS}\n  expect outer(1) != ""\n}}')
    assert program is not None
    module, _ = irc.lower(program, tests=True)
    assert module is not None
    back, problems = irc.parse(module.text(), None, module.sources)
    assert back is not None and problems == ()
    assert back.text() == module.text()


@pytest.mark.parametrize(("value", "items"), [("a b", ["a b"]), (("a", "b"), ["a", "b"]), ((), [])])
def test_an_answer_is_sent_as_a_stream(value: object, items: list[object], tmp_path: Path) -> None:
    kind = Library(tmp_path).kind("given:stream")

    async def sent() -> list[object]:
        made: Any = kind(Context("s", Usage()), {"value": value})
        return [item async for item in made]

    assert anyio.run(sent) == items
