"""Two readings of one problem agree on every number of a plan, and a plan with any one thing changed is found out."""

import ast
import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from plans_made import Where, built_of, changes, plan_of
from problems_made import all_choices, random_problem, small_problem

from agentlang.planner import verify as package
from agentlang.planner.space.evaluate import erlang_c, evaluate, z_of
from agentlang.planner.space.problem import Choice, Problem
from agentlang.planner.verify import EXEMPT, Facts, seal, summary, verify
from agentlang.planner.verify.facts import quantile, waits
from agentlang.planner.verify.given import given_of


def facts(problem: Problem, choice: Choice) -> Facts:
    options = {stage.name: stage.options[at] for stage, at in zip(problem.stages, choice.options, strict=True)}
    replicas = {pool.name: count for pool, count in zip(problem.pools, choice.replicas, strict=True) if count}
    return Facts(problem, options, replicas)


def agree(left: float, right: float) -> bool:
    return left == right or math.isclose(left, right, rel_tol=1e-9)


def test_a_problem_worked_out_on_paper() -> None:
    """Prefill and decode on two quick devices: 2 runs a second keep 4.2 s of 16 slots each in the median, 0.1 % more in
    the mean, a load of 0.526, read as 0.55. A run comes twice, and waits twice as long as one that comes once."""
    found = facts(small_problem(), Choice((0, 0, 0), (2, 0)))
    assert agree(found.moment("finish"), 0.1 + 0.2 + 4.0)
    mean = 4.2 * math.exp(0.05**2 / 2)
    assert agree(found.load("quick"), 2 * mean / 16)
    busy = 0.55 * 16
    states = [busy**k / math.factorial(k) for k in range(16)]
    full = busy**16 / math.factorial(16) / (1 - 0.55)
    late = full / (sum(states) + full)
    assert late < 0.05
    assert found.wait("quick", 95.0) == 0.0
    variance = (0.2**2 + 4.0**2) * math.exp(0.05**2) * (math.exp(0.05**2) - 1)
    once = (mean**2 + variance) / (2 * mean) / (16 * 0.45) * math.log(late / 0.001)
    assert agree(found.wait("quick", 99.9), once * 2)
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


# --- plans -----------------------------------------------------------------------------------------------------------


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "seal": seal(document)}


def exempt(where: Where) -> bool:
    """Whether a place is one of those that only the seal keeps."""
    named = ".".join(str(key) for key in where if isinstance(key, str))
    return named in EXEMPT or where[0] == "notes" or named.rpartition(".")[2] in EXEMPT


def test_what_the_planner_makes_holds() -> None:
    """Plans of random problems, feasible ones and others; and one that was made by hand."""
    held = 0
    for seed in range(60):
        problem = random_problem(seed)
        document = plan_of(problem)
        if document is not None:
            assert verify(document, problem, given_of(built_of(problem))) == ()
            held += 1
    assert held > 20
    problem = small_problem()
    document = plan_of(problem)
    assert document is not None
    assert verify(document, problem, given_of(built_of(problem))) == ()
    told = summary(document, problem)
    assert told.inequalities == len(document["certificate"])
    assert told.missed == 0
    assert 0.0 <= told.margin < 1.0


def test_a_stage_that_no_run_executes_has_its_terms_all_the_same() -> None:
    problem = small_problem()
    never = replace(problem.stages[1], executions=0.0)
    problem = replace(problem, stages=(problem.stages[0], never, problem.stages[2]))
    document = plan_of(problem)
    assert document is not None
    assert verify(document, problem, given_of(built_of(problem))) == ()


def test_whatever_is_changed_is_found_by_the_seal() -> None:
    problem = small_problem()
    document = plan_of(problem)
    assert document is not None
    tried = 0
    for where, changed in changes(document):
        assert seal(changed) != document["seal"] or where == ("seal",), where
        assert changed["seal"] != seal(changed), where
        tried += 1
    assert tried > 300


