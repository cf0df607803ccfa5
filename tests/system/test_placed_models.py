"""A chat in a process of its own says what it says in this one, token by token."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import agentlang, models_here
from placed_runs import PROGRAM

CHAT = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline say(question: Text) -> stream Text {
  reply = writer.chat(question, max_tokens: 24) with place on far
  return for part in reply {
    text.redact(part) with place on beyond
  }
}

"""


@pytest.mark.models
@pytest.mark.slow
def test_a_chat_on_three_processes_says_what_it_says_on_one(tmp_path: Path) -> None:
    if not models_here("smollm2-135m-instruct"):
        pytest.skip("the model is not here")
    path = tmp_path / "say.agent"
    path.write_text(CHAT + PROGRAM[PROGRAM.index("fleet desk") :])
    words = ["run", str(path), "question=Why is the sky blue?", "--quiet"]
    there = agentlang(*words, "--on", "processes", "--trace", str(tmp_path / "trace.json"))
    assert (there.code, there.err) == (0, "")
    assert there.out == agentlang(*words).out
    # What ran elsewhere is seen here.
    assert "say.chat.decode" in (tmp_path / "trace.json").read_text()
