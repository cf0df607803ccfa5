"""Plans put together from problems made by hand and at random: every number is the sum of its terms."""

import json
from dataclasses import replace
from math import exp

import pytest
from planner_graphs import chat_graph, machine
from problems_made import all_choices, best, random_problem, small_problem

from agentlang.planner.calibrate import Calibration
from agentlang.planner.figures import Prediction
from agentlang.planner.moments import ZERO
from agentlang.planner.options import Options
from agentlang.planner.place import Confirm, Confirmed, decided
from agentlang.planner.plan import Inputs, Made, Plan, from_json, to_json
from agentlang.planner.plan_text import plan_text
from agentlang.planner.predict import Forecast
from agentlang.planner.search.found import GAP, INFEASIBLE, OPTIMAL, Baseline, Found
from agentlang.planner.space.assemble import assemble
from agentlang.planner.space.build import Built
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Choice, Problem
from agentlang.planner.workload import Sizing

NEAR = {"rel": 1e-9, "abs": 1e-12}
MEAN = exp(0.05**2 / 2)
"""Of the small problem's times over their medians."""


def built(problem: Problem) -> Built:
    """The problem of a program of which nothing else is known."""
    run = Forecast(ZERO, None, ZERO, {}, {}, {}, {}, (), {}, (), {}, (), {}, ())
    made = Made(machine(), Calibration("toy"), Options(), "made")
    inputs = Inputs("p" * 64, "g" * 64)
    return Built(problem, run, Sizing((), ()), inputs, chat_graph(), "answer", "made", made, ("made by hand",))


def assembled(problem: Problem, choice: Choice, **found: object) -> Plan:
    outcome = evaluate(problem, choice)
    more = {"status": OPTIMAL, "bound": outcome.objective, **found}
    return assemble(built(problem), Found((choice,), (outcome,), **more))  # pyright: ignore[reportArgumentType]


def small(**limits: float) -> Plan:
    """Prompts on the quick device, replies on three slow ones."""
    return assembled(small_problem(**limits), Choice((0, 0, 1), (1, 3)))


def some(seed: int) -> tuple[Problem, Plan]:
    """The best plan of a problem made at random; where there is none, one that misses something."""
    problem = random_problem(seed, stages=3)
    found = best(problem) or best(problem, tuple(each.name for each in problem.requirements))
    assert found is not None
    return problem, assembled(problem, found[0])


SEEDS = [seed for seed in range(40) if any(True for _ in all_choices(random_problem(seed, stages=3)))]


def sums(prediction: Prediction) -> bool:
    return prediction.value == pytest.approx(sum(term.value for term in prediction.terms), **NEAR)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_of_terms_are_what_the_choice_comes_to(seed: int) -> None:
    problem, plan = some(seed)
    choice = Choice(
        tuple(stage.option for stage in plan.stages),
        tuple(next((p.replicas for p in plan.pools if p.name == pool.name), 0) for pool in problem.pools),
    )
    outcome = evaluate(problem, choice)
    for goal in plan.goals:
        if goal.predicted is not None:
            assert sums(goal.predicted)
            if goal.term != "rate":
                assert goal.predicted.value == pytest.approx(outcome.reached[goal.requirement], **NEAR)
    for prediction in plan.predictions:
        assert sums(prediction)
        assert prediction.value == pytest.approx(outcome.seconds[problem.moment(prediction.name)], **NEAR)
    assert sums(plan.cost.per_run) and sums(plan.energy)
    assert plan.cost.per_run.value == pytest.approx(outcome.dollars, **NEAR)
    assert plan.energy.value == pytest.approx(outcome.joules, **NEAR)
    for pool in plan.pools:
        assert sums(pool.memory)
        assert pool.memory.value == pytest.approx(outcome.memory[pool.name], **NEAR)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_requirement_is_in_the_certificate_and_holds_as_the_choice_does(seed: int) -> None:
    problem, plan = some(seed)
    said = {line.requirement for line in plan.certificate}
    assert {each.name for each in problem.requirements} <= said
    outcome = evaluate(
        problem,
        Choice(
            tuple(stage.option for stage in plan.stages),
            tuple(next((p.replicas for p in plan.pools if p.name == pool.name), 0) for pool in problem.pools),
        ),
    )
    broken = {line.requirement for line in plan.certificate if not line.holds and not line.soft}
    assert broken == {each.requirement for each in outcome.broken}
    assert plan.feasible is outcome.holds
    for line in plan.certificate:
        if line.left is not None and line.kind != "load":
            assert line.holds is (line.left <= line.right * (1 + 1e-9)), line


