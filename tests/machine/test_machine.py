"""Events in, orders out: single rules of the machine, each with the smallest pipeline that shows it."""

from __future__ import annotations

import pytest
from graphs import Body
from world import World

from agentlang.base.problems import Problem
from agentlang.executor.deployment import Deployment
from agentlang.executor.machine import Machine, ProtocolError, events, orders
from agentlang.executor.machine.prepared import prepare
from agentlang.executor.machine.timing import Times
from agentlang.ir.graph import Graph, GraphPipeline, HandleName, Region, Value
from agentlang.lang.types import BOOL, FLOAT, INT, TEXT, ListType, StreamType

STREAM = StreamType(TEXT)


def first_of(_: int) -> int:
    return 0


def only(made: tuple[orders.Order, ...], kind: type) -> list[orders.Order]:
    return [order for order in made if isinstance(order, kind)]


def world(graph: Graph, **settings: int) -> World:
    return World(graph, first_of, **settings)


def run(graph: Graph, **inputs: object) -> object:
    """The result of a graph whose stages are those of `world`."""
    there = world(graph)
    there.begin(1, inputs)
    there.settle()
    return there.result(1)


# --- what fires when ---


def test_independent_stages_run_at_the_same_time() -> None:
    body = Body("p")
    question = body.input("question", TEXT)
    left = body.stage("x:one", TEXT, text=question)
    right = body.stage("x:two", TEXT, text=question)
    both = body.stage("x:both", TEXT, left=left, right=right)
    machine = Machine(Deployment(body.graph(both)))
    made = machine.handle(events.RunRequested(0.0, 1, "p", {"question": "?"}))
    started = only(made, orders.StartStage)
    assert [order.entry for order in started if isinstance(order, orders.StartStage)] == ["x:one", "x:two"]


def test_a_stage_that_reads_a_stream_starts_before_the_stream_ends() -> None:
    body = Body("p")
    reply = body.stage("x:write", STREAM)
    graph = body.graph(body.stage("x:sentences", STREAM, text=reply))
    machine = Machine(Deployment(graph))
    write, sentences = (
        o for o in machine.handle(events.RunRequested(0, 1, "p", {})) if isinstance(o, orders.StartStage)
    )
    assert (write.entry, sentences.entry) == ("x:write", "x:sentences")
    reader = sentences.arguments["text"]
    assert isinstance(reader, orders.StreamInput)
    assert orders.Deliver(reader.reader, "One.") in machine.handle(events.StageItem(1, write.stage, "One."))


def test_a_stream_that_nobody_uses_is_never_started_but_a_value_is() -> None:
    body = Body("p")
    body.stage("w:words", STREAM, text=body.constant("abcde"))
    body.stage("w:glue", TEXT, first=body.constant("a"), second=body.constant("b"))
    there = world(body.graph(body.constant("done")))
    there.begin(1, {})
    there.settle()
    assert [name.rpartition(".")[2][:4] for name in there.started] == ["glue"]
    assert there.result(1) == "done"


def test_a_branch_that_is_not_taken_starts_nothing_and_lets_go_of_its_streams() -> None:
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    no = body.binary("==", body.constant("a"), body.constant("b"), BOOL)
    result = body.choose(no, lambda inner: inner.collect(words), lambda inner: inner.constant("no"), TEXT)
    there = world(body.graph(result))
    there.begin(1, {})
    assert len(only(tuple(there.log), orders.StopStage)) == 1
    there.settle()
    assert there.result(1) == "no"


def test_a_producer_stops_when_its_last_reader_closes() -> None:
    """As a stop text does: detokenize ends, and decode is stopped."""
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    there = world(body.graph(body.stage("w:head", STREAM, stream=words)))
    there.begin(1, {})
    there.settle()
    assert there.result(1) == ["abc0", "abc1"]
    assert len(only(tuple(there.log), orders.StopStage)) == 1


def test_a_stream_goes_on_while_another_use_reads_it() -> None:
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    start = body.collect(body.stage("w:head", STREAM, stream=words))
    assert run(body.graph(body.template(start, " of ", body.collect(words)))) == "abc0abc1 of abc0abc1abc2abc3abc4"


# --- bounds ---


