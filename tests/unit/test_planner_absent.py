"""Planning where a model cannot run: its fallback takes its place, or the plan says what is missing."""

from __future__ import annotations

from pathlib import Path

from agentlang import api
from agentlang.planner import hardware
from agentlang.stdlib.library import Library

HEAD = """
use std/llm
model remote = llm.chat("gpt-oss-120b")
model local = llm.chat("smollm2-135m-instruct")
"""


def compiled(body: str) -> api.Compiled:
    source, _ = api.decode("absent.agent", (HEAD + body).encode())
    assert source is not None
    checked = api.check(source)
    assert checked.program is not None, checked.problems
    found, problems = api.compile(checked.program, Library(Path()))
    assert found is not None, problems
    return found


def test_the_fallback_is_what_runs() -> None:
    both = compiled(
        "pipeline p(q: Text) -> stream Text {\n"
        "  return remote.chat(q, max_tokens: 20) otherwise local.chat(q, max_tokens: 20)\n}\n"
    )
    one = compiled("pipeline p(q: Text) -> stream Text {\n  return local.chat(q, max_tokens: 20)\n}\n")
    machine = hardware.load_or_measure()
    planned, problems = api.plan(both, "p", machine, here=True)
    alone, _ = api.plan(one, "p", machine, here=True)
    assert planned is not None and alone is not None, problems
    finish = [next(p.value for p in plan.predictions if p.name == "finish") for plan in (planned, alone)]
    assert abs(finish[0] / finish[1] - 1) < 0.05
    assert abs(planned.pools[0].memory.value / alone.pools[0].memory.value - 1) < 0.05


def test_without_a_fallback_the_model_is_named() -> None:
    only = compiled("pipeline p(q: Text) -> stream Text {\n  return remote.chat(q, max_tokens: 20)\n}\n")
    planned, problems = api.plan(only, "p", hardware.load_or_measure(), here=True)
    assert planned is None
    assert [(p.slug, p.span.line if p.span else None) for p in problems] == [("model-shape-only", 3)]


def test_a_pipeline_that_does_not_use_the_model_is_planned() -> None:
    other = compiled(
        "pipeline p(q: Text) -> stream Text {\n  return remote.chat(q, max_tokens: 20)\n}\n"
        "pipeline r(q: Text) -> stream Text {\n  return local.chat(q, max_tokens: 20)\n}\n"
    )
    planned, problems = api.plan(other, "r", hardware.load_or_measure(), here=True)
    assert planned is not None, problems
