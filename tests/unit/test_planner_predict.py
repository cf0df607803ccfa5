"""Demand to seconds, the critical path, streams, loops and branches, on numbers that can be worked out in the head."""

from dataclasses import replace

import pytest
from planner_graphs import chat_graph, demand, graph, machine, map_graph, op, value

from agentlang.ir.formula import variable
from agentlang.ir.graph import Graph, Region
from agentlang.lang.types import BOOL, TEXT, StreamType
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.catalogue import catalogue
from agentlang.planner.cost import EXCESS
from agentlang.planner.figures import Basis
from agentlang.planner.moments import explain
from agentlang.planner.predict import Forecast, forecast
from agentlang.planner.rates import of_machine

SIZES = {"question.tokens": 50.0, "best.items": 4.0, "answer.output": 21.0}
KINDS = ("toy:work", "llm:prefill", "llm:decode")


def exact() -> Calibration:
    """A calibration of stages that run exactly at their roofline."""
    keys = ["host|toy:work|", "host|toy:other|", "xla|llm:prefill|toy-1m", "xla|llm:decode|toy-1m"]
    return Calibration("toy").refined(Observation(key, 1.0, 1.0) for key in keys for _ in range(3))


def run(given: Graph, **sizes: float) -> Forecast:
    rates = of_machine(machine(), catalogue()["laptop"])
    return forecast(given, "answer", {**SIZES, **sizes}, rates, exact())


def test_a_chat_by_hand() -> None:
    """Tokenize 1 ms, prefill 50 x 10 ms, the first token at once; 20 steps of 10 ms; each token 10 us to text."""
    found = run(chat_graph())
    assert found.first.at == pytest.approx(0.001 + 0.5 + 1e-5)
    assert found.gap is not None
    assert found.gap.at == pytest.approx(0.01)
    assert found.finish.at == pytest.approx(0.001 + 0.5 + 0.2 + 1e-5)
    assert found.channels == (("answer.chat.decode", "answer.chat.detokenize"),)
    assert found.opened == ("writer",)
    assert found.busy["answer.chat.prefill"] == pytest.approx(0.5)
    assert found.busy["answer.chat.tokenize"] == pytest.approx(0.0005)  # one of two cores


def test_the_path_of_a_moment_adds_up_and_blames_the_right_stage() -> None:
    found = run(chat_graph())
    for moment in (found.first, found.finish):
        assert sum(part.seconds for part in moment.path) == pytest.approx(moment.at)
    first = explain("first_token", found.first, found.times)
    assert first.dominating is not None
    assert (first.dominating.stage, first.dominating.name) == ("answer.chat.prefill", "FLOPs / peak")
    finish = explain("finish", found.finish, found.times)
    decode = [term for term in finish.terms if term.stage == "answer.chat.decode" and term.value > 0.1]
    assert [term.name for term in decode] == ["weights / bandwidth"]


def test_the_larger_of_computing_and_reading_counts() -> None:
    """A short prompt is bound by reading the weights (10 ms), a long one by its products (10 ms a token)."""
    short = run(chat_graph(), **{"question.tokens": 0.5}).times["answer.chat.prefill"]
    assert short.seconds == pytest.approx(0.01)
    assert short.time.terms[0].name == "weights / bandwidth"
    long = run(chat_graph(), **{"question.tokens": 2.0}).times["answer.chat.prefill"]
    assert long.seconds == pytest.approx(0.02)


def test_cache_reads_are_a_term_of_their_own() -> None:
    given = chat_graph()
    body = given.pipelines[0].body
    made, prompt = variable("answer.output"), variable("question.tokens")
    cache = demand(traffic=made * 1e8 + made * prompt * 1e6 + made * made * 1e5, tokens_out=made)
    operations = tuple(replace(o, demand=cache) if o.name == "agent.decode" else o for o in body.operations)
    changed = replace(given.pipelines[0], body=replace(body, operations=operations))
    time = run(replace(given, pipelines=(changed,))).times["answer.chat.decode"]
    terms = {term.name: term.value for term in time.time.terms}
    assert terms["weights / bandwidth"] == pytest.approx(21 * 0.01)
    assert terms["KV cache / bandwidth"] == pytest.approx((21 * 50 * 1e6 + 21 * 21 * 1e5) / 10e9)


def test_light_bodies_of_a_loop_share_the_cores() -> None:
    """Four bodies of 0.1 s, two at once: two waves. One at once: four. Eight allowed, but only two cores."""
    assert run(map_graph({"cpu": 0.1}, at_most=2)).finish.at == pytest.approx(0.2)
    assert run(map_graph({"cpu": 0.1}, at_most=1)).finish.at == pytest.approx(0.4)
    assert run(map_graph({"cpu": 0.1}, at_most=8)).finish.at == pytest.approx(0.2)


def test_heavy_bodies_of_a_loop_take_turns() -> None:
    """Each body computes for 0.1 s on the whole machine: four take 0.4 s, however many may run at once."""
    for at_most in (1, 2, 8):
        found = run(map_graph({"compute": 10e9}, at_most=at_most))
        assert found.finish.at == pytest.approx(0.4)
        assert found.busy_seconds == pytest.approx(0.4)
        assert found.executions["answer.item.work"] == 4.0


def test_an_empty_loop_takes_no_time() -> None:
    assert run(map_graph({"cpu": 0.1}), **{"best.items": 0.0}).finish.at == 0.0


