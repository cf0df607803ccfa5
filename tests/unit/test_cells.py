"""Several placements that share the runs of one pipeline: what they come to, what is proven of them, what is found out
when one of their numbers is changed."""

import json
from dataclasses import replace
from math import exp, inf, isclose
from random import Random
from typing import Any

import pytest
from plans_made import Where, built_of, changed_at, leaves
from problems_made import best, random_problem, required, seconds_of, small_problem, tier_of

from agentlang.planner.cells import Divided, divided, divided_and_tried
from agentlang.planner.cells.again import built_of as cell_of
from agentlang.planner.cells.assemble import assemble_cells
from agentlang.planner.cells.bound import bounded
from agentlang.planner.cells.difference import between
from agentlang.planner.cells.picture import cells_svg
from agentlang.planner.cells.plan import CellsPlan, read, write
from agentlang.planner.cells.simplex import minimise
from agentlang.planner.cells.sizes import placement
from agentlang.planner.codec import DecodeError
from agentlang.planner.place import Confirmed, decided_in_cells
from agentlang.planner.plan import Plan
from agentlang.planner.search import search
from agentlang.planner.search.found import Found
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Link, Option, Pool, Problem
from agentlang.planner.verify import EXEMPT, seal
from agentlang.planner.verify.cells import summary_of_cells, verify_cells
from agentlang.planner.verify.given import given_of
from agentlang.planner.verify.least import least

BUSY = 9.0
"""Runs a second that neither of the tiers of the small problem carries."""


def patient(rate: float | None) -> Problem:
    """The small problem with limits that both of its tiers keep."""
    return small_problem(first_token=5.0, finish=60.0, rate=rate)


def mixture(seed: int) -> Problem:
    """The patient problem over two to four tiers of random speed, price and number, each with a pool of its own and
    sometimes one in which prefill and decode go together; at 40 % to 100 % of what about all devices carry."""
    rng = Random(seed)
    base = patient(1.0)
    names = [f"tier{number}" for number in range(rng.randint(2, 4))]
    tiers = tuple(
        tier_of(name, high=rng.randint(1, 5), low=rng.choice((0, 0, 1)), hourly=rng.uniform(1.0, 8.0)) for name in names
    )
    pools: list[Pool] = []
    options: list[list[Option]] = [[], [], []]
    carried = 0.0
    for tier in tiers:
        slots, speed = rng.choice((4, 8, 16)), rng.uniform(0.5, 2.0)
        carried += 0.9 * tier.high * slots / 4.5 * speed
        for pool in (tier.name, f"{tier.name} serve")[: rng.choice((1, 2))]:
            pools.append(Pool(pool, tier.name, 1, slots))
            serve = pool != tier.name
            slower = 1.1 if serve else 1.0
            for place, (stage, seconds) in enumerate(zip(base.stages, (0.1, 0.3, 4.2), strict=True)):
                taken = seconds / speed * slower
                others = tuple(each.name for each in base.stages[1:] if each is not stage) if serve and place else ()
                time = seconds_of(stage.name, ("made", taken))
                options[place].append(
                    Option(
                        pool, time, taken * 0.5, taken if place else 0.0, noise=0.1, joules=taken * 100, together=others
                    )
                )
    links = tuple(
        Link(left, right, 10e9, 1e-3, carries=f"link {left} <-> {right}")
        for number, left in enumerate(names)
        for right in names[number + 1 :]
    )
    rate = round(carried * rng.uniform(0.4, 1.0), 3)
    promises = tuple(replace(each, limit=rate) if each.kind == "rate" else each for each in base.promises)
    promises = tuple(replace(each, limit=0.1) if each.kind == "cost" else each for each in promises)
    stages = tuple(replace(stage, options=tuple(some)) for stage, some in zip(base.stages, options, strict=True))
    return replace(
        base,
        stages=stages,
        pools=tuple(pools),
        tiers=tiers,
        links=links,
        promises=promises,
        requirements=tuple(required(tiers, links, promises)),
        rate=rate,
        objective=rng.choice(("cheapest", "cheapest", "greenest", "fastest")),
    )


