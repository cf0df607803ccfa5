"""Demands: the arithmetic of a transformer counted one multiplication at a time, sizes followed through pipelines, and
numbers for sizes."""

from __future__ import annotations

import ir_programs as P
import pytest

from agentlang.base.units import COUNT, NUMBER, TOKENS, Quantity
from agentlang.ir import compile as irc
from agentlang.ir.demand import llm
from agentlang.ir.demand.data import NAMES, demand, demand_from
from agentlang.ir.formula import ZERO, Formula, constant, parse, variable
from agentlang.ir.graph import Graph, Operation, Size, walk
from agentlang.ir.library import Library, ModelShape, NoLibrary
from agentlang.ir.sizes import GOAL, given, given_data, resolve
from agentlang.lang import program as p
from agentlang.lang.types import BOOL, FLOAT, INT, TEXT, ListType, RecordType, StreamType

SMALL = ModelShape(
    name="small", layers=3, d_model=8, heads=4, kv_heads=2, head_dim=2, ffn=5, vocab=11, context=64,
    parameters=0, active_parameters=0, weight_bytes=2.0, cache_bytes=4.0,
)  # fmt: skip


def counted(sliding: int = 0, window: int = 0) -> ModelShape:
    """The small shape with its parameters counted from its matrices (output table included, norms left out)."""
    layer = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 5
    from dataclasses import replace

    total = 3 * layer + 11 * 8
    return replace(SMALL, parameters=total, active_parameters=total, sliding_layers=sliding, sliding_window=window)


def token_flops(attended: list[int], logits: bool) -> int:
    """Operations for one token, matrix by matrix; `attended` positions in each layer."""
    d, heads, groups, width, inner, vocab = 8, 4, 2, 2, 5, 11
    total = 0
    for positions in attended:
        total += 2 * d * heads * width  # queries
        total += 2 * 2 * d * groups * width  # keys and values
        total += heads * positions * 2 * width  # scores
        total += heads * positions * 2 * width  # weighted values
        total += 2 * heads * width * d  # output
        total += 3 * 2 * d * inner  # gate, up, down
    return total + (2 * vocab * d if logits else 0)


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_prefill_is_counted(n: int) -> None:
    shape = counted()
    expected = sum(token_flops([at + 1] * 3, logits=at == n - 1) for at in range(n))
    need = llm.prefill(shape, variable("n"))
    assert need.compute.value({"n": n}) == expected
    per_token = 3 * 2 * (2 * 2) * 4
    assert need.traffic.value({"n": n}) == shape.active_parameters * 2.0 + n * per_token
    assert need.footprint.value({"n": n}) == n * per_token
    assert llm.transfer(shape, variable("n")).network == need.footprint


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (7, 1), (7, 5), (20, 13)])
def test_decode_is_counted(n: int, m: int) -> None:
    shape = counted()
    sizes = {"n": n, "m": m}
    need = llm.decode(shape, variable("n"), variable("m"))
    steps = range(m - 1)
    assert need.compute.value(sizes) == sum(token_flops([n + j + 1] * 3, logits=True) for j in steps)
    per_token = 3 * 2 * (2 * 2) * 4
    read = sum(shape.active_parameters * 2.0 + (n + j + 1) * per_token for j in steps)
    assert need.traffic.value(sizes) == read + (m - 1) * per_token
    assert need.footprint.value(sizes) == (n + m) * per_token
    assert need.tokens_out.value(sizes) == m


def test_sliding_layers_attend_to_their_window() -> None:
    shape, n, m = counted(sliding=2, window=4), 9, 6
    need = llm.decode(shape, variable("n"), variable("m"))
    expected = sum(token_flops([n + j + 1, 4, 4], logits=True) for j in range(m - 1))
    assert need.compute.value({"n": n, "m": m}) == expected
    # A prompt counts the window in full from its first token on: an upper bound, by less than a window squared.
    counted_exactly = sum(token_flops([at + 1, min(at + 1, 4), min(at + 1, 4)], logits=at == n - 1) for at in range(n))
    over = llm.prefill(shape, variable("n")).compute.value({"n": n}) - counted_exactly
    assert 0 < over <= 4 * 4 * 2 * 2 * (4 * 4)


