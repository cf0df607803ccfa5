"""Lowering: places, ids, names; what is taken apart; what is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import ir_programs as P
import pytest
from agent_sources import EXAMPLES, checked

from agentlang.ir import compile as irc
from agentlang.ir.demand.data import NAMES
from agentlang.ir.dialect.spec import MOST_OPERANDS
from agentlang.ir.graph import Graph, GraphPipeline, HandleName, Operation, walk
from agentlang.ir.lower.names import Ids
from agentlang.ir.sizes import given, resolve
from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    TEXT,
    ListType,
    OptionType,
    StreamType,
    TurnType,
)
from agentlang.stdlib.library import Library


def graph_of(program: p.Program, tests: bool = False) -> Graph:
    module, problems = irc.lower(program, tests)
    assert module is not None, [problem.title for problem in problems]
    return module.graph()


def by_id(pipeline: GraphPipeline) -> dict[str, Operation]:
    return {operation.id: operation for operation in walk(pipeline.body)}


def test_ids_are_unique_whatever_the_words() -> None:
    ids = Ids("p")
    taken = [ids.take(word) for word in ["a", "a", "a_2", "a", "a_2", "a_3", "b"]]
    assert taken[:2] == ["p.a", "p.a_2"]
    assert len(set(taken)) == len(taken)


def test_hello() -> None:
    graph = graph_of(P.hello())
    hello = graph.pipeline("hello")
    assert [(i.name, i.required, i.default) for i in hello.inputs] == [("name", False, "world")]
    operations = by_id(hello)
    assert operations["hello.chat.prompt"].attributes["parts"] == ("Greet ", 0, " in one short sentence.")
    assert operations["hello.chat.prompt"].operands == hello.body.arguments
    chat = operations["hello.chat"]
    assert chat.attributes["parameters"] == ("self", "prompt", "system", "max_tokens", "temperature", "seed", "stop")
    assert chat.attributes["output"] == "hello"
    assert chat.results[0].type == StreamType(TEXT)
    assert hello.body.operations[-1].operands == chat.results
    assert graph.handle("writer").arguments == {"name": "smollm2-135m-instruct"}
    assert not graph.tests


def test_every_operation_is_where_its_expression_is() -> None:
    (hello,) = (path for path in EXAMPLES if path.stem == "hello")
    program, _ = checked(hello.read_text("utf-8"), "hello.agent")
    assert program is not None
    text = program.source.text
    operations = by_id(graph_of(program).pipeline("hello"))
    written = {
        "hello.chat": 'writer.chat("Greet {name} in one short sentence.", max_tokens: 32)',
        "hello.chat.prompt": '"Greet {name} in one short sentence."',
        "hello.chat.max_tokens": "32",
    }
    for stage, expected in written.items():
        span = operations[stage].span
        assert span is not None
        assert text[span.start : span.end] == expected
        assert (span.path, span.line) == ("hello.agent", 7)


def test_handbook() -> None:
    graph = graph_of(P.handbook())
    handbook = graph.handle("handbook")
    assert (handbook.keyword, handbook.entry) == ("resource", "search:index")
    assert handbook.arguments == {"pattern": "handbook/*.md", "encoder": HandleName("encoder"), "passage": 120}
    answer = by_id(graph.pipeline("answer"))
    assert answer["answer.find"].attributes["callee"] == "find"
    assert answer["answer.redact"].results[0].name == "clean"
    loop = answer["answer.notes"]
    assert (loop.attributes["variable"], loop.attributes["at_most"]) == ("hit", 16)
    assert loop.regions[0].arguments[0].name == "hit"
    assert loop.regions[1].operations == ()
    # A use inside a body of what is outside: the loop sees the pipeline's values.
    assert answer["answer.hit.template.field"].operands == loop.regions[0].arguments
    assert dict(graph.records[0].fields)["score"] == FLOAT
    assert graph.goals["answer"]["assume"] == (
        {"name": "question", "value": 20.0, "unit": "Tokens"},
        {"name": "best", "value": 3.0, "unit": "count"},
    )
    tiers = graph.fleets["laptop"]["tiers"]
    assert isinstance(tiers, tuple)
    assert tiers[1] == {"name": "gpu", "device": "h100", "least": 0, "most": 8}


def test_one_open_for_all_uses_of_a_handle() -> None:
    operations = list(walk(graph_of(P.summarise()).pipeline("digest").body))
    opened = [operation for operation in operations if operation.name == "agent.open"]
    assert [operation.id for operation in opened] == ["digest.open.writer"]
    assert operations[0] is opened[0]
    chats = [operation for operation in operations if operation.name == "agent.chat"]
    assert [chat.id for chat in chats] == ["digest.document.part.chat", "digest.chat"]
    assert all(chat.operands[0] == opened[0].results[0] for chat in chats)


def test_handles_stand_behind_those_they_need() -> None:
    program = P.handbook()
    assert [h.name for h in graph_of(program).handles] == ["writer", "encoder", "judge", "handbook"]
    backwards = dataclasses.replace(program, handles=program.handles[::-1])
    assert [h.name for h in graph_of(backwards).handles] == ["encoder", "handbook", "judge", "writer"]


USES = 'use std/llm\nuse std/text\nmodel w = llm.chat("smollm2-135m-instruct")\n'
ACCEPTED = [
    'pipeline p(q: Text) -> Text {\n  a = if len(q) > 3 { if q contains "x" { "1" } else { "2" } } else { q }\n'
    "  return a\n}",
    'pipeline p(q: Text) -> Bool { return not (len(q) == 3 or q == "a") and -len(q) < 3 }',
    'pipeline p(q: [Text]) -> [Text] { return q + ["a", "b"] }',
    'pipeline p(q: Text) -> [[Text]] { return [[q], ["b"]] }',
    "pipeline p(q: Float) -> [Float] { return [1, q] }",
    'pipeline p(d: Duration) -> Text { return "{d + 2 s} {3 * d} {d / 2 s}" }',
    "pipeline p(d: Duration) -> Bool { return d > 2 s }",
    "pipeline p(q: Text) -> stream Text {\n  return for s in text.sentences(w.chat(q)) where len(s) > 3 { s }\n}",
    'pipeline p(q: Text) -> Text {\n  r = w.chat(q)\n  return "{all(r)} {all(r)}"\n}',
    "pipeline p(q: Text) -> Text {\n  text.redact(q)\n  return q\n}",
    'type A { x: Int, y: [Text] }\npipeline p(q: Text) -> [A] { return for t in [q, "b"] { A(x: len(t), y: [t]) } }',
    'let n = 3\nlet ws = ["a", "b"]\npipeline p() -> [Text] { return for t in ws, at most n at once { "{t}{n}" } }',
    'pipeline p(q: Int = 3, s: Duration = 2 s, l: [Text] = ["a"], f: Float = 1) -> Text { return "{q}{s}{f}" }',
    "pipeline p(x: Int) -> Float { return x * 1.5 }\npipeline b(x: Int) -> Int { return x % 2 - -x }",
    "pipeline p(x: stream Text) -> stream Text { return text.sentences(x) }\n"
    "pipeline c(q: Text) -> Text { return all(p(w.chat(q))) }",
    'pipeline p(m: Money, b: Bytesize, r: Rate) -> Text { return "{m} {b} {r} {m + $0.40}" }',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_the_checker_accepts_compiles(text: str) -> None:
    """The rules of the dialect are no stricter than those of the language."""
    program, problems = checked(USES + text)
    assert program is not None, [problem.title for problem in problems]
    graph, problems = irc.compile_graph(program, P.SmallLibrary(), tests=True)
    assert graph is not None, [problem.title for problem in problems]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_compile_with_the_real_library(path: Path) -> None:
    program, _ = checked(path.read_text("utf-8"), path.name)
    assert program is not None
    graph, problems = irc.compile_graph(program, Library(path.parent), tests=True)
    assert graph is not None, [problem.title for problem in problems]
    for pipeline in graph.pipelines:
        goal = program.goal(pipeline.name)
        sizes, unused = resolve(pipeline.sizes, given(goal) if goal else {})
        assert unused == ()
        numbers = {size.name: size.value for size in sizes}
        for operation in walk(pipeline.body):
            if "entry" in operation.attributes:
                assert operation.demand is not None
                named = [getattr(operation.demand, name).value(numbers) for name in NAMES]
                assert min(named) >= 0
                # Everything that runs needs something; what a tool or a session needs is not known.
                strange = "tool" in operation.attributes or str(operation.attributes["entry"]).startswith("memory:")
                assert max(named) > 0 or strange, operation.id


def test_a_filter_a_branch_and_an_emit() -> None:
    long = p.Binary(
        type=BOOL,
        span=P.at(2),
        operator=">",
        left=p.Length(type=INT, span=P.at(2), of=P.ref("word", TEXT)),
        right=P.literal(3, INT),
    )
    choice = p.If(
        type=TEXT,
        span=P.at(3),
        condition=P.literal(True, BOOL),
        then=P.block(3, result=P.call(P.REDACT, 3, text=P.ref("word", TEXT))),
        otherwise=P.block(3, result=P.ref("word", TEXT)),
    )
    loop = P.loop(
        2,
        "word",
        P.ref("words", ListType(TEXT)),
        P.block(2, P.bind(3, "seen", choice), result=P.ref("seen", TEXT)),
        where=long,
    )
    emit = p.Emit(P.text("first", 1), P.at(1))
    pipeline = P.pipeline(
        "f", 1, StreamType(TEXT), (P.parameter("words", ListType(TEXT)),), P.block(1, emit, P.bind(2, "out", loop))
    )
    operations = by_id(graph_of(P.program(pipeline)).pipeline("f"))
    assert operations["f.word.where.yield"].operands[0].type == BOOL
    assert operations["f.word.seen.then.redact"].name == "agent.stage"
    assert operations["f.word.seen"].regions[1].operations[-1].id == "f.word.seen.otherwise.yield"
    assert operations["f.emit"].operands == operations["f.constant"].results
    assert operations["f.return"].operands == ()


def test_triage() -> None:
    """A tool of a server behind a person, with a fallback, in an arm of a match."""
    graph = graph_of(P.triage())
    operations = by_id(graph.pipeline("triage"))
    match = operations["triage.route"]
    assert (match.name, match.attributes) == ("agent.match", {"cases": ("Refund", "Question", "_")})
    assert [[v.name for v in region.arguments] for region in match.regions] == [["order", "amount"], ["topic"], []]
    refund, order = operations["triage.route.Refund.refund"], operations["triage.route.Refund.order"]
    assert refund.attributes == {
        "entry": "mcp:call",
        "parameters": ("self", "id", "amount"),
        "tool": "refund",
        "settings": {"tool": "refund"},
        "effects": ("writes payments", "spends $0.05"),
    }
    assert refund.operands[0] == operations["triage.open.shop"].results[0]
    assert order.attributes["settings"] == {
        "target": "shop:order",
        "limits": {"memory": 2.0**28},
        "words": ("a", None, True),
    }
    assert order.attributes["needs"] == {"cpu": 0.002}
    guard = operations["triage.route.Refund.with"]
    assert guard.attributes == {"approve": True, "timeout": 5.0, "retries": 2, "backoff": 0.05}
    assert guard.operands == operations["triage.route.Refund.with.approve"].results
    assert operations["triage.route.Refund.otherwise"].attributes["reasons"] == ("denied", "timeout")
    repeat = operations["triage.short"]
    assert (repeat.attributes["variable"], repeat.attributes["at_most"]) == ("draft", 4)
    assert repeat.regions[0].operations[-1].operands[0].type == TurnType(TEXT)
    assert operations["triage.redact"].attributes["labels"] == ("pii",)
    assert [operation.id for operation in operations["triage.race"].regions[1].operations][-1] == "triage.race.2.yield"
    assert graph.handle("shop").keyword == "server"
    assert [(tool.name, tool.server, tool.idempotent_by) for tool in graph.tools] == [
        ("order", None, None),
        ("refund", "shop", "id"),
    ]
    assert graph.tools[0].effects == ("reads orders", "network")
    tiers = graph.fleets["office"]["tiers"]
    assert isinstance(tiers, tuple) and isinstance(tiers[1], dict)
    assert tiers[1]["endpoint"] == {"serves": ("gpt-oss-120b",), "secret": "REMOTE_URL", "first_token": 0.4}
    assert graph.goals["triage"]["terms"] == (
        {"kind": "keep", "word": "pii", "tiers": ("here",)},
        {"kind": "soft", "word": "finish", "limit": 10.0, "unit": "count"},
    )


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (p.Policies(), {}),
        (p.Policies(timeout=0.0, backoff=0.0), {"timeout": 0.0}),
        (p.Policies(hedge=0.3, rate=4.0, cache=3600.0), {"hedge": 0.3, "rate": 4.0, "cache": 3600.0}),
        (p.Policies(breaker=5, breaker_pause=30.0), {"breaker": 5, "breaker_pause": 30.0}),
        (p.Policies(buffer=1, drop="oldest", idle=2.0), {"buffer": 1, "drop": "oldest", "idle": 2.0}),
        (p.Policies(place="gpu"), {"place": "gpu"}),
    ],
)
def test_policies_are_attributes(policies: p.Policies, expected: dict[str, object]) -> None:
    body = P.block(1, result=P.guarded(2, P.text("x"), policies))
    operations = by_id(graph_of(P.program(P.pipeline("f", 1, TEXT, (), body))).pipeline("f"))
    assert operations["f.with"].attributes == {"approve": False, **expected}


def test_a_policy_renames_no_stage() -> None:
    def ids(call: p.Expression) -> set[str]:
        pipeline = P.pipeline("f", 1, TEXT, (P.parameter("word", TEXT),), P.block(1, result=call))
        return set(by_id(graph_of(P.program(pipeline)).pipeline("f")))

    def call() -> p.Expression:
        return P.call(P.REDACT, 2, text=P.template(2, "<", P.ref("word", TEXT), ">"))

    plain = ids(call())
    for around in (P.guarded(2, call(), p.Policies(timeout=1.0)), P.otherwise(2, call(), P.text("x"))):
        assert plain < ids(around)


def test_parts_and_bodies_of_one_operation_have_ids_of_their_own() -> None:
    """A fallback in the condition of an `if`, whose second branch is called as the fallback is."""
    condition = P.otherwise(2, P.literal(True, BOOL, 2), P.literal(False, BOOL, 2))
    branches = [P.block(2, result=P.text(word, 2)) for word in "ab"]
    choice = p.If(type=TEXT, span=P.at(2), condition=condition, then=branches[0], otherwise=branches[1])
    operations = by_id(graph_of(P.program(P.pipeline("f", 1, TEXT, (), P.block(1, result=choice)))).pipeline("f"))
    assert operations["f.if.otherwise_2"].name == "agent.try"
    assert {"f.if.otherwise_2.yield", "f.if.otherwise.yield"} <= set(operations)


def test_bodies_without_values() -> None:
    """A pipeline that gives nothing, called in every kind of body."""
    silent = P.pipeline("silent", 1, NONE, (), P.block(1, p.Evaluate(P.text("x"), P.at(1))))

    def called() -> p.PipelineCall:
        return P.invoke(silent, 2)

    option = p.Convert(type=OptionType(TEXT), span=P.at(2), value=P.text("x"))
    none = P.arm(2, "none", P.block(2, result=called()))
    expressions: list[p.Expression] = [
        P.match(2, option, none, P.arm(2, None, P.block(2, p.Emit(P.text("y"), P.at(2))))),
        P.race(2, called(), called()),
        P.otherwise(2, called(), called()),
        P.guarded(2, called(), p.Policies(timeout=1.0)),
        P.interruptible(2, P.block(2, result=called())),
    ]
    for expression in expressions:
        body = P.block(1, p.Evaluate(expression, P.at(2)))
        program = P.program(silent, P.pipeline("f", 1, StreamType(TEXT), (), body))
        (made,) = [o for o in graph_of(program).pipeline("f").body.operations if o.regions and o.name != "agent.return"]
        assert made.results == ()
        assert irc.compile_graph(program, P.SmallLibrary())[0] is not None


def test_a_block_without_a_value() -> None:
    nothing = p.If(
        type=NONE,
        span=P.at(2),
        condition=P.ref("yes", BOOL),
        then=P.block(2, p.Emit(P.text("x"), P.at(2))),
        otherwise=P.block(2, p.Evaluate(P.text("y"), P.at(2))),
    )
    pipeline = P.pipeline(
        "f", 1, StreamType(TEXT), (P.parameter("yes", BOOL),), P.block(1, p.Evaluate(nothing, P.at(2)))
    )
    operations = by_id(graph_of(P.program(pipeline)).pipeline("f"))
    assert operations["f.if"].results == ()


@pytest.mark.parametrize("count", [MOST_OPERANDS, MOST_OPERANDS + 1, 200])
def test_long_templates_and_lists_are_taken_apart(count: int) -> None:
    word = P.ref("word", TEXT)
    parts = tuple(part for n in range(count) for part in (f"{n}:", word))
    packed = p.Template(type=TEXT, span=P.at(1), parts=(word,) * count)
    items = p.ListOf(type=ListType(TEXT), span=P.at(1), items=(word,) * count)
    body = P.block(
        1,
        P.bind(1, "spaced", P.template(1, *parts)),
        P.bind(1, "packed", packed),
        P.bind(1, "items", items),
        result=P.ref("spaced", TEXT),
    )
    pipeline = graph_of(P.program(P.pipeline("f", 1, TEXT, (P.parameter("word", TEXT),), body))).pipeline("f")
    operations = list(walk(pipeline.body))
    assert all(len(operation.operands) <= MOST_OPERANDS for operation in operations)

    # What they make is what was written, in order.
    values: dict[int, object] = {pipeline.body.arguments[0].id: "w"}
    for operation in operations:
        given = [values[value.id] for value in operation.operands]
        made: object = None
        if operation.name == "agent.template":
            written = operation.attributes["parts"]
            assert isinstance(written, tuple)
            made = "".join(str(given[part]) if isinstance(part, int) else str(part) for part in written)
        elif operation.name == "agent.list":
            made = tuple(given)
        elif operation.name == "agent.binary":
            assert isinstance(given[0], tuple) and isinstance(given[1], tuple)
            made = (*given[0], *given[1])
        for result in operation.results:
            values[result.id] = made
    named = {value.name: values[value.id] for operation in operations for value in operation.results if value.name}
    assert named["spaced"] == "".join(f"{n}:w" for n in range(count))
    assert named["packed"] == "w" * count
    assert named["items"] == ("w",) * count


def test_a_list_of_constants_is_one_constant() -> None:
    numbers = tuple(P.literal(n, INT) for n in range(100))
    listed = p.ListOf(type=ListType(INT), span=P.at(1), items=numbers)
    graph = graph_of(P.program(P.pipeline("f", 1, ListType(INT), (), P.block(1, result=listed))))
    (made, _) = graph.pipeline("f").body.operations
    assert made.attributes["value"] == tuple(range(100))


def test_what_is_too_large_is_refused_at_its_place() -> None:
    parameters = tuple(P.parameter(f"x{n}", TEXT) for n in range(MOST_OPERANDS + 1))
    called = P.pipeline("many", 1, TEXT, parameters, P.block(1, result=P.text("")))
    call = P.invoke(called, 7, *(P.text("") for _ in parameters))
    pipeline = P.pipeline("f", 1, TEXT, (), P.block(1, result=call))
    module, problems = irc.lower(P.program(pipeline, called))
    assert module is None
    assert [(problem.slug, problem.span) for problem in problems] == [("beyond-limits", call.span)]
    large = P.pipeline("g", 1, INT, (), P.block(1, result=P.literal(2**63, INT, 9)))
    _, problems = irc.lower(P.program(large))
    assert problems[0].span is not None and problems[0].span.line == 9


def test_tests_are_lowered_when_asked() -> None:
    (test,) = graph_of(P.hello(), tests=True).tests
    assert test.name == "greets"
    assert [operation.id for operation in test.body.operations][-2:] == ["test:greets.expect", "test:greets.return"]


@pytest.mark.parametrize("module", ["agentlang.ir", "agentlang.ir.graph", "agentlang.ir.sizes", "agentlang.ir.passes"])
def test_the_frozen_side_loads_no_mlir(module: str) -> None:
    code = f"import {module}, sys; sys.exit(any(m.split('.')[0] in ('torch_mlir', 'numpy') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
