"""What a pipeline emits is a stream to who calls it: when it flows, in which order, who holds it back, how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from agent_sources import checked
from driver import Driver
from graphs import Body
from ir_meaning import run
from ir_oracle import outcome
from ir_programs import SmallLibrary
from test_failures import stage
from test_policies import fill
from test_shell import Arguments, Library, end_of, frames_of, items_of

from agentlang.executor.kinds import Context
from agentlang.ir.compile import compile_graph
from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import BOOL, TEXT, ListType, OptionType, StreamType, TurnType

STREAM = StreamType(TEXT)
TEXTS = ListType(TEXT)


def begun(graph: Graph, takes: bool = True, inputs: dict[str, object] | None = None, **settings: Any) -> Driver:
    there = Driver(graph, **settings)
    there.takes = takes
    there.begin(**(inputs or {}))
    return there


def emitting(*values: Callable[[Body], Value], last: Callable[[Body], Value] | None = None) -> Callable[[Body], Value]:
    """A pipeline that emits these one after the other, and then returns the last."""

    def write(inner: Body) -> Value | None:
        for value in values:
            inner.emit(value(inner))
        return None if last is None else last(inner)

    return lambda body: body.generator(write, STREAM)


# --- when it flows ---


def test_an_item_is_there_as_soon_as_it_is_emitted() -> None:
    body = Body("p")
    there = begun(body.graph(body.stage("x:read", STREAM, text=emitting(stage("a"), stage("b"), stage("c"))(body))))
    assert set(there.running()) == {"read", "a", "b", "c"}
    there.end("b", "2")
    assert there.reader("read", "text") not in there.inboxes
    there.end("a", "1")
    assert there.read("read", "text") == "1" and there.read("read", "text") == "2"
    there.end("c", "3")
    assert there.read("read", "text") == "3"
    assert there.reader("read", "text") in there.ended
    there.end("read")
    there.check_idle()


def test_what_is_returned_leaves_behind_what_is_emitted() -> None:
    body = Body("p")
    there = begun(body.graph(emitting(stage("a"), last=stage("rest", STREAM))(body)))
    there.item("rest", "2")
    there.end("rest")
    assert there.out[1] == []
    there.end("a", "1")
    assert there.out[1] == ["1", "2"]
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_loops_and_branches_emit_in_the_order_of_the_program() -> None:
    """Turns beside one another, an `if` without `else`, a `match` and a `repeat`: whichever is ready first waits."""
    body = Body("p")
    items = body.input("items", TEXTS)

    def turn(inner: Body, item: Value) -> None:
        inner.emit(inner.template("<", item))
        said = inner.stage("x:say", TEXT, text=item)
        inner.choose_to(inner.binary("==", item, inner.constant("a"), BOOL), lambda b: b.emit(said))

    def again(inner: Body, state: Value) -> Value:
        inner.emit(inner.template("r", state))
        following = inner.template(state, "!")
        stop = inner.binary("==", following, inner.constant("!!"), BOOL)
        return inner.choose(stop, lambda b: b.turn(following, True), lambda b: b.turn(following, False), TurnType(TEXT))

    def write(inner: Body) -> Value:
        inner.each_does(items, turn, at_most=2)
        inner.repeat(inner.constant(""), 9, again)
        none = inner.constant(None, OptionType(TEXT))

        def arm(b: Body, *_: Value) -> Value:
            b.emit(b.constant("none"))
            return b.stage("x:last", STREAM)

        return inner.match(none, STREAM, none=((), arm), some=((TEXT,), arm))

    there = begun(body.graph(body.generator(write, STREAM)), inputs={"items": ("a", "b", "c")})
    assert there.out[1] == ["<a"]
    there.item("last", "end")
    there.end("say", "B", which=1)
    # The turn of "b" is not over: what it emitted waits for what that of "a" emits.
    assert [there.arguments("say", which)["text"] for which in range(len(there.of("say")))] == ["a"]
    there.end("say", "A")
    assert there.out[1] == ["<a", "A", "<b", "<c", "r", "r!", "none", "end"]
    there.end("last")
    there.end("say", "C")
    assert there.outcome()[0] == "done"
    there.check_idle()


def test_generators_in_the_turns_of_a_loop_are_put_behind_one_another() -> None:
    body = Body("p")
    items = body.input("items", TEXTS)
    said = body.each(items, lambda b, item: emitting(stage("say", text=item), stage("say", text=item))(b), STREAM)
    there = begun(body.graph(body.collect(said)), inputs={"items": ("a", "b")})
    for which, value in ((3, "4"), (1, "2"), (1, "3"), (0, "1")):
        there.end("say", value, which)
    assert there.outcome() == ("done", "1234")
    there.check_idle()


# --- who holds it back ---


def test_a_slow_reader_holds_the_stages_back() -> None:
    body = Body("p")
    there = begun(body.graph(emitting(stage("call", STREAM))(body)), takes=False, buffer=4)
    # One is with the caller, four wait in the generator's stream and four in that of the call.
    assert fill(there) <= 9
    waiting = len(there.waiting[1])
    for _ in range(waiting):
        there.take()
    assert fill(there) > 0


def test_what_waits_for_a_turn_that_waits_does_not_begin() -> None:
    """A loop over a stream takes the next item when what its last turn emitted has left."""
    body = Body("p")
    heard = body.stage("x:call", STREAM)
    there = begun(
        body.graph(
            body.generator(lambda b: b.each_does(heard, lambda inner, item: inner.emit(item)), STREAM),
        ),
        takes=False,
        buffer=2,
    )
    assert fill(there) <= 6
    while there.waiting[1]:
        there.take()
    assert fill(there) > 0


def test_all_is_stopped_when_the_last_reader_has_gone() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def write(inner: Body) -> Value:
        inner.each_does(heard, lambda turn, item: turn.emit(turn.stage("x:say", STREAM, text=item)))
        return inner.stage("x:rest", STREAM)

    said = body.generator(write, STREAM)
    there = begun(body.graph(body.stage("x:first", TEXT, stream=said)))
    there.item("listen", "a")
    there.item("say", "A")
    there.end("first", "A")
    assert sorted(name for _, name in there.stopped) == ["listen", "rest", "say"]
    assert there.outcome() == ("done", "A")
    there.check_idle()


def test_a_loop_that_waits_for_an_item_is_told_that_nobody_reads() -> None:
    body = Body("p")
    heard = body.stage("x:listen", STREAM)
    said = body.generator(lambda b: b.each_does(heard, lambda inner, item: inner.emit(item)), STREAM)
    there = begun(body.graph(body.stage("x:first", TEXT, stream=said)))
    there.end("first", "none")
    assert there.stopped == [(0, "listen")]
    assert there.outcome() == ("done", "none")
    there.check_idle()


def test_a_call_that_gives_a_value_runs_to_its_end_though_nobody_reads() -> None:
    body = Body("p")
    said = emitting(stage("act"), stage("more", STREAM))(body)
    there = begun(body.graph(body.stage("x:first", TEXT, stream=said)))
    there.end("first", "none")
    assert there.running() == ["act"] and there.stopped == [(0, "more")]
    there.end("act", "done")
    assert there.outcome() == ("done", "none")
    there.check_idle()


def test_a_generator_that_nobody_uses_runs_only_what_acts() -> None:
    body = Body("p")
    emitting(stage("act"), stage("more", STREAM))(body)
    emitting(stage("other", STREAM))(body)
    there = begun(body.graph(body.constant("x")))
    assert there.running() == ["act"]
    there.end("act", "done")
    assert there.outcome() == ("done", "x")
    there.check_idle()


# --- how it fails ---


def caught(**settings: Any) -> Driver:
    """`say() otherwise "plain"`, where `say` emits what two calls give."""
    body = Body("p")
    left = emitting(stage("a"), stage("b"))
    return begun(body.graph(body.attempt(left, stage("plain", STREAM), STREAM)), **settings)


def test_a_failure_before_the_first_item_is_caught() -> None:
    there = caught()
    there.fail("a")
    assert there.stopped == [(0, "b")] and there.running() == ["plain"]
    there.item("plain", "P")
    there.end("plain")
    assert there.out[1] == ["P"] and there.outcome()[0] == "done"
    there.check_idle()


def test_what_was_emitted_and_did_not_leave_is_dropped() -> None:
    there = caught()
    there.end("b", "2")
    there.fail("a")
    there.item("plain", "P")
    there.end("plain")
    assert there.out[1] == ["P"]


def test_a_failure_after_the_first_item_fails_the_run() -> None:
    there = caught()
    there.end("a", "1")
    there.fail("b")
    assert there.out[1] == ["1"] and there.outcome() == ("failed", "tool_error")
    there.check_idle()


def test_a_retry_begins_again_and_a_hedge_runs_beside() -> None:
    body = Body("p")
    said = body.guard(emitting(stage("a"), stage("b")), STREAM, retries=1, hedge=5.0)
    there = begun(body.graph(said))
    there.end("b", "old")
    there.fail("a")
    assert sorted(there.running()) == ["a", "b"]
    there.at(5)
    assert sorted(there.running()) == ["a", "a", "b", "b"]
    there.end("a", "1", which=1)
    assert there.stopped == [(5, "a"), (5, "b")]
    there.end("b", "2")
    assert there.out[1] == ["1", "2"] and there.outcome()[0] == "done"
    there.check_idle()


def test_an_answer_is_kept_whole() -> None:
    body = Body("p")
    graph = body.graph(body.guard(emitting(stage("a"), stage("b")), STREAM, cache=60.0))
    there = begun(graph)
    there.end("b", "2")
    there.end("a", "1")
    there.begin(2)
    assert there.out == {1: ["1", "2"], 2: ["1", "2"]} and there.running() == []
    there.check_idle()


def test_a_value_that_is_made_of_it_waits_for_all_of_it() -> None:
    """What fails behind the last item is caught where a value is made."""
    body = Body("p")

    def left(inner: Body) -> Value:
        def write(b: Body) -> None:
            b.emit(b.constant("1"))
            b.stage("x:late", TEXT)

        return inner.collect(inner.generator(write, STREAM))

    there = begun(body.graph(body.attempt(left, stage("right"), TEXT)))
    there.fail("late")
    there.end("right", "R")
    assert there.outcome() == ("done", "R")
    there.check_idle()


def test_a_cancelled_run_leaves_nothing() -> None:
    from agentlang.executor.machine import events

    body = Body("p")
    there = begun(body.graph(emitting(stage("a"), stage("b", STREAM))(body)))
    there.tell(events.CancelRequested(0, 1))
    assert there.outcome()[0] == "cancelled"
    there.check_idle()


# --- barge-in ---


def talking(inside: bool) -> Graph:
    """`for heard in listen() { interruptible { say(heard) } }` where `say` emits, or `interruptible` inside of it."""
    body = Body("p")
    heard = body.stage("x:listen", STREAM)

    def turn(outer: Body, item: Value) -> Value:
        say = stage("say", STREAM, text=item)
        if inside:
            return outer.generator(lambda b: b.emit(b.interruptible(say, STREAM)), STREAM)
        return outer.interruptible(emitting(say), STREAM)

    return body.graph(body.each(heard, turn, STREAM))


@pytest.mark.parametrize("inside", [False, True])
def test_what_was_emitted_and_not_heard_is_dropped(inside: bool) -> None:
    there = begun(talking(inside), takes=False)
    there.item("listen", "hello")
    for number in range(4):
        there.item("say", f"a{number}")
    there.take()
    there.item("listen", "wait")
    assert there.waiting[1] == [] and there.arguments("say") == {"text": "wait"}
    there.item("say", "b0")
    there.end("say")
    there.end("listen")
    there.take()
    assert there.out[1] == ["a0", "b0"] and there.outcome()[0] == "done"
    there.check_idle()


def test_what_a_filter_emits_leaves_with_its_turn() -> None:
    program, problems = checked("""