def unseen(problem: Problem, most: int) -> tuple[int, list[Where]]:
    """How many changes were tried, and those that deriving the plan again does not find, with a new seal so that the
    arithmetic alone has to."""
    document = plan_of(problem)
    if document is None:
        return 0, []
    given, every = given_of(built_of(problem)), list(changes(document))
    some = Random(most).sample(every, most) if most < len(every) else every
    return len(some), [where for where, changed in some if not verify(sealed(changed), problem, given)]


@pytest.mark.parametrize("problem", [small_problem(), *map(random_problem, (0, 2, 5))])
def test_whatever_is_changed_is_found_by_deriving_it_again_too(problem: Problem) -> None:
    """Only what `EXEMPT` names is not found."""
    _, found = unseen(problem, 60)
    assert [where for where in found if not exempt(where)] == []


@pytest.mark.slow
def test_every_single_leaf_of_many_plans_is_found_when_it_is_changed() -> None:
    tried = 0
    for problem in (small_problem(), *map(random_problem, range(6))):
        count, found = unseen(problem, 1 << 20)
        tried += count
        assert [where for where in found if not exempt(where)] == []
    assert tried > 1500


def test_another_choice_is_found_though_all_its_numbers_are_right() -> None:
    """A plan of the same problem that is honest about everything but that it is the best."""
    problem = small_problem(first_token=5.0, finish=60.0)
    worse = plan_of(replace(problem, tiers=tuple(replace(t, high=0 if t.name == "slow" else 4) for t in problem.tiers)))
    best = plan_of(problem)
    assert worse is not None and best is not None
    assert worse["stages"][0]["pool"] == "quick" and best["objective_value"] < worse["objective_value"]
    worse["tiers"][1]["count"][1] = 4
    for line in worse["certificate"]:
        if line["name"] == "devices of slow":
            line["right"] = 4
    (found,) = verify(sealed(worse), problem, given_of(built_of(problem)))
    assert found.path == "search.status"
    assert "some choice comes to" in found.derived


def test_a_plan_of_another_program_is_found() -> None:
    problem = small_problem()
    document = plan_of(problem)
    assert document is not None
    other = replace(problem, stages=problem.stages[1:])
    found = verify(document, other, given_of(built_of(problem)))
    assert [each.path for each in found] == ["stages"]
    slower = replace(problem, tiers=(replace(problem.tiers[0], memory=1e9), *problem.tiers[1:]))
    assert verify(document, slower, given_of(built_of(problem)))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda plan: plan["stages"][0].update(option=7), "stages[0].option"),
        (lambda plan: plan["stages"][0].update(option=-1), "stages[0].option"),
        (lambda plan: plan["pools"].clear(), "pools"),
        (lambda plan: plan["pools"].append(deepcopy(plan["pools"][0])), "pools"),
        (lambda plan: plan["pools"][0].update(replicas=0), "pools"),
        (lambda plan: plan["certificate"].reverse(), "certificate[0].name"),
        (lambda plan: plan.update(extra=1), "extra"),
        (lambda plan: plan["search"].update(bound=plan["objective_value"] * 2), "search.bound"),
        (lambda plan: plan["search"].update(baselines=[["all alike", 0.0]]), "search.baselines[0]"),
        (lambda plan: plan["search"].update(status="infeasible"), "search.status"),
        (lambda plan: plan["search"].update(status="only choice"), "search.status"),
    ],
)
def test_what_has_no_meaning_is_said_and_not_raised(change: Any, path: str) -> None:
    problem = small_problem()
    document = plan_of(problem)
    assert document is not None
    change(document)
    found = verify(sealed(document), problem, given_of(built_of(problem)))
    assert path in [each.path for each in found]


def test_nothing_of_it_comes_from_what_makes_plans() -> None:
    """No module of it imports the search, a solver, the meaning of choices, or what writes plans."""
    folder = Path(str(package.__file__)).parent
    imported: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(f"{'.' * node.level}{node.module or ''}")
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    barred = ("search", "evaluate", "assemble", "chosen", "certificate", "conflict", "place", "ortools")
    assert imported
    assert not [name for name in imported if name.rpartition(".")[2] in barred or "search" in name]
