"""Laws of the planner on programs at random: whatever a program says, its run can be predicted."""

from __future__ import annotations

import math
from functools import cache

import ir_programs as P
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_random import programs
from planned import plan
from planner_graphs import machine

from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph, Region, walk
from agentlang.lang import program as p
from agentlang.planner.calibrate import Calibration
from agentlang.planner.catalogue import catalogue
from agentlang.planner.moments import Moment, written
from agentlang.planner.predict import Forecast, forecast
from agentlang.planner.rates import of_machine
from agentlang.planner.space.nodes import Builder, Index, Take, values
from agentlang.planner.workload import sizing


def compiled(program: p.Program) -> Graph:
    graph, problems = irc.compile_graph(program, P.SmallLibrary())
    assert graph is not None, [problem.title for problem in problems]
    return graph


def predicted(graph: Graph, name: str, stated: dict[str, float]) -> Forecast:
    rates = of_machine(machine(), catalogue()["laptop"])
    sizes = sizing(graph, name, stated).values
    return forecast(graph, name, sizes, rates, Calibration("toy"))


def within(region: Region, name: str) -> set[str]:
    """The stages in bodies of operations of that name."""
    found: set[str] = set()
    for operation in walk(region):
        if operation.name == name:
            found |= {inner.id for body in operation.regions for inner in walk(body)}
    return found


def sound(moment: Moment) -> None:
    assert math.isfinite(moment.at) and moment.at >= 0.0
    assert sum(part.seconds for part in moment.path) == pytest.approx(moment.at)
    assert all(part.seconds >= 0.0 for part in moment.path)


def worked_out(run: Forecast, moment: Moment) -> float:
    """The moment from the expression that it was made by."""
    builder = Builder()
    known: dict[int, Index] = {}
    top = written(builder, moment.made, known)

    def take(leaf: Take) -> float:
        time = run.times[leaf.stage]
        return (time.first if leaf.first else time.seconds) * leaf.times

    return values(builder.nodes, take, lambda _: 0.0)[top]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_every_run_can_be_predicted(program: p.Program) -> None:
    """Moments are sums of stages, none before another that it needs, and come about as they say; a stage is busy for as
    long as it is executed (but of the branches of an `if` the slower counts in full: the expression keeps the slower of
    each moment, the number that of one branch)."""
    graph = compiled(program)
    for pipeline in program.pipelines:
        found = predicted(graph, pipeline.name, {})
        branches = within(graph.pipeline(pipeline.name).body, "agent.if")
        for moment in (found.first, found.finish, *([found.gap] if found.gap else [])):
            sound(moment)
            if branches:
                assert worked_out(found, moment) >= moment.at * (1 - 1e-9)
            else:
                assert worked_out(found, moment) == pytest.approx(moment.at, rel=1e-9, abs=1e-12)
        assert found.first.at <= found.finish.at + 1e-9
        for stage, seconds in found.busy.items():
            most = found.executions[stage] * found.times[stage].seconds
            assert 0.0 <= seconds <= most + 1e-9 or stage in branches, stage


@cache
def triage() -> Graph:
    return compiled(P.triage())


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_more_failures_and_turns_keep_the_machine_longer(less: float, more: float) -> None:
    less, more = sorted((less, more))
    graph = triage()
    for name, scale in (("intent.Question", 1.0), ("draft.turns", 4.0)):
        fewer, further = (predicted(graph, "triage", {name: scale * share}) for share in (less, more))
        assert fewer.busy_seconds <= further.busy_seconds + 1e-9


@pytest.mark.parametrize("name", P.ALL)
def test_the_example_programs_have_plans(name: str) -> None:
    program = P.ALL[name]()
    graph, _ = irc.compile_graph(program, P.SmallLibrary())
    assert graph is not None
    for pipeline in graph.pipelines:
        found, problems = plan(graph, pipeline.name, machine(), goal=program.goal(pipeline.name))
        assert found is not None, [problem.title for problem in problems]
