"""What a plan promises, kept by the machine: due times that travel with calls, slack that is passed on, what is stopped
in time and what is only told, what is not counted, and who is let in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driver import Driver
from graphs import Body

from agentlang.executor.blame import counted, missed
from agentlang.executor.machine import events, orders
from agentlang.executor.promises import Due, Line, Promise, Promises
from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import TEXT, StreamType

STREAM = StreamType(TEXT)


def chain(*names: str) -> Graph:
    """Stages one after another."""
    body = Body("p")
    value = body.constant("")
    for name in names:
        value = body.stage(f"x:{name}", TEXT, text=value)
    return body.graph(value)


def within(graph: Graph, limit: float, enforce: bool = True, moment: str = "finish", **slices: float) -> Driver:
    """The graph with a promise; slices by the names of stages."""
    promises = promised(graph, limit, enforce, moment, **slices)
    return Driver(graph, promises=(promises,))  # type: ignore[arg-type]


def promised(graph: Graph, limit: float, enforce: bool = True, moment: str = "finish", **slices: float) -> Promises:
    ids = ids_of(graph)
    promise = Promise(moment, limit, {ids[name]: seconds for name, seconds in slices.items()}, name=f"{moment} p95")
    return Promises("p", (promise,), enforce=enforce)


def ids_of(graph: Graph) -> dict[str, str]:
    from agentlang.ir.graph import walk

    found: dict[str, str] = {}
    for operation in walk(graph.pipelines[0].body):
        entry = operation.attributes.get("entry")
        if isinstance(entry, str):
            found[entry.partition(":")[2]] = operation.id
    return found


def due(there: Driver, name: str) -> Due | None:
    return there.live[there.of(name)[0]].due


# --- due times ---


def test_a_stage_is_due_when_what_is_behind_it_would_not_fit() -> None:
    there = within(chain("a", "b", "c"), 10, a=2, b=3, c=5)
    there.begin()
    assert due(there, "a") == Due(None, 2)
    there.at(1.5)
    there.end("a", "x")
    # What a left is b's: it has 3.5 s.
    assert due(there, "b") == Due(None, 5)
    there.at(4)
    there.end("b", "x")
    assert due(there, "c") == Due(None, 10)
    there.end("c", "x")
    assert there.outcome() == ("done", "x")
    there.check_idle()


def test_what_the_plan_has_to_spare_is_there_for_who_needs_it_first() -> None:
    graph = chain("a", "b")
    ids = ids_of(graph)
    promise = Promise("finish", 10, {ids["a"]: 5, ids["b"]: 5}, {ids["a"]: 1, ids["b"]: 2})
    there = Driver(graph, promises=(Promises("p", (promise,), enforce=True),))  # type: ignore[arg-type]
    there.begin()
    assert due(there, "a") == Due(None, 8)


def test_without_promises_nothing_is_due() -> None:
    there = Driver(chain("a"))
    there.begin()
    assert due(there, "a") is None


def test_what_stands_beside_the_path_is_due_when_the_path_needs_it() -> None:
    body = Body("p")
    a, beside = body.stage("x:a", TEXT), body.stage("x:beside", TEXT)
    b = body.stage("x:b", TEXT, text=a)
    there = within(body.graph(body.stage("x:c", TEXT, one=b, other=beside)), 9, a=2, b=3, c=4)
    there.begin()
    assert due(there, "beside") == Due(None, 5)


def test_turns_of_a_loop_share_what_its_stages_need() -> None:
    body = Body("p")

    def turn(inner: Body, state: Value) -> Value:
        return inner.turn(inner.stage("x:step", TEXT, text=state), stop=False)

    looped = body.repeat(body.stage("x:a", TEXT), 3, turn)
    there = within(body.graph(body.stage("x:b", TEXT, text=looped)), 10, a=1, step=6, b=3)
    there.begin()
    assert due(there, "a") == Due(None, 1)
    there.end("a", "x")
    for at in (1, 3, 5):
        assert due(there, "step") == Due(None, 7)
        there.at(at)
        there.end("step", "x")
    assert due(there, "b") == Due(None, 10)


def test_branches_come_instead_of_each_other() -> None:
    body = Body("p")
    chosen = body.choose(
        body.operation("agent.constant", (), None or TEXT, value=True),
        lambda inner: inner.stage("x:long", TEXT),
        lambda inner: inner.stage("x:short", TEXT),
        TEXT,
    )
    there = within(body.graph(body.stage("x:after", TEXT, text=chosen)), 10, long=4, short=2, after=4)
    there.begin()
    assert due(there, "long") == Due(None, 6)


# --- enforced, or told ---


def test_a_stage_over_due_fails_with_its_slice() -> None:
    there = within(chain("a", "b"), 10, a=4, b=6)
    there.begin()
    there.at(3.9)
    assert not there.finished
    there.at(4)
    outcome = there.finished[1].outcome
    assert there.outcome() == ("failed", "timeout")
    assert outcome.problem is not None and outcome.problem.slug == "slice-used"
    assert "its slice is 4 s" in outcome.problem.title and "finish p95 <= 10 s" in outcome.problem.title
    there.check_idle()


def test_what_an_earlier_stage_left_is_used_before_anything_fails() -> None:
    there = within(chain("a", "b"), 10, a=4, b=6)
    there.begin()
    there.at(1)
    there.end("a", "x")
    there.at(9.9)
    there.end("b", "x")
    assert there.outcome() == ("done", "x")


def test_by_default_a_miss_is_told_and_stops_nothing() -> None:
    graph = chain("a", "b")
    there = within(graph, 10, enforce=False, a=4, b=6)
    there.begin()
    there.at(8)
    there.end("a", "x")
    there.at(15)
    there.end("b", "x")
    assert there.outcome() == ("done", "x")
    (found,) = missed(promised(graph, 10, a=4, b=6), there.finished[1].timings, graph.pipelines[0])
    assert (found.measured, found.limit) == (15, 10)
    assert [(part.cause, part.seconds, part.slice_) for part in found.parts] == [
        ("computing", 8, 4),
        ("computing", 7, 6),
    ]


def test_a_soft_promise_is_never_enforced() -> None:
    graph = chain("a")
    promises = promised(graph, 1, a=1)
    promises = replace(promises, promises=tuple(replace(each, soft=True) for each in promises.promises))
    there = Driver(graph, promises=(promises,))  # type: ignore[arg-type]
    there.begin()
    there.at(5)
    there.end("a", "x")
    assert there.outcome() == ("done", "x")


def test_a_fallback_has_the_time_that_it_needs() -> None:
    body = Body("p")
    graph = body.graph(
        body.attempt(lambda i: i.stage("x:good", TEXT), lambda i: i.stage("x:cheap", TEXT), TEXT, "timeout")
    )
    ids = ids_of(graph)
    promise = Promise("finish", 10, {ids["good"]: 10}, {ids["good"]: 6})
    promises = Promises("p", (promise,), {ids["good"]: 6, ids["cheap"]: 2}, enforce=True)
    there = Driver(graph, promises=(promises,))  # type: ignore[arg-type]
    there.begin()
    assert due(there, "good") == Due(None, 7.5)  # 2 s for the cheap one, and a twentieth of the limit to stop
    there.at(7.5)
    assert there.running() == ["cheap"]
    assert due(there, "cheap") == Due(None, 10)
    there.at(9.5)
    there.end("cheap", "in time")
    assert there.outcome() == ("done", "in time")


def test_what_has_used_up_its_slice_is_not_tried_again() -> None:
    body = Body("p")
    graph = body.graph(body.guard(lambda inner: inner.stage("x:a", TEXT), TEXT, retries=5, backoff=1.0))
    there = within(graph, 4, a=4)
    there.begin()
    there.at(4)
    assert there.outcome() == ("failed", "timeout")
    assert there.starts("a") == [0]
    there.check_idle()


# --- streams ---


def streaming(moment: str, limit: float, **slices: float) -> Driver:
    body = Body("p")
    there = within(body.graph(body.stage("x:words", STREAM)), limit, moment=moment, **slices)
    there.begin()
    return there


def test_a_stream_is_due_by_its_first_item() -> None:
    there = streaming("first_token", 2, words=2)
    assert due(there, "words") == Due(2, None)
    there.at(2)
    assert there.outcome() == ("failed", "timeout")


def test_gaps_and_the_end_are_free_behind_a_first_item_in_time() -> None:
    there = streaming("first_token", 2, words=2)
    there.at(1)
    there.item("words", "a")
    there.at(50)
    there.item("words", "b")
    there.end("words")
    assert there.outcome()[0] == "done"
    assert there.out[1] == ["a", "b"]


def test_a_finish_stops_a_stream_that_has_begun_and_keeps_what_has_left() -> None:
    there = streaming("finish", 3, words=3)
    there.item("words", "a")
    there.at(3)
    assert there.outcome() == ("failed", "timeout")
    assert there.out[1] == ["a"]


def test_time_of_a_slow_caller_is_not_counted() -> None:
    body = Body("p")
    graph = body.graph(body.stage("x:words", STREAM))
    promises = promised(graph, 3, words=3)
    there = Driver(graph, promises=(promises,), buffer=1)  # type: ignore[arg-type]
    there.takes = False
    there.begin()
    there.at(1)
    there.item("words", "a")
    there.item("words", "b")  # no room any more: the stage waits for the caller
    there.at(20)
    there.take()
    there.take()
    there.at(21)
    there.item("words", "c")
    there.at(21.5)
    there.take()
    there.end("words")
    assert there.outcome()[0] == "done"
    timings = there.finished[1].timings
    assert [(pause.cause, pause.start, pause.end) for pause in timings.pauses] == [("reader", 1, 20)]
    assert counted(timings, timings.finish) == 2.5


def test_time_of_a_person_is_not_counted() -> None:
    body = Body("p")
    asked = body.guard(lambda inner: inner.stage("x:pay", TEXT), TEXT, body.constant("pay?"))
    beside = body.stage("x:beside", TEXT)
    graph = body.graph(body.stage("x:both", TEXT, one=asked, other=beside))
    there = within(graph, 5, beside=2, both=3)
    there.begin()
    there.at(50)
    assert not there.finished
    there.answer(True)
    there.at(51)
    there.end("pay", "x")
    there.end("beside", "x")
    assert due(there, "both") == Due(None, 55)
    there.at(54)
    there.end("both", "x")
    assert there.outcome() == ("done", "x")
    timings = there.finished[1].timings
    assert counted(timings, timings.finish) == 4


def test_opening_is_not_counted() -> None:
    body = Body("p")
    model = body.open("writer")
    graph = body.graph(body.stage("x:a", TEXT, model=model, text=body.stage("x:early", TEXT)))
    there = within(graph, 5, early=1, a=4)
    there.begin()
    there.at(7)
    assert there.running() == ["early"]  # over due by the wall, and not by the promise
    there.tell(events.HandleOpened(7, "writer"))
    there.at(7.5)
    there.end("early", "x")
    assert due(there, "a") == Due(None, 12)
    there.at(12)
    assert there.outcome() == ("failed", "timeout")


# --- who is let in ---


def admitting(limit: float, alone: float, slots: int, seconds: float) -> Driver:
    graph = chain("a")
    ids = ids_of(graph)
    promise = Promise("finish", limit, {ids["a"]: limit}, {}, "finish p95", alone)
    line = Line("pool", slots, seconds, frozenset(ids.values()))
    return Driver(graph, promises=(Promises("p", (promise,), {}, (line,), enforce=True),))  # type: ignore[arg-type]


def test_a_run_that_would_be_late_is_refused_before_it_begins() -> None:
    there = admitting(limit=5, alone=2, slots=1, seconds=2)
    for run in (1, 2, 3):
        there.begin(run)
    # The third would wait 4 s for the two before it, and take 2.
    assert there.outcome(3) == ("failed", "not_admitted")
    problem = there.finished[3].outcome.problem
    assert problem is not None and problem.slug == "not-admitted"
    assert problem.title == (
        "p was not begun: it would wait 4 s in line and take 6 s in all, but its goal says finish p95 <= 5 s"
    )
    assert len(there.of("a")) == 2
    there.at(2)
    there.end("a", "x")
    there.begin(4)  # the second has begun: 2 s, and 2 of its own
    assert 4 not in there.finished
    there.at(3.9)
    there.end("a", "x", which=0)
    there.end("a", "x")
    there.check_idle()


def test_the_one_that_waits_for_nobody_is_always_let_in() -> None:
    there = admitting(limit=1, alone=2, slots=1, seconds=2)
    there.begin()
    assert there.running() == ["a"]


@pytest.mark.parametrize(("slots", "let_in"), [(1, 3), (4, 12), (8, 24)])
def test_of_many_at_once_as_many_are_let_in_as_can_be_in_time(slots: int, let_in: int) -> None:
    there = admitting(limit=6, alone=2, slots=slots, seconds=2)
    for run in range(100):
        there.begin(run)
    assert len(there.of("a")) == let_in
    refused = [run for run, over in there.finished.items() if over.outcome.reason == "not_admitted"]
    assert len(refused) == 100 - let_in
    assert refused == list(range(let_in, 100))


def test_a_run_that_is_late_holds_up_those_behind_it() -> None:
    there = admitting(limit=5, alone=2, slots=1, seconds=2)
    there.begin(1)
    there.at(4.9)  # due at 2, and late by 2.9: so it may be for as long again
    there.begin(2)
    assert 2 not in there.finished
    there.begin(3)
    assert there.outcome(3) == ("failed", "not_admitted")


def test_it_is_not_asked_where_promises_are_only_told() -> None:
    graph = chain("a")
    ids = ids_of(graph)
    promise = Promise("finish", 1, {ids["a"]: 1}, alone=1)
    line = Line("pool", 1, 1, frozenset(ids.values()))
    there = Driver(graph, promises=(Promises("p", (promise,), {}, (line,)),))  # type: ignore[arg-type]
    for run in range(20):
        there.begin(run)
    assert len(there.of("a")) == 20


def test_the_first_call_of_those_that_wait_for_a_rate_is_the_one_that_is_due_first() -> None:
    body = Body("p")
    graph = body.graph(body.guard(lambda inner: inner.stage("x:a", TEXT), TEXT, rate=1.0))
    other = Body("q")
    other_graph = other.graph(other.stage("x:b", TEXT))
    both = replace(graph, pipelines=(*graph.pipelines, *other_graph.pipelines))
    there = Driver(both, promises=(promised(graph, 100, a=1),))  # type: ignore[arg-type]
    there.begin(1, pipeline="p")
    there.begin(2, pipeline="p")
    there.at(0.5)
    there.begin(3, pipeline="p", timeout=2.0)
    there.at(1)
    assert [order.run for order in there.live.values() if isinstance(order, orders.StartStage)] == [1, 3]
