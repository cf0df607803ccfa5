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
from agentlang.ir.passes import PLAIN
from agentlang.ir.sizes import GOAL, given, given_data, resolve
from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    MESSAGE,
    ROLE,
    TEXT,
    EnumType,
    ListType,
    RecordType,
    StreamType,
)

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
    # Into and out of four products: queries, keys and values; output; gate and up; down.
    moved = 3 * ((8 + 16) + (8 + 8) + (8 + 10) + (5 + 8)) * 4
    assert need.traffic.value({"n": n}) == shape.active_parameters * 2.0 + n * (per_token + moved)
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
    graph, problems = irc.compile_graph(program, library or P.SmallLibrary(), passes=PLAIN)
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
    assert parse(str(variable("größe.tokens") * variable("名前.items"))).variables == {"größe.tokens", "名前.items"}
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


def test_sizes_of_branches_turns_and_failures() -> None:
    graph = annotated(P.triage())
    sizes = {size.name: size for size in graph.pipeline("triage").sizes}
    operations = {operation.id: operation for operation in walk(graph.pipeline("triage").body)}

    def times(name: str) -> Formula | None:
        return operations[f"triage.{name}"].times

    assert times("route.Refund.refund") == variable("intent.Refund")
    assert times("route.Question.chat.decode") == variable("intent.Question")
    # The wildcard is for the one case that is left.
    assert times("route._.yield") == variable("intent.Spam")
    assert times("draft.if") == variable("draft.turns")
    assert times("race.1.yield") == times("race.2.yield") == times("interruptible") == constant(1.0)
    fallback = operations["triage.route.Refund.otherwise"].regions[1].operations
    assert {o.times for o in fallback} == {variable("intent.Refund") * variable("route.Refund.otherwise.failed")}
    assert sizes["draft.turns"].default == sizes["draft.turns"].bound == constant(4.0)
    assert sizes["route.Refund.otherwise.failed"].default == ZERO
    assert {size.name for size in sizes.values() if size.group == "intent"} == {
        "intent.Refund",
        "intent.Question",
        "intent.Spam",
    }
    # A reply into a type is at most as long as its `max_tokens`, and so is each of its parts.
    assert sizes["intent.output"].bound == constant(48.0)
    assert (sizes["topic.tokens"].default, sizes["topic.tokens"].bound) == (variable("intent.output"), constant(48.0))
    order = operations["triage.route.Refund.order"].demand
    assert order is not None and order.cpu == constant(0.002)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({}, (1 / 3, 1 / 3, 1 / 3)),
        ({"intent.Refund": 0.1}, (0.1, 0.45, 0.45)),
        ({"intent.Spam": 0.7}, (0.15, 0.15, 0.7)),
        ({"intent.Refund": 0.1, "intent.Spam": 0.7}, (0.1, 0.2, 0.7)),
        ({"intent.Refund": 1.0}, (1.0, 0.0, 0.0)),
        ({"intent.Refund": 0.8, "intent.Spam": 0.7}, (0.8, 0.0, 0.7)),
    ],
)
def test_what_is_not_stated_of_a_whole_is_shared(stated: dict[str, float], expected: tuple[float, ...]) -> None:
    resolved, unused = resolve(annotated(P.triage()).pipeline("triage").sizes, stated)
    values = {size.name: size.value for size in resolved}
    names = ("intent.Refund", "intent.Question", "intent.Spam")
    assert tuple(values[name] for name in names) == pytest.approx(expected)
    assert unused == ()


def test_the_turns_of_a_loop_can_be_stated() -> None:
    goal = P.triage().goals[0]
    assert given(goal) == {"intent.Refund": 0.1}
    sizes = annotated(P.triage()).pipeline("triage").sizes
    (turns,) = (size for size in resolve(sizes, {"draft.items": 2.0})[0] if size.name == "draft.turns")
    assert (turns.value, turns.basis) == (2.0, GOAL)


def test_one_decision_has_one_share_however_often_it_is_looked_at() -> None:
    """Two matches over one value, one of them with `_`."""
    intent = P.ref("intent", EnumType("Intent"))
    spam = P.arm(3, "Spam", P.block(3, result=P.call(P.REDACT, 3, text=P.text("x"))))
    rest = P.arm(3, None, P.block(3, result=P.text("y")))
    matches = [P.match(3, intent, spam, rest) for _ in range(2)]
    body = P.block(1, P.bind(2, "a", matches[0]), result=matches[1])
    pipeline = P.pipeline("f", 1, TEXT, (P.parameter("intent", EnumType("Intent")),), body)
    graph = annotated(P.program(pipeline, enums=(P.INTENT,)))
    operations = {operation.id: operation for operation in walk(graph.pipeline("f").body)}
    assert operations["f.a.Spam.redact"].times == operations["f.match.Spam.redact"].times == variable("intent.Spam")
    assert operations["f.match._.yield"].times == variable("intent.Refund") + variable("intent.Question")


def test_a_conversation_is_as_long_as_its_messages() -> None:
    said = P.ref("said", ListType(MESSAGE))
    chat = P.chat(2, said, 8)
    pipeline = P.pipeline("f", 1, StreamType(TEXT), (P.parameter("said", ListType(MESSAGE)),), P.block(1, result=chat))
    graph = annotated(P.program(pipeline, handles=(P.model("writer", 1),), records=(MESSAGE_RECORD,), enums=(ROLES,)))
    tokenize = next(o for o in walk(graph.pipeline("f").body) if o.name == "agent.tokenize")
    assert tokenize.demand is not None
    assert tokenize.demand.tokens_in == variable("said.items") * variable("said.item.tokens") + 31.0


MESSAGE_RECORD = p.RecordDeclaration("Message", (P.parameter("role", ROLE), P.parameter("text", TEXT)), P.at(1))
ROLES = p.EnumDeclaration("Role", tuple(p.EnumCase(n, (), P.at(1)) for n in ("System", "User", "Assistant")), P.at(1))