pipeline longer(words: [Text]) -> stream Text {
  kept = for word in words where if len(word) > 1 {
    emit "{word}?"
    true
  } else {
    emit "{word}."
    false
  } {
    emit "{word}!"
    word
  }
  emit "{len(kept)}"
}
""")
    assert program is not None and not problems
    graph, _ = compile_graph(program, SmallLibrary())
    assert graph is not None
    words = {"words": ("a", "bb", "c", "dd")}
    wanted = ["a.", "bb?", "bb!", "c.", "dd?", "dd!", "2"]
    assert run(graph, "longer", words).result == ("done", None, wanted)
    assert outcome(graph, "longer", words) == wanted


# --- through the shell, on both event loops ---


@pytest.mark.anyio
async def test_items_keep_the_time_at_which_they_are_emitted() -> None:
    async def tick(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        for number in range(3):
            await anyio.sleep(1)
            yield f"{arguments['of']}{number}"

    async def slow(_: Context, __: Arguments) -> str:
        await anyio.sleep(2)
        return "slow"

    async def shout(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        async for item in arguments["of"]:
            yield f"{item}!"

    body = Body("p")
    word = body.constant("t")
    said = emitting(stage("slow"), last=stage("tick", STREAM, of=word))(body)
    frames = await frames_of(body.graph(body.stage("x:shout", STREAM, of=said)), Library(tick, slow, shout))
    assert items_of(frames) == ["slow!", "t0!", "t1!", "t2!"]
    timings = end_of(frames).timings
    assert (round(timings.first_item or 0, 3), round(timings.finish, 3)) == (2, 3)
