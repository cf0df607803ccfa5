"""What is prefilled ahead is no call: a cassette is the same with it and without, and plays back with and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_sources import checked
from test_recorded import Model, Nothing, record, run
from test_shell import end_of

from agentlang.executor.backends import Backend
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph, walk
from agentlang.ir.passes import PLAIN
from agentlang.stdlib.library import Library

pytestmark = pytest.mark.anyio

TEXT = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
pipeline p(page: Text, questions: [Text]) -> [Text] {
  return for question in questions, at most 1 at once {
    all(writer.chat("Of this page, which is long enough: {page}\\nSay: {question}", max_tokens: 8))
  }
}
"""
PAGE, QUESTIONS = "On a page", ("Who?", "What?", "When?")


def graphs() -> dict[bool, Graph]:
    program, _ = checked(TEXT)
    assert program is not None
    module, _ = irc.lower(program)
    assert module is not None
    found: dict[bool, Graph] = {}
    at = PLAIN.index("split_llm") + 1
    for hoisted in (False, True):
        passes = [*PLAIN[:at], *(["hoist_prefix"] if hoisted else []), *PLAIN[at:]]
        made, problems = irc.run_passes(module, Library(Path()), passes=passes)
        assert made is not None, problems
        found[hoisted] = made.graph()
        ahead = [each for each in walk(found[hoisted].pipelines[0].body) if "ahead" in each.attributes]
        assert len(ahead) == (2 if hoisted else 0)
    return found


async def test_a_cassette_knows_nothing_of_it() -> None:
    both = graphs()
    cassettes = {}
    for hoisted, graph in both.items():
        model = Model()
        backend: Backend = LocalBackend(model.library())
        frames, cassettes[hoisted] = await record(graph, backend, page=PAGE, questions=QUESTIONS)
        assert end_of(frames).outcome.status == "done"
    assert cassettes[True] == cassettes[False]
    assert len(cassettes[True].calls) == len(QUESTIONS)
    for recorded in (False, True):
        for played in (False, True):
            frames = await run(
                both[played], ReplayBackend(cassettes[recorded], Nothing()), page=PAGE, questions=QUESTIONS
            )
            assert end_of(frames).outcome.status == "done"
            assert end_of(frames).outcome.value == ("Of th",) * 3
