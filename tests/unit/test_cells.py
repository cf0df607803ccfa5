"""Several placements that share the runs of one pipeline: what they come to, and what is proven of them."""

from dataclasses import replace
from itertools import count
from math import exp, inf, isclose
from random import Random

import pytest
from cells_made import BUSY, mixture, patient, with_rate
from problems_made import best, random_problem

from agentlang.planner.cells import Divided, divided
from agentlang.planner.cells.bound import bounded
from agentlang.planner.cells.simplex import minimise
from agentlang.planner.cells.sizes import placement
from agentlang.planner.search import search, searching
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Problem
from agentlang.planner.verify.least import least


def proper(problem: Problem, found: Divided) -> None:
    """The sums: rates, devices of each tier, the objective; and every cell holds by itself."""
    assert problem.rate is not None
    assert 2 <= len(found.cells) <= 4
    assert isclose(sum(cell.rate for cell in found.cells), problem.rate, rel_tol=1e-9)
    for tier in problem.tiers:
        if tier.endpoint:
            continue
        devices = sum(cell.outcome.devices[tier.name] for cell in found.cells)
        used = sum(
            evaluate(
                replace(cell.problem, tiers=tuple(replace(t, low=0) for t in cell.problem.tiers)), cell.choice
            ).devices[tier.name]
            for cell in found.cells
        )
        assert devices == max(used, tier.low)
        assert devices <= tier.high
    for cell in found.cells:
        outcome = evaluate(cell.problem, cell.choice)
        assert outcome.holds
        assert cell.problem.rate == cell.rate
        assert outcome == cell.outcome
    objective = sum(cell.outcome.objective * cell.rate for cell in found.cells) / problem.rate
    assert isclose(objective, found.objective, rel_tol=1e-9)
    assert found.bound <= found.objective


# --- finding them ----------------------------------------------------------------------------------------------------


def test_two_tiers_carry_together_what_neither_carries_alone() -> None:
    problem = patient(BUSY)
    assert best(problem) is None
    found = divided(problem)
    assert found is not None
    proper(problem, found)
    assert {tier: sum(cell.outcome.devices[tier] for cell in found.cells) for tier in ("quick", "slow")}["quick"] > 0
    paid = sum(
        cell.outcome.devices[t] * problem.tier(t).dollars.value for cell in found.cells for t in ("quick", "slow")
    )
    assert isclose(found.objective, paid / BUSY)
    assert divided(problem) == found


def test_there_are_none_where_all_devices_are_too_few() -> None:
    """4 quick and 4 slow devices of 8 slots, 95 % of which is 60.8: at least 4.2 s of a slot for each run."""
    problem = patient(15.0)
    assert bounded(problem).least == inf
    assert divided(problem) is None


def test_there_are_none_without_a_rate_or_with_one_tier() -> None:
    assert divided(patient(None)) is None
    one = patient(5.0)
    assert divided(replace(one, tiers=(one.tiers[0], replace(one.tiers[1], high=0)))) is None


def test_what_costs_no_less_is_left_alone() -> None:
    """Where no tier is scarce nothing is divided; where one is, only if that saves something."""
    easy = patient(2.0)
    single = best(easy)
    assert single is not None
    assert divided(easy, single[1].objective) is None
    hard = patient(6.5)
    alone = best(hard)
    assert alone is not None
    found = divided(hard, alone[1].objective)
    assert found is not None
    proper(hard, found)
    assert found.objective <= alone[1].objective * 0.99
    assert divided(hard, found.objective * 1.001) is None


def test_what_has_to_be_paid_is_paid_once() -> None:
    problem = patient(BUSY)
    tiers = tuple(replace(tier, low=4) for tier in problem.tiers)
    found = divided(replace(problem, tiers=tiers))
    assert found is not None
    proper(replace(problem, tiers=tiers), found)
    assert sum(cell.outcome.devices["quick"] for cell in found.cells) == 4


def test_an_endpoint_takes_what_the_devices_leave() -> None:
    """Dear by the run, and without end: it gets no more runs than it must."""
    problem = patient(6.5)
    quick, slow = problem.tiers
    asked = replace(
        slow, endpoint=True, low=0, high=1 << 20, counted="", held="", dollars=replace(slow.dollars, value=0.0)
    )
    stages = tuple(
        replace(
            stage,
            options=tuple(
                replace(each, held=(), busy=0.0, dollars=0.005 if each.busy > 3.0 else 0.0)
                if each.pool == "slow"
                else each
                for each in stage.options
            ),
        )
        for stage in problem.stages
    )
    pools = tuple(replace(pool, slots=0, devices=0) if pool.name == "slow" else pool for pool in problem.pools)
    promises = tuple(replace(each, limit=1.0) if each.kind == "cost" else each for each in problem.promises)
    problem = replace(problem, tiers=(quick, asked), stages=stages, pools=pools, promises=promises)
    problem = with_rate(problem, 12.0)
    found = divided(problem)
    assert found is not None
    proper(problem, found)
    first = found.cells[0]
    assert first.outcome.devices["quick"] == 4
    assert found.gap < 0.2


