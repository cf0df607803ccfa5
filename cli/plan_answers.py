"""What else `agentlang plan` answers: `--explain STAGE`, `--top K`, `--frontier`, `--what-if CHANGE`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from ..base.source import Source
from ..base.store import write_atomic
from . import problems as words
from .console import Console, Exit
from .target import Refused, Target, open_compiled

if TYPE_CHECKING:
    from ..planner.cells.plan import CellsPlan
    from ..planner.hardware import Machine
    from ..planner.options import Options
    from ..planner.plan import Plan
    from ..planner.search.found import Found
    from ..planner.space.build import Built
    from ..planner.space.problem import Choice

PICTURE = ".svg"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--explain", metavar="STAGE", help="why a stage is where it is: its time, and the other tiers")
    parser.add_argument("--top", metavar="K", type=int, default=0, help="the best K plans, side by side")
    parser.add_argument("--frontier", action="store_true", help="cost, latency and energy against each other")
    parser.add_argument(
        "--what-if",
        metavar="CHANGE",
        action="append",
        default=[],
        help="what would change, as in 'tier gpu count 0..8'",
    )


def wanted(arguments: argparse.Namespace) -> bool:
    return bool(arguments.explain or arguments.top or arguments.frontier or arguments.what_if)


def execute(arguments: argparse.Namespace, console: Console, target: Target, machine: Machine, options: Options) -> int:
    """The answer to what was asked, on stdout; with `--out` also into a file."""
    if arguments.what_if:
        return _what_if(arguments, console, target, machine, options)
    from ..api import problem

    built, found = problem(
        target.compiled, target.pipeline, machine, fleet=arguments.fleet, here=arguments.here, options=options
    )
    problems = (*target.problems, *found)
    if built is None:
        return console.fail(problems, target.sources)
    if arguments.frontier:
        return _frontier(arguments, console, built, problems, target)
    if arguments.explain:
        return _explain(arguments, console, built, problems, target)
    from ..planner.search import search

    answer = search(built.problem, top=max(1, arguments.top))
    if not answer.choices:
        return console.fail((*problems, *_no_single(arguments, target, built)), target.sources)
    return _top(arguments, console, built, answer)


def _no_single(arguments: argparse.Namespace, target: Target, built: Built) -> Problems:
    """Why there is no placement to answer about: there are cells, each of which is one, or there is nothing."""
    from ..planner.cells import divided

    cells = divided(built.problem)
    if cells is None:
        return _because(target, built, arguments)
    asked = "--frontier" if arguments.frontier else "--top"
    return (words.plan_has_cells(asked, len(cells.cells), f"agentlang plan {target.compiled.program.source.path}"),)


def _because(target: Target, built: Built, arguments: argparse.Namespace) -> Problems:
    """Why there is no plan to answer about."""
    from ..planner.conflict import conflict
    from ..planner.conflict.shown import problems_of, spans_of
    from ..planner.place import choose_fleet
    from ..planner.search import feasible, search

    program = target.compiled.program
    fleet = None if arguments.here else choose_fleet(program, arguments.fleet)[0]
    found = conflict(built.problem, search, feasible)
    if found is None:
        return ()
    return problems_of(found, built.problem, spans_of(program.goal(target.pipeline), fleet), enforced=True)


# --- why this tier -----------------------------------------------------------------------------------------------


def _explain(arguments: argparse.Namespace, console: Console, built: Built, problems: Problems, target: Target) -> int:
    """Of the plan that the command prints without this option; in cells, of each of them."""
    from ..planner.answers.elsewhere import placed, placed_json, placed_text
    from ..planner.search import feasible, search

    name: str = arguments.explain
    names = [stage.name for stage in built.problem.stages]
    stage = name if name in names else None
    if stage is None:
        ends = [each for each in names if each.endswith(f".{name}")]
        if len(ends) != 1:
            return console.fail((words.no_such_stage(name, ends or names),), target.sources, Exit.USAGE)
        stage = ends[0]
    parts, found = _parts(arguments, target, built)
    problems = (*problems, *found)
    if not parts:
        return console.fail(problems, target.sources)
    told = [(cell, own, placed(own.problem, choice, stage, search, feasible)) for cell, own, choice in parts]
    if console.json:
        documents = [{"cell": cell, **placed_json(each)} if cell else placed_json(each) for cell, _, each in told]
        console.document(documents[0] if len(documents) == 1 else {"stage": stage, "cells": documents})
        return Exit.DONE
    blocks = [
        f"{cell}: {text}" if cell else text
        for cell, own, each in told
        for text in (placed_text(each, own.problem.objective),)
    ]
    if len(blocks) > 1:
        blocks.append("elsewhere: with the devices that the other cells leave")
    console.print("\n\n".join(blocks))
    console.problems(found, target.sources)
    return Exit.DONE


def _parts(
    arguments: argparse.Namespace, target: Target, built: Built
) -> tuple[tuple[tuple[str, Built, Choice], ...], Problems]:
    """What is planned, as choices: the one of the plan, or that of each cell with the devices that the others leave."""
    from ..executor.simulate.planned import choice_of
    from ..planner.cells.again import roomy
    from ..planner.cells.plan import placements
    from ..planner.place import choose_fleet, decided_in_cells
    from ..planner.plan import Plan
    from ..trying import recorded, tried

    program = target.compiled.program
    fleet = None if arguments.here else choose_fleet(program, arguments.fleet)[0]
    requests = recorded(built, arguments.trace) if arguments.trace else None
    confirm = tried(built, fleet, requests) if len(built.problem.tiers) > 1 and built.problem.rate else None
    planned, found = decided_in_cells(built, program.goal(target.pipeline), fleet, confirm=confirm)
    if planned is None:
        return (), found
    parts: list[tuple[str, Built, Choice]] = []
    for number, (cell, plan) in enumerate(placements(planned)):
        own = built if isinstance(planned, Plan) else roomy(planned, number, built)
        choice = choice_of(plan, own.problem)
        assert choice is not None
        parts.append((cell, own, choice))
    return tuple(parts), found


# --- other plans -------------------------------------------------------------------------------------------------


def _top(arguments: argparse.Namespace, console: Console, built: Built, answer: Found) -> int:
    from ..planner.answers.beside import beside_text
    from ..planner.plan import to_json
    from ..planner.space.assemble import assemble

    plans = [assemble(built, answer, place) for place in range(len(answer.choices))]
    if arguments.out:
        _write(Path(arguments.out), plans)
    if console.json:
        console.document({"plans": [json.loads(to_json(plan)) for plan in plans]})
    else:
        console.print(beside_text(plans))
    return Exit.DONE


def _frontier(arguments: argparse.Namespace, console: Console, built: Built, problems: Problems, target: Target) -> int:
    from ..planner.answers.frontier import frontier, frontier_json, frontier_text
    from ..planner.answers.frontier_svg import frontier_svg
    from ..planner.plan import to_json
    from ..planner.search import search
    from ..planner.search.found import FRONTIER, INFEASIBLE, Found
    from ..planner.space.assemble import assemble
    from ..planner.space.evaluate import evaluate

    found = frontier(built.problem, search)
    if not found.points:
        return console.fail((*problems, *_no_single(arguments, target, built)), target.sources)
    plans = [
        assemble(built, Found((point.choice,), (outcome,), FRONTIER if outcome.holds else INFEASIBLE, gap=inf))
        for point in found.points
        for outcome in (evaluate(built.problem, point.choice),)
    ]
    if arguments.out:
        out = Path(arguments.out)
        if out.suffix.lower() == PICTURE:
            title = f"{target.pipeline}: cost, {found.latency} and energy"
            write_atomic(out, frontier_svg(found, title).encode())
        else:
            _write(out, plans)
    if console.json:
        document = frontier_json(found)
        console.document(document | {"plans": [json.loads(to_json(plan)) for plan in plans]})
    else:
        console.print(frontier_text(found))
    return Exit.DONE


def write(out: Path, plan: Plan | CellsPlan) -> None:
    """A plan as JSON, or as a picture by the file's name."""
    from ..planner.cells.plan import write as written
    from ..planner.plan import Plan

    if out.suffix.lower() != PICTURE:
        write_atomic(out, written(plan).encode() + b"\n")
    elif isinstance(plan, Plan):
        from ..planner.answers.picture import plan_svg

        write_atomic(out, plan_svg(plan).encode())
    else:
        from ..planner.cells.picture import cells_svg

        write_atomic(out, cells_svg(plan).encode())


