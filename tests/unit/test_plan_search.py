"""The search agrees with a look at everything: enumeration, the model of the solver, and what it says of itself."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from problems_made import best, random_choices, random_problem, small_problem

from agentlang.planner.search import SolverMissingError, baselines, feasible, search, searching
from agentlang.planner.search.greedy import Trial
from agentlang.planner.search.large import NEAR, Large
from agentlang.planner.search.linear import value
from agentlang.planner.search.model import Model
from agentlang.planner.search.reading import Reading
from agentlang.planner.search.relaxed import relaxed, without
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Problem


def made(seed: int, stages: int = 4) -> Problem:
    """A random problem; of every second seed, some pools are those of hosts."""
    problem = random_problem(seed, stages=stages)
    if seed % 2:
        pools = tuple(replace(pool, host=pool.name.endswith(".1")) for pool in problem.pools)
        problem = replace(problem, pools=pools)
    return problem


@pytest.fixture
def only_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is enumerated, and the solver has no first choice to start from."""

    def nothing(*_: object, **__: object) -> Trial | None:
        return None

    monkeypatch.setattr(searching, "MOST", -1)
    monkeypatch.setattr(searching, "DEEPEST", -1)
    monkeypatch.setattr(searching, "improved", nothing)


def agree(problem: Problem, without: tuple[str, ...] = ()) -> bool:
    """Whether the search and a look at everything agree; whether there is a choice."""
    known, found = best(problem, without), search(problem, without=without)
    assert (known is None) == (not found.choices), found.status
    if known is None:
        assert found.status == "infeasible"
        return False
    assert found.status in ("proven optimal", "only choice")
    assert found.outcomes[0].objective == pytest.approx(known[1].objective, rel=1e-6)
    assert evaluate(problem, found.choices[0], without).holds
    return True


def test_the_enumeration_equals_a_look_at_every_choice() -> None:
    assert 15 < sum(agree(made(seed)) for seed in range(60)) < 50


def test_the_solver_equals_a_look_at_every_choice(only_solver: None) -> None:
    assert 15 < sum(agree(made(seed)) for seed in range(100, 160)) < 50


@pytest.mark.slow
def test_the_solver_equals_a_look_at_every_choice_a_thousand_times(only_solver: None) -> None:
    assert 200 < sum(agree(made(seed, 3 + seed % 2)) for seed in range(1_000, 2_000)) < 900


def test_requirements_that_are_left_out_are(only_solver: None) -> None:
    rng = Random(7)
    for seed in range(200, 225):
        problem = made(seed, 3)
        names = [each.name for each in problem.requirements if each.kind != "count"]
        agree(problem, tuple(rng.sample(names, min(3, len(names)))))


def holding(seeds: range) -> Iterator[tuple[Problem, Model, dict[int, float], float]]:
    """Problems with the points of choices that hold."""
    for seed in seeds:
        problem = made(seed)
        reading = Reading(problem)
        if not all(reading.allowed):
            continue
        model = Model(reading)
        for choice in random_choices(problem, Random(seed), 30):
            outcome = evaluate(problem, choice)
            # Only numbers of replicas that help are in the model: those of the best choice are.
            kept = search(problem).choices[:1] if outcome.holds else ()
            for each in kept:
                yield problem, model, model.point(each), evaluate(problem, each).objective
            break


def test_every_choice_that_holds_is_a_point_of_the_model() -> None:
    seen = 0
    for _, model, at, objective in holding(range(300, 400)):
        seen += 1
        for row in model.program.rows:
            if row.when is None or at[row.when]:
                total = value(row.terms, at)
                assert total <= row.most + 1e-9 * max(1.0, abs(row.most)), row
                assert not row.equal or total == row.most
        assert value(model.program.objective, at) == pytest.approx(objective, rel=1e-9)
    assert seen > 5


