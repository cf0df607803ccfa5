"""The passes, one by one, and the laws that hold between them. That running means the same before and after is a law of
its own (see tests/laws)."""

from __future__ import annotations

import re

import ir_programs as P
import pytest

from agentlang.ir import compile as irc
from agentlang.ir.agent_laws import AGENTS
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph, KvType, Region, TokensType, walk
from agentlang.ir.laws import LAWS
from agentlang.ir.parallel_laws import PARALLEL
from agentlang.ir.passes import PASSES, load
from agentlang.ir.placed_laws import PLACED
from agentlang.ir.schema import canonical, json_schema
from agentlang.lang import program as p
from agentlang.lang.types import TEXT, EnumType, ListType, OptionType, StreamType


def lowered(program: p.Program, tests: bool = False) -> Module:
    module, problems = irc.lower(program, tests)
    assert module is not None, problems
    return module


def after(program: p.Program, name: str, tests: bool = False) -> Graph:
    module, problems = irc.run_passes(lowered(program, tests), P.SmallLibrary(), name)
    assert module is not None, [problem.title for problem in problems]
    assert module.passes == PASSES[: PASSES.index(name) + 1]
    return module.graph()


def leaves(graph: Graph, pipeline: str) -> list[str]:
    return [operation.id for operation in walk(graph.pipeline(pipeline).body) if "entry" in operation.attributes]


# --- inline_pipelines ------------------------------------------------------------------------------------------------


def test_inlining_keeps_the_call_path() -> None:
    graph = after(P.handbook(), "inline_pipelines")
    assert leaves(graph, "find") == ["find.search", "find.rerank"]
    assert leaves(graph, "answer") == ["answer.redact", "answer.find.search", "answer.find.rerank", "answer.join"]
    operations = {operation.id: operation for operation in walk(graph.pipeline("answer").body)}
    search = operations["answer.find.search"]
    assert search.span is not None
    assert (search.span.line, [caller.line for caller in search.callers]) == (18, [24])
    # Its own binding is below the call; what the call gives has the caller's name.
    assert search.results[0].name == "find.hits"
    rerank = operations["answer.find.rerank"].results[0]
    assert rerank.name == "best"
    assert operations["answer.notes"].operands == (rerank,)
    assert search.operands[1] == operations["answer.redact"].results[0]
    assert operations["answer.redact"].callers == ()


def test_calls_in_calls_and_twice() -> None:
    def call_twice(name: str, callee: p.Pipeline) -> p.Pipeline:
        body = P.block(
            2,
            P.bind(2, "first", P.invoke(callee, 2, P.ref("word", TEXT))),
            result=P.invoke(callee, 3, P.ref("first", TEXT)),
        )
        return P.pipeline(name, 1, TEXT, (P.parameter("word", TEXT),), body)

    inner = P.pipeline(
        "inner", 1, TEXT, (P.parameter("word", TEXT),), P.block(1, result=P.call(P.REDACT, 5, text=P.ref("word", TEXT)))
    )
    middle = call_twice("middle", inner)
    graph = after(P.program(call_twice("outer", middle), middle, inner), "inline_pipelines")
    assert leaves(graph, "outer") == [
        "outer.middle.inner.redact",
        "outer.middle.inner_2.redact",
        "outer.middle_2.inner.redact",
        "outer.middle_2.inner_2.redact",
    ]
    last = [operation for operation in walk(graph.pipeline("outer").body) if operation.name == "agent.stage"][-1]
    assert [caller.line for caller in last.callers] == [3, 3]