def test_back_pressure_reaches_the_source() -> None:
    body = Body("p")
    ids = body.stage("x:decode", STREAM)
    graph = body.graph(body.stage("x:detokenize", STREAM, tokens=ids))
    machine = Machine(Deployment(graph, buffer=8))
    decode, detokenize = (
        o for o in machine.handle(events.RunRequested(0, 1, "p", {})) if isinstance(o, orders.StartStage)
    )
    assert decode.credits == 8
    for number in range(8):
        assert not only(machine.handle(events.StageItem(0, decode.stage, number)), orders.Grant)
    with pytest.raises(ProtocolError, match="no credit"):
        machine.handle(events.StageItem(0, decode.stage, 8))
    reader = detokenize.arguments["tokens"]
    assert isinstance(reader, orders.StreamInput)
    assert machine.handle(events.Taken(0, reader.reader)) == ()
    assert machine.handle(events.Taken(0, reader.reader)) == (orders.Grant(decode.stage, 2),)


def test_the_slower_of_two_uses_holds_the_producer() -> None:
    body = Body("p")
    ids = body.stage("x:decode", STREAM)
    fast = body.stage("x:fast", TEXT, stream=ids)
    slow = body.stage("x:slow", TEXT, stream=ids)
    graph = body.graph(body.template(fast, slow))
    machine = Machine(Deployment(graph, buffer=4))
    decode, fast_stage, _ = (
        o for o in machine.handle(events.RunRequested(0, 1, "p", {})) if isinstance(o, orders.StartStage)
    )
    for number in range(4):
        assert len(only(machine.handle(events.StageItem(0, decode.stage, number)), orders.Deliver)) == 2
    reader = fast_stage.arguments["stream"]
    assert isinstance(reader, orders.StreamInput)
    assert machine.handle(events.Taken(0, reader.reader, 4)) == ()


def test_a_guard_that_reads_all_before_it_passes_the_stream_on_does_not_hang() -> None:
    """`if all(reply) contains "1" { reply } else { … }` with a reply longer than the buffer."""
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    good = body.binary("contains", body.collect(words), body.constant("1"), BOOL)
    chosen = body.choose(
        good, lambda _: words, lambda inner: inner.stage("w:words", STREAM, text=inner.constant("")), STREAM
    )
    there = world(body.graph(chosen), buffer=1)
    there.begin(1, {})
    there.settle()
    assert there.result(1) == [f"abc{n}" for n in range(5)]


def test_a_collected_stream_keeps_its_order_when_each_item_taken_brings_the_next() -> None:
    """The branch passes on a stream that has ended: taking an item makes the next one come within the taking."""
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    good = body.binary("contains", body.collect(words), body.constant("1"), BOOL)
    again = body.choose(good, lambda _: words, lambda _: words, STREAM)
    there = world(body.graph(body.collect(again)), buffer=1)
    there.begin(1, {})
    there.settle()
    assert there.result(1) == "abc0abc1abc2abc3abc4"


def test_only_the_use_that_comes_too_late_is_kept() -> None:
    body = Body("p")
    words = body.stage("w:words", STREAM, text=body.constant("abcde"))
    other = body.stage("w:words", STREAM, text=body.constant("abcde"))
    text = body.collect(words)
    body.emit(body.stage("w:shout", STREAM, stream=other))
    late = body.stage("w:glue", TEXT, first=text, second=words)
    body.emit(late)
    body.operation("agent.return", (body.stage("w:shout", STREAM, stream=body.stage("w:words", STREAM, text=text)),))
    graph = Graph("", (), (), (GraphPipeline("p", (), STREAM, Region((), tuple(body.operations))),))
    steps = prepare(graph.pipelines[0]).body.steps
    kept = {
        step.operation.id.rstrip("0123456789"): [use.kept for use in step.uses.values()] for step in steps if step.uses
    }
    assert kept == {
        "p.collect": [False],
        "p.shout": [False],
        "p.emit": [False],
        "p.glue": [True],
        "p.return": [False],
    }


# --- loops and order ---


def test_a_loop_runs_at_most_n_turns_at_once_and_keeps_the_order() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))
    result = body.each(items, lambda inner, item: inner.stage("x:f", TEXT, text=item), ListType(TEXT), at_most=2)
    machine = Machine(Deployment(body.graph(result)))
    made = machine.handle(events.RunRequested(0, 1, "p", {"items": ("a", "b", "c")}))
    one, two = (order for order in made if isinstance(order, orders.StartStage))
    assert (one.index, two.index) == ((0,), (1,))
    (three,) = only(machine.handle(events.StageEnded(1, two.stage, "B")), orders.StartStage)
    assert isinstance(three, orders.StartStage) and three.arguments == {"text": "c"}
    assert machine.handle(events.StageEnded(2, three.stage, "C")) == ()
    (end,) = only(machine.handle(events.StageEnded(3, one.stage, "A")), orders.FinishRun)
    assert isinstance(end, orders.FinishRun) and end.outcome.value == ("A", "B", "C")


