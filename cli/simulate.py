"""`agentlang simulate FILE [PIPELINE]`: a plan under load, on a virtual clock: percentiles, how full pools are, what a
run costs, which stages the slow runs waited for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from . import problems as words
from .console import Console, Exit, measuring, unread
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..executor.simulate import Arrivals, Cut, Faults, Kill, Slow
    from ..executor.simulate.program import Program
    from ..executor.simulate.result import Simulation
    from ..executor.simulate.traces import Trace
    from ..lang.program import Fleet
    from ..planner.cells.plan import CellsPlan
    from ..planner.plan import Plan
    from ..planner.space.build import Built
    from ..planner.space.problem import Choice

_RUNS = 2000
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE[:PIPELINE]", help="a program, and where several could be meant, which of its pipelines"
    )
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="the same as behind the colon")
    parser.add_argument("values", nargs="*", default=[], metavar="name=value", help="inputs, with --beside-real")
    parser.add_argument("--input", metavar="FILE", help="a JSON object with inputs, with --beside-real")
    parser.add_argument("--beside-real", type=_count, metavar="N", help="run it here N times, too, and compare")
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
    come.add_argument("--day", type=_during, metavar="TIME", help="their rate swings, from a tenth up to it and down")
    parser.add_argument(
        "--follow-load", action="store_true", help="instances come and go with the load, beside the plan as it is"
    )
    parser.add_argument(
        "--opening", type=_during, metavar="TIME", help="what a new instance takes until it serves (as planned)"
    )
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--runs", type=_count, metavar="N", help=f"how many runs come ({_RUNS}, or all of a trace)")
    long.add_argument("--for", dest="during", type=_during, metavar="TIME", help="runs come for so long, as in 1h")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="what is drawn at random (0)")
    parser.add_argument(
        "--kill", action="append", default=[], metavar="TIER[#I]@T[:DOWN]", help="a worker ends: gpu#1@30s, gpu@30s:5s"
    )
    parser.add_argument(
        "--slow", action="append", default=[], metavar="WHAT@T..T:xF", help="a stage or tier is slow: gpu@10s..1min:x3"
    )
    parser.add_argument(
        "--partition", action="append", default=[], metavar="TIER-TIER@T..T", help="a link is cut: edge-gpu@20s..25s"
    )
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
    from ..executor.simulate import Follow, System, simulate
    from ..executor.simulate.report import as_data, beside_static, report
    from ..planner.figures import show_value

    if arguments.beside_real is not None:
        from .beside import execute as beside

        return beside(arguments, console)
    faults, wrong = _faults(arguments)
    if wrong:
        return console.fail(wrong, {}, Exit.USAGE)
    target = open_target(arguments.file, arguments.pipeline)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    made, found = _given(arguments.plan, target) if arguments.plan else _best(arguments, target, console)
    placed = _placed(made, target) if made is not None else None
    if made is None or placed is None:
        if made is not None:
            again = f"agentlang plan {target.compiled.program.source.path} {target.pipeline} --out {arguments.plan}"
            found = (words.plan_of_another(str(arguments.plan), made[0].pipeline, again),)
        usage = ("plan-unknown-fleet", "plan-which-fleet", "plan-missing")
        code = Exit.USAGE if any(p.slug in usage for p in found) else Exit.ERRORS
        return console.fail((*target.problems, *found), target.sources, code)
    faults = replace(faults, opening=_opening(made[0]))
    wrong = _unknown(arguments, faults, placed)
    if wrong:
        return console.fail((*target.problems, *wrong), target.sources, Exit.USAGE)
    results: list[Simulation] = []
    followed: list[tuple[Simulation, Simulation]] = []
    told: Problems = ()
    for number, cell in enumerate(placed):
        arrivals, warm, trace, wrong = _arrivals(arguments, target, cell, _parts(placed, number))
        if arrivals is None:
            return console.fail(wrong, target.sources, unread(wrong))
        system = System(cell.built.problem, cell.choice, error=0.0 if arguments.no_error else 1.0)
        result = simulate(system, arrivals, arguments.seed, program=cell.program, warm=warm, faults=faults)
        if trace is not None:
            result = replace(result, notes=(*result.notes, *trace.notes))
        results.append(result)
        if arguments.follow_load:
            opening = faults.opening if arguments.opening is None else arguments.opening
            follow = Follow(opening=opening)
            other = simulate(system, arrivals, arguments.seed, program=cell.program, faults=faults, follow=follow)
            followed.append((simulate(system, arrivals, arguments.seed, program=cell.program, faults=faults), other))
        told = wrong
    planned, single = made[0], len(placed) == 1
    if console.json and single:
        more = {"followed": as_data(followed[0][1], planned.pipeline, planned.fleet)} if followed else {}
        console.document({**as_data(results[0], planned.pipeline, planned.fleet), **more})
    elif console.json:
        cells = [as_data(result, planned.pipeline, planned.fleet) for result in results]
        shares = [{"share": cell.share, **data} for cell, data in zip(placed, cells, strict=True)]
        console.document({"cells": shares, "dollars": _dollars(placed, results)})
    else:
        for static, other in followed:
            console.print(beside_static(static, other) + "\n")
        for number, (cell, result) in enumerate(zip(placed, results, strict=True), 1):
            where = planned.fleet if single else f"cell {number} of {planned.fleet} ({cell.share:.1%} of the runs)"
            console.print(report(result, planned.pipeline, where) + ("" if single else "\n"))
        if not single:
            cost = show_value(_dollars(placed, results), "$")
            console.print(f"together: a run costs {cost}; every run is in one of the {len(placed)} cells")
        console.problems((*target.problems, *found, *told), target.sources)
    return Exit.DONE


@dataclass(frozen=True, slots=True)
class _Placed:
    """A placement that is simulated: the only one of a plan, or a cell with its share of the runs."""

    share: float
    built: Built
    choice: Choice
    program: Program


def _faults(arguments: argparse.Namespace) -> tuple[Faults, Problems]:
    """What is to go wrong, and what of it is not written as a fault."""
    from ..executor.simulate import faults as of

    found: dict[str, list[Kill | Slow | Cut]] = {}
    wrong: list[Problem] = []
    for option, read, form in (
        ("kill", of.kill, of.KILL_FORM),
        ("slow", of.slow, of.SLOW_FORM),
        ("partition", of.cut, of.CUT_FORM),
    ):
        for text in getattr(arguments, option):
            try:
                found.setdefault(option, []).append(read(text))
            except ValueError as error:
                wrong.append(words.not_a_fault(f"--{option}", text, str(error), form))
    every = [each for some in found.values() for each in some]
    kills = tuple(each for each in every if isinstance(each, of.Kill))
    slows = tuple(each for each in every if isinstance(each, of.Slow))
    cuts = tuple(each for each in every if isinstance(each, of.Cut))
    return of.Faults(kills, slows, cuts), tuple(wrong)


def _unknown(arguments: argparse.Namespace, faults: Faults, placed: Sequence[_Placed]) -> Problems:
    """Faults of what no placement has."""
    from ..executor.simulate import System
    from ..executor.simulate.faults import CUT_FORM, KILL_FORM, SLOW_FORM, unknown

    systems = [System(cell.built.problem, cell.choice) for cell in placed]
    wrong: list[Problem] = []
    for option, some, form in (
        ("kill", faults.kills, KILL_FORM),
        ("slow", faults.slows, SLOW_FORM),
        ("partition", faults.cuts, CUT_FORM),
    ):
        for text, fault in zip(getattr(arguments, option), some, strict=True):
            why = [unknown(system, fault) for system in systems]
            if all(why):
                wrong.append(words.not_a_fault(f"--{option}", text, str(why[0]), form))
    return tuple(wrong)


def _opening(made: Plan | CellsPlan) -> float:
    """What a worker that is started again takes until its models are there."""
    from ..planner.plan import Plan

    plans = (made,) if isinstance(made, Plan) else tuple(cell.plan for cell in made.cells)
    return max(plan.load.value for plan in plans)


def _dollars(placed: Sequence[_Placed], results: Sequence[Simulation]) -> float:
    return sum(cell.share * result.dollars for cell, result in zip(placed, results, strict=True))


def _parts(placed: Sequence[_Placed], number: int) -> tuple[float, float]:
    """The part of all runs that comes to a cell: from where to where between 0 and 1."""
    before = sum(cell.share for cell in placed[:number])
    return before, before + placed[number].share if number + 1 < len(placed) else 1.0


def _placed(made: tuple[Plan | CellsPlan, Built], target: Target) -> tuple[_Placed, ...] | None:
    """Each placement with the problem that it is a choice of, and the program with its pools; None where it is the plan
    of another."""
    from ..executor.simulate.planned import choice_of
    from ..executor.simulate.served import program_of
    from ..planner.cells.again import built_of
    from ..planner.place import choose_fleet
    from ..planner.plan import Plan

    planned, built = made
    fleet: Fleet | None = None
    if built.made.fleet is not None:
        fleet, _ = choose_fleet(target.compiled.program, built.made.fleet)
    parts: list[tuple[float, Plan, Built]] = []
    if isinstance(planned, Plan):
        parts.append((1.0, planned, built))
    else:
        known = {tier.name for tier in built.problem.tiers}
        if built.problem.rate is None or any({t.name for t in cell.plan.tiers} != known for cell in planned.cells):
            return None
        parts += [(cell.share, cell.plan, _named(built_of(cell, built))) for cell in planned.cells]
    found: list[_Placed] = []
    for share, plan, own in parts:
        choice = choice_of(plan, own.problem)
        if choice is None:
            return None
        found.append(_Placed(share, own, choice, program_of(own, choice, fleet)))
    return tuple(found)


def _named(built: Built) -> Built:
    """A cell promises its own rate; the program names the whole one."""
    promises = tuple(
        replace(each, name=f"rate {each.limit:g} per s") if each.kind == "rate" else each
        for each in built.problem.promises
    )
    return replace(built, problem=replace(built.problem, promises=promises))


def _best(
    arguments: argparse.Namespace, target: Target, console: Console
) -> tuple[tuple[Plan | CellsPlan, Built] | None, Problems]:
    """The best plan; the nearest to one, with why, where the goal cannot be met."""
    from ..api import problem
    from ..engine_choice import choose_engines
    from ..planner import hardware
    from ..planner.options import Options
    from ..planner.place import choose_fleet, decided_in_cells

    machine = hardware.load_or_measure(measuring(console))
    options = Options(convention=arguments.cost)
    compiled = choose_engines(target.compiled, target.pipeline, machine, options=options).compiled
    built, found = problem(
        compiled, target.pipeline, machine, fleet=arguments.fleet, here=arguments.here, options=options
    )
    if built is None:
        return None, found
    fleet = None if arguments.here else choose_fleet(compiled.program, arguments.fleet)[0]
    planned, more = decided_in_cells(built, compiled.program.goal(target.pipeline), fleet)
    return (None if planned is None else (planned, built)), (*found, *more)


def _given(name: str, target: Target) -> tuple[tuple[Plan | CellsPlan, Built] | None, Problems]:
    """The plan of a file, on the measurements that it carries."""
    from ..planner.place import choose_fleet
    from ..planner.place import problem as made_of
    from ..planner.placing import Placing
    from .plan import read_any_plan

    planned, compiled, found = read_any_plan(name, target)
    if planned is None:
        return None, found
    made, fleet = planned.made, None
    if made.fleet is not None:
        fleet, wrong = choose_fleet(compiled.program, made.fleet)
        if has_errors(wrong):
            return None, wrong
    placing = Placing(
        compiled.graph,
        target.pipeline,
        made.machine,
        goal=compiled.program.goal(target.pipeline),
        fleet=fleet,
        calibration=made.calibration,
        program=planned.inputs.program,
        options=made.options,
    )
    built, found = made_of(placing)
    return (None if built is None else (planned, built)), found


def _arrivals(
    arguments: argparse.Namespace, target: Target, placed: _Placed, parts: tuple[float, float]
) -> tuple[Arrivals | None, float, Trace | None, Problems]:
    """Who comes, the part of them that is not counted, and the trace if there is one. Of cells, each gets its share: of
    a trace, those that are drawn for it."""
    from ..executor.simulate import WARM, Closed, bursts, days

    share = placed.share
    if arguments.trace:
        trace, found = _recorded(arguments.trace, target, placed.program)
        if trace is None:
            return None, 0.0, None, found
        arrivals = trace.arrivals
        if arguments.during is not None:
            arrivals = tuple(arrival for arrival in arrivals if arrival.at <= arguments.during)
        arrivals = arrivals[: arguments.runs]
        if share < 1.0:
            drawn = Random(arguments.seed)
            first, last = parts
            arrivals = tuple(arrival for arrival in arrivals if first <= drawn.random() < last)
        return arrivals, 0.0, trace, found
    rate = arguments.rate * share if arguments.rate else placed.built.problem.rate
    runs = max(1, round(arguments.runs * share)) if arguments.runs else _RUNS
    if arguments.concurrency is not None or rate is None:
        return Closed(max(1, round((arguments.concurrency or 1) * share)), runs), 0.0, None, ()
    if arguments.during is not None:
        runs = max(1, round(rate * arguments.during))
    if arguments.day is not None:
        return days(rate, runs, arguments.seed, arguments.day), 0.0, None, ()
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
