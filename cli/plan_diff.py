"""`agentlang plan diff A.json B.json`: what is different between two plans, term by term."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problem
from . import problems as words
from .console import Console, Exit

if TYPE_CHECKING:
    from ..planner.cells.plan import CellsPlan
    from ..planner.plan import Plan

WORD = "diff"


def configure(parser: argparse.ArgumentParser) -> None:
    """`plan diff A B` are three words where a plan has one or two."""
    parser.add_argument("second", nargs="?", metavar="B", help="with `plan diff A B`: the second of two plans")


def wanted(arguments: argparse.Namespace) -> bool:
    return arguments.file == WORD and arguments.second is not None


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..planner.answers.difference import difference_json, difference_text
    from ..planner.cells.difference import between

    plans: list[Plan | CellsPlan] = []
    for name in (arguments.pipeline, arguments.second):
        plan = _read(name)
        if isinstance(plan, Problem):
            return console.fail((plan,), {}, Exit.USAGE)
        plans.append(plan)
    changes = between(plans[0], plans[1])
    if console.json:
        console.document({"changes": difference_json(changes)})
    else:
        console.print(difference_text(changes))
    return Exit.DONE


def _read(name: str) -> Plan | CellsPlan | Problem:
    from ..planner.cells.plan import read

    again = f"agentlang plan FILE --out {name}"
    try:
        return read(Path(name).read_bytes())
    except OSError as error:
        return words.plan_missing(name, (error.strerror or str(error)).lower(), again)
    except ValueError as error:
        return words.not_a_plan(name, str(error), again)
