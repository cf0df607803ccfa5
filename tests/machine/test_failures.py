"""Failure as a value: `otherwise`, `race` and `buffered`, with what stops, what is taken back and what goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driver import Driver
from graphs import Body

from agentlang.base.problems import Problem
from agentlang.executor.machine import events
from agentlang.ir.graph import Graph, GraphPipeline, Region, Value
from agentlang.lang.types import INT, TEXT, EnumType, ListType, OptionType, StreamType, Type

STREAM = StreamType(TEXT)


def stage(name: str, result: Type = TEXT, **arguments: Value) -> Callable[[Body], Value]:
    return lambda body: body.stage(f"x:{name}", result, **arguments)


def sending(body: Body) -> Graph:
    """A graph whose items leave by `emit` alone."""
    body.operation("agent.return", ())
    pipeline = GraphPipeline(
        body.name, tuple(body.inputs), STREAM, Region(tuple(body.arguments), tuple(body.operations))
    )
    return Graph("", (), (), (pipeline,))


# --- otherwise ---


def otherwise(result: Type = TEXT, *reasons: str) -> Driver:
    body = Body("p")
    there = Driver(body.graph(body.attempt(stage("left", result), stage("right", result), result, *reasons)))
    there.begin()
    return there


def test_the_fallback_is_not_started_where_the_left_succeeds() -> None:
    there = otherwise()
    assert there.running() == ["left"]
    there.end("left", "L")
    assert there.outcome() == ("done", "L")
    there.check_idle()


def test_the_fallback_answers_where_the_left_fails() -> None:
    there = otherwise()
    there.fail("left")
    assert there.running() == ["right"]
    there.end("right", "R")
    assert there.outcome() == ("done", "R")
    there.check_idle()


def test_reasons_choose_what_is_caught() -> None:
    there = otherwise(TEXT, "timeout", "denied")
    there.fail("left", "tool_error")
    assert there.outcome() == ("failed", "tool_error")
    there = otherwise(TEXT, "timeout", "denied")
    there.fail("left", "denied")
    there.end("right", "R")
    assert there.outcome() == ("done", "R")


def test_a_fallback_that_fails_fails_with_its_own_reason() -> None:
    there = otherwise()
    there.fail("left", "timeout")
    there.fail("right", "refused")
    assert there.outcome() == ("failed", "refused")
    there.check_idle()


def test_all_else_in_the_region_is_stopped_and_nothing_outside_of_it() -> None:
    body = Body("p")
    outside = body.stage("x:outside", TEXT)

    def left(inner: Body) -> Value:
        return inner.template(inner.stage("x:one", TEXT), inner.stage("x:two", TEXT))

    graph = body.graph(body.template(outside, body.attempt(left, stage("right"), TEXT)))
    there = Driver(graph)
    there.begin()
    there.fail("one")
    assert there.stopped == [(0.0, "two")]
    assert there.running() == ["outside", "right"]
    there.end("outside", "O")
    there.end("right", "R")
    assert there.outcome() == ("done", "OR")
    there.check_idle()


def test_a_value_counts_only_when_all_of_its_region_is_done() -> None:
    """Whether the tool fails before or after the answer is there makes no difference."""
    body = Body("p")

    def left(inner: Body) -> Value:
        inner.stage("x:log", TEXT)
        return inner.stage("x:answer", TEXT)

    graph = body.graph(body.attempt(left, stage("right"), TEXT))
    for first, second in (("answer", "log"), ("log", "answer")):
        there = Driver(graph)
        there.begin()
        for name in (first, second):
            if name in there.running():
                there.fail(name) if name == "log" else there.end(name, "A")
        there.end("right", "R")
        assert there.outcome() == ("done", "R")


def test_arithmetic_and_conversions_can_be_caught() -> None:
    body = Body("p")

    def left(inner: Body) -> Value:
        return inner.binary("/", inner.constant(1, INT), inner.constant(0, INT), INT)

    there = Driver(body.graph(body.attempt(left, lambda inner: inner.constant(7, INT), INT, "bad_value")))
    there.begin()
    assert there.outcome() == ("done", 7)


def test_a_stream_that_fails_before_its_first_item_falls_back() -> None:
    there = otherwise(STREAM)
    there.fail("left")
    there.item("right", "r")
    there.end("right")
    assert there.out[1] == ["r"]
    assert there.outcome() == ("done", None)


def test_a_stream_that_fails_after_its_first_item_fails_the_run_with_what_left() -> None:
    there = otherwise(STREAM)
    there.item("left", "l")
    there.fail("left", "unreachable")
    assert there.started == [(0.0, "left")]
    assert there.out[1] == ["l"]
    assert there.outcome() == ("failed", "unreachable")
    there.check_idle()


def test_a_buffered_stream_can_be_mended_to_its_end() -> None:
    body = Body("p")
    graph = body.graph(
        body.attempt(lambda inner: inner.buffered(inner.stage("x:left", STREAM)), stage("right", STREAM), STREAM)
    )
    there = Driver(graph)
    there.begin()
    for number in range(100):
        there.item("left", number)
    assert there.out[1] == []
    there.fail("left")
    there.item("right", "r")
    there.end("right")
    assert there.out[1] == ["r"]
    there = Driver(graph)
    there.begin()
    for number in range(100):
        there.item("left", number)
    there.end("left")
    assert there.out[1] == list(range(100))
    there.check_idle()


def test_a_failure_is_caught_where_the_call_stands_and_not_where_it_is_read() -> None:
    body = Body("p")
    reply = body.stage("x:reply", STREAM)
    there = Driver(body.graph(body.attempt(lambda inner: inner.collect(reply), stage("right"), TEXT)))
    there.begin()
    there.fail("reply")
    assert there.outcome() == ("failed", "tool_error")


def test_a_fallback_reads_a_stream_from_outside_from_its_beginning() -> None:
    body = Body("p")
    words = body.stage("x:words", STREAM)
    graph = body.graph(body.attempt(stage("left", stream=words), stage("right", stream=words), TEXT))
    there = Driver(graph, buffer=2)
    there.begin()
    for number in range(10):
        there.item("words", number)
        assert there.read("left", "stream") == number
    there.fail("left")
    assert [there.read("right", "stream") for _ in range(10)] == list(range(10))
    there.end("right", "R")
    assert there.outcome() == ("done", "R")
    there.check_idle()


def test_what_a_failed_region_has_not_sent_is_dropped() -> None:
    body = Body("p")
    body.emit(body.stage("x:before", STREAM))

    def left(inner: Body) -> Value:
        inner.emit(inner.constant("from left"))
        return inner.stage("x:left", TEXT)

    body.emit(body.attempt(left, stage("right"), TEXT))
    there = Driver(sending(body))
    there.begin()
    there.fail("left")
    there.item("before", "b")
    there.end("before")
    there.end("right", "R")
    assert there.out[1] == ["b", "R"]
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_what_a_region_has_sent_cannot_be_taken_back() -> None:
    body = Body("p")

    def left(inner: Body) -> Value:
        inner.emit(inner.constant("from left"))
        return inner.stage("x:left", TEXT)

    body.emit(body.attempt(left, stage("right"), TEXT))
    there = Driver(sending(body))
    there.begin()
    assert there.out[1] == ["from left"]
    there.fail("left")
    assert there.outcome() == ("failed", "tool_error")


def test_regions_nest() -> None:
    body = Body("p")

    def inner(region: Body) -> Value:
        return region.attempt(stage("one"), stage("two"), TEXT, "timeout")

    there = Driver(body.graph(body.attempt(inner, stage("three"), TEXT)))
    there.begin()
    there.fail("one", "timeout")
    there.fail("two", "timeout")
    there.end("three", "3")
    assert there.outcome() == ("done", "3")
    there.check_idle()


def test_a_model_that_does_not_open_can_be_replaced() -> None:
    body = Body("p")
    remote, local = body.open("remote"), body.open("local")
    graph = body.graph(body.attempt(stage("left", model=remote), stage("right", model=local), TEXT, "unreachable"))
    there = Driver(graph)
    there.begin()
    there.tell(events.HandleFailed(1.0, "remote", "unreachable", Problem("gone", "gone")))
    there.tell(events.HandleOpened(1.0, "local"))
    there.end("right", "R")
    assert there.outcome() == ("done", "R")
    there.check_idle()


# --- race ---


def race(result: Type = TEXT) -> Driver:
    body = Body("p")
    there = Driver(body.graph(body.race(result, stage("one", result), stage("two", result), stage("three", result))))
    there.begin()
    return there


def test_the_first_answer_wins_and_the_others_are_stopped() -> None:
    there = race()
    there.fail("one")
    there.end("three", "3")
    assert there.stopped == [(0.0, "two")]
    assert there.outcome() == ("done", "3")
    there.check_idle()


def test_a_race_fails_when_all_fail_as_the_first_of_them() -> None:
    there = race()
    there.fail("three", "timeout")
    there.fail("one", "refused")
    there.fail("two", "denied")
    assert there.outcome() == ("failed", "refused")
    there.check_idle()


def test_the_first_item_wins_a_race_of_streams() -> None:
    there = race(STREAM)
    there.item("two", "a")
    assert [name for _, name in there.stopped] == ["one", "three"]
    there.item("two", "b")
    there.end("two")
    assert there.out[1] == ["a", "b"]
    there.check_idle()


def test_a_stream_that_ends_without_items_is_an_answer() -> None:
    there = race(STREAM)
    there.end("two")
    assert there.out[1] == [] and there.outcome()[0] == "done"
    there.check_idle()


def test_the_winner_of_a_race_that_fails_later_fails_it() -> None:
    there = race(STREAM)
    there.item("one", "a")
    there.fail("one", "unreachable")
    assert there.outcome() == ("failed", "unreachable")


def test_branches_of_a_race_do_not_hold_each_other_back() -> None:
    body = Body("p")
    words = body.stage("x:words", STREAM)
    there = Driver(body.graph(body.race(TEXT, stage("fast", stream=words), stage("slow", stream=words))), buffer=2)
    there.begin()
    for number in range(9):
        there.item("words", number)
        there.read("fast", "stream")
    there.end("fast", "F")
    assert there.outcome() == ("done", "F")
    there.check_idle()


# --- match and repeat ---


@pytest.mark.parametrize(
    ("subject", "expected"), [("Other", "other"), ({"Refund": {"order": "7"}}, "refund 7"), ("Spam", "rest")]
)
def test_match_over_an_enum(subject: object, expected: str) -> None:
    body = Body("p")
    given = body.input("given", EnumType("Intent"))
    result = body.match(
        given,
        TEXT,
        Refund=((TEXT,), lambda inner, order: inner.template("refund ", order)),
        Other=((), lambda inner: inner.constant("other")),
        rest=((), lambda inner: inner.constant("rest")),
    )
    there = Driver(body.graph(result))
    there.begin(given=subject)
    assert there.outcome() == ("done", expected)


def test_match_over_an_option_gives_streams_too() -> None:
    body = Body("p")
    given = body.input("given", OptionType(TEXT))
    result = body.match(
        given,
        STREAM,
        none=((), lambda inner: inner.stage("x:nothing", STREAM)),
        some=((TEXT,), lambda inner, text: inner.stage("x:one", STREAM, text=text)),
    )
    there = Driver(body.graph(result))
    there.begin(given="a")
    assert there.running() == ["one"] and there.arguments("one") == {"text": "a"}
    there.begin(2, given=None)
    assert there.running() == ["one", "nothing"]


def test_repeat_goes_on_until_a_turn_stops() -> None:
    body = Body("p")

    def turn(inner: Body, state: Value) -> Value:
        draft = inner.stage("x:improve", TEXT, text=state)
        good = inner.binary("contains", draft, inner.constant("good"), INT)
        return inner.choose(
            good, lambda b: b.turn(draft, stop=True), lambda b: b.turn(draft, stop=False), inner.turn(draft, True).type
        )  # type: ignore[arg-type]

    graph = body.graph(body.repeat(body.constant("d"), 3, turn))
    there = Driver(graph)
    there.begin()
    there.end("improve", "d1")
    assert there.arguments("improve") == {"text": "d1"} and there.live[there.of("improve")[0]].index == (1,)
    there.end("improve", "good")
    assert there.outcome() == ("done", "good")
    there = Driver(graph)
    there.begin()
    for number in range(3):
        there.end("improve", f"d{number}")
    assert there.outcome() == ("done", "d2")
    there.check_idle()


def test_ten_thousand_turns_need_no_recursion() -> None:
    body = Body("p")
    count = body.constant(0, INT)

    def turn(inner: Body, state: Value) -> Value:
        return inner.turn(inner.binary("+", state, inner.constant(1, INT), INT), stop=False)

    there = Driver(body.graph(body.repeat(count, 10_000, turn)))
    there.begin()
    assert there.outcome() == ("done", 10_000)


def test_a_failure_in_a_loop_is_caught_around_the_loop_or_in_its_turn() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))

    def turn(inner: Body, item: Value) -> Value:
        return inner.attempt(stage("f", text=item), lambda _: item, TEXT)

    there = Driver(body.graph(body.each(items, turn, ListType(TEXT))))
    there.begin(items=("a", "b", "c"))
    there.fail("f", which=1)
    there.end("f", "A")
    there.end("f", "C")
    assert there.outcome() == ("done", ("A", "b", "C"))

    body = Body("p")
    items = body.input("items", ListType(TEXT))

    def whole(inner: Body) -> Value:
        return inner.each(items, lambda b, item: b.stage("x:f", TEXT, text=item), ListType(TEXT))

    there = Driver(body.graph(body.attempt(whole, lambda _: items, ListType(TEXT))))
    there.begin(items=("a", "b", "c"))
    there.end("f", "A")
    there.fail("f")
    assert there.stopped == [(0.0, "f")]
    assert there.outcome() == ("done", ("a", "b", "c"))
    there.check_idle()