def test_a_loop_over_nothing_gives_nothing() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))
    result = body.each(items, lambda inner, item: inner.stage("x:f", TEXT, text=item), ListType(TEXT))
    assert run(body.graph(result), items=()) == ()


def test_a_loop_over_a_stream_takes_one_item_at_a_time() -> None:
    body = Body("p")
    words = body.stage("x:words", STREAM)
    result = body.each(words, lambda inner, item: inner.stage("x:f", TEXT, text=item), STREAM)
    machine = Machine(Deployment(body.graph(result)))
    (source,) = only(machine.handle(events.RunRequested(0, 1, "p", {})), orders.StartStage)
    assert isinstance(source, orders.StartStage)
    (turn,) = only(machine.handle(events.StageItem(0, source.stage, "a")), orders.StartStage)
    assert isinstance(turn, orders.StartStage)
    assert not only(machine.handle(events.StageItem(0, source.stage, "b")), orders.StartStage)
    assert only(machine.handle(events.StageEnded(0, turn.stage, "A")), orders.StartStage)


def test_what_is_sent_out_keeps_the_order_of_the_program() -> None:
    body = Body("p")
    slow = body.stage("x:slow", STREAM)
    body.emit(slow)
    body.emit(body.constant("between"))
    graph = body.graph(body.stage("x:quick", STREAM))
    machine = Machine(Deployment(graph))
    first, second = (o for o in machine.handle(events.RunRequested(0, 1, "p", {})) if isinstance(o, orders.StartStage))
    assert (first.entry, second.entry) == ("x:slow", "x:quick")
    assert not only(machine.handle(events.StageItem(1, second.stage, "c")), orders.EmitItem)
    out: list[object] = []
    queue = [
        events.StageItem(2, first.stage, "a"),
        events.StageEnded(3, first.stage),
        events.StageEnded(4, second.stage),
    ]
    while queue:
        for order in machine.handle(queue.pop(0)):
            if isinstance(order, orders.EmitItem):
                out.append(order.item)
                queue.append(events.Taken(5, order.reader))
    assert out == ["a", "between", "c"]


# --- values ---


@pytest.mark.parametrize(
    ("operator", "left", "right", "kind", "expected"),
    [
        ("+", 2, 3, INT, 5),
        ("+", "a", "b", TEXT, "ab"),
        ("+", (1,), (2,), ListType(INT), (1, 2)),
        ("/", 7, 2, INT, 3),
        ("/", 7.0, 2.0, FLOAT, 3.5),
        ("%", 7, 4, INT, 3),
        ("<=", 2, 2, BOOL, True),
        ("!=", "a", "b", BOOL, True),
        ("and", True, False, BOOL, False),
        ("or", True, False, BOOL, True),
        ("contains", "abc", "b", BOOL, True),
        ("contains", ("a", "b"), "c", BOOL, False),
    ],
)
def test_operators(operator: str, left: object, right: object, kind: object, expected: object) -> None:
    body = Body("p")
    operand = {int: INT, str: TEXT, float: FLOAT, bool: BOOL, tuple: ListType(INT)}
    values = [body.constant(value, operand[type(value)]) for value in (left, right)]  # type: ignore[arg-type]
    assert run(body.graph(body.binary(operator, values[0], values[1], kind))) == expected  # type: ignore[arg-type]


def test_records_lists_and_lengths() -> None:
    body = Body("p")
    record = body.build("Source", path=body.constant("a.md"), line=body.constant(3, INT))
    path = body.field(record, "path", TEXT)
    text = body.template(
        path, ":", body.length(body.list(path, path)), " ", body.unary("-", body.constant(1, INT), INT)
    )
    assert run(body.graph(text)) == "a.md:2 -1"


def test_division_by_zero_is_the_programs_failure() -> None:
    body = Body("p")
    result = body.binary("/", body.constant(1, INT), body.constant(0, INT), INT)
    there = world(body.graph(result))
    there.begin(1, {})
    outcome = there.finished[1].outcome
    assert outcome.status == "failed" and outcome.reason == "bad_value"
    assert outcome.problem is not None and outcome.problem.slug == "division-by-zero"


def test_an_expectation_that_does_not_hold_fails_the_run() -> None:
    body = Body("p")
    body.expect(body.binary("contains", body.constant("Hello Bob"), body.constant("Ada"), BOOL))
    there = world(body.graph(body.constant("x")))
    there.begin(1, {})
    outcome = there.finished[1].outcome
    assert outcome.reason == "expectation" and outcome.problem is not None


def test_a_default_fills_in_for_an_argument_that_is_left_out() -> None:
    body = Body("p")
    name = body.input("name", TEXT, default="world", required=False)
    assert run(body.graph(body.template("Hello ", name))) == "Hello world"