def test_a_call_in_a_loop_of_a_pipeline_with_a_loop() -> None:
    item = P.call(P.REDACT, 5, text=P.ref("each", TEXT))
    inner = P.pipeline(
        "inner", 1, ListType(TEXT), (P.parameter("words", ListType(TEXT)),),
        P.block(1, result=P.loop(5, "each", P.ref("words", ListType(TEXT)), P.block(5, result=item))),
    )  # fmt: skip
    called = P.invoke(inner, 3, P.ref("group", ListType(TEXT)))
    outer = P.pipeline(
        "outer", 1, ListType(ListType(TEXT)), (P.parameter("groups", ListType(ListType(TEXT))),),
        P.block(1, result=P.loop(3, "group", P.ref("groups", ListType(ListType(TEXT))), P.block(3, result=called))),
    )  # fmt: skip
    graph = after(P.program(inner, outer), "inline_pipelines")
    assert leaves(graph, "outer") == ["outer.group.inner.each.redact"]
    loops = [operation for operation in walk(graph.pipeline("outer").body) if operation.name == "agent.map"]
    assert [loop.attributes["variable"] for loop in loops] == ["group", "group.inner.each"]


def test_a_pipeline_that_returns_its_parameter() -> None:
    same = P.pipeline("same", 1, TEXT, (P.parameter("word", TEXT),), P.block(1, result=P.ref("word", TEXT)))
    outer = P.pipeline(
        "outer", 1, TEXT, (P.parameter("x", TEXT),), P.block(1, result=P.invoke(same, 2, P.ref("x", TEXT)))
    )
    body = after(P.program(same, outer), "inline_pipelines").pipeline("outer").body
    assert body.operations[-1].operands == body.arguments


def test_tests_are_inlined_too() -> None:
    (test,) = after(P.hello(), "split_llm", tests=True).tests
    assert "test:greets.hello.chat.decode" in [operation.id for operation in walk(test.body)]


def shape(name: str, program: p.Program) -> list[str]:
    """The operations of a pipeline once calls are inlined: their words, those inside of a generator indented."""
    found: list[str] = []

    def add(region: Region, indent: str) -> None:
        for operation in region.operations:
            found.append(indent + operation.id.partition(".")[2])
            for inner in operation.regions:
                add(inner, indent + ("  " if operation.name == "agent.generator" else ""))

    add(after(program, "inline_pipelines").pipeline(name).body, "")
    return found


def test_what_emits_is_a_stream_to_who_calls_it() -> None:
    assert shape("whole", P.lines()) == [
        "pieces",
        "  pieces.split.tokens",
        "  pieces.split",
        "  pieces.map",
        "  pieces.part.emit",
        "  pieces.part.yield",
        "  pieces.emit",
        "  pieces.return",
        "collect",
        "return",
    ]


def test_what_emits_needs_no_stream_of_its_own_where_it_is_returned() -> None:
    assert [word for word in shape("same", P.lines()) if "emit" in word] == ["pieces.part.emit", "pieces.emit"]


def test_what_is_returned_leaves_behind_what_is_emitted() -> None:
    assert shape("behind", P.lines())[0] == "pieces"
    generator, *rest = after(P.lines(), "inline_pipelines").pipeline("behind").body.operations
    assert (generator.name, generator.results[0].name, generator.callers) == ("agent.generator", "first", ())
    assert [operation.name for operation in rest] == ["agent.constant", "agent.emit", "agent.return"]


def test_a_pipeline_that_emits_and_calls_one_that_does() -> None:
    """The stream of the inner call leaves last, so it needs no generator in that of the outer."""
    given = (P.parameter("words", TEXT),)
    words = P.ref("words", TEXT)
    pieces = P.lines().pipelines[0]
    body = P.block(2, p.Emit(words, P.at(2)), result=P.invoke(pieces, 3, words))
    middle = P.pipeline("middle", 2, StreamType(TEXT), given, body)
    outer = P.pipeline("outer", 4, TEXT, given, P.block(4, result=P.collect(P.invoke(middle, 5, words))))
    found = shape("outer", P.program(pieces, middle, outer))
    assert [word for word in found if "emit" in word or word in ("middle", "middle.pieces")] == [
        "middle",
        "  middle.emit",
        "  middle.pieces.part.emit",
        "  middle.pieces.emit",
    ]


