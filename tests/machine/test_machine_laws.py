"""What holds for any pipeline, whatever happens in whatever order."""

from __future__ import annotations

import random

from graphs import Body, show
from hypothesis import HealthCheck, given, note, reject, settings
from hypothesis import strategies as st
from meaning import TooMuch, meaning
from random_graphs import STREAM, graphs
from world import World

from agentlang.base.problems import Problem
from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import TEXT

QUESTION = {"question": "how1?"}
FEW = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def expect(graph: Graph) -> object:
    """What the graph means; graphs that mean too much work are not for these tests."""
    note(show(graph.pipelines[0].body))
    try:
        return meaning(graph, QUESTION)
    except TooMuch:
        reject()


@FEW
@given(graphs(), st.integers(0, 2**32), st.integers(1, 3))
def test_results_do_not_depend_on_the_order_of_events(graph: Graph, seed: int, buffer: int) -> None:
    expected = expect(graph)
    world = World(graph, random.Random(seed).randrange, buffer)
    world.begin(1, QUESTION)
    world.settle()
    assert (world.result(1) or []) == (expected or [])


@FEW
@given(graphs(), st.integers(0, 2**32), st.integers(0, 60))
def test_runs_on_one_machine_do_not_meet(graph: Graph, seed: int, cancelled: int) -> None:
    """Three runs at once; one of them is cancelled somewhere on the way."""
    expected = expect(graph)
    choose = random.Random(seed).randrange
    world = World(graph, choose, 2)
    for run in (1, 2, 3):
        world.begin(run, QUESTION)
    for _ in range(cancelled):
        actions = world.actions()
        if actions:
            actions[choose(len(actions))]()
    world.cancel(2)
    world.settle()
    assert (world.result(1) or []) == (world.result(3) or []) == (expected or [])
    assert world.finished[2].outcome.status in ("cancelled", "done")


@FEW
@given(graphs(), st.integers(0, 2**32), st.integers(0, 60))
def test_a_failure_ends_the_run_and_stops_all_else(graph: Graph, seed: int, when: int) -> None:
    expect(graph)
    choose = random.Random(seed).randrange
    world = World(graph, choose, 2)
    world.begin(1, QUESTION)
    for _ in range(when):
        actions = world.actions()
        if actions:
            actions[choose(len(actions))]()
    problem = Problem("it-broke", "it broke")
    running = [number for number, stage in world.stages.items() if not stage.stopping]
    caught = True
    if running:
        broken = running[choose(len(running))]
        caught = world.machine.stages[broken].zone.parent is not None
        world.fail(broken, problem)
        assert caught or all(stage.stopping for stage in world.stages.values())
    world.settle()
    outcome = world.finished[1].outcome
    if running and caught:
        # Mended where it stands, or not: nothing is left over either way.
        assert outcome.status == "done" or outcome.problem == problem
    elif running:
        assert (outcome.status, outcome.reason, outcome.problem) == ("failed", "tool_error", problem)
    else:
        assert outcome.status == "done"


@FEW
@given(graphs(timed=True), st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 80))
def test_whatever_runs_out_of_time_leaves_nothing_over(graph: Graph, seed: int, buffer: int, cancelled: int) -> None:
    """Two runs, of which one is cancelled; timeouts ring whenever they like. `settle` looks at what is left."""
    expect(graph)
    choose = random.Random(seed).randrange
    world = World(graph, choose, buffer)
    for run in (1, 2):
        world.begin(run, QUESTION)
    for _ in range(cancelled):
        actions = world.actions()
        if actions:
            actions[choose(len(actions))]()
    world.cancel(2)
    world.settle()


def talk(depth: int) -> Graph:
    """`for heard in words(question) { interruptible { words(heard) } }`, and `depth` stages that read what is said."""
    body = Body("p")
    heard = body.stage("w:words", STREAM, text=body.input("question", TEXT))

    def turn(inner: Body, item: Value) -> Value:
        return inner.interruptible(lambda b: b.stage("w:words", STREAM, text=item), STREAM)

    said = body.each(heard, turn, STREAM)
    for _ in range(depth):
        said = body.stage("w:shout", STREAM, stream=said)
    return body.graph(said)


@FEW
@given(st.integers(0, 2), st.integers(0, 2**32), st.integers(1, 3))
def test_barge_in_gives_the_beginning_of_each_reply_and_all_of_the_last(depth: int, seed: int, buffer: int) -> None:
    world = World(talk(depth), random.Random(seed).randrange, buffer)
    world.begin(1, {"question": "abcde"})  # five inputs, abc0 to abc4, and four words for each
    world.settle()
    assert world.finished[1].outcome.status == "done"
    # The words of a reply begin with the first three letters of its input, which are the same for all: in order they
    # are beginnings of "0 1 2 3", the last of them whole.
    numbers = [int(str(item).rstrip("!")[3:]) for item in world.outputs[1]]
    turns: list[list[int]] = []
    for number in numbers:
        if number == 0:
            turns.append([])
        turns[-1].append(number)
    assert all(turn == list(range(len(turn))) for turn in turns)
    assert len(turns) <= 5 and len(turns[-1]) == 4
