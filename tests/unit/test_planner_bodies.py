"""Matches, repeats, races, fallbacks and policies, on numbers that can be worked out in the head."""

from dataclasses import replace

import pytest
from planner_graphs import demand, graph, machine, op, value

from agentlang.ir.formula import Formula, constant, variable
from agentlang.ir.graph import Graph, Operation, Region, Value
from agentlang.lang.types import TEXT, EnumType, ListType, StreamType, TurnType, Type
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.catalogue import catalogue
from agentlang.planner.predict import Forecast, forecast
from agentlang.planner.rates import of_machine

SHARE = variable("intent.Refund")
STREAM = StreamType(TEXT)


def run(given: Graph, **sizes: float) -> Forecast:
    keys = ["host|toy:work|", "host|python:call|"]
    known = Calibration("toy").refined(Observation(key, 1.0, 1.0) for key in keys for _ in range(3))
    return forecast(given, "answer", sizes, of_machine(machine(), catalogue()["laptop"]), known)


def work(name: str, seconds: float, times: Formula | float = 1.0, operands: tuple[Value, ...] = ()) -> Operation:
    """A stage that keeps the machine for so long: it reads as many bytes."""
    made = op("stage", name, operands, value(TEXT), demand(traffic=seconds * 10e9), entry="toy:work")
    return replace(made, times=times if isinstance(times, Formula) else constant(times))


def body(*operations: Operation, arguments: tuple[Value, ...] = ()) -> Region:
    last = operations[-1]
    end = op("yield", f"{last.id}.yield", last.results)
    return Region(arguments, (*operations, replace(end, times=operations[0].times)))


def whole(*operations: Operation) -> Graph:
    end = op("return", "answer.return", operations[-1].results)
    result = operations[-1].results[0].type
    assert isinstance(result, Type)
    return graph((*(replace(each, times=each.times or constant(1.0)) for each in operations), end), result)


def test_a_match_counts_by_the_shares_of_its_cases() -> None:
    intent = value(EnumType("Intent"), "intent")
    asked = op("stage", "answer.ask", (), intent, demand(traffic=10e9), entry="toy:work")
    arms = (body(work("answer.a", 4.0, SHARE)), body(work("answer.b", 1.0, SHARE * -1.0 + 1.0)))
    match = op("match", "answer.match", (intent,), value(TEXT), None, arms, cases=("Refund", "_"))
    for share in (0.0, 0.25, 1.0):
        found = run(whole(asked, match), **{"intent.Refund": share})
        assert found.finish.at == pytest.approx(1.0 + share * 4.0 + (1.0 - share) * 1.0)
        assert found.busy.get("answer.a", 0.0) == pytest.approx(share * 4.0)
        assert found.executions["answer.b"] == pytest.approx(1.0 - share)
        assert sum(part.seconds for part in found.finish.path) == pytest.approx(found.finish.at)


def test_the_turns_of_a_repeat_follow_each_other() -> None:
    state, turn = value(TEXT, "text"), value(TurnType(TEXT))
    inner = work("answer.text.work", 2.0, variable("text.turns"))
    end = replace(op("turn", "answer.text.turn", inner.results, turn, stop=False), times=variable("text.turns"))
    first = work("answer.first", 1.0)
    repeat = op(
        "repeat",
        "answer.repeat",
        first.results,
        value(TEXT),
        None,
        (body(inner, end, arguments=(state,)),),
        at_most=5,
        variable="text",
    )
    found = run(whole(first, repeat), **{"text.turns": 3.0})
    assert found.finish.at == pytest.approx(1.0 + 3 * 2.0)
    assert found.busy_seconds == pytest.approx(7.0)
    # Without annotation it is as many turns as are allowed.
    bare = replace(
        repeat, regions=(Region((state,), tuple(replace(o, times=None) for o in repeat.regions[0].operations)),)
    )
    assert run(whole(first, bare)).finish.at == pytest.approx(1.0 + 5 * 2.0)


def test_the_fastest_of_a_race_counts_and_the_others_work_until_then() -> None:
    race = op("race", "answer.race", (), value(TEXT), None, (body(work("answer.a", 4.0)), body(work("answer.b", 1.0))))
    after = work("answer.c", 1.0, operands=race.results)
    found = run(whole(race, after))
    assert found.finish.at == pytest.approx(2.0)
    assert found.busy == {
        "answer.a": pytest.approx(1.0),
        "answer.b": pytest.approx(1.0),
        "answer.c": pytest.approx(1.0),
    }


def test_what_is_tried_first_counts_and_a_fallback_by_its_share() -> None:
    failed = variable("answer.otherwise.failed")
    bodies = (body(work("answer.a", 1.0)), body(work("answer.b", 10.0, failed)))
    choice = op("try", "answer.otherwise", (), value(TEXT), None, bodies, reasons=())
    found = run(whole(choice), **{"answer.otherwise.failed": 0.1})
    assert found.finish.at == pytest.approx(1.0)
    assert found.busy.get("answer.b") == pytest.approx(1.0)
    assert run(whole(choice), **{"answer.otherwise.failed": 0.0}).busy == {"answer.a": pytest.approx(1.0)}