def test_a_known_model() -> None:
    """SmolLM2-135M: 134,515,008 weights in f32, 45 KiB of cache a token."""
    assert llm.cache_bytes_per_token(P.SMOL) == 46080
    step = llm.decode(P.SMOL, constant(255.0), constant(2.0))
    assert step.traffic.value({}) == 134_515_008 * 4 + 257 * 46080
    assert llm.opening(P.SMOL).footprint.value({}) == 134_515_008 * 4


# --- sizes through programs ------------------------------------------------------------------------------------------


def annotated(program: p.Program, library: Library | None = None) -> Graph:
    graph, problems = irc.compile_graph(program, library or P.SmallLibrary())
    assert graph is not None, problems
    return graph


def stages(graph: Graph, pipeline: str) -> dict[str, Operation]:
    return {o.id.removeprefix(f"{pipeline}."): o for o in walk(graph.pipeline(pipeline).body)}


def numbers(graph: Graph, pipeline: str, **assumed: float) -> dict[str, float]:
    resolved, _ = resolve(graph.pipeline(pipeline).sizes, {k.replace("__", "."): v for k, v in assumed.items()})
    return {size.name: size.value for size in resolved}


def demanded(operation: Operation, name: str, sizes: dict[str, float]) -> float:
    assert operation.demand is not None
    return getattr(operation.demand, name).value(sizes)


def test_the_handbook_by_hand() -> None:
    graph = annotated(P.handbook())
    found = stages(graph, "answer")
    sizes = numbers(graph, "answer", question__tokens=20, best__items=3)
    # 42 tokens: 31 of the chat template, 11 for the 43 bytes of the prompt itself; a note is a dash and a passage.
    assert demanded(found["chat.prefill"], "tokens_in", sizes) == 42 + 3 * (160 + 1) + 20
    assert demanded(found["chat.decode"], "tokens_out", sizes) == 96
    assert demanded(found["redact"], "cpu", sizes) == pytest.approx(20e-6)
    assert found["notes"].times == constant(1.0)
    assert found["hit.template"].times == variable("best.items")
    assert all(graph.handle(name).demand is not None for name in ("writer", "handbook"))


def test_loops_multiply() -> None:
    graph = annotated(P.summarise())
    found = stages(graph, "digest")
    sizes = numbers(graph, "digest", documents__items=4, document__tokens=1200)
    assert found["document.part.chat.decode"].times == variable("documents.items") * variable("parts.items")
    times = found["document.part.chat.decode"].times
    assert times is not None and times.value(sizes) == 4 * 3
    # The last prompt holds a gist of each part of each document.
    assert demanded(found["chat.prefill"], "tokens_in", sizes) == 41 + 4 * 3 * 48


def test_one_assumption_changes_what_follows_from_it() -> None:
    graph = annotated(P.handbook())
    prefill = stages(graph, "answer")["chat.prefill"]
    few, many = (demanded(prefill, "tokens_in", numbers(graph, "answer", question__tokens=n)) for n in (10, 110))
    assert many - few == 100


