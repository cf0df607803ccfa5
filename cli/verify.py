"""`agentlang verify PLAN --program FILE`: every number and every choice of a plan, derived again from what it was made
from, by arithmetic that shares nothing with the search.

A plan carries the measurements and the options that it was made with, so it can be verified on any machine; program and
catalogue are given, and must be those whose hashes it names.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
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
    from ..planner.verify import Summary
    from ..verified import Verdict

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
    from ..verified import verified

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
        verdict = verified(target.compiled, target.sources, plan, document)
    if verdict.other:
        return console.fail((words.plan_other_inputs(name, verdict.other, again),), target.sources)
    if verdict.problems:
        return console.fail(verdict.problems, target.sources)
    return _told(name, plan, verdict, target, console)


def _told(name: str, plan: Plan | CellsPlan, verdict: Verdict, target: Target, console: Console) -> int:
    findings, found = verdict.findings, verdict.summary
    if console.json:
        told = [{"path": each.path, "said": each.said, "derived": each.derived} for each in findings]
        rest = {} if found is None else asdict(found)
        console.document({"holds": found is not None, "findings": told, **rest})
        return Exit.ERRORS if found is None else Exit.DONE
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