def test_a_cycle_ends() -> None:
    parameters = (P.parameter("word", TEXT),)
    ping = P.pipeline("ping", 1, TEXT, parameters, P.block(1, result=P.ref("word", TEXT)))
    pong = P.pipeline("pong", 2, TEXT, parameters, P.block(2, result=P.invoke(ping, 2, P.ref("word", TEXT))))
    ping = P.pipeline("ping", 1, TEXT, parameters, P.block(1, result=P.invoke(pong, 1, P.ref("word", TEXT))))
    module, problems = irc.run_passes(lowered(P.program(ping, pong)), P.SmallLibrary())
    assert module is None
    assert "without end: ping calls pong calls ping" in problems[0].title


# --- split_llm -------------------------------------------------------------------------------------------------------


def test_a_chat_becomes_five_stages() -> None:
    graph = after(P.hello(), "split_llm")
    names = ["tokenize", "prefill", "transfer", "decode", "detokenize"]
    assert leaves(graph, "hello") == [f"hello.chat.{name}" for name in names]
    stages = {o.attributes["entry"]: o for o in walk(graph.pipeline("hello").body) if "entry" in o.attributes}
    tokenize, prefill, transfer, decode, detokenize = (stages[f"llm:{name}"] for name in names)
    assert tokenize.attributes["parameters"] == ("self", "prompt", "system")
    assert tokenize.results[0].type == TokensType("writer")
    assert prefill.operands[1:] == tokenize.results
    assert prefill.results[0].type == KvType("writer")
    assert transfer.operands == prefill.results
    assert decode.attributes["parameters"] == ("self", "kv", "max_tokens", "temperature", "seed")
    assert decode.operands[1:2] == transfer.results
    assert detokenize.attributes["parameters"] == ("self", "tokens", "stop")
    assert detokenize.operands[1:2] == decode.results
    assert graph.pipeline("hello").body.operations[-1].operands == detokenize.results
    assert {stage.span.line for stage in stages.values() if stage.span} == {7}


def test_a_chat_into_a_type_ends_in_a_value() -> None:
    graph = after(P.triage(), "split_llm")
    stages = {
        o.id.removeprefix("triage.chat."): o for o in walk(graph.pipeline("triage").body) if "triage.chat." in o.id
    }
    names = ["prompt", "tokenize", "prefill", "transfer", "decode", "detokenize", "collect", "parse"]
    assert [name for name in stages if name in names] == names
    schema = stages["decode"].attributes["schema"]
    assert stages["parse"].attributes == {"schema": schema, "acts": True}
    program = P.triage()
    assert schema == canonical(json_schema(EnumType("Intent"), program.records, program.enums))
    assert stages["collect"].operands == stages["detokenize"].results
    (intent,) = stages["parse"].results
    assert (intent.name, intent.type) == ("intent", EnumType("Intent"))
    assert stages["detokenize"].results[0].name is None


def test_calls_in_every_kind_of_body_are_inlined() -> None:
    given = (P.parameter("word", TEXT),)
    word = P.ref("word", TEXT)
    inner = P.pipeline("inner", 1, TEXT, given, P.block(1, result=P.call(P.REDACT, 5, text=word)))

    def called() -> p.Expression:
        return P.invoke(inner, 3, word)

    option = p.Convert(type=OptionType(TEXT), span=P.at(3), value=word)
    bound = P.parameter("found", TEXT)
    some = P.arm(3, "some", P.block(3, result=P.invoke(inner, 3, P.ref("found", TEXT))), bound)
    bodies = (
        P.match(3, option, some, P.arm(3, None, P.block(3, result=called()))),
        P.repeat(3, "state", called(), P.block(3, result=P.turn(3, P.invoke(inner, 3, P.ref("state", TEXT)), False))),
        P.race(3, called(), called()),
        P.otherwise(3, called(), called()),
        P.guarded(3, called(), p.Policies(timeout=1.0, approve=called())),
        P.interruptible(3, P.block(3, result=called())),
    )
    binds = [P.bind(3, f"x{at}", body) for at, body in enumerate(bodies)]
    outer = P.pipeline("outer", 1, TEXT, given, P.block(1, *binds, result=word))
    again = P.pipeline("again", 1, TEXT, given, P.block(1, result=P.invoke(outer, 3, word)))
    graph = after(P.program(inner, outer, again), "inline_pipelines")
    found = leaves(graph, "outer")
    assert found == [
        "outer.x0.some.inner.redact", "outer.x0._.inner.redact",
        "outer.inner.redact", "outer.state.inner.redact",
        "outer.x2.1.inner.redact", "outer.x2.2.inner.redact",
        "outer.inner_2.redact", "outer.x3.inner.redact",
        "outer.inner_3.redact", "outer.inner_4.redact",
        "outer.inner_5.redact",
    ]  # fmt: skip
    assert leaves(graph, "again") == [f"again.{stage}" for stage in found]
    (match,) = (o for o in walk(graph.pipeline("again").body) if o.name == "agent.match")
    assert [argument.name for region in match.regions for argument in region.arguments] == ["outer.found"]


