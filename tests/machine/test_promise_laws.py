"""What holds of promises for any program: no slack goes beyond the limit, blame adds up, and nothing is left over where
stages are stopped in time."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import graphs
from test_machine_laws import QUESTION
from world import World

from agentlang.executor.blame import UNCOUNTED, causes_of, counted, missed, parts_of
from agentlang.executor.deployment import Deployment
from agentlang.executor.machine import Machine, orders
from agentlang.executor.machine.slices import schedule
from agentlang.executor.promises import Promise, Promises
from agentlang.ir.graph import Graph, walk

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def promised(graph: Graph, seed: int, limit: float, enforce: bool) -> Promises:
    """Slices of any size for any stages, of both moments."""
    draw = random.Random(seed)
    stages = [each.id for each in walk(graph.pipelines[0].body) if "entry" in each.attributes]
    promises: list[Promise] = []
    for moment in ("first_item", "finish"):
        chosen = [stage for stage in stages if draw.random() < 0.7]
        sizes = [draw.random() for _ in chosen]
        whole = limit * (draw.random() if moment == "first_item" else 1.0)
        slices = {stage: whole * size / sum(sizes) for stage, size in zip(chosen, sizes, strict=True)}
        needs = {stage: size * draw.random() for stage, size in slices.items()}
        promises.append(Promise(moment, max(whole, 1e-3), slices, needs, f"{moment} p95"))
    times = {stage: draw.random() * limit / 4 for stage in stages}
    return Promises(graph.pipelines[0].name, tuple(promises), times, enforce=enforce)


def world_of(graph: Graph, promises: Promises, seed: int, buffer: int) -> World:
    world = World(graph, random.Random(seed).randrange, buffer)
    world.machine = Machine(Deployment(graph, call_timeout=1e9, buffer=buffer, promises=(promises,)))
    return world


@FEW
@given(graphs(), st.integers(0, 2**32), st.floats(0.5, 500))
def test_what_is_passed_on_never_exceeds_the_promise(graph: Graph, seed: int, limit: float) -> None:
    promises = replace(promised(graph, seed, limit, enforce=False), times={})
    found = schedule(graph.pipelines[0], promises)
    first, finish = promises.first, promises.finish
    assert first is not None and finish is not None
    assert set(finish.slices) <= set(found.offsets)
    for offset in found.offsets.values():
        for promise, due in ((first, offset.first), (finish, offset.end)):
            if due is not None:
                # Not later than all is, and not so early that all that is needed would fit behind it.
                needed = sum(map(promise.need, promise.slices))
                assert promise.limit - needed - 1e-9 * limit <= due <= promise.limit + 1e-9 * limit


@FEW
@given(graphs(), st.integers(0, 2**32), st.integers(1, 3), st.floats(1, 300))
def test_due_times_of_calls_stay_within_the_promise(graph: Graph, seed: int, buffer: int, limit: float) -> None:
    promises = promised(graph, seed, limit, enforce=False)
    world = world_of(graph, promises, seed, buffer)
    world.begin(1, QUESTION)
    world.settle(4000)
    timings = world.finished[1].timings
    began = {order.stage: order for order in world.log if isinstance(order, orders.StartStage)}
    paused = sum(pause.end - pause.start for pause in timings.pauses)
    for order in began.values():
        if order.due is not None:
            for due in (order.due.first, order.due.end):
                assert due is None or due <= 1 + limit + paused + 1e-6


@FEW
@given(graphs(), st.integers(0, 2**32), st.integers(1, 3))
def test_the_parts_of_a_moment_add_up_to_it(graph: Graph, seed: int, buffer: int) -> None:
    promises = promised(graph, seed, 1.0, enforce=False)
    world = world_of(graph, promises, seed, buffer)
    world.begin(1, QUESTION)
    world.settle(4000)
    timings = world.finished[1].timings
    causes = causes_of(graph.pipelines[0])
    for moment, first in ((timings.finish, False), (timings.first_item, True)):
        if moment is None:
            continue
        parts = parts_of(timings, moment, causes, first=first)
        assert all(seconds > 0 for seconds in parts.values())
        assert abs(sum(parts.values()) - moment) < 1e-6
        counts = sum(seconds for (_, cause), seconds in parts.items() if cause not in UNCOUNTED)
        assert abs(counts - counted(timings, moment)) < 1e-6
    for late in missed(promises, timings, graph.pipelines[0]):
        assert abs(sum(part.seconds for part in late.parts) - late.measured) < 1e-6


@FEW
@given(graphs(timed=True), st.integers(0, 2**32), st.integers(1, 3), st.floats(1, 120))
def test_whatever_is_stopped_in_time_leaves_nothing_over(graph: Graph, seed: int, buffer: int, limit: float) -> None:
    world = world_of(graph, promised(graph, seed, limit, enforce=True), seed, buffer)
    world.begin(1, QUESTION)
    world.settle(20_000)
    outcome = world.finished[1].outcome
    if outcome.problem is not None and outcome.problem.slug == "slice-used":
        assert outcome.reason == "timeout"
