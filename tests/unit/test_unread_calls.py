"""What runs though nobody reads it (docs/execution.md, "What runs, and when"), with all passes and with as few as can
be."""

from __future__ import annotations

import ir_programs as P
import pytest
from agent_sources import checked
from ir_meaning import run

from agentlang.ir import compile as irc
from agentlang.ir.passes import PASSES, PLAIN

SOURCE = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
type Note { text: Text, stars: Int }
tool keep(text: Text) -> Text = python("shop:keep") effects []
pipeline read(q: Text) -> Text {
  note = writer.chat("A note on {q}") into Note
  return note.text
}
"""
CALLS = [
    ('  note = writer.chat("A note on {q}") into Note', ["llm:decode"]),
    ('  note = writer.chat("A note on {q}") into Note\n  text = "{note.stars} stars"', ["llm:decode"]),
    ('  note = if len(q) > 0 { writer.chat("A note") into Note } else { Note(text: q, stars: 0) }', ["llm:decode"]),
    ('  notes = for part in [q, "more"] { writer.chat("On {part}") into Note }', ["llm:decode", "llm:decode"]),
    ("  note = read(q)", ["llm:decode"]),
    ("  kept = keep(q)", ["python:call"]),
    ('  reply = writer.chat("A note on {q}")', []),
    ('  reply = all(writer.chat("A note on {q}"))', []),
]


@pytest.mark.parametrize("passes", [PLAIN, PASSES], ids=["plain", "all"])
@pytest.mark.parametrize(("lines", "calls"), CALLS, ids=[lines.strip() for lines, _ in CALLS])
def test_a_call_that_gives_a_value_runs_though_nobody_reads_it(
    lines: str, calls: list[str], passes: tuple[str, ...]
) -> None:
    program, _ = checked(f'{SOURCE}pipeline use(q: Text) -> Text {{\n{lines}\n  return "done"\n}}\n')
    assert program is not None
    graph, problems = irc.compile_graph(program, P.SmallLibrary(), passes=passes)
    assert graph is not None, problems
    ran = run(graph, "use", {"q": "tents"})
    assert ran.result == ("done", "done", [])
    made = [entry for entry, _ in ran.calls.elements() if entry in ("llm:decode", "python:call")]
    assert made == calls