def test_a_qualified_pipeline_gives_sizes_its_own_names() -> None:
    """A pipeline of an imported file has a point in its name, which is no step of a path."""
    given = (P.parameter("word", TEXT),)
    body = P.block(1, P.bind(1, "clean", P.call(P.REDACT, 1, text=P.ref("word", TEXT))), result=P.ref("clean", TEXT))
    inner = P.pipeline("shop.clean", 1, TEXT, given, body)
    middle = P.pipeline("shop.tidy", 1, TEXT, given, P.block(1, result=P.invoke(inner, 2, P.ref("word", TEXT))))
    operations = {o.id: o for o in walk(after(P.program(inner, middle), "inline_pipelines").pipeline("shop.tidy").body)}
    assert operations["shop.tidy.shop.clean.redact"].results[0].name == "shop.clean.clean"


def test_a_pass_changes_no_module_that_it_is_given() -> None:
    module = lowered(P.handbook())
    before = module.text()
    irc.run_passes(module, P.SmallLibrary())
    assert module.text() == before


def test_passes_that_are_done_are_not_done_again() -> None:
    module, _ = irc.run_passes(lowered(P.handbook()), P.SmallLibrary(), "split_llm")
    assert module is not None
    seen: list[str] = []
    irc.run_passes(module, P.SmallLibrary(), after=lambda name, _: seen.append(name))
    assert seen == list(PASSES[PASSES.index("split_llm") + 1 :])


def test_an_unknown_pass() -> None:
    with pytest.raises(KeyError):
        irc.run_passes(lowered(P.hello()), P.SmallLibrary(), "make_faster")
    with pytest.raises(KeyError):
        load("make_faster")


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_opens_with_its_picture(name: str) -> None:
    document = __import__(f"agentlang.ir.passes.{name}", fromlist=["run"]).__doc__
    assert "=>" in document


# --- laws ------------------------------------------------------------------------------------------------------------


def broken(text: str, *changes: tuple[str, str]) -> list[str]:
    for old, new in changes:
        assert re.search(old, text), old
        text = re.sub(old, new, text, count=1)
    return [problem.title for problem in irc.parse(text)[1]]


def passed(name: str) -> str:
    """The head of a module that says it has been through that pass."""
    return f'module attributes {{agent.passes = ["{name}"], '


AGAIN = (
    '"agent.kv_transfer"(%8) {entry = "llm:transfer", id = "hello.again", parameters = ["kv"]} '
    ': (!agent.kv<"writer">) -> !agent.kv<"writer">\n'
)

