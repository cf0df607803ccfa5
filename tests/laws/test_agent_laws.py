"""Laws of agents, on agents at random: each becomes the loop that it stands for, to the letter, and means the same."""

from __future__ import annotations

import re

import ir_programs as P
from agent_sources import checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_meaning import keeps_meaning

from agentlang.base.frozen import replace
from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.passes import PASSES
from agentlang.lang import program as p

HEAD = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
model other = llm.chat("smollm2-135m-instruct")
enum Size { Small, Large(extra: Int, who: Text @pii) }
type Order { id: Int, mail: Text @pii, size: Size?, paid: Money }
tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]
tool today() -> Text = python("shop:today") effects []
tool save(order: Order, note: Text?) -> [Bool] = python("shop:save") effects [writes "orders"]
pipeline poem(topic: Text, lines: Int) -> stream Text { return writer.chat("{lines} lines on {topic}.") }
"""
TYPES = ("Text", "Int", "Float", "Bool", "Money", "Json", "Order", "Size", "[Text]", "{Text: Order}", "Text?", "Order?")
# Names that the loop of an agent uses itself, and others.
NAMES = ("said", "done", "turn", "step", "calls", "call", "results", "answer", "found", "last", "question", "text_2")
LABELS = ("", " @pii", " @inner")


@st.composite
def agents(draw: st.DrawFn) -> str:
    """A program of one to three agents, which may use each other, and a pipeline that calls them all."""
    written: list[str] = []
    tools = ["order", "today", "save", "poem"]
    calls: list[str] = []
    for name in ("one", "two", "three")[: draw(st.integers(1, 3))]:
        names = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
        types = [draw(st.sampled_from([*TYPES, "[Message]"])) for _ in names]
        parameters = [f"{word}: {kind}{draw(st.sampled_from(LABELS))}" for word, kind in zip(names, types, strict=True)]
        result = draw(st.sampled_from(TYPES)) + draw(st.sampled_from(LABELS))
        used = draw(st.lists(st.sampled_from(tools), min_size=1, max_size=4, unique=True))
        system = draw(st.sampled_from(["", '  system "Be brief."\n', '  system """Be brief.\n    Be kind."""\n']))
        steps = draw(st.integers(2, 4))
        written.append(
            f"agent {name}({', '.join(parameters)}) -> {result} {{\n"
            f"  model {draw(st.sampled_from(['writer', 'other']))}\n"
            f"  tools [{', '.join(used)}]\n{system}  at most {steps} steps\n}}\n"
        )
        if "[Message]" not in types:
            tools.append(name)
        if not names:
            calls.append(f"  {name}_{len(calls)} = {name}(){draw(st.sampled_from(['', ' with timeout 30 s']))}\n")
    return f'{HEAD}{"".join(written)}pipeline use() -> Text {{\n{"".join(calls)}  return "used"\n}}\n'


def lowered(source: str, loops: bool = False) -> Module:
    program, problems = checked(source)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    if loops:
        program = replace(program, pipelines=tuple(replace(each, agent=None) for each in program.pipelines))
    return _lowered(program)


def _lowered(program: p.Program) -> Module:
    module, problems = irc.lower(program)
    assert module is not None, problems
    return module


def passed(module: Module, *names: str) -> Module:
    made, problems = irc.run_passes(module, P.SmallLibrary(), passes=names)
    assert made is not None, problems
    return made


def text(module: Module) -> str:
    """With all places, without what it has been through."""
    return re.sub(r"agent\.passes = \[[^]]*\], ", "", module.text())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(agents())
def test_an_agent_is_its_loop(source: str) -> None:
    module, loops = lowered(source), lowered(source, loops=True)
    assert text(passed(module, "split_agent")) == text(loops)
    inlined = passed(loops, "inline_pipelines")
    assert text(passed(module, "split_agent", "inline_pipelines")) == text(inlined)
    assert text(passed(module, "inline_pipelines", "split_agent")) == text(inlined)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(agents())
def test_an_agent_means_the_same_after_every_pass(source: str) -> None:
    module = lowered(source)
    keeps_meaning(module, passed(module, "split_agent"))
    keeps_meaning(module, passed(module, *PASSES))
    # Those that make it cheaper may look at an agent before it is a loop.
    early = passed(module, "fold_constants", "share_duplicates", "lift_invariant", "drop_unread")
    keeps_meaning(module, passed(early, *PASSES))
