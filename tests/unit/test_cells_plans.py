"""Cells as a plan: written, verified, confirmed, compared and drawn; and what is found out when a number is changed."""

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cells_made import BUSY, patient
from plans_made import Where, built_of, changed_at, leaves

from agentlang.planner.cells import divided_and_tried
from agentlang.planner.cells.again import built_of as cell_of
from agentlang.planner.cells.assemble import assemble_cells
from agentlang.planner.cells.difference import between
from agentlang.planner.cells.picture import cells_svg
from agentlang.planner.cells.plan import CellsPlan, read, write
from agentlang.planner.codec import DecodeError
from agentlang.planner.place import Confirmed, decided_in_cells
from agentlang.planner.plan import Plan
from agentlang.planner.search.found import Found
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Problem
from agentlang.planner.verify import EXEMPT, seal
from agentlang.planner.verify.cells import summary_of_cells, verify_cells
from agentlang.planner.verify.given import given_of


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
def test_most_leaves_of_a_plan_of_cells_are_found_when_they_are_changed() -> None:
    count, found = unseen(patient(BUSY), 600)
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