def test_branches_have_shares_and_filters_too() -> None:
    part = P.call(P.REDACT, 3, text=P.ref("word", TEXT))
    choice = p.If(
        type=TEXT,
        span=P.at(3),
        condition=P.literal(True, BOOL),
        then=P.block(3, result=part),
        otherwise=P.block(3, result=P.ref("word", TEXT)),
    )
    keep = P.literal(True, BOOL)
    body = P.block(3, P.bind(3, "seen", choice), result=P.ref("seen", TEXT))
    loop = P.loop(2, "word", P.ref("words", ListType(TEXT)), body, where=keep)
    graph = annotated(
        P.program(P.pipeline("f", 1, ListType(TEXT), (P.parameter("words", ListType(TEXT)),), P.block(1, result=loop)))
    )
    redact = stages(graph, "f")["word.seen.then.redact"]
    assert redact.times == variable("words.items") * variable("word.where") * variable("seen.then")
    by_name = {size.name: size for size in graph.pipeline("f").sizes}
    assert by_name["word.where"].bound == constant(1.0)
    assert by_name["seen.then"].default == constant(0.5)
    # Half of the texts are redacted, which keeps their size.
    assert numbers(graph, "f", word__tokens=10)["seen.tokens"] == 10


def test_records_carry_the_sizes_of_their_fields() -> None:
    record = p.RecordDeclaration("Pair", (P.parameter("text", TEXT), P.parameter("count", INT)), P.at(1))
    pair = RecordType("Pair")
    built = p.BuildRecord(
        type=pair,
        span=P.at(2),
        record="Pair",
        fields=(p.Argument("text", P.template(2, P.ref("word", TEXT), "1234")), p.Argument("count", P.literal(1, INT))),
    )
    text = P.field(3, P.ref("pair", pair), "text", TEXT)
    body = P.block(2, P.bind(2, "pair", built), P.bind(3, "inner", text), result=P.ref("inner", TEXT))
    graph = annotated(P.program(P.pipeline("f", 1, TEXT, (P.parameter("word", TEXT),), body), records=(record,)))
    assert numbers(graph, "f", word__tokens=7)["inner.tokens"] == 8


def test_streams_have_items_and_tokens() -> None:
    said = P.call(P.SENTENCES, 2, text=P.chat(2, P.ref("word", TEXT), 40))
    again = P.loop(3, "each", P.ref("said", StreamType(TEXT)), P.block(3, result=P.chat(3, P.ref("each", TEXT), 5)))
    body = P.block(2, P.bind(2, "said", said), result=again)
    graph = annotated(
        P.program(
            P.pipeline("f", 1, StreamType(TEXT), (P.parameter("word", TEXT),), body), handles=(P.model("writer", 1),)
        )
    )
    found = stages(graph, "f")
    decode = found["each.chat.decode"]
    # Nothing is known of `sentences` here, so its stream has a size of its own, which a goal may state.
    assert decode.times is not None and decode.times.variables == {"said.tokens"}
    assert {"said.tokens", "f.output", "chat.output"} <= {size.name for size in graph.pipeline("f").sizes}


def test_a_program_without_a_library_is_all_assumed() -> None:
    graph = annotated(P.handbook(), NoLibrary())
    sizes = {size.name: size for size in graph.pipeline("answer").sizes}
    assert sizes["best.items"].basis == "assumed"
    assert all(o.demand is not None for o in walk(graph.pipeline("answer").body) if "entry" in o.attributes)


def test_numbers_of_the_program_bound_replies() -> None:
    size = next(s for s in annotated(P.hello()).pipeline("hello").sizes if s.name == "hello.output")
    assert (size.default, size.bound, size.basis) == (constant(32.0), constant(32.0), "assumed")
    body = P.block(
        2,
        result=P.call(P.CHAT, 2, self=P.handle("writer", P.MODEL), prompt=P.text("hi"), max_tokens=P.ref("most", INT)),
    )
    program = P.program(
        P.pipeline("f", 1, StreamType(TEXT), (P.parameter("most", INT),), body), handles=(P.model("writer", 1),)
    )
    (size,) = annotated(program).pipeline("f").sizes
    assert (size.default, size.bound) == (constant(256.0), None)


# --- from sizes to numbers -------------------------------------------------------------------------------------------

TABLE = (
    Size("question.tokens", constant(64.0), None, "assumed"),
    Size("find.hits.items", constant(8.0), constant(8.0), "program"),
    Size("find_2.hits.items", variable("find.hits.items"), variable("find.hits.items"), "program"),
    Size("notes.item.tokens", variable("question.tokens") * 2.0, variable("question.tokens"), "program"),
    Size("reply.output", constant(96.0), constant(96.0), "assumed"),
)