@pytest.mark.parametrize("seed", SEEDS)
def test_budgets_add_up_to_the_limit(seed: int) -> None:
    _, plan = some(seed)
    for goal in plan.goals:
        if goal.shares:
            assert sum(share.seconds for share in goal.shares) == pytest.approx(goal.limit, **NEAR)
    finish = [goal for goal in plan.goals if goal.term == "finish" and goal.shares]
    if finish:
        assert sum(stage.budget or 0.0 for stage in plan.stages) == pytest.approx(finish[0].limit, **NEAR)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_survives_json(seed: int) -> None:
    _, plan = some(seed)
    again = from_json(to_json(plan))
    assert again == plan
    assert again.digest == plan.digest
    assert plan_text(again) == plan_text(plan)
    json.loads(to_json(plan), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


def test_who_pays_what_of_a_small_plan() -> None:
    plan = small()
    assert [(tier.name, tier.devices) for tier in plan.tiers] == [("quick", 1), ("slow", 3)]
    assert plan.cost.per_1000_runs == pytest.approx(1000 * (8 + 3 * 2) / 7200)
    assert plan.cost.arithmetic == "(1 x $8.00 per h + 3 x $2.00 per h) / 7,200 runs per h"
    by_stage = {term.stage: term.value for term in plan.cost.per_run.terms if term.name == "machine time"}
    assert by_stage["chat.prefill"] == pytest.approx(0.2 * MEAN / 8 * 8 / 3600)
    assert by_stage["chat.decode"] == pytest.approx(6.0 * MEAN / 8 * 2 / 3600)
    assert [stage.dollars_per_run for stage in plan.stages][1:] == pytest.approx(
        [by_stage["chat.prefill"], by_stage["chat.decode"]]
    )


def test_transfers_waiting_and_tails_are_terms_of_a_time() -> None:
    plan = small(rate=3.0)
    (goal,) = (each for each in plan.goals if each.term == "finish")
    assert goal.predicted is not None
    names = [term.name for term in goal.predicted.terms]
    assert names.count("transfer") == 1  # the text stays where it is, the cache moves
    (moved,) = (term for term in goal.predicted.terms if term.name == "transfer")
    assert (moved.stage, moved.value) == ("chat.decode", pytest.approx(0.01 + 0.04))
    assert "tail p95" in names and "waiting p95" in names
    (link,) = plan.links
    assert (link.left, link.right, link.bytes_per_run) == ("quick", "slow", 0.4e9)
    assert link.utilisation == pytest.approx(3 * 0.4e9 / 10e9)


def test_the_rate_that_is_carried_is_that_of_the_fullest_pool() -> None:
    (goal,) = (each for each in small().goals if each.term == "rate")
    assert goal.predicted is not None
    assert goal.predicted.value == pytest.approx(0.95 * 3 * 8 / (6.0 * MEAN))
    for rate, holds in ((3.75, True), (3.85, False)):
        plan = assembled(small_problem(rate=rate, first_token=60.0, finish=60.0), Choice((0, 0, 1), (1, 3)))
        assert plan.feasible is holds


def test_an_overloaded_plan_says_so() -> None:
    plan = small(rate=5.0)
    assert not plan.feasible
    finish = next(goal for goal in plan.goals if goal.term == "finish")
    assert finish.predicted is None
    assert sum(share.seconds for share in finish.shares) == pytest.approx(finish.limit)
    assert "the rate of the goal is not carried; the cost is stated as if it were" in plan.notes
    assert "no bound: overloaded" in plan_text(plan)
    assert from_json(to_json(plan)) == plan


def test_what_every_line_stands_on_is_at_its_place() -> None:
    plan = small()
    (memory,) = (line for line in plan.certificate if line.name == "memory of slow")
    assert (memory.left, memory.right, memory.unit) == (26e9, 80e9, "B")
    assert memory.place.startswith("made.agent:")
    load = next(line for line in plan.certificate if line.name == "load of slow")
    assert (load.left, load.right, load.requirement) == (pytest.approx(0.5 * MEAN), 0.95, "rate")


def test_the_text_of_several_tiers() -> None:
    text = plan_text(small())
    for words in (
        "plan of answer on made: meets its goal",
        "quick -> slow",
        "1 of 4",
        "chat.decode    slow   made",
        "to spare",
        "cost $1.94 per 1000 runs = 1000 x (1 x $8.00 per h + 3 x $2.00 per h) / 7,200 runs per h, given",
        "proven optimal: nothing that holds is cheaper",
        "note: made by hand",
    ):
        assert words in text, text
    assert "not used" not in text
    alone = plan_text(assembled(small_problem(first_token=1.0), Choice((1, 1, 1), (0, 3))))
    assert "not used: quick" in alone


def test_how_good_a_plan_is_and_what_others_come_to() -> None:
    problem, choice = small_problem(), Choice((0, 0, 1), (1, 3))
    baselines = (
        Baseline("all on the best tier", 0.004),
        Baseline("all on the cheapest", None, "no choice there keeps the goal"),
        Baseline("greedy", 0.00194444444444),
    )
    text = plan_text(assembled(problem, choice, status=GAP, gap=0.02, considered=1200, baselines=baselines))
    assert "nothing that holds is cheaper by more than 2.0% (1,200 choices looked at)" in text
    words = " ".join(text.split())
    assert "all on the best tier $4.00 per 1000 runs this plan saves 51%" in words
    assert "all on the cheapest no choice there keeps the goal" in words and "the same" in words
    unknown = assembled(problem, choice, status=GAP, gap=float("inf"), bound=float("-inf"))
    assert unknown.search.gap is None
    assert "no bound is known" in plan_text(unknown)
    assert from_json(to_json(unknown)) == unknown
    assert "nearest to it" in plan_text(assembled(problem, choice, status=INFEASIBLE))


def test_another_than_the_best_says_its_distance() -> None:
    problem = small_problem()
    choices = (Choice((0, 0, 1), (1, 3)), Choice((0, 0, 1), (1, 4)))
    outcomes = tuple(evaluate(problem, choice) for choice in choices)
    found = Found(choices, outcomes, OPTIMAL, bound=outcomes[0].objective)
    second = assemble(built(problem), found, 1)
    assert second.search.status == "number 2"
    assert second.search.gap == pytest.approx(1 - 14 / 16)
    with pytest.raises(IndexError):
        assemble(built(problem), found, 2)


def test_a_run_here_needs_one_machine_of_this_kind() -> None:
    problem = small_problem()
    here = replace(problem, tiers=tuple(replace(tier, here=True) for tier in problem.tiers))
    assert not small().runs_here
    assert not assembled(here, Choice((0, 0, 1), (1, 3))).runs_here
    assert assembled(replace(here, rate=None), Choice((0, 0, 0), (1, 0))).runs_here


def test_a_choice_that_is_not_confirmed_gives_way_to_one_with_more_replicas() -> None:
    tried: list[Choice] = []

    def wants(count: int) -> Confirm:
        def confirm(problem: Problem, choice: Choice) -> Confirmed:
            tried.append(choice)
            return Confirmed("a test", () if choice.replicas[1] >= count else ("finish is missed, 13 s",))

        return confirm

    plan, problems = decided(built(small_problem()), None, None, confirm=wants(4))
    assert plan is not None and not problems
    assert plan.pool("slow").replicas == 4
    assert (plan.search.status, plan.search.confirmed) == (GAP, "a test")
    assert plan.search.gap == pytest.approx(1 - 14 / 16)
    assert tried[0].replicas == (1, 3) and len(set(tried)) == len(tried)
    assert "confirmed by a test" in plan_text(plan)
    best_one, _ = decided(built(small_problem()), None, None, confirm=wants(1))
    assert best_one is not None
    assert (best_one.search.status, best_one.search.confirmed) == (OPTIMAL, "a test")
    never, _ = decided(built(small_problem()), None, None, confirm=wants(99))
    assert never is not None
    assert "a test: finish is missed, 13 s" in never.notes
    assert never.pool("slow").replicas == 3
    assert not never.search.confirmed


def test_simpler_ways_to_choose_stand_beside_a_plan() -> None:
    plan, _ = decided(built(small_problem()), None, None, beside=True)
    assert plan is not None and plan.search.baselines
    own = plan.objective_value
    assert own is not None
    assert all(value is None or value >= own * (1 - 1e-9) for _, value in plan.search.baselines)
    assert "this plan saves" in plan_text(plan)
