"""What runs brought, from how often their stages ran and what these made: replies, items and turns of loops, shares."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from recorded import compiled

from agentlang.executor.frames import End
from agentlang.executor.machine.orders import Outcome, StageTiming, Timings
from agentlang.executor.measured import brought
from agentlang.ir.graph import GraphPipeline, walk
from agentlang.ir.sizes import resolve

LOOPS = """use std/llm

model writer = llm.chat("llama-3-8b-instruct")

enum Kind { Short, Long, Odd }

pipeline answer(question: Text, parts: [Text]) -> Text {
  notes = for part in parts { all(writer.chat("Sum: {part}", max_tokens: 8)) }
  label = if len(question) > 10 { all(writer.chat("A {question}", max_tokens: 6)) } else { question }
  kind = writer.chat("Which? {label}", max_tokens: 9) into Kind
  route = match kind {
    Short => all(writer.chat("Short: {label}", max_tokens: 4))
    Long  => all(writer.chat("Long: {label}", max_tokens: 5))
    Odd   => "no"
  }
  draft = repeat now = route, at most 3 times {
    better = all(writer.chat("Better: {now}", max_tokens: 5))
    stop better when len(better) > 4
    next better
  }
  return "{draft} {len(notes)}"
}
"""


@pytest.fixture(scope="module")
def pipeline() -> GraphPipeline:
    return compiled(LOOPS).graph.pipeline("answer")


def run(pipeline: GraphPipeline, counts: Mapping[str, tuple[int, int]]) -> End:
    """A run whose calls were executed so often, and made so many tokens in all. Names are the beginnings of stages'."""
    known = {operation.id for operation in walk(pipeline.body)}
    timings = [
        StageTiming(f"{name}.chat.{part}", count, 0.0, None, 1.0, items if part == "decode" else 0, 1.0)
        for name, (count, items) in counts.items()
        for part in ("prefill", "decode")
    ]
    assert {timing.stage for timing in timings} <= known
    return End(Outcome("done", "x"), {}, Timings(1.0, stages=tuple(timings)))


def test_means_of_several_runs(pipeline: GraphPipeline) -> None:
    calls = {"answer": (1, 3), "answer.now": (2, 10)}
    first = run(pipeline, {**calls, "answer.part": (4, 20), "answer.label.then": (1, 6), "answer.route.Short": (1, 4)})
    second = run(pipeline, {**calls, "answer.part": (2, 16)})
    found = brought(pipeline, [first, second])
    assert found["parts.items"] == 3.0
    # Of a call, each execution counts alike: 36 tokens in 6.
    assert found["notes.output"] == 6.0
    assert found["label.then"] == 0.5
    assert found["now.turns"] == 2.0
    assert found["better.output"] == 5.0
    assert found["kind.Short"] == 0.5
    # No run went there: no share, and of what it would have said nothing is known.
    assert found["kind.Long"] == 0.0
    assert "route.Long.chat.output" not in found
    # What goes without a call: the rest of the whole.
    resolved = {size.name: size.value for size in resolve(pipeline.sizes, found)[0]}
    assert resolved["kind.Odd"] == 0.5


def test_nothing_is_said_of_what_no_stage_tells(pipeline: GraphPipeline) -> None:
    found = brought(pipeline, [run(pipeline, {"answer": (1, 3), "answer.now": (1, 5), "answer.part": (1, 2)})])
    assert "question.tokens" not in found
    assert all(value >= 0.0 for value in found.values())
