"""Why there is no plan, held against every choice of small problems: a core cannot hold, each part of it without any
one of its members can, and what is said to help does."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count, islice
from random import Random

import pytest
from enumerated import feasible, search
from problems_made import random_problem, seconds_of, small_problem

from agentlang.planner import search as planning
from agentlang.planner.conflict import Sizes, conflict
from agentlang.planner.conflict.asked import Search
from agentlang.planner.conflict.core import requirements_of
from agentlang.planner.conflict.parts import parts
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.search.pruning import refused
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Problem


def tightened(problem: Problem, rng: Random) -> Problem:
    """One thing is asked more strictly."""
    match rng.choice(("promise", "promise", "promise", "count", "memory", "links")):
        case "promise" if problem.promises:
            chosen = rng.choice(problem.promises)
            return problem.with_limit(chosen.name, chosen.limit * (2.0 if chosen.kind == "rate" else 0.7))
        case "count":
            tier = rng.choice(problem.tiers)
            return problem if tier.endpoint else problem.with_count(tier.name, max(tier.low, tier.high - 1))
        case "memory":
            tier = rng.choice(problem.tiers)
            smaller = replace(tier, memory=tier.memory * 0.6)
            return replace(problem, tiers=tuple(smaller if each is tier else each for each in problem.tiers))
        case _:
            return replace(problem, links=problem.links[:-1])


def impossible_problems() -> Iterator[tuple[int, Problem]]:
    """Problems without a plan, each just beyond one that has."""
    for seed in count():
        rng = Random(seed)
        problem = random_problem(seed, stages=3, tiers=rng.choice((2, 2, 3)), high=2)
        for _ in range(12):
            if not feasible(problem).choices:
                yield seed, problem
                break
            problem = tightened(problem, rng)


def check(seed: int, problem: Problem, search: Search = search, feasible: Search = feasible) -> str:
    """The law, by a search that explains and judges; gives the kind of what helps first."""
    names = frozenset(requirements_of(problem))
    found = conflict(problem, search, feasible, seconds=60.0)
    assert found is not None and found.proven, seed
    members = frozenset(found.requirements)
    assert not feasible(problem, without=names - members).choices, (seed, "the core can hold")
    for name in members:
        assert feasible(problem, without=(names - members) | {name}).choices, (seed, f"{name} is not needed")
    assert {reason.requirement for reason in found.reasons} == members
    assert all(reason.text for reason in found.reasons)
    assert found.relaxations and len(found.helps) == len(found.relaxations), seed
    for way in found.relaxations:
        assert evaluate(way.problem, way.choice).holds, seed
    assert feasible(found.relaxations[0].problem).choices, seed
    assert list(found.relaxations) == sorted(found.relaxations, key=lambda each: each.distance)
    return found.relaxations[0].gives[0].kind


def test_cores_are_minimal_and_what_is_said_to_help_helps() -> None:
    kinds = {check(seed, problem) for seed, problem in islice(impossible_problems(), 25)}
    assert len(kinds) >= 4, kinds


def test_cores_by_the_search_that_plans_use() -> None:
    """It proves, where looking at everything only looks."""
    for seed, problem in islice(impossible_problems(), 40):
        check(seed, problem, planning.search, planning.feasible)


@pytest.mark.slow
def test_two_hundred_cores_are_minimal() -> None:
    for seed, problem in islice(impossible_problems(), 40, 240):
        check(seed, problem)
        check(seed, problem, planning.search, planning.feasible)


def test_what_is_proven_to_be_nearest_is() -> None:
    """A limit a little nearer than one that is said to be the nearest holds nowhere."""
    seen = 0
    for seed, problem in islice(impossible_problems(), 12):
        found = conflict(problem, search, feasible, seconds=60.0)
        assert found is not None
        for way in found.relaxations:
            (given,) = way.gives if len(way.gives) == 1 else (None,)
            if given is None or not given.proven:
                continue
            if given.kind in ("first_token", "token_gap", "finish", "cost", "energy"):
                nearer = problem.with_limit(given.requirement, given.reached * (1 - 1e-6))
                assert given.reached <= given.after
            elif given.kind == "count":
                tier = next(tier for tier in problem.tiers if tier.counted == given.requirement)
                nearer = problem.with_count(tier.name, int(given.after) - 1)
            else:
                continue
            seen += 1
            assert not feasible(nearer).choices, (seed, given.requirement)
    assert seen > 5


def test_parts_add_up_to_what_is_reached() -> None:
    for seed in range(40):
        problem = random_problem(seed, stages=3)
        answer = search(problem)
        for choice in answer.choices:
            outcome = evaluate(problem, choice)
            for promise in problem.promises:
                if promise.kind in ("first_token", "token_gap", "finish"):
                    made = sum(value for _, _, value in parts(problem, choice, promise))
                    assert made == pytest.approx(outcome.reached[promise.name])


def test_a_problem_with_a_plan_has_no_conflict() -> None:
    assert conflict(small_problem(), search) is None


def test_two_conflicts_beside_each_other_give_one_each() -> None:
    """No single change helps; the changes together do."""
    problem = small_problem(first_token=0.2, finish=4.0, rate=None)
    found = conflict(problem, search, feasible, seconds=60.0)
    assert found is not None
    assert len(found.requirements) == 1
    first = found.relaxations[0]
    assert {given.requirement for given in first.gives} == {"first_token p95", "finish p95"}
    assert " and " in found.helps[0]
    assert feasible(first.problem).choices
    assert found.missing is not None and set(found.missing[0]) == {"first_token p95", "finish p95"}


def test_a_search_that_finds_nothing_in_time_is_not_taken_for_a_proof() -> None:
    class Nothing:
        choices = ()
        status = "unknown"

    def slow(problem: Problem, *, without: object = (), seconds: float = 10.0) -> Nothing:
        return Nothing()

    found = conflict(small_problem(first_token=0.31, rate=40.0), slow, seconds=1.0)
    assert found is not None
    assert not found.proven or len(found.requirements) == 1


def test_smaller_sizes_help_where_they_do() -> None:
    """The greatest size that has a plan is found, as whole tokens."""

    def rebuilt(sizes: Mapping[str, float]) -> Problem:
        part = sizes.get("chat.output", 200.0) / 200.0
        problem = small_problem(finish=3.0, rate=None)
        stages = list(problem.stages)
        options = [
            replace(option, time=seconds_of("chat.decode", ("weights / bandwidth", option.seconds * part)))
            for option in stages[2].options
        ]
        stages[2] = replace(stages[2], options=tuple(options))
        return replace(problem, stages=tuple(stages))

    asked = Sizes((("chat.output", Figure(200.0, "tokens", Basis.ASSUMED)),), rebuilt)
    found = conflict(rebuilt({}), search, feasible, seconds=60.0, sizes=asked)
    assert found is not None
    (way,) = (each for each in found.relaxations if each.gives[0].kind == "size")
    most = way.gives[0].after
    assert f"at most {most:.0f} output tokens in chat" in found.helps
    assert 100 <= most < 200
    assert feasible(rebuilt({"chat.output": most})).choices
    assert not feasible(rebuilt({"chat.output": most + max(1.0, most / 100)})).choices


def test_what_is_refused_quickly_has_no_plan() -> None:
    """Of random problems with requirements left out at random, and most that have no plan are refused."""
    refusals = impossible = 0
    for seed in range(150):
        rng = Random(seed)
        problem = random_problem(seed, stages=3, tiers=2, high=2)
        for _ in range(rng.randrange(5)):
            problem = tightened(problem, rng)
        names = requirements_of(problem)
        without = frozenset(rng.sample(names, rng.randrange(len(names) // 2)))
        none = not feasible(problem, without=without).choices
        impossible += none
        if refused(problem, without):
            refusals += 1
            assert none, seed
    assert impossible > refusals > impossible / 3, (refusals, impossible)
