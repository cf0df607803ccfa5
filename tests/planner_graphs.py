"""Graphs built by hand, with demands that a reader can work out: for the planner's tests."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from agentlang.base.source import Source, Span
from agentlang.base.units import DURATION, MONEY_PER_COUNT, RATE, Dimension, Quantity, quantity
from agentlang.ir.formula import ZERO, Formula, as_formula, constant, variable
from agentlang.ir.graph import (
    Attribute,
    Demand,
    Graph,
    GraphPipeline,
    Handle,
    Input,
    KvType,
    Operation,
    Region,
    Size,
    TokensType,
    Value,
    ValueType,
)
from agentlang.lang.program import Assumption, Fleet, Goal, GoalTerm, Link, Tier
from agentlang.lang.types import INT, TEXT, HandleType, ListType, StreamType
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.hardware import Machine

TEXTS, TOKENS_STREAM = StreamType(TEXT), StreamType(INT)
_ids = count()


def demand(**terms: Formula | float) -> Demand:
    names = ("compute", "traffic", "footprint", "network", "disk", "cpu", "tokens_in", "tokens_out")
    return Demand(**{name: as_formula(terms.get(name, ZERO)) for name in names})


def value(kind: ValueType, name: str | None = None) -> Value:
    return Value(next(_ids), kind, name)


def op(
    kind: str,
    stage: str,
    operands: tuple[Value, ...],
    result: Value | None = None,
    needs: Demand | None = None,
    regions: tuple[Region, ...] = (),
    **attributes: Attribute,
) -> Operation:
    results = (result,) if result else ()
    return Operation(stage, f"agent.{kind}", operands, results, attributes, regions, needs)


def machine(**changes: object) -> Machine:
    """Two cores, 10 GB/s, 100 GFLOP/s, 1 GB/s of disk, no launch overhead: times can be worked out in the head."""

    def figure(amount: float, unit: str) -> Figure:
        return Figure(amount, unit, Basis.MEASURED, "test", "2025-01")

    plain = Machine(
        key="toy",
        processor="toy",
        cores=2,
        memory=figure(8e9, "B"),
        bandwidth=figure(10e9, "B/s"),
        compute=figure(100e9, "FLOP/s"),
        launch=figure(0.0, "s"),
        disk=figure(1e9, "B/s"),
    )
    return replace(plain, **changes)  # pyright: ignore[reportArgumentType]


# A toy model: weights of 100 MB (0.01 s a read), 1 GFLOP a prompt token (0.01 s), 1 MB of cache a token.
WEIGHTS = 100e6
PROMPT, REPLY = variable("question.tokens"), variable("answer.output")
MODEL = Handle(
    "writer",
    "llm.Model",
    "llm:model",
    {"name": "toy-1m"},
    demand=demand(disk=50e6, footprint=WEIGHTS),
)


def chat_operations(prompt: Value, scope: str, reply: Value) -> tuple[Operation, ...]:
    """A split chat: prefill 0.01 s a prompt token, each further token 0.01 s."""
    handle, tokens = value(HandleType("llm.Model")), value(TokensType("writer"))
    cache, moved, made = value(KvType("writer")), value(KvType("writer")), value(TOKENS_STREAM)
    steps = REPLY + -1.0
    return (
        op("open", f"{scope}.open", (), handle, name="writer"),
        op("tokenize", f"{scope}.tokenize", (handle, prompt), tokens, demand(cpu=0.001), entry="llm:tokenize"),
        op(
            "prefill",
            f"{scope}.prefill",
            (handle, tokens),
            cache,
            demand(compute=PROMPT * 1e9, traffic=WEIGHTS, footprint=PROMPT * 1e6, tokens_in=PROMPT),
            entry="llm:prefill",
        ),
        op("kv_transfer", f"{scope}.transfer", (cache,), moved, demand(network=PROMPT * 1e6), entry="llm:transfer"),
        op(
            "decode",
            f"{scope}.decode",
            (handle, moved),
            made,
            demand(compute=steps * 1e8, traffic=steps * WEIGHTS, footprint=(PROMPT + REPLY) * 1e6, tokens_out=REPLY),
            entry="llm:decode",
        ),
        op(
            "detokenize",
            f"{scope}.detokenize",
            (handle, made),
            reply,
            demand(cpu=REPLY * 1e-5, tokens_out=REPLY),
            entry="llm:detokenize",
        ),
    )


def graph(operations: tuple[Operation, ...], result: ValueType, arguments: tuple[Value, ...] = ()) -> Graph:
    sizes = (
        Size("question.tokens", constant(50.0), None, "assumed"),
        Size("best.items", constant(4.0), constant(4.0), "program"),
        Size("answer.output", constant(21.0), constant(21.0), "program"),
    )
    inputs = tuple(Input(str(v.name), TEXT, True) for v in arguments)
    assert not isinstance(result, KvType | TokensType)
    body = Region(arguments, operations)
    pipeline = GraphPipeline("answer", inputs, result, body, sizes=sizes)
    return Graph("f" * 64, (MODEL,), (), (pipeline,))


def chat_graph() -> Graph:
    """`answer(question) -> stream Text`, one chat."""
    question, reply = value(TEXT, "question"), value(TEXTS)
    operations = chat_operations(question, "answer.chat", reply)
    return graph((*operations, op("return", "answer.return", (reply,))), TEXTS, (question,))


def map_graph(body: Mapping[str, Formula | float], at_most: int = 2, result: ValueType = TEXT) -> Graph:
    """`answer(question) -> [Text]`: a loop over `best`, whose body is one stage with the given demand."""
    best, item, made, all_made = (
        value(ListType(TEXT), "best"),
        value(TEXT, "item"),
        value(result),
        value(ListType(TEXT)),
    )
    stage = op("stage", "answer.item.work", (item,), made, demand(**body), entry="toy:work")
    stage = replace(stage, times=variable("best.items"))
    inside = Region((item,), (stage, op("yield", "answer.item.yield", (made,))))
    loop = op("map", "answer.item", (best,), all_made, None, (inside, Region((), ())), at_most=at_most)
    return graph((loop, op("return", "answer.return", (all_made,))), ListType(TEXT), (best,))


# --- goals and fleets ------------------------------------------------------------------------------------------------

SOURCE = Source("toy.agent", "goal answer {\n  rate 1 per s\n  finish p95 <= 1 s\n}\nfleet toy {\n}\n")
SPAN: Span = SOURCE.span(16, 28)


def term(kind: str, limit: float, percentile: float | None = None) -> GoalTerm:
    dimensions: dict[str, Dimension] = {"rate": RATE, "cost": MONEY_PER_COUNT}
    return GoalTerm(kind, Quantity(limit, dimensions.get(kind, DURATION)), SPAN, percentile)


def goal(*terms: GoalTerm, question: float | None = None) -> Goal:
    assumed = (Assumption("question", quantity(question, "tokens"), SPAN),) if question is not None else ()
    return Goal("answer", terms, assumed, SPAN)


def fleet(*tiers: tuple[str, str, int, int], links: int = 0) -> Fleet:
    made = tuple(Tier(name, device, (low, high), SPAN) for name, device, low, high in tiers)
    link = Link("*", "*", True, quantity(1, "GB/s"), quantity(1, "ms"), SPAN)
    return Fleet("toy", made, (link,) * links, SPAN)
