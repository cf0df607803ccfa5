"""Each policy of `with`, on a clock that the test moves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from driver import Driver
from graphs import Body
from test_failures import stage

from agentlang.executor.machine import events
from agentlang.executor.machine.faults import ProtocolError
from agentlang.executor.machine.policies import called
from agentlang.ir.graph import Graph, Operation, Region, Value
from agentlang.lang.types import TEXT, ListType, StreamType, Type

STREAM = StreamType(TEXT)


def guarded(result: Type = TEXT, **policies: Any) -> Graph:
    """`call() with policies`"""
    body = Body("p")
    return body.graph(body.guard(stage("call", result), result, **policies))


def begun(graph: Graph, **settings: Any) -> Driver:
    there = Driver(graph, **settings)
    there.begin()
    return there


def fill(there: Driver) -> int:
    """Let the first call make as many items as it may; how many that are."""
    for number in range(200):
        try:
            there.item("call", number)
        except ProtocolError:
            return number
    return 200


# --- timeout ---


def test_the_problem_names_the_call_and_not_the_policies() -> None:
    body = Body("p")

    def within(inner: Body) -> Value:
        return inner.stage("x:call", TEXT, text=inner.stage("x:other", TEXT))

    there = begun(body.graph(body.guard(within, TEXT, timeout=1.0)))
    there.end("other", "x")
    there.at(1)
    problem = there.finished[1].outcome.problem
    # The builder numbers its operations; a compiled program has `call` here.
    assert problem is not None and re.fullmatch(r"call\d+ did not end within 1 s", problem.title)
    assert str(there.finished[1].outcome.stage).startswith("p.guard")


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        ("p.find", "find"),
        ("p.find.search", "find"),
        ("p.chat.detokenize", "chat"),
        ("elsewhere.find", "p.with"),
    ],
)
def test_what_is_called_is_named_as_it_is_written(inner: str, name: str) -> None:
    made, other = Value(0, TEXT), Value(1, TEXT)
    operations = (
        Operation("p.find_text", "agent.constant", (), (other,), {}),
        Operation(inner, "agent.stage", (other,), (made,), {}),
        Operation("p.with.yield", "agent.yield", (made,), (), {}),
    )
    assert called(Operation("p.with", "agent.guard", (), (Value(2, TEXT),), {}, (Region((), operations),))) == name


def test_an_attempt_ends_within_its_timeout() -> None:
    there = begun(guarded(timeout=0.8))
    there.at(0.79)
    assert there.running() == ["call"]
    there.at(0.8)
    assert there.outcome() == ("failed", "timeout")
    there.check_idle()


def test_a_written_timeout_takes_the_place_of_that_of_every_call() -> None:
    there = begun(guarded(timeout=300.0), call_timeout=60.0)
    there.at(299)
    there.end("call", "late")
    assert there.outcome() == ("done", "late")
    there.check_idle()


def test_a_timeout_is_cut_to_what_encloses_it() -> None:
    there = Driver(guarded(timeout=300.0))
    there.begin(timeout=5.0)
    assert there.live[there.of("call")[0]].deadline == 5.0
    there.at(5)
    assert there.outcome() == ("failed", "timeout")
    problem = there.finished[1].outcome.problem
    assert problem is not None and problem.slug == "run-timeout"
    there.check_idle()


def test_timeouts_nest() -> None:
    body = Body("p")
    graph = body.graph(body.guard(lambda b: b.guard(stage("call"), TEXT, timeout=2.0, retries=9), TEXT, timeout=5.0))
    there = begun(graph)
    there.at(5)
    assert there.starts("call") == [0, 2, 4]
    assert there.outcome() == ("failed", "timeout")
    there.check_idle()


def test_the_clock_of_a_call_starts_when_its_arguments_are_there() -> None:
    body = Body("p")
    slow = body.stage("x:slow", TEXT)
    there = begun(body.graph(body.guard(stage("call", text=slow), TEXT, timeout=1.0)))
    there.at(10)
    there.end("slow", "s")
    there.at(10.9)
    there.end("call", "in time")
    assert there.outcome() == ("done", "in time")


def test_time_in_which_the_reader_holds_a_stream_back_is_not_counted() -> None:
    there = Driver(guarded(STREAM, timeout=2.0, idle=1.0), buffer=2)
    there.takes = False
    there.begin()
    for number in range(5):
        there.item("call", number)  # two wait here, two behind it, and one at the caller
    there.at(100)
    assert there.running() == ["call"]
    for _ in range(5):
        there.take()
    there.at(100.9)
    there.item("call", 5)
    there.at(101.8)
    assert there.running() == ["call"]
    there.at(102)
    assert there.outcome() == ("failed", "timeout")
    there.check_idle()


# --- idle ---


def test_a_stream_that_falls_silent_fails() -> None:
    there = begun(guarded(STREAM, idle=2.0))
    there.at(50)
    there.item("call", "a")
    there.at(51)
    there.item("call", "b")
    there.at(52.9)
    assert there.running() == ["call"]
    there.at(53)
    assert there.outcome() == ("failed", "timeout")
    problem = there.finished[1].outcome.problem
    assert problem is not None and problem.slug == "stream-idle"
    there.check_idle()


def test_a_silent_stream_that_is_buffered_can_be_mended() -> None:
    body = Body("p")

    def left(inner: Body) -> Any:
        return inner.buffered(inner.guard(stage("call", STREAM), STREAM, idle=1.0))

    there = begun(body.graph(body.attempt(left, stage("other", STREAM), STREAM, "timeout")))
    there.item("call", "a")
    there.at(1)
    there.item("other", "o")
    there.end("other")
    assert there.out[1] == ["o"]
    there.check_idle()


# --- retry ---


def test_retries_back_off_longer_each_time_and_by_luck() -> None:
    there = begun(guarded(retries=3, backoff=1.0))
    for at in (0.0, 1.0, 3.0):
        there.at(at)
        there.fail("call")
    there.at(7)
    there.end("call", "at last")
    assert there.starts("call") == [0, 1, 3, 7]
    assert there.outcome() == ("done", "at last")
    there.check_idle()
    there = begun(guarded(retries=1, backoff=1.0), luck=lambda: 0.0)
    there.fail("call")
    there.at(1)
    assert there.starts("call") == [0, 0.5]


def test_the_last_failure_counts() -> None:
    there = begun(guarded(retries=1))
    there.fail("call", "timeout")
    there.fail("call", "refused")
    assert there.outcome() == ("failed", "refused")
    there.check_idle()


def test_a_denial_is_not_tried_again() -> None:
    there = begun(guarded(retries=5))
    there.fail("call", "denied")
    assert there.outcome() == ("failed", "denied")
    assert there.starts("call") == [0]


def test_a_stream_is_retried_until_its_first_item() -> None:
    there = begun(guarded(STREAM, retries=2))
    there.fail("call")
    there.item("call", "a")
    there.fail("call", "unreachable")
    assert there.out[1] == ["a"]
    assert there.outcome() == ("failed", "unreachable")
    assert there.starts("call") == [0, 0]


def test_a_pause_ends_with_what_encloses_it() -> None:
    there = Driver(guarded(retries=3, backoff=10.0))
    there.begin(timeout=2.0)
    there.fail("call")
    there.at(2)
    assert there.outcome() == ("failed", "timeout")
    there.check_idle()


def test_a_retry_reads_a_stream_from_outside_from_its_beginning() -> None:
    body = Body("p")
    words = body.stage("x:words", STREAM)
    there = begun(body.graph(body.guard(stage("call", stream=words), TEXT, retries=1)), buffer=2)
    for number in range(6):
        there.item("words", number)
        there.read("call", "stream")
    there.fail("call")
    assert [there.read("call", "stream") for _ in range(6)] == list(range(6))


# --- hedge ---


def test_a_hedge_starts_when_the_first_takes_long_and_the_loser_is_stopped() -> None:
    there = begun(guarded(hedge=0.3))
    there.at(0.3)
    assert there.starts("call") == [0, 0.3]
    there.end("call", "second", which=1)
    assert there.stopped == [(0.3, "call")]
    assert there.outcome() == ("done", "second")
    there.check_idle()


def test_no_hedge_where_the_first_is_quick() -> None:
    there = begun(guarded(hedge=0.3))
    there.at(0.2)
    there.end("call", "first")
    there.at(9)
    assert there.starts("call") == [0]
    there.check_idle()


def test_the_first_item_decides_between_hedged_streams() -> None:
    there = begun(guarded(STREAM, hedge=0.3))
    there.at(0.5)
    there.item("call", "b", which=1)
    assert len(there.stopped) == 1
    there.item("call", "c")
    there.end("call")
    assert there.out[1] == ["b", "c"]
    there.check_idle()


def test_a_first_item_calls_the_hedge_off() -> None:
    there = begun(guarded(STREAM, hedge=0.3))
    there.at(0.1)
    there.item("call", "a")
    there.at(9)
    assert there.starts("call") == [0]


def test_both_must_fail_before_a_hedged_call_fails_or_is_tried_again() -> None:
    there = begun(guarded(hedge=1.0, retries=1))
    there.at(1)
    there.fail("call")
    assert len(there.of("call")) == 1
    there.fail("call")
    assert len(there.of("call")) == 1
    there.at(2)
    assert len(there.of("call")) == 2
    there.end("call", "x")
    assert there.outcome() == ("done", "x")
    there.check_idle()


def test_a_failure_before_the_hedge_is_retried_at_once() -> None:
    there = begun(guarded(hedge=1.0, retries=1))
    there.at(0.5)
    there.fail("call")
    there.at(1.2)
    assert there.starts("call") == [0, 0.5]
    there.at(1.5)
    assert there.starts("call") == [0, 0.5, 1.5]


# --- breaker ---


def test_a_breaker_opens_over_runs_and_lets_one_through_after_its_pause() -> None:
    there = Driver(guarded(breaker=2, breaker_pause=30.0))
    for run in (1, 2):
        there.begin(run)
        there.fail("call")
    there.begin(3)
    assert there.outcome(3) == ("failed", "unavailable")
    there.at(30)
    there.begin(4)
    there.begin(5)
    assert there.outcome(5) == ("failed", "unavailable")
    there.fail("call")
    there.at(59)
    there.begin(6)
    assert there.outcome(6) == ("failed", "unavailable")
    there.at(60)
    there.begin(7)
    there.end("call", "back")
    there.begin(8)
    there.end("call", "again")
    assert there.outcome(7) == ("done", "back") and there.outcome(8) == ("done", "again")
    there.check_idle()


def test_success_between_failures_keeps_a_breaker_closed() -> None:
    there = Driver(guarded(breaker=2, breaker_pause=30.0))
    for run in range(1, 7):
        there.begin(run)
        there.fail("call") if run % 2 else there.end("call", "x")
    there.begin(7)
    assert there.running() == ["call"]


def test_a_retry_that_meets_an_open_breaker_is_not_made() -> None:
    there = begun(guarded(breaker=2, breaker_pause=30.0, retries=5))
    there.fail("call", "refused")
    there.fail("call", "refused")
    assert there.outcome() == ("failed", "refused")
    there.check_idle()


def test_a_trial_that_is_cancelled_decides_nothing() -> None:
    from agentlang.executor.machine import events

    there = Driver(guarded(breaker=1, breaker_pause=10.0))
    there.begin()
    there.fail("call")
    there.at(10)
    there.begin(2)
    there.tell(events.CancelRequested(10.0, 2))
    there.begin(3)
    assert there.running() == ["call"]


# --- rate ---


def test_a_rate_spaces_attempts_over_runs() -> None:
    there = Driver(guarded(rate=4.0))
    for run in range(1, 5):
        there.begin(run)
    there.at(1)
    assert there.starts("call") == [0, 0.25, 0.5, 0.75]
    for _ in range(4):
        there.end("call", "x")
    there.check_idle()


def test_who_has_the_least_time_left_goes_first() -> None:
    there = Driver(guarded(rate=1.0))
    for run, timeout in ((1, None), (2, None), (3, 50.0), (4, 5.0)):
        there.begin(run, timeout=timeout)
    order = [there.live[number].run for number in there.of("call")]
    for at in (1, 2, 3):
        there.at(at)
        order = [there.live[number].run for number in there.of("call")]
    assert order == [1, 4, 3, 2]


def test_one_that_waits_for_the_rate_can_be_cancelled() -> None:
    from agentlang.executor.machine import events

    there = Driver(guarded(rate=1.0))
    there.begin(1)
    there.begin(2)
    there.end("call", "x")
    there.tell(events.CancelRequested(0.0, 2))
    there.check_idle()
    assert there.starts("call") == [0]


def test_retries_take_their_turn_too() -> None:
    there = begun(guarded(rate=1.0, retries=2))
    there.fail("call")
    there.at(0.9)
    assert there.starts("call") == [0]
    there.at(1)
    assert there.starts("call") == [0, 1]


# --- cache ---


def cached(result: Type) -> Driver:
    body = Body("p")
    text = body.input("text", TEXT)
    return Driver(body.graph(body.guard(stage("call", result, text=text), result, cache=60.0)))


def test_an_answer_is_kept_for_equal_inputs_and_for_its_time() -> None:
    there = cached(TEXT)
    there.begin(1, text="a")
    there.end("call", "A")
    there.begin(2, text="a")
    assert there.outcome(2) == ("done", "A")
    there.begin(3, text="b")
    assert there.running() == ["call"]
    there.end("call", "B")
    there.at(60)
    there.begin(4, text="a")
    assert there.running() == ["call"]
    assert there.starts("call") == [0, 0, 60]


def test_a_stream_is_replayed() -> None:
    there = cached(STREAM)
    there.begin(1, text="a")
    for number in range(100):
        there.item("call", number)
    there.begin(2, text="a")
    assert there.out[2] == [], "one that is not complete is no answer yet"
    there.end("call")
    there.begin(3, text="a")
    for run in (2, 3):
        assert there.out[run] == list(range(100)) and there.outcome(run)[0] == "done"
    assert there.starts("call") == [0]
    there.check_idle()


def test_failures_are_not_kept() -> None:
    there = cached(TEXT)
    there.begin(1, text="a")
    there.fail("call")
    there.begin(2, text="a")
    assert there.running() == ["call"]


def test_equal_calls_at_once_are_one() -> None:
    there = cached(TEXT)
    for run, text in enumerate("aaba", 1):
        there.begin(run, text=text)
    assert there.running() == ["call", "call"], "one for each of the texts"
    there.at(3)
    there.end("call", "A")
    assert [there.outcome(run) for run in (1, 2, 4)] == [("done", "A")] * 3
    there.end("call", "B")
    assert there.outcome(3) == ("done", "B") and there.starts("call") == [0, 0]
    there.check_idle()


def test_who_waits_longest_makes_the_call_that_failed() -> None:
    there = cached(TEXT)
    for run in (1, 2, 3):
        there.begin(run, text="a")
        there.at(run)
    there.fail("call")
    assert there.outcome(1) == ("failed", "tool_error")
    assert there.starts("call") == [0, 3], "one of those that wait, not both"
    there.end("call", "A")
    assert there.outcome(2) == there.outcome(3) == ("done", "A")
    there.check_idle()


def test_all_that_wait_fail_when_each_of_their_calls_has() -> None:
    there = cached(TEXT)
    for run in (1, 2, 3):
        there.begin(run, text="a")
    for run in (1, 2, 3):
        there.fail("call")
        assert there.outcome(run) == ("failed", "tool_error")
    assert there.starts("call") == [0, 0, 0]
    there.check_idle()


@pytest.mark.parametrize("result", [TEXT, STREAM])
def test_who_waits_makes_the_call_that_was_stopped(result: Type) -> None:
    there = cached(result)
    there.begin(1, text="a", timeout=5)
    there.begin(2, text="a", timeout=7)
    there.begin(3, text="a", timeout=6)
    there.begin(4, text="a")
    there.at(5)
    assert there.outcome(1) == ("failed", "timeout") and there.starts("call") == [0, 5]
    there.at(6)
    assert there.outcome(3) == ("failed", "timeout") and there.starts("call") == [0, 5], "it only waited"
    there.tell(events.CancelRequested(there.now, 2))
    assert there.outcome(2)[0] == "cancelled" and there.starts("call") == [0, 5, 6]
    if result == STREAM:
        there.item("call", "x")
    there.end("call", None if result == STREAM else "A")
    assert there.outcome(4)[0] == "done"
    there.check_idle()


def test_an_equal_call_whose_reader_waits_is_not_waited_for() -> None:
    """Else two readers could wait for each other: the one for an answer, the other for its turn."""
    there = cached(STREAM)
    there.takes = False
    there.begin(1, text="a")
    there.begin(2, text="a")
    assert fill(there) < 200
    assert there.starts("call") == [0, 0], "the first is held back by its reader"


def test_turns_that_leave_in_order_wait_for_no_later_one() -> None:
    """The second turn makes the call first, and cannot leave before the first turn, which waits for an equal call."""
    body = Body("p")
    items = body.input("items", ListType(TEXT))

    def turn(inner: Body, item: Value) -> Value:
        text = inner.stage("t:name", TEXT, item=item)
        return inner.guard(stage("call", STREAM, text=text), STREAM, cache=60.0)

    there = Driver(body.graph(body.each(items, turn, STREAM)), buffer=4)
    there.begin(items=("x", "y"))
    there.end("name", "a", which=1)
    there.end("name", "a")
    assert there.starts("call") == [0]
    made = fill(there)
    assert there.starts("call") == [0, 0]
    for number in range(50):
        there.item("call", number, which=1)
    there.end("call", which=1)
    for number in range(made, 50):
        there.item("call", number)
    there.end("call")
    assert there.out[1] == [*range(50), *range(50)] and there.outcome()[0] == "done"
    there.check_idle()


def test_equal_turns_of_a_loop_are_one_call() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))

    def turn(inner: Body, item: Value) -> Value:
        return inner.guard(stage("call", TEXT, text=item), TEXT, cache=60.0)

    there = Driver(body.graph(body.each(items, turn, ListType(TEXT))))
    there.begin(items=("a", "b", "a", "a"))
    assert there.starts("call") == [0, 0]
    there.end("call", "A")
    there.end("call", "B")
    assert there.outcome() == ("done", ("A", "B", "A", "A"))
    there.check_idle()


def test_true_and_one_are_different_inputs() -> None:
    there = cached(TEXT)
    for run, value in enumerate([1, 1.0, True, "1", (1,), {"a": 1}, None], 1):
        there.begin(run, text=value)
        there.end("call", run)
        assert there.outcome(run) == ("done", run)


# --- buffer ---


@pytest.mark.parametrize(("bound", "expected"), [(1, [0, 9]), (3, [0, 7, 8, 9])])
def test_a_full_buffer_drops_its_oldest_items(bound: int, expected: list[int]) -> None:
    there = Driver(guarded(STREAM, buffer=bound, drop="oldest"))
    there.takes = False
    there.begin()
    for number in range(10):
        there.item("call", number)
    there.end("call")
    while there.waiting[1]:
        there.take()
    # One was on its way to the caller already.
    assert there.out[1] == expected
    there.check_idle()


def test_the_latest_item_takes_the_place_of_one_that_a_stage_has_not_taken() -> None:
    body = Body("p")
    frames = body.guard(stage("camera", STREAM), STREAM, buffer=1, drop="oldest")
    there = begun(body.graph(body.stage("x:look", TEXT, frames=frames)))
    for number in range(5):
        there.item("camera", number)
    assert there.read("look", "frames") == 4
    there.item("camera", 5)
    assert there.read("look", "frames") == 5


def test_a_written_buffer_holds_the_producer_back() -> None:
    there = begun(guarded(STREAM, buffer=4), buffer=64)
    body = Body("p")
    reply = body.guard(stage("call", STREAM), STREAM, buffer=4)
    there = begun(body.graph(body.stage("x:read", TEXT, stream=reply)), buffer=2)
    for number in range(6):
        there.item("call", number)
    assert there.inboxes[there.reader("read", "stream")] == [0, 1, 2, 3]


# --- approve ---


def asking(**policies: Any) -> Graph:
    body = Body("p")
    question = body.template("Refund ", body.input("amount", TEXT), "?")
    return body.graph(body.guard(stage("pay"), TEXT, question, **policies))


def test_a_person_is_asked_first() -> None:
    there = Driver(asking(timeout=1.0))
    there.begin(amount="$3")
    assert list(there.asked.values()) == ["Refund $3?"] and not there.running()
    there.at(86_400 * 3)
    there.answer(True)
    assert there.running() == ["pay"]
    there.at(86_400 * 3 + 0.5)
    there.end("pay", "paid")
    assert there.outcome() == ("done", "paid")
    there.check_idle()


def test_denial_is_a_failure_that_is_not_retried() -> None:
    there = Driver(asking(retries=3))
    there.begin(amount="$3")
    there.answer(False)
    assert there.outcome() == ("failed", "denied")
    there.check_idle()


def test_no_deadline_runs_while_a_person_thinks() -> None:
    body = Body("p")
    question = body.constant("Really?")
    graph = body.graph(body.guard(lambda b: b.guard(stage("pay"), TEXT, question), TEXT, timeout=5.0))
    there = Driver(graph)
    there.begin(timeout=10.0)
    there.at(1000)
    there.answer(True)
    there.at(1004)
    assert there.running() == ["pay"]
    there.at(1005)
    assert there.outcome() == ("failed", "timeout")
    there.check_idle()


def test_a_run_that_is_cancelled_asks_no_more() -> None:
    from agentlang.executor.machine import events

    there = Driver(asking())
    there.begin(amount="$3")
    there.tell(events.CancelRequested(0.0, 1))
    there.check_idle()


def test_a_guard_in_a_loop_keeps_the_order() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))
    graph = body.graph(
        body.each(items, lambda b, item: b.guard(stage("f", text=item), TEXT, retries=1), ListType(TEXT))
    )
    there = Driver(graph)
    there.begin(items=("a", "b"))
    there.fail("f")
    there.end("f", "B")
    there.end("f", "A")
    assert there.outcome() == ("done", ("A", "B"))
    there.check_idle()
