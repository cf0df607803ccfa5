"""What holds for any pipeline, whatever happens in whatever order."""

from __future__ import annotations

import random

from graphs import show
from hypothesis import HealthCheck, given, note, reject, settings
from hypothesis import strategies as st
from meaning import TooMuch, meaning
from random_graphs import graphs
from world import World

from agentlang.base.problems import Problem
from agentlang.ir.graph import Graph

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
