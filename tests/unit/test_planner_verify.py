"""The arithmetic of `verify` and that of the planner are two readings of one problem: they agree on every number."""

import math

import pytest
from problems_made import all_choices, random_problem, small_problem

from agentlang.planner.space.evaluate import erlang_c, evaluate, z_of
from agentlang.planner.space.problem import Choice, Problem
from agentlang.planner.verify.facts import Facts, quantile, waits


def facts(problem: Problem, choice: Choice) -> Facts:
    options = {stage.name: stage.options[at] for stage, at in zip(problem.stages, choice.options, strict=True)}
    replicas = {pool.name: count for pool, count in zip(problem.pools, choice.replicas, strict=True) if count}
    return Facts(problem, options, replicas)


def agree(left: float, right: float) -> bool:
    return left == right or math.isclose(left, right, rel_tol=1e-9)


def test_a_problem_worked_out_on_paper() -> None:
    """Prefill and decode on two quick devices: 2 runs a second keep 4.2 s of 16 slots each, a load of 0.525, read as
    0.55."""
    found = facts(small_problem(), Choice((0, 0, 0), (2, 0)))
    assert agree(found.moment("finish"), 0.1 + 0.2 + 4.0)
    assert agree(found.load("quick"), 2 * 4.2 / 16)
    busy = 0.55 * 16
    states = [busy**k / math.factorial(k) for k in range(16)]
    full = busy**16 / math.factorial(16) / (1 - 0.55)
    late = full / (sum(states) + full)
    assert late < 0.05
    assert found.wait("quick", 95.0) == 0.0
    service = 4.2 * (1 + 0.05**2) / 2
    assert agree(found.wait("quick", 99.9), service / (16 * 0.45) * math.log(late / 0.001))
    assert found.memory("quick") == 10e9 + 2e9 + 16e9
    assert agree(found.dollars(), 2 * 8.0 / 3600 / 2)


def test_what_moves_between_tiers_counts_once_each_way() -> None:
    found = facts(small_problem(), Choice((0, 0, 1), (1, 2)))
    assert agree(found.moment("finish"), 0.1 + 0.2 + 0.05 + 6.0)
    assert found.traffic("quick", "slow") == 0.4e9
    assert found.traffic("slow", "quick") == 0.0
    line = next(line for line in found.lines() if line.requirement.startswith("link "))
    assert (line.left, line.right) == (0.8e9, 10e9)


def test_the_planner_says_the_same() -> None:
    """Every number of random choices of random problems, and which requirements are broken."""
    compared = broken = 0
    for seed in range(150):
        problem = random_problem(seed)
        for number, choice in enumerate(all_choices(problem)):
            if number % 23 or number > 800:
                continue
            theirs, mine = evaluate(problem, choice), facts(problem, choice)
            compared += 1
            assert agree(mine.dollars(), theirs.dollars)
            assert agree(mine.joules(), theirs.joules)
            assert agree(mine.objective(), theirs.objective)
            assert all(agree(mine.value(each), theirs.reached[each.name]) for each in problem.promises)
            assert all(agree(mine.load(pool), load) for pool, load in theirs.loads.items())
            assert all(agree(mine.wait(*where), wait) for where, wait in theirs.waits.items())
            assert all(agree(mine.memory(pool), held) for pool, held in theirs.memory.items())
            assert all(agree(mine.traffic(*ends), moved) for ends, moved in theirs.traffic.items())
            assert {tier: mine.devices(tier) for tier in theirs.devices} == theirs.devices
            failing = {line.requirement for line in mine.lines() if not line.holds}
            # The planner names the worst of several pools without a bound once, by the rate.
            assert failing - {""} == {each.requirement for each in theirs.broken} - {""}
            broken += bool(failing)
    assert compared > 300
    assert 0 < broken < compared


@pytest.mark.parametrize("servers", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("load", [0.05, 0.5, 0.9, 0.95])
def test_who_waits_is_the_same_by_the_definition_and_by_the_recurrence(servers: int, load: float) -> None:
    assert math.isclose(waits(servers, load), erlang_c(servers, load * servers), rel_tol=1e-9, abs_tol=1e-300)


@pytest.mark.parametrize("percentile", [1.0, 50.0, 75.0, 95.0, 99.0, 99.99])
def test_quantiles_by_halving(percentile: float) -> None:
    assert abs(quantile(percentile) - z_of(percentile)) < 1e-10