# A law, a module, what is changed in its text (a pattern and what takes its place), and what is said of it.
FOREIGN = '"builtin.module"() ({ ^bb0: }) : () -> () "agent.return"'
LAW_BREAKERS = [
    ("ours only", "handbook", "", (r'"agent.return"', FOREIGN), "'builtin.module' has no place in a pipeline"),
    ("unique ids", "hello", "", (r'id = "hello.chat.seed"', 'id = "hello.chat.stop"'), "stage id 'hello.chat.stop'"),
    ("unique ids", "hello", "", (r'id = "hello.chat.seed", ', ""), "'agent.constant' has no stage id"),
    ("unique names", "handbook", "", (r'name = "judge"', 'name = "writer"'), "declared twice: 'writer'"),
    ("handles declared", "hello", "", (r'name = "writer", type', 'name = "reader", type'), "is no declared handle"),
    ("handles declared", "hello", "", (r'type = "llm.Model"', 'type = "llm.Other"'), "not what it is opened as"),
    ("handles declared", "handbook", "", (r"= @encoder", "= @handbook"), "declared before 'handbook'"),
    ("calls resolve", "handbook", "", (r'callee = "find"', 'callee = "seek"'), "'seek' is no pipeline"),
    ("calls resolve", "handbook", "", (r'(callee = "find".*?)\["question"\]', r'\1["query"]'), "'find' gives query"),
    ("calls resolve", "handbook", "", (r'callee = "find"', 'callee = "sources"'), "does not give [search.Passage]"),
    (
        "emits fit",
        "lines",
        "",
        (r"result = !agent.stream_of<!agent.text>", "result = !agent.stream_of<!agent.int>"),
        "Text is emitted",
    ),
    ("records fit", "handbook", "", (r'fields = \["path", "line"', 'fields = ["line", "path"'), "in that order"),
    ("records fit", "handbook", "", (r'(field".*?name = )"text"', r'\1"title"'), "has no field 'title'"),
    ("records fit", "handbook", "", (r'(field".*?name = )"text"', r'\1"line"'), "Passage.line is Int, not Text"),
    ("enums fit", "triage", "", (r'case = "Question"', 'case = "Order"'), "Intent has no case 'Order'"),
    ("enums fit", "triage", "", (r'case = "_"', 'case = "Other"'), "Intent has no case 'Other'"),
    ("enums fit", "triage", "", (r'cases = \[\{name = "Refund"', 'cases = [{name = "Return"'), "no case 'Refund'"),
    ("enums fit", "triage", "", (r'("amount", type = )!agent.money', r"\1!agent.float"), "does not take its payload"),
    ("goals resolve", "handbook", "", (r'pipeline = "answer"', 'pipeline = "reply"'), "'reply' is no pipeline"),
    ("no calls", "handbook", "", (r"module attributes {", passed("inline_pipelines")), "a call of a pipeline is left"),
    ("no chats", "hello", "", (r"module attributes {", passed("split_llm")), "a chat call is left"),
    ("no chats", "hello", "split_llm", (r'("agent.prefill".*\n)', r"\1" + AGAIN), "a KV cache has 2 uses"),
    ("demands everywhere", "hello", "annotate_demand", (r', times = "1"', ""), "does not say how often it runs"),
    ("demands everywhere", "hello", "annotate_demand", (r"demand = \{cpu[^}]*\}, ", ""), "does not say what it needs"),
]


@pytest.mark.parametrize(("law", "name", "until", "change", "title"), LAW_BREAKERS)
def test_a_law_can_be_broken(law: str, name: str, until: str, change: tuple[str, str], title: str) -> None:
    assert law in {each.name for each in LAWS}
    module = lowered(P.ALL[name]())
    if until:
        done, _ = irc.run_passes(module, P.SmallLibrary(), until)
        assert done is not None
        module = done
    text = module.text(locations=False)
    assert irc.parse(text)[1] == ()
    found = broken(text, change)
    assert any(title in each for each in found), found


def test_every_law_is_broken_somewhere() -> None:
    elsewhere = {name for name, *_ in (*PLACED, *AGENTS, *PARALLEL)}  # See test_ir_placed, test_ir_agents, …
    elsewhere |= {"parts together"}  # See test_split_tool.
    assert {law.name for law in LAWS} - elsewhere == {law for law, *_ in LAW_BREAKERS}