def with_rate(problem: Problem, rate: float) -> Problem:
    """The same with a promise of this rate, whether it has one or not."""
    name = next((each.name for each in problem.promises if each.kind == "rate"), None)
    return problem.with_limit(name, rate) if name else problem


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


# --- as a plan -------------------------------------------------------------------------------------------------------


def plan_of_cells(problem: Problem) -> CellsPlan:
    def as_it_is(asked: Problem, found: Found) -> tuple[Found, Confirmed | None]:
        del asked
        return found, None

    tried = divided_and_tried(problem, None, as_it_is)
    assert tried is not None
    return assemble_cells(built_of(problem), tried.divided, tried.found)


def document_of(problem: Problem) -> dict[str, Any]:
    return json.loads(write(plan_of_cells(problem)))


def wrong_with(document: dict[str, Any], problem: Problem) -> list[str]:
    sealed = {**document, "seal": seal(document)}
    found = verify_cells(sealed, problem, lambda own: given_of(built_of(own)))
    return [each.path for each in found]


def test_a_plan_of_cells_is_the_same_after_a_trip_through_json() -> None:
    plan = plan_of_cells(patient(BUSY))
    assert read(write(plan)) == plan
    assert read(write(plan, indent=0)) == plan
    assert plan.feasible and not plan.runs_here
    assert "no placement alone does" in str(plan)
    for text in ('{"cells": 1}', '{"cells": []', "[]", json.dumps({**json.loads(write(plan)), "format": 2})):
        with pytest.raises(DecodeError):
            read(text)


def test_a_plan_of_cells_holds_by_another_arithmetic() -> None:
    problem = patient(BUSY)
    document = document_of(problem)
    assert wrong_with(document, problem) == []
    told = summary_of_cells(document)
    assert told.missed == 0
    assert told.inequalities == len(document["certificate"]) + sum(
        len(cell["plan"]["certificate"]) for cell in document["cells"]
    )
    assert told.margin > 0.0


def exempt(where: Where) -> bool:
    """What only the seal keeps: as of any plan, and prices that prove the same bound."""
    inner = where[3:] if where[:1] == ("cells",) and where[2:3] == ("plan",) else where
    named = ".".join(str(key) for key in inner if isinstance(key, str))
    return named in EXEMPT or inner[0] == "notes" or named.rpartition(".")[2] in EXEMPT


def unseen(problem: Problem, most: int) -> tuple[int, list[Where]]:
    document = document_of(problem)
    every = [each for each in leaves(document) if each[0] != ("seal",)]
    some = Random(most).sample(every, most) if most < len(every) else every
    return len(some), [where for where, leaf in some if not wrong_with(changed_at(document, where, leaf), problem)]


def test_whatever_is_changed_of_a_plan_of_cells_is_found() -> None:
    _, found = unseen(patient(BUSY), 40)
    assert [where for where in found if not exempt(where)] == []


@pytest.mark.slow
def test_every_single_leaf_of_a_plan_of_cells_is_found_when_it_is_changed() -> None:
    count, found = unseen(patient(BUSY), 1 << 20)
    assert [where for where in found if not exempt(where)] == []
    assert count > 500


def test_runs_cannot_be_moved_from_one_cell_to_another() -> None:
    """The sums would still be right; what each cell says of its own runs would not."""
    problem = patient(BUSY)
    document = document_of(problem)
    for cell, by in zip(document["cells"], (0.01, -0.01), strict=False):
        cell["rate"] += by
    assert any(path.startswith("cells[0].plan.") for path in wrong_with(document, problem))
    document = document_of(problem)
    document["cells"][0]["rate"] = -1.0
    assert wrong_with(document, problem) == ["cells[0].rate", "cells"]
    document = document_of(problem)
    del document["cells"][1:]
    assert wrong_with(document, problem)[0] == "cells"
    assert wrong_with(document_of(problem), patient(None)) == ["rate"]


