"""Why a stage is where it is, and the frontier, held against every choice of small problems."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from enumerated import feasible, search
from problems_made import all_choices, random_problem, small_problem

from agentlang.planner.answers.elsewhere import placed, placed_json, placed_text
from agentlang.planner.answers.frontier import Frontier, frontier, frontier_json, frontier_text
from agentlang.planner.answers.frontier_svg import frontier_svg
from agentlang.planner.answers.variants import ASKED, only_on
from agentlang.planner.space.evaluate import evaluate


def test_a_stage_elsewhere_costs_what_the_best_plan_with_it_there_costs() -> None:
    problem = small_problem(first_token=1.0, rate=2.0)
    best = search(problem).choices[0]
    for stage in ("chat.prefill", "chat.decode"):
        answer = placed(problem, best, stage, search, feasible)
        (other,) = answer.others
        assert {answer.pool.tier, other.tier} == {"quick", "slow"}
        assert other.outcome is not None
        index = [each.name for each in problem.stages].index(stage)
        there = [
            outcome.objective
            for choice in all_choices(problem)
            if problem.pool(problem.stages[index].options[choice.options[index]].pool).tier == other.tier
            and (outcome := evaluate(problem, choice)).holds
        ]
        assert other.outcome.objective == pytest.approx(min(there))
        assert other.outcome.objective >= answer.outcome.objective


def test_a_stage_that_cannot_be_elsewhere_says_why() -> None:
    problem = small_problem(first_token=0.4, rate=None)
    best = search(problem).choices[0]
    answer = placed(problem, best, "chat.prefill", search, feasible)
    (other,) = answer.others
    assert other.outcome is None
    assert other.why == ("`first_token <= 0.4` would be 642.9 ms at least",)
    text = placed_text(answer, problem.objective)
    assert text.startswith("chat.prefill on quick (made, 8 at once)\n200 ms each, once a run")
    assert "FLOPs / peak  200 ms   100%  assumed" in text
    assert "slow: `first_token <= 0.4` would be 642.9 ms at least" in text
    plain = placed_json(answer)
    assert plain["stage"] == "chat.prefill"


def test_where_no_bound_forbids_a_tier_the_conflict_does() -> None:
    problem = small_problem(first_token=1.0, rate=2.0).with_count("slow", 1)
    best = search(problem).choices[0]
    answer = placed(problem, best, "chat.decode", search, feasible)
    (other,) = answer.others
    assert other.outcome is None
    assert other.proven
    assert any("slow" in why for why in other.why), other.why
    assert not any(why == ASKED for why in other.why)
    with pytest.raises(KeyError):
        placed(problem, best, "nobody", search)


def test_a_question_keeps_the_places_of_options() -> None:
    problem = small_problem()
    asked = only_on(problem, "chat.decode", ("slow",))
    for choice in all_choices(problem):
        here, there = evaluate(problem, choice), evaluate(asked, choice)
        assert here.objective == there.objective
        on = problem.stages[2].options[choice.options[2]].pool
        assert there.holds == (here.holds and on == "slow")


@pytest.mark.parametrize("seed", range(6))
def test_no_choice_beats_a_point_of_the_frontier(seed: int) -> None:
    problem = random_problem(seed, stages=3, high=2)
    found = frontier(problem, search, steps=3)
    kept = {point.choice for point in found.points}
    assert len(kept) == len(found.points)
    hard = tuple(each for each in problem.promises if each.soft is None)
    kept_goal = any(point.keeps for point in found.points)
    assert kept_goal == any(evaluate(problem, choice).holds for choice in all_choices(problem))
    assert all(point.keeps == kept_goal for point in found.points)
    free = replace(problem, promises=hard if kept_goal else tuple(each for each in hard if each.kind == "rate"))
    others = [
        (outcome.dollars, outcome.joules)
        for choice in all_choices(free)
        if (outcome := evaluate(free, choice)).holds
    ]  # fmt: skip
    if not found.points:
        return
    if kept_goal or not any(each.kind in ("token_gap", "first_token", "finish") for each in problem.promises):
        assert found.points[0].dollars == pytest.approx(min(dollars for dollars, _ in others))
        assert min(point.joules for point in found.points) == pytest.approx(min(joules for _, joules in others))
    for left in found.points:
        for right in found.points:
            ours, theirs = ((p.dollars, p.seconds, p.joules) for p in (left, right))
            assert left is right or any(a < b for a, b in zip(ours, theirs, strict=True))
        assert left.keeps == evaluate(problem, left.choice).holds


def test_where_nothing_keeps_the_goal_the_frontier_says_so() -> None:
    found = frontier(small_problem(first_token=0.2, rate=2.0), search)
    assert found.points and not any(point.keeps for point in found.points)
    assert "no plan was found that keeps the goal" in frontier_text(found).splitlines()[-1]


def test_the_frontier_as_a_table_a_picture_and_data() -> None:
    problem = small_problem(first_token=0.6, rate=2.0)
    found = frontier(problem, search)
    assert len(found.points) >= 2
    assert found.latency == "first_token p95"
    assert all(point.keeps for point in found.points)
    lines = frontier_text(found).splitlines()
    assert lines[0].split() == ["per", "1000", "runs", "first_token", "p95", "energy", "a", "run"]
    assert len(lines) == len(found.points) + 2
    assert lines[-1] == "each keeps the goal; what misses it is left out"
    picture = ElementTree.fromstring(frontier_svg(found, 'cost & latency of "chat"'))
    circles = [each for each in picture.iter() if each.tag.endswith("circle")]
    assert len(circles) == len(found.points)
    points = frontier_json(found)["points"]
    assert isinstance(points, list)
    assert ElementTree.fromstring(frontier_svg(Frontier("finish", (), True), "nothing")) is not None
    one = Frontier("finish", found.points[:1], True)
    assert ElementTree.fromstring(frontier_svg(one, "one point")) is not None
