"""`agentlang explain`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

from cli_runs import EXAMPLES, ROOT, agentlang

HANDBOOK = EXAMPLES / "handbook" / "handbook.agent"


def test_a_problem_has_its_page() -> None:
    written = (ROOT / "docs" / "problems" / "wrong-type.md").read_text("utf-8")
    done = agentlang("explain", "wrong-type")
    assert (done.code, done.out.rstrip("\n"), done.err) == (0, written.rstrip("\n"), "")
    assert agentlang("explain", "error[wrong-type]").out == done.out
    assert json.loads(agentlang("explain", "wrong-type", "--json").out) == {"slug": "wrong-type", "page": written}


def test_a_misspelt_problem_gets_one_suggestion() -> None:
    done = agentlang("explain", "wrong-typ")
    assert done.code == 2
    assert "did you mean `agentlang explain wrong-type`?" in done.err
    assert agentlang("explain", "../README").code == 2
    assert f"agentlang explain {HANDBOOK}:1" in agentlang("explain", HANDBOOK).err


def test_a_line_is_explained() -> None:
    line = 1 + HANDBOOK.read_text("utf-8").splitlines().index('  return writer.chat("""')
    done = agentlang("explain", f"{HANDBOOK}:{line}", "--no-plan")
    assert (done.code, done.err) == (0, "")
    assert "call of `writer.chat`" in done.out
    assert "| Question: {clean}" in done.out
    assert "tokens out: 96" in done.out
    document = json.loads(agentlang("explain", f"{HANDBOOK}:{line}", "--json", "--no-plan").out)
    (fact,) = document["facts"]
    assert fact["type"] == "stream Text"
    assert fact["worst"]["tokens_out"] == {"text": "96", "number": 96.0}
    assert fact["prompt"]["messages"][0]["holes"]["clean"] == "Text"


def test_a_line_without_anything_and_a_file_with_faults(tmp_path: Path) -> None:
    done = agentlang("explain", f"{HANDBOOK}:2", "--no-plan")
    assert (done.code, "says nothing" in done.err) == (2, True)
    assert agentlang("explain", f"{HANDBOOK}:9999").code == 2
    assert agentlang("explain", "gone.agent:3").code == 2
    wrong = tmp_path / "wrong.agent"
    wrong.write_text("pipeline f() -> Text {\n  return nothing\n}\n")
    done = agentlang("explain", f"{wrong}:2")
    assert (done.code, "unknown-name" in done.err) == (1, True)


def test_an_agent_shows_the_loop_that_it_stands_for(tmp_path: Path) -> None:
    program = tmp_path / "react.agent"
    program.write_text("""use std/llm

model thinker = llm.chat("smollm2-135m-instruct")

tool convert(celsius: Float) -> Float = python("tools:fahrenheit") effects []

agent concierge(question: Text) -> Text {
  model  thinker
  tools  [convert]
  system "You answer questions about travel."
  at most 5 steps
}
""")
    done = agentlang("explain", f"{program}:7", "--no-plan")
    assert done.code == 0, done.err
    assert "agent `concierge`" in done.out
    assert "model calls: 5" in done.out
    assert "repeat turn = concierge.Turn(said: said), at most 4 times {" in done.out
    asked = agentlang("explain", f"{program}:8", "--no-plan")
    assert "{turn.said} is [Message]" in asked.out
    assert "JSON document of type concierge.Step" in asked.out


def test_strict_labels_are_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "strict.agent"
    program.write_text("""tool post(text: Text) -> Bool = python("office:post") effects [network]

pipeline report(urgent: Bool @pii) -> Bool {
  return if urgent { post("now") } else { post("later") }
}

goal report {
  keep @pii on [office]
}

fleet here {
  tier office = catalog.laptop { count 1 }
}
""")
    assert agentlang("check", program).code == 0
    done = agentlang("check", program, "--strict-labels", "--format", "concise")
    assert (done.code, done.err.count("error[label-reaches-tool]")) == (1, 2)
