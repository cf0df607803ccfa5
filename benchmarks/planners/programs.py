"""The problem of a program: what `agentlang plan` would decide, for other planners to try."""

from __future__ import annotations

from pathlib import Path

from agentlang.api import compile as compile_program
from agentlang.base.render import terminal
from agentlang.base.source import Source
from agentlang.checking import check
from agentlang.planner import hardware
from agentlang.planner.place import choose_fleet
from agentlang.planner.placing import Placing
from agentlang.planner.space.build import build
from agentlang.planner.space.problem import Problem
from agentlang.stdlib.library import Library


def problem_of(file: Path, pipeline: str, machine: hardware.Machine | None = None) -> Problem:
    """The problem of placing a pipeline on the file's fleet, or on this machine (measured, unless it is given).
    SystemExit with what is wrong, where something is."""
    checked = check(Source(str(file), file.read_text("utf-8")))
    if checked.program is None:
        raise SystemExit("\n".join(terminal(each, checked.sources) for each in checked.problems))
    compiled, found = compile_program(checked.program, Library(file.parent))
    fleet, wrong = choose_fleet(checked.program, None)
    if compiled is None or wrong:
        raise SystemExit("\n".join(terminal(each, checked.sources) for each in (*found, *wrong)))
    goal = checked.program.goal(pipeline)
    placing = Placing(compiled.graph, pipeline, machine or hardware.load_or_measure(), goal, fleet)
    built, found = build(placing)
    if built is None:
        raise SystemExit("\n".join(terminal(each, checked.sources) for each in found))
    return built.problem
