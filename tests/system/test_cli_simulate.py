"""`agentlang simulate`: equal seeds give equal bytes, and what is wrong with a trace is said at its line."""

import json
from pathlib import Path

from cli_runs import agentlang

SOURCE = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name}.", max_tokens: 16)
}

goal hello {
  finish p95 <= 50 s
}
"""


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "hello.agent").write_text(SOURCE)
    first = agentlang("simulate", "hello.agent", "--runs", "30", "--rate", "0.1", "--json", cwd=tmp_path)
    again = agentlang("simulate", "hello.agent", "--runs", "30", "--rate", "0.1", "--json", cwd=tmp_path)
    assert first.code == 0, first.err
    assert first.out == again.out
    found = json.loads(first.out)
    assert found["ended"] == {"done": 27}
    assert found["moments"]["first_token"]["p50"] < found["moments"]["finish"]["p50"]
    assert [promise["name"] for promise in found["promises"]] == ["finish p95 <= 50 s"]


def test_a_bad_trace_is_a_problem_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "hello.agent").write_text(SOURCE)
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:05,nan,3\n")
    done = agentlang("simulate", "hello.agent", "--trace", "t.csv", cwd=tmp_path)
    assert done.code == 1
    assert "trace-line" in done.err and "t.csv:2:1" in done.err