def test_policies_cost_nothing_and_wait_for_their_question() -> None:
    plain = whole(work("answer.a", 1.0), work("answer.b", 2.0))
    asked = work("answer.a", 1.0)
    guard = op(
        "guard",
        "answer.with",
        asked.results,
        value(TEXT),
        None,
        (body(work("answer.b", 2.0)),),
        approve=True,
        retries=2,
    )
    held = op("interruptible", "answer.interruptible", (), value(TEXT), None, (body(guard),))
    assert run(whole(asked, held)).finish.at == run(plain).finish.at == pytest.approx(3.0)
    # A light stage has a core of its own, but it does not start before the person has said yes.
    light = replace(work("answer.b", 0.0), demand=demand(cpu=2.0))
    assert run(whole(asked, replace(guard, regions=(body(light),)))).finish.at == pytest.approx(3.0)


def test_a_tool_of_which_nothing_is_known_is_named() -> None:
    tool = replace(
        op("stage", "answer.order", (), value(TEXT), demand(), entry="python:call", tool="order"), times=constant(1.0)
    )
    found = run(whole(tool))
    assert found.free == ("answer.order",)
    assert found.finish.at == 0.0


def generator(*operations: Operation, last: tuple[Value, ...] = ()) -> Operation:
    """The call of a pipeline with these operations, which returns `last`."""
    end = replace(op("yield", "answer.say.return", last), times=constant(1.0))
    inner = (*(replace(each, times=each.times or constant(1.0)) for each in operations), end)
    return op("generator", "answer.say", (), value(STREAM), None, (Region((), inner),))


def emit(given: tuple[Value, ...], name: str = "answer.say.emit") -> Operation:
    return op("emit", name, given)


def test_the_first_item_of_a_generator_is_what_is_emitted_first() -> None:
    slow, quick = work("answer.slow", 2.0), replace(work("answer.quick", 0.0), demand=demand(cpu=0.5))
    said = generator(slow, quick, emit(slow.results), emit(quick.results, "answer.say.emit_2"))
    found = run(whole(said))
    # What is ready early waits for what the program emits before it.
    assert found.first.at == found.finish.at == pytest.approx(2.0)
    assert found.gap is not None
    late = generator(quick, slow, emit(quick.results), emit(slow.results, "answer.say.emit_2"))
    assert (run(whole(late)).first.at, run(whole(late)).finish.at) == (pytest.approx(0.5), pytest.approx(2.0))


def test_who_takes_a_generators_stream_as_a_value_waits_for_its_end() -> None:
    first, second = work("answer.a", 1.0), work("answer.b", 2.0)
    said = generator(first, second, emit(first.results), emit(second.results, "answer.say.emit_2"))
    whole_text = op("collect", "answer.collect", said.results, value(TEXT))
    after = work("answer.c", 1.0, operands=whole_text.results)
    assert run(whole(said, whole_text, after)).finish.at == pytest.approx(1.0 + 2.0 + 1.0)


def test_a_loop_emits_turn_by_turn() -> None:
    item = value(TEXT, "item")
    inner = work("answer.say.item.work", 1.0, 4.0)
    ends = (emit(inner.results), op("yield", "answer.say.item.yield", ()))
    turn = Region((item,), (inner, *(replace(each, times=constant(4.0)) for each in ends)))
    over = op("list", "answer.list", (), value(ListType(TEXT), "items"))
    loop = op("map", "answer.say.map", over.results, None, None, (turn, Region((), ())), at_most=1, variable="item")
    found = run(whole(over, generator(loop)))
    assert (found.first.at, found.finish.at) == (pytest.approx(1.0), pytest.approx(4.0))
    assert found.gap is not None and found.gap.at == pytest.approx(1.0)
    # The same, sent out of the run.
    back = op("return", "answer.return", ())
    straight = run(graph(tuple(replace(each, times=constant(1.0)) for each in (over, loop, back)), STREAM))
    assert (straight.first.at, straight.finish.at) == (pytest.approx(1.0), pytest.approx(4.0))


def test_the_cases_of_a_match_emit_by_their_shares() -> None:
    intent = value(EnumType("Intent"), "intent")
    asked = op("stage", "answer.ask", (), intent, demand(traffic=10e9), entry="toy:work")

    def arm(seconds: float, share: Formula) -> Region:
        made = work(f"answer.{seconds}", seconds, share)
        ends = op("yield", f"y{seconds}", ())
        return Region((), (made, replace(emit(made.results, f"e{seconds}"), times=share), replace(ends, times=share)))

    arms = (arm(4.0, SHARE), arm(1.0, SHARE * -1.0 + 1.0))
    match = op("match", "answer.match", (intent,), None, None, arms, cases=("Refund", "_"))
    found = run(whole(asked, generator(match)), **{"intent.Refund": 0.25})
    assert found.first.at == pytest.approx(1.0 + 0.25 * 4.0 + 0.75 * 1.0)