def test_a_bound_that_its_prices_do_not_prove_is_found() -> None:
    problem = patient(BUSY)
    document = document_of(problem)
    document["search"]["bound"] = document["objective_value"]
    document["search"]["gap"] = 0.0
    assert wrong_with(document, problem) == ["search.bound", "search.gap"]
    document = document_of(problem)
    document["scarcity"] = [["quick", -1.0], ["slow", 0.0]]
    assert wrong_with(document, problem) == ["scarcity"]


def test_the_planner_gives_cells_where_one_placement_does_not_do() -> None:
    busy, easy = patient(BUSY), patient(2.0)
    plan, found = decided_in_cells(built_of(busy), None, None)
    assert isinstance(plan, CellsPlan)
    assert found == ()
    single, _ = decided_in_cells(built_of(easy), None, None)
    assert isinstance(single, Plan)
    none, found = decided_in_cells(built_of(patient(15.0)), None, None)
    assert isinstance(none, Plan) and not none.feasible
    assert [problem.slug for problem in found] == ["plan-no-plan"]


def test_who_confirms_is_asked_of_each_cell_at_its_rate() -> None:
    """Who refuses what is on the edge gets a replica more, where the devices are there."""
    problem = patient(7.0)
    problem = replace(problem, tiers=tuple(replace(tier, high=3) for tier in problem.tiers))
    asked: list[float] = []

    def careful(own: Problem, choice: Any) -> Confirmed:
        assert own.rate is not None
        asked.append(own.rate)
        worst = max(evaluate(own, choice).loads.values())
        return Confirmed("a careful reader", () if worst < 0.9 else ("too full",))

    plan, _ = decided_in_cells(built_of(problem), None, None, confirm=careful)
    assert isinstance(plan, CellsPlan)
    assert asked and max(asked) < 7.0
    fullest = max(pool.load for cell in plan.cells for pool in cell.plan.pools)
    assert (fullest < 0.9) == (plan.search.confirmed == "a careful reader of each cell at its rate")
    assert (fullest < 0.9) == (not any("too full" in note for note in plan.notes))


def test_what_is_not_proven_is_not_said() -> None:
    """Of one placement that was not found in time, and of the fastest, of which no bound is known."""
    problem = patient(BUSY)
    tried = divided_and_tried(problem, None, lambda _, found: (found, None))
    assert tried is not None
    unsure = assemble_cells(built_of(problem), tried.divided, tried.found, sure=False)
    assert "no placement alone was found that does" in str(unsure)
    assert wrong_with(json.loads(write(unsure)), problem) == []
    assert "no division into cells, however many, is cheaper by more than" in str(unsure)
    fastest = replace(problem, objective="fastest")
    plan = plan_of_cells(fastest)
    assert plan.search.gap is None
    assert "no bound is known" in str(plan)
    assert wrong_with(json.loads(write(plan)), fastest) == []


def test_a_cell_is_a_plan_of_the_problem_with_its_rate_and_its_devices() -> None:
    problem = patient(BUSY)
    plan = plan_of_cells(problem)
    for cell in plan.cells:
        own = cell_of(cell, built_of(problem)).problem
        assert own.rate == cell.rate == cell.share * plan.rate
        assert {tier.name: tier.high for tier in own.tiers} == {t.name: t.devices for t in cell.plan.tiers}


def test_differences_of_plans_with_cells() -> None:
    plan, other = plan_of_cells(patient(BUSY)), plan_of_cells(patient(9.5))
    assert between(plan, plan) == ()
    said = {(each.group, each.name) for each in between(plan, other)}
    assert ("cost", "per 1000 runs") in said
    assert any(group.startswith("cell 1") for group, _ in said)
    single, _ = decided_in_cells(built_of(patient(2.0)), None, None)
    assert isinstance(single, Plan)
    changed = {(each.group, each.name): each for each in between(single, plan)}
    assert changed["plan", "cells"].before == "1"
    assert changed["cell 2", "runs and devices"].before == ""


def test_a_picture_of_cells_is_one_picture() -> None:
    from xml.dom.minidom import parseString

    plan = plan_of_cells(patient(BUSY))
    drawn = parseString(cells_svg(plan))
    assert len(drawn.getElementsByTagName("svg")) == 1 + len(plan.cells)