def divisions_of(seeds: range) -> tuple[int, int]:
    """How many of these problems have cells, and how many of them a placement alone that is dearer. Of each: the sums,
    what one placement does, and prices that nobody found, which prove nothing that is not so."""
    found = dearer = 0
    for seed in seeds:
        problem, rng = mixture(seed), Random(seed)
        single = search(problem)
        alone = single.outcomes[0].objective if single.choices else None
        proven = bounded(problem)
        cells = divided(problem, alone)
        reached = [each for each in (alone, cells.objective if cells is not None else None) if each is not None]
        if cells is not None:
            found += 1
            dearer += alone is not None
            proper(problem, cells)
            assert alone is None or cells.objective < alone
        for value in reached:
            assert proven.least <= value * (1 + 1e-9)
            for _ in range(5):
                prices = {tier.name: tier.dollars.value * rng.uniform(0.0, 3.0) for tier in problem.tiers}
                assert least(problem, prices) <= value * (1 + 1e-9)
    return found, dearer


def test_random_problems_have_cells_with_right_sums_that_are_never_dearer_than_one_placement() -> None:
    found, _ = divisions_of(range(25))
    assert found > 5


@pytest.mark.slow
def test_no_division_of_many_problems_is_below_the_bound() -> None:
    found, dearer = divisions_of(range(100, 400))
    assert found > 60
    assert dearer > 5


def test_the_bound_is_below_every_choice_of_one_placement() -> None:
    """Of problems of every shape, against every choice that there is."""
    bounds = 0
    for seed in range(60):
        problem = random_problem(seed, stages=3, tiers=2 + seed % 2, high=3)
        single = best(problem)
        if single is not None and any(each.kind == "rate" for each in problem.promises):
            bounds += 1
            assert bounded(problem).least <= single[1].objective * (1 + 1e-9)
    assert bounds > 10


# --- what is proven --------------------------------------------------------------------------------------------------


def test_the_bound_on_paper() -> None:
    """Every stage where its devices cost least: prefill 0.2 s at 8 $/h or 0.5 s at 2 $/h, decode 4 s or 6 s; 95 % of 8
    slots, and the mean of a log-normal above its median."""
    problem = patient(BUSY)
    hourly = {"quick": 8.0, "slow": 2.0}
    mean = exp(0.05**2 / 2) / 8 / 0.95 / 3600
    paid = {name: value / 3600 for name, value in hourly.items()}
    assert isclose(least(problem, paid), (0.5 * 2.0 + 6.0 * 2.0) * mean)
    # With slow devices three times as dear, quick ones decode as cheaply; what is above the price is given back.
    scarce = {"quick": paid["quick"], "slow": 3 * paid["slow"]}
    assert isclose(least(problem, scarce), (0.2 * 8.0 + 4.0 * 8.0) * mean - 4 * 2 * paid["slow"] / BUSY)
    found = bounded(problem)
    assert found.scarce == ("slow",)
    assert isclose(
        found.least, max(least(problem, {**paid, "slow": k * paid["slow"] / 50}) for k in range(50, 200)), rel_tol=0.01
    )


def test_nothing_is_proven_of_the_fastest() -> None:
    assert least(replace(patient(BUSY), objective="fastest"), {"quick": 1.0, "slow": 1.0}) == 0.0


def test_a_linear_program_on_paper() -> None:
    """At least 3 of both together, of the cheaper at most 2; and 3 where there are 2."""
    found = minimise([1.0, 2.0, 0.0], [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], [3.0, 2.0])
    assert found.feasible
    assert found.values == (2.0, 1.0, 0.0)
    assert found.prices == (2.0, -1.0)
    none = minimise([1.0, 0.0], [[1.0, 0.0], [1.0, 1.0]], [3.0, 2.0])
    assert not none.feasible
    over, under = none.prices
    assert over + under <= 1e-9 and under <= 1e-9 and 3 * over + 2 * under > 0.0


def test_sizes_of_a_placement_carry_what_they_say_and_no_more() -> None:
    problem = patient(BUSY)
    found = placement(problem, (0, 0, 0))
    assert [dict(size.replicas)["quick"] for size in found.sizes] == [1, 2, 3, 4]
    for size in found.sizes:
        count = dict(size.replicas)["quick"]
        choice = replace(best(with_rate(problem, 2.0))[0], options=(0, 0, 0), replicas=(count, 0))  # type: ignore[index]
        cost = tuple(replace(each, limit=1.0) if each.kind == "cost" else each for each in problem.promises)
        asked = replace(problem, promises=cost)
        assert evaluate(with_rate(asked, size.rate), choice).holds
        assert not evaluate(with_rate(asked, size.rate * 1.001), choice).holds


@pytest.mark.slow
def test_cells_are_the_same_however_busy_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's clock has no say: one that jumps by a minute each time it is read changes nothing, by hand or in the
    solver."""
    monkeypatch.setattr(searching, "MOST", -1)
    monkeypatch.setattr(searching, "DEEPEST", -1)
    problems = [patient(BUSY), *map(mixture, range(10))]
    calm = [divided(problem) for problem in problems]
    ticks = count(0.0, 60.0)
    monkeypatch.setattr("agentlang.planner.search.clock.monotonic", lambda: next(ticks))
    assert [divided(problem) for problem in problems] == calm
    assert sum(each is not None for each in calm) >= 2
    read = next(ticks)
    search(patient(1.0), seconds=1.0, steady=True)
    assert next(ticks) == read + 60.0
    search(patient(1.0), seconds=1.0)
    assert next(ticks) > read + 120.0
