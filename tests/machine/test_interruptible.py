"""Barge-in: what a newer input of the same session cancels, what it drops on the way, and what goes on."""

from __future__ import annotations

from typing import Any

from driver import Driver
from graphs import Body
from test_failures import sending, stage

from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import TEXT, StreamType, Type

STREAM = StreamType(TEXT)


def talking(result: Type = STREAM, then: str | None = None) -> Graph:
    """`for heard in listen() { interruptible { reply(heard) } }`"""
    body = Body("p")
    heard = body.stage("x:listen", STREAM)
    said = body.each(heard, lambda b, item: b.interruptible(stage("reply", result, text=item), result), STREAM)
    if then is not None:
        said = body.stage(f"x:{then}", STREAM, text=said)
    return body.graph(said)


def begun(graph: Graph, takes: bool = True, **settings: Any) -> Driver:
    there = Driver(graph, **settings)
    there.takes = takes
    there.begin()
    return there


def test_the_next_item_stops_the_reply_and_is_answered_at_once() -> None:
    there = begun(talking())
    there.item("listen", "hello")
    there.item("reply", "a1")
    there.at(1)
    there.item("listen", "wait")
    assert there.stopped == [(1, "reply")]
    assert there.arguments("reply") == {"text": "wait"}
    there.item("reply", "b1")
    there.end("reply")
    there.end("listen")
    assert there.out[1] == ["a1", "b1"]
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_an_item_that_comes_after_the_reply_interrupts_nothing() -> None:
    there = begun(talking())
    there.item("listen", "hello")
    there.item("reply", "a1")
    there.end("reply")
    there.item("listen", "more")
    there.item("reply", "b1")
    there.end("reply")
    there.end("listen")
    assert there.out[1] == ["a1", "b1"] and there.stopped == []


def test_what_is_ready_and_not_heard_is_not_said() -> None:
    there = begun(talking(), takes=False)
    there.item("listen", "hello")
    for number in range(4):
        there.item("reply", f"a{number}")
    there.end("reply")
    there.take()
    there.item("listen", "wait")
    assert there.waiting[1] == []
    assert there.arguments("reply") == {"text": "wait"}
    there.item("reply", "b0")
    there.end("reply")
    there.end("listen")
    there.take()
    assert there.out[1] == ["a0", "b0"]
    there.check_idle()


def test_what_is_left_to_do_when_all_was_heard_is_waited_for() -> None:
    """The next words are answered with what the last answer has stored."""
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(inner: Body, item: Value) -> Value:
        said = inner.interruptible(stage("reply", STREAM, text=item), STREAM)
        inner.stage("x:store", TEXT, text=inner.collect(said))
        return said

    there = begun(body.graph(body.each(heard, turn, STREAM)))
    there.item("listen", "hello")
    there.item("reply", "a1")
    there.end("reply")
    there.item("listen", "more")
    assert there.running() == ["listen", "store"]
    there.end("store")
    assert there.running() == ["listen", "reply"]


def test_what_was_said_and_not_taken_is_dropped_at_every_hop() -> None:
    """Some lies at the stage that speaks, some in the channels before it, and some of what it made at the caller."""
    there = begun(talking(then="speak"), takes=False, buffer=2)
    there.item("listen", "hello")
    for number in range(4):
        there.item("reply", f"a{number}")
    assert there.read("speak", "text") == "a0"
    there.item("speak", "A0")
    assert there.waiting[1] == ["A0"]
    there.item("listen", "wait")
    assert there.waiting[1] == [], "at the caller"
    assert there.inboxes[there.reader("speak", "text")] == [], "at the stage"
    there.item("speak", "A0 again")
    assert there.waiting[1] == [], "what comes of what is stale is stale"
    there.item("reply", "b0")
    assert there.read("speak", "text") == "b0"
    there.item("speak", "B0")
    there.take()
    assert there.out[1] == ["B0"]
    there.end("reply")
    there.end("listen")
    there.end("speak")
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_credits_used_for_dropped_items_come_back() -> None:
    there = begun(talking(then="speak"), takes=False, buffer=2)
    for word in ("one", "two", "three", "four", "five"):
        there.item("listen", word)
        there.item("reply", f"{word}!")
        assert there.read("speak", "text") == f"{word}!"
        for _ in range(2):
            there.item("speak", word)
    there.end("reply")
    there.end("listen")
    there.end("speak")
    while there.waiting[1]:
        there.take()
    assert there.out[1] == ["five", "five"]
    there.check_idle()