def test_the_best_few_are_the_best_few(only_solver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    several = 0
    for seed in range(400, 425):
        problem = made(seed, 3)
        solved = search(problem, top=3)
        with monkeypatch.context() as patched:
            patched.setattr(searching, "MOST", 10**9)
            known = search(problem, top=3)
        assert [each.objective for each in solved.outcomes] == pytest.approx([o.objective for o in known.outcomes])
        reading = Reading(problem)
        assert len({reading.face(choice.options) for choice in solved.choices}) == len(solved.choices)
        several += len(solved.choices) > 1
    assert several > 5


def test_a_seed_gives_the_same_choice_each_time(only_solver: None) -> None:
    for seed in (1, 5, 9):
        problem = made(seed, 5)
        assert search(problem, seed=3) == search(problem, seed=3)


def test_the_first_choice_that_holds() -> None:
    for seed in range(60):
        problem = made(seed)
        found = feasible(problem)
        assert bool(found.choices) == (best(problem) is not None)
        assert all(outcome.holds for outcome in found.outcomes)


def test_that_nothing_holds_is_proven_by_the_solver_too(only_solver: None) -> None:
    statuses = {feasible(made(seed)).status for seed in range(12)}
    assert statuses == {"feasible", "infeasible"}


def test_a_program_with_one_option_for_each_stage_needs_no_solver() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from dataclasses import replace\n"
        "from problems_made import small_problem\n"
        "from agentlang.planner.search import search\n"
        "problem = small_problem(rate=0.5)\n"
        "stages = tuple(replace(stage, options=stage.options[:1]) for stage in problem.stages)\n"
        "print(search(replace(problem, stages=stages)).status, 'ortools' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["only", "choice", "False"]


def test_without_the_solver_a_large_problem_says_what_is_missing(
    only_solver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "agentlang.planner.search.solver", None)
    with pytest.raises(SolverMissingError) as caught:
        search(small_problem())
    assert caught.value.hint == "pip install 'agentlang-toolchain[plan]'"


def test_baselines_are_never_better_than_the_best() -> None:
    names = Counter[str]()
    for seed in range(40):
        problem = made(seed)
        found = search(problem)
        for each in baselines(problem):
            assert (each.objective is None) == bool(each.why)
            if each.objective is not None:
                names.update([each.name.split(",")[0]] if "all on" not in each.name else ["all on one"])
                assert each.objective >= found.outcomes[0].objective * (1 - 1e-9)
    assert all(names[name] > 3 for name in ("stage by stage", "the paper's formulation")), names
    assert names["all on one"] > 3, names


@pytest.fixture
def as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked is treated as a large problem is."""
    monkeypatch.setattr(searching, "MOST", -1)
    monkeypatch.setattr(searching, "DEEPEST", -1)
    monkeypatch.setattr(searching, "LARGE", -1)


def test_what_is_left_out_of_a_large_problem_no_better_choice_takes(as_large: None) -> None:
    """By the relaxation, and by the question whether anything is much cheaper, whose answer is heard as a bound."""
    heard: list[tuple[float, float]] = []
    asked = held = 0
    for seed in range(300, 330):
        problem, known = made(seed), best(made(seed))
        heard.clear()
        found = search(problem, seconds=1.0, progress=lambda _, best, bound: heard.append((best, bound)))
        assert (known is None) == (found.status == "infeasible")
        if known is None:
            continue
        assert found.status == "proven optimal"
        assert found.outcomes[0].objective == pytest.approx(known[1].objective, rel=1e-6)
        held += 1
        for objective, bound in heard:
            assert bound <= known[1].objective * (1 + 1e-9) <= objective * (1 + 2e-9)
            asked += abs(bound / objective - (1 - NEAR)) < 1e-9
    assert held > 8
    assert asked > 2


def test_a_link_counts_in_the_model_once_a_choice_breaks_it(as_large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made_with: list[frozenset[str]] = []
    models = Large.model

    def model(large: Large, *given: Any) -> Model:
        made_with.append(frozenset(large.left_out))
        return models(large, *given)

    monkeypatch.setattr(Large, "model", model)
    broken = 0
    for seed in (56, 79, 80, 81, 106, 127, 132):
        problem = random_problem(seed, stages=4)
        links = tuple(replace(each, bandwidth=each.bandwidth * 0.02) for each in problem.links)
        promises = tuple(
            each if each.kind in ("cost", "energy", "rate") else replace(each, limit=each.limit * 20.0)
            for each in problem.promises
        )
        made_with.clear()
        assert agree(replace(problem, links=links, promises=promises))
        broken += len(set(made_with)) > 1
    assert broken > 2


def test_the_relaxation_is_a_bound_and_its_flags_say_how_much_they_add() -> None:
    left_out = 0
    for problem, model, point, objective in holding(range(400, 460)):
        known = relaxed(model.program, objective, 5.0)
        assert known is not None and problem.objective
        assert known.bound <= objective * (1 + 1e-9)
        assert all(known.bound + known.more[flag] <= objective * (1 + 1e-9) for flag, at in point.items() if at == 1.0)
        left_out += without(model.program, known, objective)
        model.program.objective.clear()
        rows = [row for row in model.program.rows if row.when is None or point[row.when]]
        assert all(value(row.terms, point) <= row.most + 1e-6 * max(1.0, abs(row.most)) for row in rows)
    assert left_out > 50
