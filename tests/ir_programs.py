"""Typed programs built by hand, for tests of `ir` that need no checker.

Spans are made up but distinct: each expression gets the next column of its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from agentlang.base.source import Source, Span
from agentlang.base.units import BANDWIDTH, COUNT, DURATION, NUMBER, RATE, TOKENS, Quantity
from agentlang.base.units import MONEY as MONEY_DIMENSION
from agentlang.ir.demand.data import demand
from agentlang.ir.formula import constant
from agentlang.ir.graph import Demand, Handle
from agentlang.ir.library import Batch, Called, ModelShape, Part, Sized
from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    MONEY,
    NONE,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    RecordType,
    StreamType,
    TurnType,
    Type,
)

MODEL, RERANKER, INDEX, ENCODER = (
    HandleType(name) for name in ("llm.Model", "search.Reranker", "search.Index", "embed.Encoder")
)
PASSAGE = RecordType("search.Passage")
SOURCE = RecordType("Source")
_columns = count(1)


def at(line: int) -> Span:
    column = next(_columns) % 100 + 1
    return Span("x.agent", 0, 0, line, column, line, column + 3)


def literal(value: p.Constant, given: Type, line: int = 1) -> p.Literal:
    return p.Literal(type=given, span=at(line), value=value)


def parameter(name: str, given: Type, default: p.Constant | None = None, line: int = 1) -> p.Parameter:
    value = None if default is None else literal(default, given, line)
    return p.Parameter(name, given, at(line), default=value)


def signature(name: str, entry: str, result: Type, *parameters: p.Parameter) -> p.StageSignature:
    return p.StageSignature(name, parameters, result, "builtin", entry, at(1))


CHAT = signature(
    "llm.Model.chat",
    "llm:chat",
    StreamType(TEXT),
    parameter("self", MODEL),
    parameter("prompt", TEXT),
    parameter("system", TEXT, ""),
    parameter("max_tokens", INT, 256),
    parameter("temperature", FLOAT, 0.0),
    parameter("seed", INT, 0),
    parameter("stop", ListType(TEXT), ()),
)
REDACT = signature("text.redact", "text:redact", TEXT, parameter("text", TEXT))
JOIN = signature("text.join", "text:join", TEXT, parameter("texts", ListType(TEXT)), parameter("separator", TEXT, ""))
SPLIT = signature("text.split", "text:split", ListType(TEXT), parameter("text", TEXT), parameter("tokens", INT, 400))
SENTENCES = signature("text.sentences", "text:sentences", StreamType(TEXT), parameter("text", StreamType(TEXT)))
SEARCH = signature(
    "search.Index.search",
    "search:search",
    ListType(PASSAGE),
    parameter("self", INDEX),
    parameter("question", TEXT),
    parameter("top", INT, 8),
)
RERANK = signature(
    "search.Reranker.rerank",
    "search:rerank",
    ListType(PASSAGE),
    parameter("self", RERANKER),
    parameter("passages", ListType(PASSAGE)),
    parameter("question", TEXT),
    parameter("keep", INT, 3),
)


def text(value: str, line: int = 1) -> p.Literal:
    return literal(value, TEXT, line)


def ref(name: str, given: Type, line: int = 1) -> p.Reference:
    return p.Reference(type=given, span=at(line), name=name)


def handle(name: str, given: HandleType, line: int = 1) -> p.HandleReference:
    return p.HandleReference(type=given, span=at(line), name=name)


def template(line: int, *parts: str | p.Expression) -> p.Template:
    return p.Template(type=TEXT, span=at(line), parts=parts)


def call(stage: p.StageSignature, line: int, **given: p.Expression) -> p.StageCall:
    """A stage call; arguments that are not given are the defaults."""
    arguments: list[p.Argument] = []
    for parameter in stage.parameters:
        value = given.get(parameter.name, parameter.default)
        assert value is not None, parameter.name
        arguments.append(p.Argument(parameter.name, value))
    return p.StageCall(type=stage.result, span=at(line), stage=stage, arguments=tuple(arguments))


def chat(line: int, prompt: p.Expression, max_tokens: int, model: str = "writer") -> p.StageCall:
    return call(CHAT, line, self=handle(model, MODEL, line), prompt=prompt, max_tokens=literal(max_tokens, INT, line))


def invoke(pipeline: p.Pipeline, line: int, *values: p.Expression) -> p.PipelineCall:
    arguments = tuple(p.Argument(q.name, v) for q, v in zip(pipeline.parameters, values, strict=True))
    return p.PipelineCall(type=pipeline.result, span=at(line), pipeline=pipeline.name, arguments=arguments)


def collect(stream: p.Expression) -> p.Collect:
    assert isinstance(stream.type, StreamType)
    item = stream.type.element
    return p.Collect(type=TEXT if item == TEXT else ListType(item), span=stream.span, stream=stream)


def loop(
    line: int, variable: str, over: p.Expression, body: p.Block, at_most: int = 16, where: p.Expression | None = None
) -> p.MapOver:
    assert isinstance(over.type, (ListType, StreamType))
    item = body.result.type if body.result is not None else NONE
    if body.result is None:
        result: Type = NONE
    elif isinstance(over.type, StreamType):
        result = item if isinstance(item, StreamType) else StreamType(item)
    else:
        result = ListType(item)
    return p.MapOver(
        type=result,
        span=at(line),
        variable=variable,
        variable_type=over.type.element,
        over=over,
        where=where,
        at_most=at_most,
        body=body,
    )


def into(line: int, prompt: p.Expression, given: Type, max_tokens: int = 48, model: str = "writer") -> p.Into:
    return p.Into(type=given, span=at(line), call=chat(line, prompt, max_tokens, model))


def case(line: int, enum: p.EnumDeclaration, name: str, *payload: p.Expression) -> p.BuildCase:
    declared = next(each for each in enum.cases if each.name == name)
    fields = tuple(p.Argument(q.name, v) for q, v in zip(declared.payload, payload, strict=True))
    return p.BuildCase(type=EnumType(enum.name), span=at(line), enum=enum.name, case=name, payload=fields)


def arm(line: int, name: str | None, body: p.Block, *binders: p.Parameter | None) -> p.Arm:
    return p.Arm(name, binders, body, at(line))


def match(line: int, subject: p.Expression, *arms: p.Arm) -> p.Match:
    result = arms[0].body.result
    return p.Match(type=NONE if result is None else result.type, span=at(line), subject=subject, arms=arms)


def turn(line: int, value: p.Expression, stop: bool) -> p.Turn:
    return p.Turn(type=TurnType(value.type), span=at(line), value=value, stop=stop)


def repeat(line: int, state: str, initial: p.Expression, body: p.Block, at_most: int = 3) -> p.Repeat:
    return p.Repeat(
        type=initial.type,
        span=at(line),
        state=state,
        state_type=initial.type,
        initial=initial,
        at_most=at_most,
        body=body,
    )


def race(line: int, *branches: p.Expression) -> p.Race:
    return p.Race(type=branches[0].type, span=at(line), branches=branches)


def otherwise(line: int, value: p.Expression, fallback: p.Expression, *reasons: str) -> p.Otherwise:
    return p.Otherwise(type=value.type, span=at(line), value=value, reasons=reasons, fallback=fallback)


def guarded(line: int, call: p.Expression, policies: p.Policies) -> p.With:
    return p.With(type=call.type, span=at(line), call=call, policies=policies)


def interruptible(line: int, body: p.Block) -> p.Interruptible:
    assert body.result is not None
    return p.Interruptible(type=body.result.type, span=at(line), body=body)


def bind(line: int, name: str, value: p.Expression) -> p.Bind:
    return p.Bind(name, value, at(line))


def block(line: int, *statements: p.Statement, result: p.Expression | None = None) -> p.Block:
    return p.Block(statements, result, at(line))


def pipeline(name: str, line: int, result: Type, parameters: tuple[p.Parameter, ...], body: p.Block) -> p.Pipeline:
    return p.Pipeline(name, parameters, result, body, at(line))


def model(name: str, line: int, given: HandleType = MODEL, entry: str = "llm:model") -> p.HandleDeclaration:
    made = signature("llm.chat", entry, given, parameter("name", TEXT))
    arguments = (p.Argument("name", text("smollm2-135m-instruct", line)),)
    return p.HandleDeclaration(name, "model", given, made, arguments, at(line))


PASSAGE_RECORD = p.RecordDeclaration(
    "search.Passage",
    (parameter("path", TEXT), parameter("line", INT), parameter("text", TEXT), parameter("score", FLOAT)),
    at(1),
)
SOURCE_RECORD = p.RecordDeclaration(
    "Source", (parameter("path", TEXT), parameter("line", INT), parameter("score", FLOAT)), at(1)
)


def program(
    *pipelines: p.Pipeline,
    handles: tuple[p.HandleDeclaration, ...] = (),
    records: tuple[p.RecordDeclaration, ...] = (),
    goals: tuple[p.Goal, ...] = (),
    fleets: tuple[p.Fleet, ...] = (),
    tests: tuple[p.Test, ...] = (),
    enums: tuple[p.EnumDeclaration, ...] = (),
    tools: tuple[p.StageSignature, ...] = (),
) -> p.Program:
    source = Source("x.agent", "\n".join(f"line {n} " + "." * 120 for n in range(1, 60)))
    return p.Program(
        source,
        {r.name: r for r in records},
        {e.name: e for e in enums},
        handles,
        pipelines,
        goals,
        fleets,
        tests,
        (source,),
        tools,
    )


def hello() -> p.Program:
    """The program of `examples/hello`."""
    prompt = template(7, "Greet ", ref("name", TEXT, 7), " in one short sentence.")
    greet = pipeline(
        "hello", 6, StreamType(TEXT), (parameter("name", TEXT, "world", 6),), block(6, result=chat(7, prompt, 32))
    )
    has_name = p.Binary(
        type=BOOL,
        span=at(11),
        operator="contains",
        left=collect(invoke(greet, 11, text("Ada", 11))),
        right=text("Ada", 11),
    )
    test = p.Test("greets", block(10, p.Expect(has_name, at(11))), at(10))
    return program(greet, handles=(model("writer", 4),), tests=(test,))


def handbook() -> p.Program:
    """The program of `examples/handbook`: calls, a loop over records, a resource that needs another handle."""
    question = (parameter("question", TEXT, line=17),)
    hits = call(
        SEARCH, 18, self=handle("handbook", INDEX, 18), question=ref("question", TEXT, 18), top=literal(8, INT, 18)
    )
    best = call(
        RERANK,
        19,
        self=handle("judge", RERANKER, 19),
        passages=ref("hits", ListType(PASSAGE), 19),
        question=ref("question", TEXT, 19),
    )
    find = pipeline("find", 17, ListType(PASSAGE), question, block(17, bind(18, "hits", hits), result=best))
    line = template(25, "- ", field(25, ref("hit", PASSAGE, 25), "text", TEXT))
    notes = loop(25, "hit", ref("best", ListType(PASSAGE), 25), block(25, result=line))
    joined = call(JOIN, 28, texts=ref("notes", ListType(TEXT), 28), separator=text("\n", 28))
    prompt = template(26, "Answer from these notes only.\n", joined, "\nQuestion: ", ref("clean", TEXT, 29))
    answer = pipeline(
        "answer",
        22,
        StreamType(TEXT),
        (parameter("question", TEXT, line=22),),
        block(
            22,
            bind(23, "clean", call(REDACT, 23, text=ref("question", TEXT, 23))),
            bind(24, "best", invoke(find, 24, ref("clean", TEXT, 24))),
            bind(25, "notes", notes),
            result=chat(26, prompt, 96),
        ),
    )
    hit = ref("hit", PASSAGE, 35)
    built = p.BuildRecord(
        type=SOURCE,
        span=at(35),
        record="Source",
        fields=tuple(
            p.Argument(name, field(35, hit, name, given))
            for name, given in (("path", TEXT), ("line", INT), ("score", FLOAT))
        ),
    )
    sources = pipeline(
        "sources",
        33,
        ListType(SOURCE),
        (parameter("question", TEXT, line=33),),
        block(
            33,
            bind(34, "best", invoke(find, 34, ref("question", TEXT, 34))),
            result=loop(35, "hit", ref("best", ListType(PASSAGE), 35), block(35, result=built)),
        ),
    )
    goal = p.Goal(
        "answer",
        (
            p.GoalTerm("rate", Quantity(0.5, RATE), at(39)),
            p.GoalTerm("first_token", Quantity(1.5, DURATION), at(40), percentile=95.0),
        ),
        (
            p.Assumption("question", Quantity(20.0, TOKENS), at(45)),
            p.Assumption("best", Quantity(3.0, COUNT), at(46)),
        ),
        at(38),
    )
    fleet = p.Fleet(
        "laptop",
        (p.Tier("cpu", "laptop", (1, 1), at(52)), p.Tier("gpu", "h100", (0, 8), at(53))),
        (p.Link("gpu", "cpu", True, Quantity(2.5e10, BANDWIDTH), Quantity(1e-5, DURATION), at(54)),),
        at(51),
    )
    index = signature(
        "search.index",
        "search:index",
        INDEX,
        parameter("pattern", TEXT),
        parameter("encoder", ENCODER),
        parameter("passage", INT),
    )
    resource = p.HandleDeclaration(
        "handbook",
        "resource",
        INDEX,
        index,
        (
            p.Argument("pattern", text("handbook/*.md", 12)),
            p.Argument("encoder", handle("encoder", ENCODER, 12)),
            p.Argument("passage", literal(120, INT, 12)),
        ),
        at(12),
    )
    return program(
        find,
        answer,
        sources,
        handles=(
            model("writer", 8),
            model("encoder", 9, ENCODER, "embed:model"),
            model("judge", 10, RERANKER, "search:reranker"),
            resource,
        ),
        records=(PASSAGE_RECORD, SOURCE_RECORD),
        goals=(goal,),
        fleets=(fleet,),
    )


def field(line: int, base: p.Expression, name: str, given: Type) -> p.FieldOf:
    return p.FieldOf(type=given, span=at(line), base=base, field_name=name)


def summarise() -> p.Program:
    """The program of `examples/summarise`: loops in loops, chats whose streams are collected."""
    gist = collect(chat(11, template(11, "Summarise in one sentence:\n", ref("part", TEXT, 11)), 48))
    gists = loop(11, "part", ref("parts", ListType(TEXT), 11), block(11, result=gist))
    notes = loop(
        9,
        "document",
        ref("documents", ListType(TEXT), 9),
        block(
            9,
            bind(10, "parts", call(SPLIT, 10, text=ref("document", TEXT, 10))),
            bind(11, "gists", gists),
            result=call(JOIN, 12, texts=ref("gists", ListType(TEXT), 12), separator=text(" ", 12)),
        ),
        at_most=8,
    )
    joined = call(JOIN, 14, texts=ref("notes", ListType(TEXT), 14), separator=text("\n", 14))
    final = collect(chat(14, template(14, "Write one paragraph from these notes:\n", joined), 128))
    digest = pipeline(
        "digest",
        8,
        TEXT,
        (parameter("documents", ListType(TEXT), line=8),),
        block(8, bind(9, "notes", notes), result=final),
    )
    goal = p.Goal(
        "digest",
        (p.GoalTerm("finish", Quantity(120.0, DURATION), at(23), percentile=95.0),),
        (
            p.Assumption("documents", Quantity(4.0, COUNT), at(20)),
            p.Assumption("document", Quantity(1200.0, TOKENS), at(21)),
        ),
        at(17),
    )
    return program(digest, handles=(model("writer", 6),), goals=(goal,))


INTENT = p.EnumDeclaration(
    "Intent",
    (
        p.EnumCase("Refund", (parameter("order", INT), parameter("amount", MONEY)), at(1)),
        p.EnumCase("Question", (parameter("topic", TEXT),), at(1)),
        p.EnumCase("Spam", (), at(1)),
    ),
    at(1),
)
ORDER_RECORD = p.RecordDeclaration("Order", (parameter("id", INT), parameter("paid", MONEY)), at(1))
ORDER = p.StageSignature(
    "order",
    (parameter("id", INT),),
    RecordType("Order"),
    "python",
    "python:call",
    at(5),
    keyword="tool",
    settings={"target": "shop:order", "limits": {"memory": 2.0**28}, "words": ("a", None, True)},
    effects=(p.Effect("reads", "orders", at(5)), p.Effect("network", None, at(5))),
    needs={"cpu": Quantity(0.002, DURATION)},
    doc="What was ordered.",
)
REFUND = p.StageSignature(
    "refund",
    (parameter("id", INT), parameter("amount", MONEY)),
    TEXT,
    "shop",
    "mcp:call",
    at(6),
    keyword="tool",
    settings={"tool": "refund"},
    effects=(p.Effect("writes", "payments", at(6)), p.Effect("spends", Quantity(0.05, MONEY_DIMENSION), at(6))),
    idempotent_by="id",
    server="shop",
)
SERVER = HandleType("mcp.Server")


def triage() -> p.Program:
    """A decision, a tool of a server behind a person, a fallback, a loop with an end: most of the language."""
    intent = ref("intent", EnumType("Intent"), 12)
    refund = p.StageCall(
        type=TEXT,
        span=at(13),
        stage=REFUND,
        arguments=(p.Argument("id", ref("order", INT, 13)), p.Argument("amount", ref("amount", MONEY, 13))),
    )
    asked = guarded(
        13,
        refund,
        p.Policies(
            timeout=5.0, retries=2, backoff=0.05, approve=template(13, "Refund ", ref("amount", MONEY, 13), "?")
        ),
    )
    known = call(ORDER, 14, id=ref("order", INT, 14))
    answer = collect(chat(15, template(15, "Answer: ", ref("topic", TEXT, 15)), 64))
    better = p.If(
        type=TurnType(TEXT),
        span=at(17),
        condition=p.Binary(
            type=BOOL,
            span=at(17),
            operator="<",
            left=p.Length(type=INT, span=at(17), of=ref("draft", TEXT, 17)),
            right=literal(9, INT, 17),
        ),
        then=block(17, result=turn(17, ref("draft", TEXT, 17), stop=True)),
        otherwise=block(
            18, result=turn(18, collect(chat(18, template(18, "Shorter: ", ref("draft", TEXT, 18)), 32)), stop=False)
        ),
    )
    route = match(
        12,
        intent,
        arm(
            13,
            "Refund",
            block(13, bind(14, "found", known), result=otherwise(13, asked, text("later", 13), "denied", "timeout")),
            parameter("order", INT, line=13),
            parameter("amount", MONEY, line=13),
        ),
        arm(15, "Question", block(15, result=answer), parameter("topic", TEXT, line=15)),
        arm(16, None, block(16, result=text("dropped", 16))),
    )
    clean = replace(call(REDACT, 10, text=ref("mail", TEXT, 10)), labels=frozenset({"pii"}))
    body = block(
        9,
        bind(10, "clean", clean),
        bind(11, "intent", into(11, template(11, "What is it?\n", ref("clean", TEXT, 11)), EnumType("Intent"))),
        bind(12, "route", route),
        bind(17, "short", repeat(17, "draft", ref("route", TEXT, 17), block(17, result=better), 4)),
        result=interruptible(19, block(19, result=race(19, ref("short", TEXT, 19), text("quick", 19)))),
    )
    goal = p.Goal(
        "triage",
        (
            p.GoalTerm("keep", None, at(21), word="pii", tiers=("here",)),
            p.GoalTerm("soft", Quantity(10.0, COUNT), at(22), word="finish"),
        ),
        (p.Assumption("intent", Quantity(0.1, NUMBER), at(23), case="Refund"),),
        at(20),
    )
    served = p.Endpoint(None, "REMOTE_URL", ("gpt-oss-120b",), first_token=Quantity(0.4, DURATION))
    fleet = p.Fleet(
        "office", (p.Tier("here", "laptop", (1, 1), at(25)), p.Tier("cloud", "", (0, 1), at(26), served)), (), at(24)
    )
    opening = signature("mcp.stdio", "mcp:stdio", SERVER, parameter("command", ListType(TEXT)))
    command = p.ListOf(type=ListType(TEXT), span=at(4), items=(text("shop-mcp", 4),))
    server = p.HandleDeclaration("shop", "server", SERVER, opening, (p.Argument("command", command),), at(4))
    return program(
        pipeline("triage", 9, TEXT, (parameter("mail", TEXT, line=9),), body),
        handles=(model("writer", 3), server),
        records=(ORDER_RECORD,),
        enums=(INTENT,),
        tools=(ORDER, REFUND),
        goals=(goal,),
        fleets=(fleet,),
    )


def lines() -> p.Program:
    """A pipeline that emits, called where its stream is collected, behind an item of the caller, and returned."""
    words = ref("words", TEXT, 2)
    parts = call(SPLIT, 2, text=words, tokens=literal(2, INT, 2))
    each = loop(2, "part", parts, block(2, p.Emit(ref("part", TEXT, 2), at(2))), at_most=2)
    given = (parameter("words", TEXT),)
    pieces = pipeline("pieces", 1, StreamType(TEXT), given, block(1, p.Evaluate(each, at(2)), p.Emit(words, at(3))))
    whole = pipeline("whole", 5, TEXT, given, block(5, result=collect(invoke(pieces, 6, ref("words", TEXT, 6)))))
    first = bind(9, "first", invoke(pieces, 9, ref("words", TEXT, 9)))
    both = block(8, first, p.Emit(text("start", 10), at(10)), result=ref("first", StreamType(TEXT), 11))
    return program(
        pieces,
        whole,
        pipeline("behind", 8, StreamType(TEXT), given, both),
        pipeline("same", 13, StreamType(TEXT), given, block(13, result=invoke(pieces, 14, ref("words", TEXT, 14)))),
    )


ALL = {"hello": hello, "handbook": handbook, "summarise": summarise, "triage": triage, "lines": lines}


SMOL = ModelShape(
    name="smollm2-135m-instruct",
    layers=30,
    d_model=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    ffn=1536,
    vocab=49152,
    context=8192,
    parameters=134_515_008,
    active_parameters=134_515_008,
    file_bytes=145e6,
    overhead_tokens=31,
)


class SmallLibrary:
    """Knows one model and a few stages, as the real library does."""

    def model_shape(self, handle: Handle) -> ModelShape | None:
        return SMOL if handle.entry == "llm:model" else None

    def stage_demand(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Demand | None:
        del result
        if entry == "text:redact":
            tokens = operands["text"].tokens
            assert tokens is not None
            return demand(cpu=tokens * 1e-6)
        return demand(disk=1e6) if entry == "search:index" else None

    def stage_size(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Sized | None:
        del result
        match entry:
            case "text:redact":
                return Sized(tokens=operands["text"].tokens)
            case "search:search" | "search:rerank":
                number = operands["top" if entry == "search:search" else "keep"].number
                assert number is not None
                passage = Sized(fields={"text": Sized(tokens=constant(160.0))})
                return Sized(items=constant(number), element=passage, bound=constant(number))
            case "text:join":
                texts = operands["texts"]
                assert texts.items is not None and texts.element is not None and texts.element.tokens is not None
                return Sized(tokens=texts.items * texts.element.tokens)
            case "text:split":
                tokens, most = operands["text"].tokens, operands["tokens"].number
                assert tokens is not None and most is not None
                return Sized(items=tokens * (1 / most), element=Sized(tokens=constant(most)))
            case _:
                return None

    def repeatable(self, entry: str, arguments: Mapping[str, object]) -> bool:
        greedy = entry == "llm:chat" and arguments.get("temperature") == 0
        return greedy or entry.startswith(("embed:", "text:", "search:"))

    def harmless(self, entry: str) -> bool:
        return entry in ("text:redact", "text:join", "text:split", "text:lower")

    def batched(self, entry: str) -> Batch | None:
        return {
            "embed:embed": Batch("embed:embed_all", "text", "texts"),
            "text:redact": Batch("text:redact_all", "text", "texts"),
            "search:search": Batch("search:search_all", "question", "questions"),
        }.get(entry)

    def parts(self, call: Called) -> tuple[Part, ...]:
        del call
        return ()
