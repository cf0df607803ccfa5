"""`agentlang simulate FILE [PIPELINE]`: a plan under load, on a virtual clock: percentiles, how full pools are, what a
run costs, which stages the slow runs waited for."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from . import problems as words
from .console import Console, Exit, measuring, unread
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..executor.simulate import Arrivals
    from ..executor.simulate.program import Program
    from ..executor.simulate.traces import Trace
    from ..lang.program import Fleet
    from ..planner.plan import Plan
    from ..planner.space.build import Built

_RUNS = 2000
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE[:PIPELINE]", help="a program, and where several could be meant, which of its pipelines"
    )
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="the same as behind the colon")
    parser.add_argument("--fleet", metavar="NAME", help="which of the file's fleets")
    parser.add_argument("--here", action="store_true", help="on this machine, whatever the file's fleet says")
    parser.add_argument(
        "--cost", choices=("annuity", "capex", "rent", "paper"), default="annuity", help="what counts as price"
    )
    parser.add_argument("--plan", metavar="PLAN.JSON", help="this plan, and not the best one")
    come = parser.add_mutually_exclusive_group()
    come.add_argument(
        "--trace", metavar="FILE", help="runs come as recorded: Azure or sessions (CSV), Mooncake (JSONL)"
    )
    come.add_argument("--rate", type=_rate, metavar="R", help="runs a second, at random (default: the goal's rate)")
    come.add_argument("--concurrency", type=_count, metavar="N", help="N runs at any time, and no other rate")
    parser.add_argument("--burst", type=_count, default=1, metavar="N", help="runs come N at the same moment")
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--runs", type=_count, metavar="N", help=f"how many runs come ({_RUNS}, or all of a trace)")
    long.add_argument("--for", dest="during", type=_during, metavar="TIME", help="runs come for so long, as in 1h")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="what is drawn at random (0)")
    parser.add_argument("--no-error", action="store_true", help="take predictions as right; only runs differ")


def _rate(text: str) -> float:
    value = float(text.removesuffix("per s").strip())
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _during(text: str) -> float:
    unit = next((unit for unit in ("min", "s", "h", "d") if text.endswith(unit)), None)
    if unit is None:
        raise argparse.ArgumentTypeError(f"{text} is no time; as in 90s, 10min, 1h")
    return _rate(text.removesuffix(unit)) * _UNITS[unit]


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..executor.simulate import System, simulate
    from ..executor.simulate.report import as_data, report

    target = open_target(arguments.file, arguments.pipeline)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    placed, found = _placed(arguments, target, console)
    if placed is None:
        usage = ("plan-unknown-fleet", "plan-which-fleet", "plan-missing")
        code = Exit.USAGE if any(p.slug in usage for p in found) else Exit.ERRORS
        return console.fail((*target.problems, *found), target.sources, code)
    planned, built, program = placed
    arrivals, warm, trace, wrong = _arrivals(arguments, target, built, program)
    if arrivals is None:
        return console.fail(wrong, target.sources, unread(wrong))
    from ..executor.simulate.planned import choice_of

    choice = choice_of(planned, built.problem)
    assert choice is not None  # `_placed` saw to it
    system = System(built.problem, choice, error=0.0 if arguments.no_error else 1.0)
    result = simulate(system, arrivals, arguments.seed, program=program, warm=warm)
    if trace is not None:
        result = replace(result, notes=(*result.notes, *trace.notes))
    if console.json:
        console.document(as_data(result, planned.pipeline, planned.fleet))
    else:
        console.print(report(result, planned.pipeline, planned.fleet))
        console.problems((*target.problems, *found, *wrong), target.sources)
    return Exit.DONE


def _placed(
    arguments: argparse.Namespace, target: Target, console: Console
) -> tuple[tuple[Plan, Built, Program] | None, Problems]:
    """The plan, the problem that it is a choice of, and the program with its pools."""
    from ..executor.simulate.planned import choice_of
    from ..executor.simulate.served import program_of
    from ..planner.place import choose_fleet

    if arguments.plan:
        made, found = _given(arguments.plan, target)
    else:
        made, found = _best(arguments, target, console)
    if made is None:
        return None, found
    planned, built = made
    fleet: Fleet | None = None
    if built.made.fleet is not None:
        fleet, _ = choose_fleet(target.compiled.program, built.made.fleet)
    choice = choice_of(planned, built.problem)
    if choice is None:
        again = f"agentlang plan {target.compiled.program.source.path} {target.pipeline} --out {arguments.plan}"
        return None, (words.plan_of_another(str(arguments.plan), planned.pipeline, again),)
    return (planned, built, program_of(built, choice, fleet)), found


def _best(
    arguments: argparse.Namespace, target: Target, console: Console
) -> tuple[tuple[Plan, Built] | None, Problems]:
    """The best plan; the nearest to one, with why, where the goal cannot be met."""
    from ..api import problem
    from ..engine_choice import choose_engines
    from ..planner import hardware
    from ..planner.options import Options
    from ..planner.place import choose_fleet, decided

    machine = hardware.load_or_measure(measuring(console))
    options = Options(convention=arguments.cost)
    compiled = choose_engines(target.compiled, target.pipeline, machine, options=options).compiled
    built, found = problem(
        compiled, target.pipeline, machine, fleet=arguments.fleet, here=arguments.here, options=options
    )
    if built is None:
        return None, found
    fleet = None if arguments.here else choose_fleet(compiled.program, arguments.fleet)[0]
    planned, more = decided(built, compiled.program.goal(target.pipeline), fleet)
    return (None if planned is None else (planned, built)), (*found, *more)


def _given(name: str, target: Target) -> tuple[tuple[Plan, Built] | None, Problems]:
    """The plan of a file, on the measurements that it carries."""
    from ..planner.place import choose_fleet
    from ..planner.place import problem as made_of
    from .plan import read_plan

    planned, compiled, found = read_plan(name, target)
    if planned is None:
        return None, found
    made, fleet = planned.made, None
    if made.fleet is not None:
        fleet, wrong = choose_fleet(compiled.program, made.fleet)
        if has_errors(wrong):
            return None, wrong
    built, found = made_of(
        compiled.graph,
        target.pipeline,
        made.machine,
        goal=compiled.program.goal(target.pipeline),
        fleet=fleet,
        calibration=made.calibration,
        program=planned.inputs.program,
        options=made.options,
    )
    return (None if built is None else (planned, built)), found


def _arrivals(
    arguments: argparse.Namespace, target: Target, built: Built, program: Program
) -> tuple[Arrivals | None, float, Trace | None, Problems]:
    """Who comes, the part of them that is not counted, and the trace if there is one."""
    from ..executor.simulate import WARM, Closed, bursts

    if arguments.trace:
        trace, found = _recorded(arguments.trace, target, program)
        if trace is None:
            return None, 0.0, None, found
        arrivals = trace.arrivals
        if arguments.during is not None:
            arrivals = tuple(arrival for arrival in arrivals if arrival.at <= arguments.during)
        return arrivals[: arguments.runs], 0.0, trace, found
    rate = arguments.rate or built.problem.rate
    runs = arguments.runs or _RUNS
    if arguments.concurrency is not None or rate is None:
        return Closed(arguments.concurrency or 1, runs), 0.0, None, ()
    if arguments.during is not None:
        runs = max(1, round(rate * arguments.during))
    return bursts(rate, runs, arguments.seed, arguments.burst), WARM, None, ()


def _recorded(path: str, target: Target, program: Program) -> tuple[Trace | None, Problems]:
    """The requests of a trace as runs, with what is worth knowing of it."""
    from ..executor.simulate.traces import arrivals
    from ..planner.traces import Reader, opened

    with opened(path) as stream:
        if isinstance(stream, Problem):
            return None, (stream,)
        reader = Reader(path, stream)
        trace = arrivals(reader, program.named)
    target.sources[path] = reader.source()
    return trace, reader.problems
