"""`agentlang verify PLAN --program FILE`: every number and every choice of a plan, derived again from what it was made
from, by arithmetic that shares nothing with the search.

A plan carries the measurements and the options that it was made with, so it can be verified on any machine; program and
catalogue are given, and must be those whose hashes it names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..base.problems import Problems
from . import problems as words
from .console import Console, Exit
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..planner.catalogue import Device
    from ..planner.cells.plan import CellsPlan
    from ..planner.plan import Plan
    from ..planner.space.build import Built
    from ..planner.verify import Summary

T = TypeVar("T")
_MEASURED = ("hardware", "calibration")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help="a plan as `agentlang plan --out` writes it")
    parser.add_argument("--program", metavar="FILE", required=True, help="the program that it was made for")
    parser.add_argument("--catalogue", metavar="FILE", help="devices (TOML) that count instead of those known here")
    parser.add_argument("--hardware", metavar="FILE", help="measured rates that it should be made with")
    parser.add_argument("--calibration", metavar="FILE", help="calibration that it should be made with")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..planner.catalogue import instead

    name: str = arguments.plan
    again = f"agentlang plan {arguments.program} --out {name}"
    plan, document, found = _read(name, again)
    if plan is None:
        return console.fail(found, {}, Exit.USAGE)
    devices, found = _catalogue(arguments.catalogue)
    if found:
        return console.fail(found, {}, Exit.USAGE)
    found, code = _measurements(name, plan, arguments)
    if found:
        return console.fail(found, {}, code)
    with ExitStack() as until:
        until.enter_context(instead(devices))
        target = open_target(arguments.program, plan.pipeline)
        if isinstance(target, Refused):
            return console.fail(target.problems, target.sources, target.code)
        changed = _program(target) != plan.inputs.program
        built, found = (None, ()) if changed else _built(plan, target)
    if changed:
        return console.fail((words.plan_other_inputs(name, "program", again),), target.sources)
    if built is None:
        return console.fail(found, target.sources)
    other = _other_inputs(plan, built)
    if other:
        return console.fail((words.plan_other_inputs(name, other, again),), target.sources)
    return _verdict(name, plan, document, built, target, console)


def _verdict(
    name: str, plan: Plan | CellsPlan, document: Mapping[str, object], built: Built, target: Target, console: Console
) -> int:
    from ..planner.plan import Plan
    from ..planner.verify import summary, verify
    from ..planner.verify.cells import summary_of_cells, verify_cells
    from ..planner.verify.given import given_of

    if isinstance(plan, Plan):
        findings = verify(document, built.problem, given_of(built))
        found = None if findings else summary(document, built.problem)
    else:
        findings = verify_cells(document, built.problem, lambda problem: given_of(replace(built, problem=problem)))
        found = None if findings else summary_of_cells(document)
    if console.json:
        told = [{"path": each.path, "said": each.said, "derived": each.derived} for each in findings]
        rest = {} if found is None else asdict(found)
        console.document({"holds": not findings, "findings": told, **rest})
        return Exit.ERRORS if findings else Exit.DONE
    if found is None:
        words_of = (words.plan_differs(name, each.path, each.said, each.derived) for each in findings)
        return console.fail(tuple(words_of), target.sources)
    console.print(f"{name} is what it says: {_summary(found)}")
    if plan.made.machine.key != hardware_key():
        console.print(f"  it was made with measurements of another machine: {plan.made.machine.processor}")
    return Exit.DONE


def _summary(found: Summary) -> str:
    missed = f", {found.missed} of them missed, as it says" if found.missed else ""
    several = "inequality" if found.inequalities == 1 else "inequalities"
    parts = [f"{found.inequalities} {several} derived again{missed}"]
    if found.tightest:
        parts.append(f"the tightest is {found.tightest}, with {found.margin:.1%} of its limit left")
    if found.tried:
        parts.append("there is no other choice" if found.tried == 1 else f"none of {found.tried} choices is better")
    return "; ".join(parts)


def hardware_key() -> str:
    from ..planner.hardware import machine_key

    return machine_key()


def _read(name: str, again: str) -> tuple[Plan | CellsPlan | None, Mapping[str, object], Problems]:
    """The plan, typed and as it stands in the file."""
    from ..planner.cells.plan import read

    try:
        data = Path(name).read_bytes()
        return read(data), json.loads(data), ()
    except OSError as error:
        return None, {}, (words.plan_missing(name, (error.strerror or str(error)).lower(), again),)
    except (ValueError, RecursionError) as error:
        return None, {}, (words.not_a_plan(name, str(error), again),)


def _catalogue(name: str | None) -> tuple[Mapping[str, Device], Problems]:
    from ..planner.catalogue import CatalogueError, read_catalogue

    if name is None:
        return {}, ()
    try:
        return read_catalogue(Path(name).read_text("utf-8")), ()
    except OSError as error:
        return {}, (words.catalogue_unread(name, (error.strerror or str(error)).lower()),)
    except (CatalogueError, ValueError) as error:
        return {}, (words.catalogue_unread(name, str(error)),)


def _measurements(name: str, plan: Plan | CellsPlan, arguments: argparse.Namespace) -> tuple[Problems, int]:
    """What is wrong with the measurements that were given beside the plan, or with the plan by them."""
    from ..planner.calibrate import Calibration
    from ..planner.hardware import Machine

    if arguments.hardware:
        machine, found = _decoded("--hardware", arguments.hardware, Machine)
        if machine is None:
            return found, Exit.USAGE
        if machine != plan.made.machine:
            return (words.plan_other_measurements(name, "hardware", arguments.hardware),), Exit.ERRORS
    if arguments.calibration:
        known, found = _decoded("--calibration", arguments.calibration, tuple[Calibration, ...])
        if known is None:
            return found, Exit.USAGE
        if all(each != plan.made.calibration for each in known):
            return (words.plan_other_measurements(name, "calibration", arguments.calibration),), Exit.ERRORS
    return (), Exit.DONE


def _decoded(option: str, name: str, kind: type[T]) -> tuple[T | None, Problems]:
    from ..planner.codec import decode

    try:
        return decode(Path(name).read_bytes(), kind), ()
    except OSError as error:
        return None, (words.not_measurements(option, name, (error.strerror or str(error)).lower()),)
    except ValueError as error:
        return None, (words.not_measurements(option, name, str(error)),)


def _program(target: Target) -> str:
    return hashlib.sha256(target.compiled.program.source.text.encode()).hexdigest()


def _built(plan: Plan | CellsPlan, target: Target) -> tuple[Built | None, Problems]:
    """The problem that the plan answers, from its program and what it carries."""
    from ..api import problem_again
    from ..engine_choice import engines_of, with_engines
    from ..planner.plan import Plan
    from ..planner.verify.places import named_then, placed_as

    one = plan if isinstance(plan, Plan) else plan.cells[0].plan
    compiled = with_engines(target.compiled, engines_of(one, target.compiled.program))
    built, found = problem_again(compiled, plan.pipeline, plan.made)
    if built is None:
        return None, found
    names = named_then(target.sources, target.compiled.program.source.path, plan.made.file)
    return replace(built, problem=placed_as(built.problem, names)), found


def _other_inputs(plan: Plan | CellsPlan, built: Built) -> str:
    """What the plan was made from that is not what was given; empty if all is the same."""
    differing = [
        each.name for each in fields(plan.inputs) if getattr(plan.inputs, each.name) != getattr(built.inputs, each.name)
    ]
    return differing[0] if differing else ""
