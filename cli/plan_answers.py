"""What else `agentlang plan` answers: `--explain STAGE`, `--top K`, `--frontier`, `--what-if CHANGE`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from ..base.source import Source
from ..base.store import write_atomic
from . import problems as words
from .console import Console, Exit
from .target import Refused, Target, open_compiled

if TYPE_CHECKING:
    from ..planner.hardware import Machine
    from ..planner.options import Options
    from ..planner.plan import Plan
    from ..planner.search.found import Found
    from ..planner.space.build import Built

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
    from ..planner.search import search

    answer = search(built.problem, top=max(1, arguments.top))
    if not answer.choices:
        return console.fail((*problems, *_because(target, built, arguments)), target.sources)
    if arguments.explain:
        return _explain(arguments.explain, console, built, answer, target)
    return _top(arguments, console, built, answer)


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


def _explain(name: str, console: Console, built: Built, answer: Found, target: Target) -> int:
    from ..planner.answers.elsewhere import placed, placed_json, placed_text
    from ..planner.search import feasible, search

    names = [stage.name for stage in built.problem.stages]
    stage = name if name in names else None
    if stage is None:
        ends = [each for each in names if each.endswith(f".{name}")]
        if len(ends) != 1:
            return console.fail((words.no_such_stage(name, ends or names),), target.sources, Exit.USAGE)
        stage = ends[0]
    found = placed(built.problem, answer.choices[0], stage, search, feasible)
    if console.json:
        console.document(placed_json(found))
    else:
        console.print(placed_text(found, built.problem.objective))
    return Exit.DONE


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
    from ..planner.search.found import Found
    from ..planner.space.assemble import assemble
    from ..planner.space.evaluate import evaluate

    found = frontier(built.problem, search)
    if not found.points:
        return console.fail((*problems, *_because(target, built, arguments)), target.sources)
    plans = [
        assemble(built, Found((point.choice,), (evaluate(built.problem, point.choice),), "frontier"))
        for point in found.points
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


def write(out: Path, plan: Plan) -> None:
    """A plan as JSON, or as a picture by the file's name."""
    from ..planner.plan import to_json

    if out.suffix.lower() == PICTURE:
        from ..planner.answers.picture import plan_svg

        write_atomic(out, plan_svg(plan).encode())
    else:
        write_atomic(out, to_json(plan).encode() + b"\n")


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
    from ..api import plan
    from ..planner.answers.difference import difference, difference_json, difference_text
    from ..planner.plan import to_json

    changed = _changed(arguments, target)
    if isinstance(changed, Problem):
        return console.fail((changed,), target.sources, Exit.USAGE)
    other = _opened(changed, target)
    if isinstance(other, Refused):
        return console.fail(other.problems, other.sources, other.code)
    fleet, here = arguments.fleet, arguments.here
    before, _ = plan(target.compiled, target.pipeline, machine, fleet=fleet, here=here, options=options)
    after, found = plan(other.compiled, other.pipeline, machine, fleet=fleet, here=here, options=options)
    if after is None:
        return console.fail((*other.problems, *found), other.sources)
    changes = difference(before, after) if before is not None else ()
    if arguments.out:
        write(Path(arguments.out), after)
    if console.json:
        console.document({"changes": difference_json(changes), "plan": json.loads(to_json(after))})
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
