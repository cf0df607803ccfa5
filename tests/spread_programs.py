"""Programs whose model is spread over devices, for tests: `spread(ready("llama-3-8b-instruct"), 4)`."""

from __future__ import annotations

from pathlib import Path

from agent_sources import checked

from agentlang.base.problems import Problems
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph, Operation, walk
from agentlang.ir.library import ModelShape
from agentlang.stdlib.library import Library

HELLO = """use std/llm
model writer = llm.chat("{model}")

pipeline hello(name: Text = "world") -> stream Text {{
  return writer.chat("Greet {{name}} in one short sentence.", max_tokens: 32)
}}
"""


def ready(model: str = "smollm2-135m-instruct", *, text: str = HELLO, demand: bool = True) -> Module:
    program, problems = checked(text.format(model=model), "hello.agent")
    assert program is not None, [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    return through(module, ["inline_pipelines", "split_llm", *(["annotate_demand"] if demand else [])])


def through(module: Module, passes: list[str]) -> Module:
    made, problems = irc.run_passes(module, Library(Path()), passes=passes)
    assert made is not None, [problem.title for problem in problems]
    return made


def split(module: Module, tensor: int = 1, expert: int = 1) -> tuple[Module | None, Problems]:
    options = {"split_parallel": {"tensor": tensor, "expert": expert}}
    return irc.run_passes(module, Library(Path()), passes=["split_parallel"], options=options)


def spread(module: Module, tensor: int = 1, expert: int = 1) -> Module:
    made, problems = split(module, tensor, expert)
    assert made is not None, [problem.title for problem in problems]
    return made


def stage(graph: Graph, name: str, pipeline: str = "hello") -> Operation:
    return next(each for each in walk(graph.pipeline(pipeline).body) if each.name == f"agent.{name}")


def shape_of(name: str) -> ModelShape:
    graph = ready(name, demand=False).graph()
    shape = Library(Path()).model_shape(graph.handle("writer"))
    assert shape is not None
    return shape