def test_a_region_that_gives_a_value_gives_up_the_turn() -> None:
    there = begun(talking(TEXT))
    there.item("listen", "hello")
    there.item("listen", "wait")
    assert len(there.stopped) == 1
    there.end("reply", "for wait")
    there.end("listen")
    assert there.out[1] == ["for wait"]
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_interrupted_is_a_reason_that_can_be_caught() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(inner: Body, item: Value) -> Value:
        def left(region: Body) -> Value:
            return region.interruptible(stage("reply", text=item), TEXT)

        inner.stage("x:note", TEXT, text=inner.attempt(left, lambda b: b.constant("broken off"), TEXT, "interrupted"))
        return item

    there = begun(body.graph(body.each(heard, turn, STREAM)))
    there.item("listen", "hello")
    there.item("listen", "wait")
    assert there.arguments("note") == {"text": "broken off"}
    there.end("note")
    there.end("reply", "fine")
    there.end("note")
    there.end("listen")
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_what_stands_outside_of_the_region_goes_on() -> None:
    """What was really said is kept, though it was broken off."""
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(inner: Body, item: Value) -> Value:
        said = inner.interruptible(stage("reply", STREAM, text=item), STREAM)
        inner.stage("x:store", TEXT, text=inner.collect(said))
        return said

    there = begun(body.graph(body.each(heard, turn, STREAM)))
    there.item("listen", "hello")
    there.item("reply", "a1")
    there.item("listen", "wait")
    assert there.running() == ["listen", "store", "reply"]
    assert there.arguments("store") == {"text": "a1"}
    there.end("reply")
    there.end("listen")
    assert 1 not in there.finished, "the run waits for what was interrupted and has things left to do"
    there.end("store", which=1)
    there.end("store")
    assert there.out[1] == ["a1"]
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_what_comes_before_the_region_is_not_stopped_and_the_region_does_not_come() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(inner: Body, item: Value) -> Value:
        text = inner.stage("x:transcribe", TEXT, audio=item)
        return inner.interruptible(stage("reply", STREAM, text=text), STREAM)

    there = begun(body.graph(body.each(heard, turn, STREAM)))
    there.item("listen", "one")
    there.item("listen", "two")
    assert there.running() == ["listen", "transcribe", "transcribe"] and there.stopped == []
    there.end("transcribe", "ONE")
    assert there.arguments("transcribe") == {"audio": "two"}
    assert "reply" not in there.running()
    there.end("transcribe", "TWO")
    there.item("reply", "answer")
    there.end("reply")
    there.end("listen")
    assert there.out[1] == ["answer"]
    there.check_idle()


def test_what_was_sent_out_of_the_region_is_dropped_and_the_rest_is_not() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(inner: Body, item: Value) -> Value:
        inner.emit(inner.template("heard ", item))

        def region(b: Body) -> Value:
            b.emit(b.stage("x:reply", STREAM, text=item))
            return b.constant("done")

        return inner.interruptible(region, TEXT)

    body.each(heard, turn, STREAM)
    there = begun(sending(body), takes=False)
    there.item("listen", "a")
    there.take()
    there.item("reply", "a1")
    assert there.waiting[1] == ["a1"]
    there.item("listen", "b")
    assert there.waiting[1] == ["heard b"]
    there.take()
    there.item("reply", "b1")
    there.take()
    there.end("reply")
    there.end("listen")
    assert there.out[1] == ["heard a", "heard b", "b1"]
    there.check_idle()


def test_a_loop_behind_drops_what_is_stale_too() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)
    said = body.each(heard, lambda b, item: b.interruptible(stage("reply", STREAM, text=item), STREAM), STREAM)
    spoken = body.each(said, lambda b, item: b.stage("x:speak", TEXT, text=item), STREAM)
    there = begun(body.graph(spoken), takes=False)
    there.item("listen", "one")
    there.item("reply", "a1")
    there.item("reply", "a2")
    there.item("listen", "two")
    assert there.running().count("speak") == 1, "what is no part of the region is not stopped"
    there.end("speak", "A1")
    assert there.waiting[1] == []
    there.item("reply", "b1")
    there.end("speak", "B1")
    assert there.waiting[1] == ["B1"]


# --- runs of a session ---


def answering(result: Type) -> Graph:
    body = Body("p")
    text = body.input("text", TEXT)
    return body.graph(body.interruptible(stage("reply", result, text=text), result))


def test_a_new_run_of_the_session_ends_the_reply_of_the_last() -> None:
    there = Driver(answering(STREAM))
    there.takes = False
    there.begin(1, session="ada", text="hello")
    there.begin(2, session="bob", text="other")
    there.item("reply", "a1")
    there.begin(3, session="ada", text="wait")
    assert there.waiting[1] == []
    assert there.outcome(1)[0] == "done"
    assert [there.live[number].run for number in there.of("reply")] == [2, 3]


def test_a_value_that_was_interrupted_ends_its_run_as_interrupted() -> None:
    there = Driver(answering(TEXT))
    there.begin(1, session="ada", text="hello")
    there.begin(2, session="ada", text="wait")
    assert there.outcome(1) == ("interrupted", "interrupted")
    there.end("reply", "x")
    assert there.outcome(2) == ("done", "x")
    there.check_idle()


def test_a_run_that_is_superseded_begins_nothing_interruptible() -> None:
    body = Body("p")
    text = body.stage("x:transcribe", TEXT, audio=body.input("audio", TEXT))
    there = Driver(body.graph(body.interruptible(stage("reply", STREAM, text=text), STREAM)))
    there.begin(1, session="ada", audio="1")
    there.begin(2, session="ada", audio="2")
    there.end("transcribe", "one")
    assert there.outcome(1)[0] == "done" and "reply" not in there.running(), "its region waited for the text"

    # The region is in a branch that is not entered yet.
    body = Body("p")
    text = body.stage("x:transcribe", TEXT, audio=body.input("audio", TEXT))

    def then(b: Body) -> Value:
        return b.interruptible(stage("reply", STREAM, text=text), STREAM)

    yes = body.binary("==", text, text, TEXT)
    there = Driver(body.graph(body.choose(yes, then, then, STREAM)))
    there.begin(1, session="ada", audio="1")
    there.begin(2, session="ada", audio="2")
    there.end("transcribe", "one")
    assert there.outcome(1)[0] == "done" and "reply" not in there.running()


def test_sessions_end_with_their_runs() -> None:
    there = Driver(answering(TEXT))
    for run in range(1, 4):
        there.begin(run, session="ada", text="x")
        there.end("reply", "y")
    assert there.machine.lifecycle.sessions == {}