# --- handles ---


def two_handles() -> Graph:
    """`resource handbook = search.index(encoder: encoder)`"""
    body = Body("p")
    body.open("handbook", "search:index", encoder=HandleName("encoder"))  # type: ignore[arg-type]
    encoder = body.open("encoder", "embed:model")
    opened = body.operations[0].results[0]
    return body.graph(body.stage("x:use", TEXT, index=opened, encoder=encoder))


def test_handles_open_once_and_what_they_stand_on_first() -> None:
    machine = Machine(Deployment(two_handles()))
    made = machine.handle(events.RunRequested(0, 1, "p", {}))
    assert [o.handle.name for o in made if isinstance(o, orders.OpenHandle)] == ["encoder"]
    assert machine.handle(events.RunRequested(1, 2, "p", {})) == ()
    made = machine.handle(events.HandleOpened(2, "encoder"))
    assert [o.handle.name for o in made if isinstance(o, orders.OpenHandle)] == ["handbook"]
    made = machine.handle(events.HandleOpened(3, "handbook"))
    started = [o for o in made if isinstance(o, orders.StartStage)]
    assert [order.run for order in started] == [1, 2]
    assert started[0].arguments == {"index": orders.HandleValue("handbook"), "encoder": orders.HandleValue("encoder")}
    (third,) = only(machine.handle(events.RunRequested(4, 3, "p", {})), orders.StartStage)
    assert isinstance(third, orders.StartStage) and third.run == 3


def test_a_handle_that_does_not_open_fails_the_runs_that_wait_and_is_tried_again() -> None:
    machine = Machine(Deployment(two_handles()))
    machine.handle(events.RunRequested(0, 1, "p", {}))
    problem = Problem("model-not-here", "not here")
    (end,) = machine.handle(events.HandleFailed(1, "encoder", "unreachable", problem))
    assert isinstance(end, orders.FinishRun) and end.outcome.problem == problem
    assert only(machine.handle(events.RunRequested(2, 2, "p", {})), orders.OpenHandle)


# --- time ---


def one_call() -> Graph:
    body = Body("p")
    return body.graph(body.stage("x:call", TEXT))


def test_a_call_ends_within_its_deadline() -> None:
    machine = Machine(Deployment(one_call(), call_timeout=60))
    start, timer = machine.handle(events.RunRequested(100, 1, "p", {}))
    assert isinstance(start, orders.StartStage) and start.deadline == 160
    assert timer == orders.SetTimer(160)
    assert machine.handle(events.TimerFired(160)) == (orders.StopStage(start.stage),)
    (end, *_) = machine.handle(events.StageStopped(161, start.stage))
    assert isinstance(end, orders.FinishRun)
    assert (end.outcome.status, end.outcome.reason, end.outcome.stage) == ("failed", "timeout", start.operation.id)


def test_a_call_deadline_is_cut_to_the_runs() -> None:
    machine = Machine(Deployment(one_call(), call_timeout=60))
    start, timer = machine.handle(events.RunRequested(100, 1, "p", {}, timeout=5))
    assert isinstance(start, orders.StartStage) and start.deadline == 105
    assert timer == orders.SetTimer(105)
    machine.handle(events.TimerFired(105))
    (end, *_) = machine.handle(events.StageStopped(105, start.stage))
    assert isinstance(end, orders.FinishRun) and end.outcome.problem is not None
    assert end.outcome.problem.slug == "run-timeout"


def test_a_stage_that_ends_in_time_leaves_a_timer_that_does_nothing() -> None:
    machine = Machine(Deployment(one_call()))
    start, _ = machine.handle(events.RunRequested(0, 1, "p", {}))
    assert isinstance(start, orders.StartStage)
    made = machine.handle(events.StageEnded(1, start.stage, "x"))
    assert [type(order) for order in made] == [orders.FinishRun, orders.CancelTimer]
    assert machine.handle(events.TimerFired(60)) == ()


def test_time_that_a_reader_holds_a_stream_back_does_not_count() -> None:
    body = Body("p")
    graph = body.graph(body.stage("x:decode", STREAM))
    machine = Machine(Deployment(graph, call_timeout=60, buffer=2))
    start, _ = machine.handle(events.RunRequested(0, 1, "p", {}))
    assert isinstance(start, orders.StartStage)
    # The first item goes on to the caller, so that a third may be made; then the stage has no credit left.
    made = machine.handle(events.StageItem(10, start.stage, "a"))
    (out,) = only(made, orders.EmitItem)
    assert isinstance(out, orders.EmitItem) and orders.Grant(start.stage, 1) in made
    assert machine.handle(events.StageItem(10, start.stage, "b")) == ()
    assert machine.handle(events.StageItem(10, start.stage, "c")) == ()
    assert machine.handle(events.TimerFired(60)) == ()
    made = machine.handle(events.Taken(100, out.reader))
    assert only(made, orders.Grant) and orders.SetTimer(150) in made
    assert orders.StopStage(start.stage) in machine.handle(events.TimerFired(150))