def resolved(**assumed: float) -> dict[str, tuple[float, float | None, str]]:
    found, unused = resolve(TABLE, {k.replace("__", "."): v for k, v in assumed.items()})
    assert unused == ()
    return {size.name: (size.value, size.bound, size.basis) for size in found}


def test_defaults_follow_each_other() -> None:
    found = resolved()
    assert found["find_2.hits.items"] == (8, 8, "program")
    # The bound of a size without one is not known.
    assert found["notes.item.tokens"] == (128, None, "program")


def test_assumptions_find_their_sizes() -> None:
    assert resolved(question__tokens=10)["notes.item.tokens"] == (20, None, "program")
    assert resolved(reply__tokens=5)["reply.output"] == (5, 96, GOAL)
    assert resolved(notes__tokens=5)["notes.item.tokens"][0] == 5
    both = resolved(hits__items=2)
    assert both["find.hits.items"] == (2, 8, GOAL) and both["find_2.hits.items"] == (2, 8, GOAL)
    one = resolved(find__hits__items=2)
    assert one["find.hits.items"][0] == 2


def test_assumptions_that_fit_nothing_are_said() -> None:
    assert resolve(TABLE, {"answer.tokens": 3.0, "its.items": 1.0})[1] == ("answer.tokens", "its.items")


def test_an_assume_block_by_name() -> None:
    block = (
        p.Assumption("question", Quantity(20.0, TOKENS), P.at(1)),
        p.Assumption("best", Quantity(3.0, COUNT), P.at(1)),
        p.Assumption("reply", Quantity(120.0, TOKENS), P.at(1), output=True),
        p.Assumption("intent", Quantity(0.1, NUMBER), P.at(1), case="Refund"),
    )
    expected = {"question.tokens": 20.0, "best.items": 3.0, "reply.output": 120.0, "intent.Refund": 0.1}
    goal = p.Goal("hello", (), block, P.at(1))
    assert given(goal) == expected
    module, _ = irc.lower(P.program(P.hello().pipelines[0], handles=(P.model("writer", 1),), goals=(goal,)))
    assert module is not None
    assume = module.graph().goals["hello"]["assume"]
    assert isinstance(assume, tuple)
    assert given_data(entry for entry in assume if isinstance(entry, dict)) == expected


def test_formulas_read_and_come_back() -> None:
    formula = variable("a.items") * variable("b.tokens") * 2.5 + 7.0 + variable("a.items") * -1.0
    assert str(formula) == "7 + -1*a.items + 2.5*a.items*b.tokens"
    assert parse(str(formula)) == formula
    assert (formula + formula * -1.0) == ZERO == Formula()
    assert (str(ZERO), parse("0")) == ("0", ZERO)
    with pytest.raises(KeyError, match=r"a\.items"):
        formula.value({})
    for text in ("", "a +", "2 * a", "2*", "import os"):
        with pytest.raises(ValueError, match="not a formula"):
            parse(text)


def test_demands_have_known_terms() -> None:
    assert demand(compute=3.0).compute == constant(3.0)
    assert set(NAMES) >= {"compute", "traffic", "footprint", "tokens_in", "tokens_out"}
    with pytest.raises(TypeError, match="has no memory"):
        demand(memory=3.0)
    with pytest.raises(ValueError, match="not a formula"):
        demand_from({"compute": "lots"})


def test_quantities_have_a_size_in_texts() -> None:
    """A number in a text is a few tokens, whatever its type."""
    body = P.block(2, result=P.template(2, P.ref("rate", FLOAT), P.ref("rate", FLOAT)))
    graph = annotated(P.program(P.pipeline("f", 1, TEXT, (P.parameter("rate", FLOAT),), body)))
    assert graph.pipeline("f").sizes == ()
