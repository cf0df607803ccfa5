"""Typed programs built by hand, for what is told of a whole program. Every part stands at a place of its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from agentlang.base.source import Source, Span
from agentlang.base.units import DURATION, RATE, Quantity
from agentlang.lang import program as p
from agentlang.lang.types import BOOL, INT, TEXT, HandleType, ListType, StreamType, Type

_places = count(1)
MODEL = HandleType("llm.Model")
TEXTS = ListType(TEXT)
STREAM = StreamType(TEXT)


def at() -> Span:
    """The next place."""
    line = next(_places)
    return Span("page.agent", line * 10, line * 10 + 5, line, 1, line, 6)


def parameter(name: str, *labels: str, type: Type = TEXT) -> p.Parameter:
    return p.Parameter(name, type, at(), frozenset(labels))


def ref(name: str, type: Type = TEXT) -> p.Reference:
    return p.Reference(type=type, span=at(), name=name)


def text(value: str = "x") -> p.Literal:
    return p.Literal(type=TEXT, span=at(), value=value)


def whole(value: int) -> p.Literal:
    return p.Literal(type=INT, span=at(), value=value)


def template(*parts: str | p.Expression) -> p.Template:
    return p.Template(type=TEXT, span=at(), parts=parts)


def texts(*items: p.Expression) -> p.ListOf:
    return p.ListOf(type=TEXTS, span=at(), items=items)


def stage(name: str, *parameters: str, result: Type = TEXT, entry: str = "python:call") -> p.StageSignature:
    behind = "python" if entry == "python:call" else "builtin"
    return p.StageSignature(name, tuple(map(parameter, parameters)), result, behind, entry, at())


def tool(name: str, *effects: str, parameters: tuple[str, ...] = ("id",), by: str | None = None) -> p.StageSignature:
    made = tuple(p.Effect(kind, None, at()) for kind in effects)
    return replace(stage(name, *parameters), keyword="tool", effects=made, idempotent_by=by)


CHAT = replace(stage("llm.Model.chat", "prompt", "max_tokens", result=STREAM, entry="llm:chat"), keyword="stage")
REDACT = stage("text.redact", "text", entry="text:redact")
BUILD_MODEL = stage("llm.chat", "name", result=MODEL, entry="llm:model")


def call(signature: p.StageSignature, *arguments: p.Expression) -> p.StageCall:
    given = tuple(p.Argument(q.name, value) for q, value in zip(signature.parameters, arguments, strict=False))
    return p.StageCall(type=signature.result, span=at(), stage=signature, arguments=given)


def chat(prompt: p.Expression, model: str = "writer", max_tokens: int = 100) -> p.StageCall:
    handle = p.HandleReference(type=MODEL, span=at(), name=model)
    arguments = (
        p.Argument("self", handle),
        p.Argument("prompt", prompt),
        p.Argument("max_tokens", whole(max_tokens)),
    )
    return p.StageCall(type=STREAM, span=at(), stage=CHAT, arguments=arguments)


def everything(stream: p.Expression) -> p.Collect:
    return p.Collect(type=TEXT, span=at(), stream=stream)


def run(name: str, result: Type = TEXT, **arguments: p.Expression) -> p.PipelineCall:
    given = tuple(p.Argument(argument, value) for argument, value in arguments.items())
    return p.PipelineCall(type=result, span=at(), pipeline=name, arguments=given)


def guard(inner: p.Expression, **policies: object) -> p.With:
    spans = {name: at() for name in policies}
    made = p.Policies(**policies, spans=spans)  # pyright: ignore[reportArgumentType]
    return p.With(type=inner.type, span=at(), call=inner, policies=made)


def otherwise(value: p.Expression, fallback: p.Expression, *reasons: str) -> p.Otherwise:
    return p.Otherwise(type=value.type, span=at(), value=value, reasons=reasons, fallback=fallback)


def race(*branches: p.Expression) -> p.Race:
    return p.Race(type=branches[0].type, span=at(), branches=branches)


def bind(name: str, value: p.Expression) -> p.Bind:
    return p.Bind(name, value, at())


def block(*parts: p.Statement | p.Expression) -> p.Block:
    """Statements, the last an expression if it has a value."""
    last = parts[-1]
    if isinstance(last, p.Bind | p.Evaluate | p.Emit | p.Expect):
        raise TypeError("ends with a value")
    statements = tuple(part for part in parts[:-1] if isinstance(part, p.Bind | p.Evaluate | p.Emit | p.Expect))
    return p.Block(statements, last, at())


def branch(condition: p.Expression, then: p.Expression, other: p.Expression) -> p.If:
    return p.If(type=then.type, span=at(), condition=condition, then=block(then), otherwise=block(other))


def flag(name: str = "flag") -> p.Reference:
    return ref(name, BOOL)


def each(
    variable: str,
    over: p.Expression,
    *body: p.Statement | p.Expression,
    at_most: int = 16,
    where: p.Expression | None = None,
) -> p.MapOver:
    inner = block(*body)
    return p.MapOver(
        type=TEXTS,
        span=at(),
        variable=variable,
        variable_type=TEXT,
        over=over,
        where=where,
        at_most=at_most,
        body=inner,
    )


def repeat(state: str, initial: p.Expression, at_most: int, *body: p.Statement | p.Expression) -> p.Repeat:
    """The last of `body` is the next state."""
    *before, last = body
    assert not isinstance(last, p.Bind | p.Evaluate | p.Emit | p.Expect)
    turn = p.Turn(type=last.type, span=at(), value=last, stop=False)
    inner = block(*before, turn)
    return p.Repeat(type=TEXT, span=at(), state=state, state_type=TEXT, initial=initial, at_most=at_most, body=inner)


def pipeline(
    name: str, parameters: tuple[p.Parameter, ...], *body: p.Statement | p.Expression, labels: tuple[str, ...] = ()
) -> p.Pipeline:
    inner = block(*body)
    result = inner.result.type if inner.result else TEXT
    return p.Pipeline(name, parameters, result, inner, at(), None, frozenset(labels))


def model(name: str = "writer", weights: str = "smollm2-135m-instruct") -> p.HandleDeclaration:
    return p.HandleDeclaration(name, "model", MODEL, BUILD_MODEL, (p.Argument("name", text(weights)),), at())


def keep(label: str, *tiers: str) -> p.GoalTerm:
    return p.GoalTerm("keep", None, at(), None, label, tiers)


def finish(limit: float) -> p.GoalTerm:
    return p.GoalTerm("finish", Quantity(limit, DURATION), at(), 95.0)


def arrivals(rate: float) -> p.GoalTerm:
    return p.GoalTerm("rate", Quantity(rate, RATE), at())


def goal(name: str, *terms: p.GoalTerm) -> p.Goal:
    return p.Goal(name, terms, (), at())


def tier(name: str, *serves: str) -> p.Tier:
    """An endpoint where it serves something, else a device."""
    endpoint = p.Endpoint("https://host", None, serves) if serves else None
    return p.Tier(name, "" if serves else "l40s", (1, 1), at(), endpoint)


def fleet(*tiers: p.Tier) -> p.Fleet:
    return p.Fleet("office", tiers, (), at())


def program(
    *pipelines: p.Pipeline,
    handles: tuple[p.HandleDeclaration, ...] = (),
    goals: tuple[p.Goal, ...] = (),
    fleets: tuple[p.Fleet, ...] = (),
    records: tuple[p.RecordDeclaration, ...] = (),
    enums: tuple[p.EnumDeclaration, ...] = (),
) -> p.Program:
    """The program of these; its tools are those that it calls."""
    tools = {
        node.stage.name: node.stage
        for made in pipelines
        for node in p.walk(made.body)
        if isinstance(node, p.StageCall) and node.stage.keyword == "tool"
    }
    return p.Program(
        Source("page.agent", ""),
        {record.name: record for record in records},
        {enum.name: enum for enum in enums},
        handles or (model(),),
        pipelines,
        goals,
        fleets,
        (),
        (),
        tuple(tools.values()),
    )