# --- ends ---


def test_cancelling_waits_for_the_last_stage_and_ends_once() -> None:
    body = Body("p")
    both = body.template(body.stage("x:one", TEXT), body.stage("x:two", TEXT))
    machine = Machine(Deployment(body.graph(both)))
    one, two = (o for o in machine.handle(events.RunRequested(0, 1, "p", {})) if isinstance(o, orders.StartStage))
    assert machine.handle(events.CancelRequested(1, 1)) == (orders.StopStage(one.stage), orders.StopStage(two.stage))
    assert machine.handle(events.CancelRequested(1, 1)) == ()
    assert machine.handle(events.StageEnded(2, one.stage, "too late")) == ()
    end, _ = machine.handle(events.StageStopped(3, two.stage))
    assert isinstance(end, orders.FinishRun) and end.outcome.status == "cancelled" and end.timings.finish == 3
    assert machine.handle(events.StageStopped(4, two.stage)) == ()


def test_usage_and_times_add_up_by_operation() -> None:
    body = Body("p")
    items = body.input("items", ListType(TEXT))
    result = body.each(items, lambda inner, item: inner.stage("x:f", TEXT, text=item), ListType(TEXT), at_most=1)
    machine = Machine(Deployment(body.graph(result)))
    made = machine.handle(events.RunRequested(10, 1, "p", {"items": ("a", "b")}))
    at = 10.0
    while not (ends := only(made, orders.FinishRun)):
        (start,) = only(made, orders.StartStage)
        assert isinstance(start, orders.StartStage)
        at += 2
        made = machine.handle(events.StageEnded(at, start.stage, "x", {"tokens_in": 7}))
    (end,) = ends
    assert isinstance(end, orders.FinishRun)
    assert end.usage == {"tokens_in": 14}
    (stage,) = end.timings.stages
    assert (stage.count, stage.start, stage.end, stage.seconds) == (2, 0, 4, 4)


def test_the_seconds_of_an_operation_are_those_in_which_it_ran() -> None:
    times = Times(100.0)
    for start, end in ((101.0, 103.0), (102.0, 104.0), (110.0, 111.0), (109.0, 112.0), (120.0, 121.0)):
        times.stage("often", start, None, end, 0)
    (stage,) = times.finish(130.0).stages
    assert (stage.count, stage.start, stage.end, stage.seconds) == (5, 1, 21, 3 + 3 + 1)


def test_a_graph_that_cannot_run_is_refused() -> None:
    body = Body("p")
    result = body.operation("agent.call", (), TEXT, callee="q", parameters=())
    with pytest.raises(ValueError, match="inlined"):
        prepare(body.graph(result).pipelines[0])
    assert isinstance(result, Value)


def test_runs_that_are_given_streams_do_not_read_each_others() -> None:
    """The stream of a parameter belongs to its run, also where nothing in the pipeline makes a stream."""
    body = Body("p")
    given = body.input("words", STREAM)
    before = body.stage("x:before", TEXT)
    machine = Machine(Deployment(body.graph(body.stage("x:read", TEXT, of=given, after=before))))
    sources: dict[int, int] = {}
    stages: dict[tuple[str, int], int] = {}
    readers: dict[int, int] = {}
    delivered: list[tuple[int, object]] = []

    def tell(event: events.Event) -> None:
        for order in machine.handle(event):
            if isinstance(order, orders.StartInput):
                sources[order.run] = order.stage
            elif isinstance(order, orders.StartStage):
                stages[order.entry, order.run] = order.stage
                of = order.arguments.get("of")
                if isinstance(of, orders.StreamInput):
                    readers[of.reader] = order.run
            elif isinstance(order, orders.Deliver):
                delivered.append((readers[order.reader], order.item))

    for run in (1, 2):
        tell(events.RunRequested(0.0, run, "p", {}))
    for run in (1, 2):
        tell(events.StageEnded(0.0, stages["x:before", run], "x"))
    for run, item in ((1, "a"), (2, "b"), (1, "c")):
        tell(events.StageItem(0.0, sources[run], item))
    assert delivered == [(1, "a"), (2, "b"), (1, "c")]