def _write(out: Path, plans: Sequence[Plan]) -> None:
    """The first plan into a file; all of them into a folder, by their numbers."""
    if out.suffix:
        write(out, plans[0])
        return
    out.mkdir(parents=True, exist_ok=True)
    for number, plan in enumerate(plans, 1):
        write(out / f"{number}.json", plan)


# --- what if -----------------------------------------------------------------------------------------------------


def _what_if(
    arguments: argparse.Namespace, console: Console, target: Target, machine: Machine, options: Options
) -> int:
    """The plan as it is and with the changes, and what is different."""
    from ..api import plan_in_cells
    from ..planner.answers.difference import difference_json, difference_text
    from ..planner.cells.difference import between
    from ..planner.cells.plan import write as written

    changed = _changed(arguments, target)
    if isinstance(changed, Problem):
        return console.fail((changed,), target.sources, Exit.USAGE)
    other = _opened(changed, target)
    if isinstance(other, Refused):
        return console.fail(other.problems, other.sources, other.code)
    fleet, here = arguments.fleet, arguments.here
    before, _ = plan_in_cells(target.compiled, target.pipeline, machine, fleet=fleet, here=here, options=options)
    after, found = plan_in_cells(other.compiled, other.pipeline, machine, fleet=fleet, here=here, options=options)
    if after is None:
        return console.fail((*other.problems, *found), other.sources)
    changes = between(before, after) if before is not None else ()
    if arguments.out:
        write(Path(arguments.out), after)
    if console.json:
        console.document({"changes": difference_json(changes), "plan": json.loads(written(after))})
    else:
        asked = "; ".join(arguments.what_if)
        if before is None:
            console.print(f"without it there is no plan; if {asked}:\n\n{after}")
        else:
            # That the program is another is what was asked.
            told = [each for each in changes if each.group != "inputs"]
            console.print(f"if {asked}:\n\n{difference_text(told)}")
        console.problems(found, other.sources)
    return Exit.ERRORS if has_errors(found) else Exit.DONE


def _changed(arguments: argparse.Namespace, target: Target) -> Source | Problem:
    from ..lang.parser import parse
    from ..planner.answers.what_if import NotAChange, changed

    source = target.compiled.program.source
    for change in arguments.what_if:
        try:
            file, _ = parse(source)
            source = changed(source, file, change, goal=target.pipeline, fleet=arguments.fleet or "")
        except NotAChange as error:
            return words.not_a_change(change, str(error))
    return source


def _opened(source: Source, target: Target) -> Target | Refused:
    """A changed text as if it stood in the file."""
    from ..api import check

    checked = check(source)
    if checked.program is None:
        return Refused(checked.problems, checked.sources, Exit.ERRORS)
    return open_compiled(source.path, checked, target.pipeline)
