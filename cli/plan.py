"""`agentlang plan FILE [PIPELINE]`: the placement for its goal on its fleet with all its arithmetic, or why there is
none."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from . import plan_answers, plan_diff
from . import problems as words
from .console import Console, Exit, measuring, unread
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..api import Compiled
    from ..planner.cells.plan import CellsPlan
    from ..planner.plan import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE[:PIPELINE]", help="a program, and where several could be meant, which of its pipelines"
    )
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="the same as behind the colon")
    parser.add_argument("--fleet", metavar="NAME", help="which of the file's fleets")
    parser.add_argument("--here", action="store_true", help="for this machine, whatever the file's fleet says")
    parser.add_argument(
        "--cost", choices=("annuity", "capex", "rent", "paper"), default="annuity", help="what counts as price"
    )
    parser.add_argument(
        "--trace", metavar="FILE", help="for the load of recorded requests: Azure or sessions (CSV), Mooncake (JSONL)"
    )
    parser.add_argument(
        "--unprofiled", action="store_true", help="by what the goal assumes, whatever `agentlang profile` measured"
    )
    parser.add_argument("--out", metavar="FILE", help="write the plan as JSON, or its picture as SVG")
    parser.add_argument("--enforce-goal", action="store_true", help="a missed goal is an error")
    plan_answers.configure(parser)
    plan_diff.configure(parser)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from dataclasses import replace

    from ..api import load, on_trace, plan_in_cells
    from ..engine_choice import choose_engines
    from ..planner import hardware
    from ..planner.cells.plan import write
    from ..planner.place import Options
    from ..planner.plan import Plan
    from ..planner.report import plan_text

    if plan_diff.wanted(arguments):
        return plan_diff.execute(arguments, console)
    target = open_target(arguments.file, arguments.pipeline)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    trace, told = None, ()
    if arguments.trace:
        trace, told, lines = load(target.compiled, target.pipeline, arguments.trace)
        target.sources[lines.path] = lines
        if trace is None:
            return console.fail((*target.problems, *told), target.sources, unread(told))
        target = replace(target, problems=(*target.problems, *told))
    machine = hardware.load_or_measure(measuring(console))
    options = Options(
        convention=arguments.cost,
        enforce_goal=arguments.enforce_goal,
        trace=trace,
        unprofiled=arguments.unprofiled,
    )
    choice = choose_engines(target.compiled, target.pipeline, machine, options=options)
    if plan_answers.wanted(arguments):
        return plan_answers.execute(arguments, console, replace(target, compiled=choice.compiled), machine, options)
    planned, found = plan_in_cells(
        choice.compiled,
        target.pipeline,
        machine,
        fleet=arguments.fleet,
        here=arguments.here,
        options=options,
        thorough=True,
        requests=arguments.trace,
    )
    if isinstance(planned, Plan) and planned.runs_here:
        planned = replace(planned, notes=(*planned.notes, *choice.why))
    if arguments.trace and isinstance(planned, Plan) and planned.search.confirmed:
        told = on_trace(choice.compiled, planned, arguments.trace)
        planned = replace(planned, notes=(*planned.notes, *([told] if told else [])))
    problems = (*target.problems, *found)
    if planned is None:
        return console.fail(problems, target.sources, _code(found))
    if arguments.out:
        plan_answers.write(Path(arguments.out), planned)
    if console.json:
        console.print(write(planned))
    else:
        console.print(plan_text(planned) if isinstance(planned, Plan) else str(planned))
        console.problems(problems, target.sources)
    return Exit.ERRORS if has_errors(problems) else Exit.DONE


def _code(problems: Problems) -> int:
    usage = ("plan-unknown-fleet", "plan-which-fleet")
    return Exit.USAGE if any(p.slug in usage for p in problems) else Exit.ERRORS


def read_plan(name: str, target: Target) -> tuple[Plan | None, Compiled, tuple[Problem, ...]]:
    """A plan of one placement from its file, with the program on the plan's engines; refused if it is not one of this
    program's pipeline."""
    from ..planner.plan import Plan

    planned, compiled, found = read_any_plan(name, target)
    if planned is None or isinstance(planned, Plan):
        return planned, compiled, found
    again = f"agentlang plan {target.compiled.program.source.path} {target.pipeline} --here --out {name}"
    return None, compiled, (words.plan_not_here(name, planned.elsewhere, again),)


def read_any_plan(name: str, target: Target) -> tuple[Plan | CellsPlan | None, Compiled, tuple[Problem, ...]]:
    """As `read_plan`, of one placement or of cells."""
    from ..engine_choice import engines_of, with_engines
    from ..planner.cells.plan import read
    from ..planner.plan import Plan

    again = f"agentlang plan {target.compiled.program.source.path} {target.pipeline} --out {name}"
    try:
        planned = read(Path(name).read_bytes())
    except OSError as error:
        return None, target.compiled, (words.plan_missing(name, (error.strerror or str(error)).lower(), again),)
    except ValueError as error:
        return None, target.compiled, (words.not_a_plan(name, str(error), again),)
    one = planned if isinstance(planned, Plan) else planned.cells[0].plan
    compiled = with_engines(target.compiled, engines_of(one, target.compiled.program))
    if planned.pipeline != target.pipeline or planned.inputs.graph != compiled.graph.digest:
        return None, compiled, (words.plan_of_another(name, planned.pipeline, again),)
    return planned, compiled, ()