def test_independent_light_stages_overlap_and_heavy_ones_do_not() -> None:
    def both(**needs: float) -> float:
        a, b, c = value(TEXT), value(TEXT), value(TEXT)
        operations = (
            op("stage", "answer.a", (), a, demand(**needs), entry="toy:work"),
            op("stage", "answer.b", (), b, demand(**needs), entry="toy:work"),
            op("stage", "answer.c", (a, b), c, demand(cpu=0.05), entry="toy:other"),
            op("return", "answer.return", (c,)),
        )
        return run(graph(operations, TEXT)).finish.at

    assert both(cpu=0.1) == pytest.approx(0.15)
    assert both(compute=10e9) == pytest.approx(0.25)


def test_a_stage_starts_on_the_first_item_of_a_stream() -> None:
    """A chat's tokens go through a stage of 1 ms each: the first leaves 1 ms after the first token, not after all."""
    given = chat_graph()
    body = given.pipelines[0].body
    reply, spoken = body.operations[-1].operands[0], value(StreamType(TEXT))
    work = op("stage", "answer.speak", (reply,), spoken, demand(cpu=0.021), entry="toy:work")
    operations = (*body.operations[:-1], work, op("return", "answer.return", (spoken,)))
    changed = replace(given.pipelines[0], body=replace(body, operations=operations))
    found = run(replace(given, pipelines=(changed,)))
    plain = run(given)
    assert found.first.at == pytest.approx(plain.first.at + 0.001)
    assert found.finish.at == pytest.approx(plain.finish.at + 0.001)


def test_all_of_a_stream_is_there_at_its_end() -> None:
    given = chat_graph()
    body = given.pipelines[0].body
    reply, whole = body.operations[-1].operands[0], value(TEXT)
    operations = (
        *body.operations[:-1],
        op("collect", "answer.all", (reply,), whole),
        op("return", "answer.return", (whole,)),
    )
    found = run(replace(given, pipelines=(replace(given.pipelines[0], body=replace(body, operations=operations)),)))
    assert found.gap is None
    assert found.first == found.finish
    assert found.finish.at == pytest.approx(run(given).finish.at)


def test_an_emitted_value_is_the_first_item() -> None:
    a, b = value(TEXT), value(TEXT)
    operations = (
        op("stage", "answer.a", (), a, demand(cpu=0.1), entry="toy:work"),
        op("emit", "answer.emit", (a,)),
        op("stage", "answer.b", (a,), b, demand(cpu=0.3), entry="toy:work"),
        op("return", "answer.return", (b,)),
    )
    found = run(graph(operations, TEXT))
    assert found.first.at == pytest.approx(0.1)
    assert found.finish.at == pytest.approx(0.4)


def test_the_slower_branch_counts() -> None:
    asked, chosen = value(BOOL), value(TEXT)
    slow, fast = value(TEXT), value(TEXT)
    then = Region(
        (), (op("stage", "answer.slow", (), slow, demand(cpu=0.3), entry="toy:work"), op("yield", "y", (slow,)))
    )
    other = Region(
        (), (op("stage", "answer.fast", (), fast, demand(cpu=0.1), entry="toy:work"), op("yield", "z", (fast,)))
    )
    operations = (
        op("stage", "answer.ask", (), asked, demand(cpu=0.2), entry="toy:work"),
        op("if", "answer.if", (asked,), chosen, None, (then, other)),
        op("return", "answer.return", (chosen,)),
    )
    found = run(graph(operations, TEXT))
    assert found.finish.at == pytest.approx(0.5)
    assert found.busy_seconds == pytest.approx(0.5 / 2)


def test_a_call_that_was_not_inlined_counts_as_its_pipeline() -> None:
    question, result = value(TEXT, "question"), value(StreamType(TEXT))
    inner = replace(chat_graph().pipelines[0], name="inner")
    outer = graph(
        (op("call", "answer.inner", (question,), result, callee="inner"), op("return", "answer.return", (result,))),
        StreamType(TEXT),
        (question,),
    )
    found = run(replace(outer, pipelines=(*outer.pipelines, inner)))
    assert found.finish.at == pytest.approx(run(chat_graph()).finish.at)


def test_a_stage_without_demand_is_named() -> None:
    a = value(TEXT)
    operations = (op("stage", "answer.mystery", (), a, entry="toy:mystery"), op("return", "answer.return", (a,)))
    assert run(graph(operations, TEXT)).free == ("answer.mystery",)


def test_a_size_without_a_value_is_a_bug_that_names_it() -> None:
    rates = of_machine(machine(), catalogue()["laptop"])
    with pytest.raises(KeyError, match=r"question\.tokens"):
        forecast(chat_graph(), "answer", {"answer.output": 3.0}, rates, exact())


def test_without_runs_the_excess_is_assumed_and_says_so() -> None:
    rates = of_machine(machine(), catalogue()["laptop"])
    found = forecast(chat_graph(), "answer", SIZES, rates, Calibration("toy"))
    excess = {t.stage: t for t in found.times["answer.chat.decode"].time.terms if t.name == EXCESS}
    assert excess["answer.chat.decode"].basis is Basis.ASSUMED
    assert found.times["answer.chat.decode"].seconds == pytest.approx(0.2 / 0.8)
    assert found.times["answer.chat.prefill"].seconds == pytest.approx(0.5 / 0.75)
    assert found.times["answer.chat.tokenize"].seconds == pytest.approx(0.001)


def test_the_rates_of_an_engine_replace_those_of_the_machine() -> None:
    plain = machine()
    from agentlang.planner.hardware import EngineRates

    twice = replace(plain.bandwidth, value=20e9)
    rates = of_machine(
        replace(plain, engines=(EngineRates("xla", plain.compute, twice, plain.launch),)), catalogue()["laptop"]
    )
    found = forecast(chat_graph(), "answer", SIZES, rates, exact())
    assert found.gap is not None
    assert found.gap.at == pytest.approx(0.005)
