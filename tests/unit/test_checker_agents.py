"""Agents: the loop that one stands for is a program that could have been written, with its bound and its labels."""

from __future__ import annotations

import re

import pytest
from agent_sources import checked, slugs, sound

from agentlang.base.source import Source
from agentlang.lang import program as p
from agentlang.lang.checker import expand_agents
from agentlang.lang.parser import parse
from agentlang.lang.printer import show
from agentlang.lang.syntax import AgentDecl, File
from agentlang.lang.types import TEXT, EnumType, ListType, OptionType, RecordType
from agentlang.stdlib.interfaces import interface

HEAD = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
enum Size { Small, Large(extra: Int) }
type Order { id: Int, paid: Money, size: Size? }
tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]
tool sizes() -> [Size] = python("shop:sizes") effects []
"""
SUPPORT = """
agent support(messages: [Message], turn: Int, about: Order) -> Order {
  model writer
  tools [order, sizes, poem, told]
  system "You help with {turn} orders, {about.id} first."
  at most 4 steps
}
agent told(question: Text) -> Text { model writer, tools [order], at most 3 steps }
pipeline poem(topic: Text, id: Int) -> stream Text { return writer.chat("A poem on {topic}, {id} lines.") }
pipeline ask(question: Text) -> Text { return told(question) }
"""


def pipeline(program: p.Program, name: str) -> p.Pipeline:
    found = program.pipeline(name)
    assert found is not None
    return found


def test_an_agent_is_a_bounded_loop_of_calls_of_its_model() -> None:
    program = sound(HEAD + SUPPORT)
    body = pipeline(program, "support").body
    (loop,) = [part for part in p.walk(body) if isinstance(part, p.Repeat)]
    assert (loop.at_most, loop.state_type) == (3, RecordType("support.Turn"))
    intos = [part for part in p.walk(body) if isinstance(part, p.Into)]
    # One call in each of three turns, and a last one that may only answer: four steps.
    assert [into.type for into in intos] == [EnumType("support.Step"), EnumType("support.Final")]
    assert [into in list(p.walk(loop.body)) for into in intos] == [True, False]
    assert all(into.call.arguments[1].value.type == ListType(RecordType("Message")) for into in intos)


def test_its_replies_are_enums_of_its_tools_and_its_answer() -> None:
    program = sound(HEAD + SUPPORT)
    calls = program.enums["support.Call"]
    assert [(case.name, [field.name for field in case.payload]) for case in calls.cases] == [
        ("order", ["id"]),
        ("sizes", []),
        ("poem", ["topic", "id"]),
        ("told", ["question"]),
    ]
    use, answer = program.enums["support.Step"].cases
    assert (use.payload[0].type, answer.payload[0].type) == (ListType(EnumType("support.Call")), RecordType("Order"))
    fields = {field.name: field.type for field in program.records["support.Turn"].fields}
    assert fields == {"said": ListType(RecordType("Message")), "answer": OptionType(RecordType("Order"))}


def test_the_calls_of_one_reply_run_at_the_same_time_and_fail_alone() -> None:
    body = pipeline(sound(HEAD + SUPPORT), "support").body
    (over,) = [part for part in p.walk(body) if isinstance(part, p.MapOver)]
    assert over.variable_type == EnumType("support.Call") and over.at_most > 1
    (chosen,) = p.block_expressions(over.body)
    assert isinstance(chosen, p.Match) and [arm.case for arm in chosen.arms] == ["order", "sizes", "poem", "told"]
    for arm in chosen.arms:
        reasons = [part.reasons for part in p.walk(arm.body) if isinstance(part, p.Otherwise)]
        assert reasons == [(), ("unreachable",), ("timeout",), ("denied",)]
    called = {part.stage.name for part in p.walk(over.body) if isinstance(part, p.StageCall)}
    assert called == {"order", "sizes"}
    assert {part.pipeline for part in p.walk(over.body) if isinstance(part, p.PipelineCall)} == {"poem", "told"}


def test_the_loop_could_have_been_written() -> None:
    """The printed loops, their names joined by `_` and put where the agents stood, are programs of the same shape."""
    text = HEAD + SUPPORT
    source = Source("a.agent", text)
    file, _ = parse(source)
    loops = expand_agents(file, source, interface)
    assert set(loops) == {"support", "told"}
    printed = "\n".join(show(File(None, part, span=file.span)) for part in loops.values())
    printed = re.sub(r"\b(support|told)\.(Call|Step|Turn|Final)\b", r"\1_\2", printed)
    for node in file.declarations:
        if isinstance(node, AgentDecl):
            text = text.replace(source.text[node.span.start : node.span.end], "")
    written, agent = sound(text + printed), sound(HEAD + SUPPORT)
    for name in ("support", "told"):
        one, other = (pipeline(program, name).body for program in (written, agent))
        assert [type(part) for part in p.walk(one)] == [type(part) for part in p.walk(other)]
        texts = [[part.value for part in p.walk(body) if isinstance(part, p.Literal)] for body in (one, other)]
        assert texts[0] == texts[1]


def test_what_the_model_is_told() -> None:
    body = pipeline(sound(HEAD + SUPPORT), "support").body
    said = next(s.value for s in body.statements if isinstance(s, p.Bind))
    templates = [part for part in p.walk(p.Block((), said, said.span)) if isinstance(part, p.Template)]
    told = "".join(part for part in templates[0].parts if isinstance(part, str))
    assert told.startswith("You help with  orders,  first.\n\nTools")
    assert '- {"order": {"id": Int}} gives Order.' in told
    assert '- "sizes" gives [Size, …].' in told
    assert '- Size is one of "Small", {"Large": {"extra": Int}}' in told
    assert told.endswith('To answer: {"Answer": {"answer": Order}}')
    # The question comes after the conversation that it is given.
    assert isinstance(templates[1].parts[0], str) and templates[1].parts[0] == "turn: "


def test_one_text_is_the_question_itself() -> None:
    program = sound(HEAD + SUPPORT)
    said = next(s.value for s in pipeline(program, "told").body.statements if isinstance(s, p.Bind))
    user = [part for part in p.walk(p.Block((), said, said.span)) if isinstance(part, p.BuildRecord)][1]
    (hole,) = user.fields[1].value.parts if isinstance(user.fields[1].value, p.Template) else ()
    assert isinstance(hole, p.Reference) and (hole.name, hole.type) == ("question", TEXT)


@pytest.mark.parametrize(
    "name", ["said", "done", "turn", "step", "calls", "call", "results", "answer", "found", "last"]
)
def test_no_name_of_the_file_is_in_the_way(name: str) -> None:
    sound(
        HEAD
        + f"pipeline {name}(text: Text) -> Text {{ return text }}\n"
        + f"agent helper(id: Text) -> Text {{ model writer, tools [order, {name}], at most 2 steps }}\n"
        + "pipeline ask(question: Text) -> Text { return helper(question) }\n"
        + "pipeline sized() -> Int { return len(sizes()) }\n"
    )
    sound(
        HEAD
        + f"agent helper({name}: Text) -> Text {{ model writer, tools [order], at most 2 steps }}\n"
        + "pipeline sized() -> Int { return len(sizes()) }\n"
    )


def test_a_dangerous_tool_does_not_run_on_what_a_stranger_wrote() -> None:
    agent = (
        'tool look(query: Text) -> Text = python("web:look") effects [network]\n'
        'tool pay(amount: Money) -> Text = python("shop:pay") effects [spends $5] idempotent by amount\n'
        "agent helper(question: Text) -> Text {{ model writer, tools [order, look, {pay}], at most 3 steps }}\n"
        'pipeline asked(amount: Money) -> Text {{ return pay(amount) with approve "Pay {{amount}}?" }}\n'
        "pipeline sized() -> Int {{ return len(sizes()) }}\n"
    )
    text = HEAD + agent.format(pay="pay")
    _, problems = checked(text)
    (problem,) = problems
    assert problem.slug == "untrusted-input"
    # At the tool where the agent names it.
    assert problem.span is not None and text[problem.span.start : problem.span.end] == "pay"
    assert slugs(HEAD + agent.format(pay="asked")) == []
