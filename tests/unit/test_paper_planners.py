"""Other planners on the same problems: what looks at everything is right, the paper's linear programme is below it, and
what the others choose is worth no more."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from planner_graphs import machine
from problems_made import best, random_problem, small_problem

from agentlang.planner.space.evaluate import evaluate

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.paper import example, sides  # noqa: E402
from benchmarks.paper.ours import as_problem  # noqa: E402
from benchmarks.paper.page import filled  # noqa: E402
from benchmarks.planners import exhaustive, linear, melange, programs, service, shared, splitwise, table  # noqa: E402

sys.path.remove(str(ROOT))

SMALL = sides.Request("8B", "FP16", 1024, 256, promised=True)


def made(rate: float = 40.0) -> service.Problem:
    return service.service(SMALL, ("a100", "gaudi3"), rate)


def with_hosts(problem: service.Problem) -> service.Problem:
    """Every second pool of a tier's devices is of the machines that they stand in."""
    pools = (replace(pool, host=pool.name.endswith(".1")) for pool in problem.pools)
    return replace(problem, pools=tuple(pools))


@pytest.mark.parametrize("seed", range(30))
def test_looking_at_everything_finds_the_best(seed: int) -> None:
    problem = with_hosts(random_problem(seed, stages=3, tiers=2, high=2))
    found, wanted = exhaustive.exhaustive(problem), best(problem)
    assert (found.choice is None) == (wanted is None)
    if found.choice and wanted:
        assert evaluate(problem, found.choice).objective == pytest.approx(wanted[1].objective, rel=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_our_search_agrees_with_looking_at_everything(seed: int) -> None:
    problem = with_hosts(random_problem(1000 + seed, stages=3, tiers=2, high=2))
    ours, everything = table.agentlang(problem), exhaustive.exhaustive(problem)
    assert (ours.choice is None) == (everything.choice is None)
    if ours.outcome and everything.outcome:
        assert ours.outcome.objective == pytest.approx(everything.outcome.objective, rel=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_shares_cost_no_more_than_any_plan(seed: int) -> None:
    """With a rate and the cheapest as a goal: a plan is a point of the linear programme, at no more than its cost."""
    made = with_hosts(random_problem(seed, stages=3, tiers=2, high=2))
    problem = replace(made, objective="cheapest", rate=made.rate or 1.0)
    plan, bound = exhaustive.exhaustive(problem), linear.linear(problem)
    if plan.outcome is not None:
        assert bound.dollars is not None
        assert bound.dollars <= plan.outcome.objective * (1 + 1e-6)


def test_all_find_the_placement_of_the_worked_example() -> None:
    problem = as_problem(example.example())
    for found in (exhaustive.exhaustive(problem), linear.linear(problem, whole=True), splitwise.splitwise(problem)):
        assert found.outcome is not None and found.outcome.holds
        assert found.outcome.dollars == pytest.approx(0.095)
    alike = splitwise.splitwise(problem, homogeneous=True)
    assert alike.dollars == pytest.approx(0.110)
    assert linear.linear(as_problem(example.example(0.130))).dollars == pytest.approx(0.08625)
    assert linear.linear(as_problem(example.example(price=0.5))).dollars == pytest.approx(0.060 + 0.5 * 0.040)


def test_no_planner_finds_better_than_everything() -> None:
    for problem in (small_problem(), made(), made(250.0)):
        ours, everything, *others = table.answers(problem)
        assert everything.outcome is not None and ours.outcome is not None
        assert ours.outcome.objective == pytest.approx(everything.outcome.objective, rel=1e-9)
        for found in others:
            if found.outcome is not None and found.outcome.holds:
                assert found.outcome.objective >= everything.outcome.objective * (1 - 1e-9)


def test_means_miss_what_percentiles_promise() -> None:
    problem = table.problems()["70B in FP8, 2,048→512 tokens, 8 requests a second"]
    found = linear.linear(problem, whole=True)
    assert found.outcome is not None and not found.outcome.holds
    assert found.outcome.dollars < (exhaustive.exhaustive(problem).dollars or 0.0)


def test_two_pools_have_no_place_for_what_runs_elsewhere() -> None:
    problem = small_problem(first_token=5.0)
    found = splitwise.splitwise(problem)
    assert found.outcome is not None and found.outcome.holds
    third = replace(problem.tiers[0], name="third", counted="count third", held="memory third")
    pool = replace(problem.pools[0], name="third", tier="third")
    tokenize, *others = problem.stages
    there = replace(tokenize, options=tuple(replace(option, pool="third") for option in tokenize.options[:1]))
    links = [replace(problem.links[0], left=end, right="third", carries="third") for end in ("quick", "slow")]
    apart = replace(
        problem,
        stages=(there, *others),
        pools=(*problem.pools, pool),
        tiers=(*problem.tiers, third),
        links=(*problem.links, *links),
    )
    assert exhaustive.exhaustive(apart).choice is not None
    assert splitwise.splitwise(apart).said == "none keeps the promises"


PROGRAM = """use std/llm

model writer = llm.chat("llama-3-8b-instruct")

pipeline chat(prompt: Text) -> stream Text {
  return writer.chat(prompt, max_tokens: 256)
}

goal chat {
  rate         5 per s
  assume {
    prompt 512 tokens
    chat output 256 tokens
  }
  first_token  p95 <= 1 s
  prefer       cheapest
}

fleet market {
  tier h100   = catalog.h100   { count 0..4 }
  tier gaudi3 = catalog.gaudi3 { count 0..4 }
  link * <-> * 400 Gbit/s, 5 us
}
"""


def test_a_programs_problem_is_planned_by_all(tmp_path: Path) -> None:
    file = tmp_path / "chat.agent"
    file.write_text(PROGRAM)
    problem = programs.problem_of(file, "chat", machine())
    assert {tier.name for tier in problem.tiers} == {"h100", "gaudi3"}
    shares, pools = linear.linear(problem), splitwise.splitwise(problem)
    assert pools.outcome is not None and pools.outcome.holds
    assert shares.dollars is not None and shares.dollars <= pools.outcome.dollars


def test_slices_of_all_sizes_go_somewhere() -> None:
    long = sides.Request("8B", "FP16", 4096, 512, promised=True)
    sizes = [("short", made()), ("long", service.service(long, ("a100", "gaudi3"), 6.0))]
    mix = melange.packed(sizes)
    assert mix is not None
    for name, problem in sizes:
        assert sum(count for (size, _), count in mix.slices.items() if size == name) == melange.SLICES
        for tier in mix.devices:
            assert melange.kept(problem, tier)
    # What is bought carries what was assigned to it.
    for tier, count in mix.devices.items():
        load = 0.0
        for name, problem in sizes:
            found = melange.kept(problem, tier)
            load += found.devices * mix.slices.get((name, tier), 0) / melange.SLICES if found else 0.0
        assert load <= count + 1e-6
    assert mix.dollars == pytest.approx(
        sum(count * made().tier(tier).dollars.value * 3600 for tier, count in mix.devices.items())
    )


def test_replicas_carry_the_load_and_no_more() -> None:
    problem = made(100.0)
    found = exhaustive.exhaustive(problem)
    assert found.choice is not None
    least = shared.with_capacity(problem, found.choice.options)
    assert least is not None
    assert all(few <= many for few, many in zip(least.replicas, found.choice.replicas, strict=True))
    for place, count in enumerate(found.choice.replicas):
        if count:
            fewer = tuple(n - (number == place) for number, n in enumerate(found.choice.replicas))
            if fewer[place]:
                assert not evaluate(problem, replace(found.choice, replicas=fewer)).holds


def test_what_cannot_be_is_said() -> None:
    nowhere = made().with_limit("token_gap p50", 1e-6)
    assert [answer.said for answer in table.answers(nowhere)] == [
        "infeasible",
        "there is none",
        "there is none",
        "there is none",
        "none keeps the promises",
        "none keeps the promises",
        "none keeps the promises",
    ]


def test_the_page_has_the_tables(update: bool) -> None:
    page = ROOT / "docs" / "paper.md"
    made = filled(page.read_text(), {"planners": table.page})
    if update:
        page.write_text(made)
    assert page.read_text() == made
