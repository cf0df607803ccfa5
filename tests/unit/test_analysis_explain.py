"""What is told of a line."""

from __future__ import annotations

from agent_sources import EXAMPLES, sound

from agentlang.lang.analysis.explain import Fact, explain_line

TEXT = '''use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

## Looks things up.
tool look(query: Text) -> Text = python("web:look") effects [network, reads "pages"]

pipeline find(query: Text) -> Text {
  return look(query) with timeout 800 ms, retry 2 backoff 50 ms
}

pipeline answer(question: Text @pii, many: [Text]) -> stream Text {
  clean = text.redact(question)
  notes = for one in many, at most 4 at once { find(one) }
  return writer.chat("""
    Answer {clean}
    from {text.join(notes, "; ")}
    """, system: "Be brief.", max_tokens: 40)
}

goal answer {
  finish p95 <= 9 s
  assume {
    notes 3 items
  }
}
'''


def told(words: str) -> tuple[Fact, ...]:
    """The facts of the line that holds these words."""
    program = sound(TEXT)
    (line,) = [n for n, text in enumerate(TEXT.splitlines(), 1) if words in text]
    return explain_line(program, line)


def test_a_call_with_policies() -> None:
    (fact,) = told("retry 2")
    assert fact.what == "call of the tool `look`, with policies"
    assert (fact.type, fact.labels) == ("Text", ("untrusted",))
    assert fact.effects == ("network (`look`)", 'reads "pages" (`look`)')
    assert fact.policies == ("timeout 800 ms", "retry 2 backoff 50 ms")
    assert [part.text for part in fact.arithmetic] == [
        "3 attempts of 800 ms and the waits between them may take 2.55 s"
    ]
    assert fact.worst is not None and not fact.worst.assumed
    assert fact.worst.counts.tool_calls.number == 3
    assert abs((fact.worst.seconds.number or 0) - 2.55) < 1e-9


def test_a_binding_with_a_loop() -> None:
    loop, inner = told("notes = for")
    assert loop.what == "`notes`, a `for`"
    assert loop.goal == ("notes 3 items",)
    assert ("at once", "4") in loop.details
    assert loop.worst is not None and loop.worst.counts.tool_calls.show() == "3 × len(many)"
    assert inner.what == "call of the pipeline `find`"


def test_a_prompt_as_it_will_be_sent() -> None:
    (fact,) = told("return writer.chat")
    assert fact.prompt is not None
    assert fact.prompt.model == "writer (smollm2-135m-instruct)"
    assert [(m.role, m.text) for m in fact.prompt.messages] == [
        ("System", "Be brief."),
        ("User", 'Answer {clean}\nfrom {text.join(notes, "; ")}'),
    ]
    assert fact.prompt.messages[1].holes == (("clean", "Text"), ('text.join(notes, "; ")', "Text"))
    assert ("max_tokens", "40") in fact.prompt.settings
    # In the middle of the text as well.
    (middle,) = told("Answer {clean}")
    assert middle.prompt == fact.prompt


def test_declarations() -> None:
    (pipeline,) = told("pipeline answer")
    assert pipeline.type == "(question: Text @pii, many: [Text]) -> stream Text"
    assert pipeline.goal == ("finish p95 <= 9 s",)
    assert pipeline.worst is not None and pipeline.worst.counts.tokens_out.number == 40
    (tool,) = told("tool look")
    assert (tool.effects, tool.doc) == (("network", 'reads "pages"'), "Looks things up.")
    (term,) = told("finish p95")
    assert term.what == "`finish p95 <= 9 s` of the goal of `answer`"
    (model,) = told("model writer")
    assert model.details[0] == ("name", '"smollm2-135m-instruct"')
    (assumption,) = told("notes 3 items")
    assert assumption.what == "assumption `notes 3 items` of the goal of `answer`"


def test_a_line_that_says_nothing() -> None:
    program = sound(TEXT)
    assert explain_line(program, 3) == ()
    assert explain_line(program, 10_000) == ()


def test_the_loop_of_an_agent() -> None:
    program = sound(TEXT)
    line = next(p.span.line for p in program.pipelines if p.name == "find")
    (fact,) = explain_line(program, line, {"find": "repeat …"})
    assert (fact.what, fact.loop) == ("agent `find`", "repeat …")


def test_every_line_of_every_example_is_told_or_not() -> None:
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        program = sound(text)
        facts = [explain_line(program, n) for n in range(1, len(text.splitlines()) + 1)]
        assert sum(map(bool, facts)) > len(facts) / 3, path.name
