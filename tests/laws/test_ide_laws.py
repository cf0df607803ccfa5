"""What is known of a text that was edited is what is known of it when it is read afresh: problems, types, and what each
word stands for, whatever was kept from before."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ide_texts import PROGRAM
from whole_language import WHOLE

from agentlang.base.source import Source, Span
from agentlang.lang.checker import check
from agentlang.lang.echoes import without_echoes
from agentlang.lang.ide import Analysis, Document
from agentlang.lang.ide.things import declared
from agentlang.lang.mistakes import MISTAKES
from agentlang.lang.parser import parse
from agentlang.lang.program import Program
from agentlang.stdlib.interfaces import interface

OWN = (
    PROGRAM
    + """
## Answers.
pipeline answer(question: Text @pii, top: Int = window) -> stream Text {
  found = order(top)
  kind  = writer.chat("{question}") into Intent
  said = match kind {
    Refund(id, why) => "{id} {why} {found.note}"
    _               => helper(found.note, by: 2)
  }
  writer.chat(said) with timeout 2 s, retry 1
}

## Helps.
pipeline helper(raw: Text, by: Int = 1) -> Text {
  parts = for part in text.split(raw, ",") where len(part) > by { text.lower(part) }
  draft = repeat state = raw, at most 3 times {
    stop state when len(state) > 10
    next state + "!"
  }
  text.join(parts, draft)
}

goal answer {
  assume { question 40 tokens }
  finish p95 <= 60 s
}

agent support(question: Text) -> Text {
  model writer
  tools [order, helper]
  at most 4 steps
  system "Be kind to {question}."
}

test "it" {
  given order(1) = Order(id: 1, note: "x")
  expect helper("a,b") contains "a"
}
"""
)
TEXTS = [OWN, *(path.read_text("utf-8") for path in [*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))])]
PIECES = [
    *('"', '"""', "{", "}", "(", ")", "\n", "\n\n", "  ", "#", "## doc\n", "\ufeff", "\r\n", "x", " = ", ".", "@pii"),
    "\npipeline p(q: Text) -> Text {\n  return helper(q)\n}\n",
    "\ntype A { x: Int }\n",
    "let x = 1\n",
    "use std/search\n",
    "\nenum Shade { Dark(by: Int), Light }\n",
    *("order", "Order", "Intent", "Refund", "helper", "note", "Int", "Text", "stream ", "top", "question", "writer"),
]


def facts(analysis: Analysis) -> object:
    """Everything that is known, with places of the text."""

    def place(span: Span) -> tuple[str, int, int]:
        at = analysis.place(span)
        return at.path, at.start, at.end

    words = [
        (
            w.start,
            w.end,
            type(w.mention.thing).__name__,
            declared(w.mention.thing),
            place(analysis.index.target(w.mention)),
        )
        for w in analysis.index.words
    ]
    own = [(key, v) for key, v in analysis.facts.values.items() if key[0] == analysis.path]
    values = {(*place(_span(key)), str(v.type), tuple(sorted(v.labels))) for key, v in own}
    return words, values


def plain(analysis: Analysis) -> Program | None:
    """The program, but for the text that its places are of."""
    program = analysis.program
    return None if program is None else replace(program, source=Source("", ""), sources=())


def _span(key: tuple[str, int, int]) -> Span:
    return Span(key[0], key[1], key[2], 1, 1, 1, 1)


def same(document: Document, text: str) -> None:
    source = Source("law.agent", text)
    found, fresh = document.update(source), Document(interface).update(source)
    assert found.problems == fresh.problems
    assert plain(found) == plain(fresh)
    assert found.file == fresh.file
    assert facts(found) == facts(fresh)


def edited(text: str, changes: list[tuple[float, int, str]]) -> None:
    document = Document(interface)
    same(document, text)
    for where, removed, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + removed :]
        same(document, text)


edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3) | st.integers(0, 60), st.sampled_from(["", *PIECES])),
    min_size=1,
    max_size=8,
)


def relaxed(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed(40)
@given(st.sampled_from([*TEXTS, OWN, OWN, WHOLE, ""]), edits)
def test_after_edits_all_is_known_that_a_fresh_look_tells(text: str, changes: list[tuple[float, int, str]]) -> None:
    edited(text, changes)


@pytest.mark.slow
@relaxed(400)
@given(st.sampled_from([*TEXTS, OWN, OWN, OWN, WHOLE, ""]), edits)
def test_after_many_edits(text: str, changes: list[tuple[float, int, str]]) -> None:
    edited(text, changes)


@pytest.mark.parametrize("text", [OWN])
def test_words_come_and_go(text: str) -> None:
    """Every word changed and changed back, as when somebody corrects what they typed."""
    document = Document(interface)
    same(document, text)
    chance = random.Random(7)
    for _ in range(20):
        at = chance.randrange(len(text))
        same(document, text[:at] + chance.choice("xz(.") + text[at:])
        same(document, text)


def test_an_analysis_says_what_check_says() -> None:
    for text in (*TEXTS, *(mistake.example for mistake in MISTAKES)):
        source = Source("law.agent", text)
        file, problems = parse(source)
        program, more = check(file, source, interface)
        analysis = Document(interface).update(source)
        told = without_echoes(file, problems, more)
        assert sorted(map(repr, analysis.problems)) == sorted({*map(repr, problems), *map(repr, told)})
        assert repr(analysis.program) == repr(program)
