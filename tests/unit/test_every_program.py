"""Every program of the repository, through every pass: its module comes back from text and from bytecode as it was, and
its readable form shows all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ir_back import comes_back

from agentlang.api import check, read
from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import walk
from agentlang.ir.passes import PASSES, PLAIN
from agentlang.stdlib.library import Library

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    path for place in ("examples", "benchmarks", "tests/system/programs") for path in (ROOT / place).rglob("*.agent")
)


def name(path: Path) -> str:
    return path.stem


def modules(source: Source, folder: Path, passes: tuple[str, ...]) -> dict[str, Module]:
    """The module as it was lowered, with its tests, and after each pass."""
    checked = check(source)
    assert checked.program is not None and not has_errors(checked.problems), checked.problems
    lowered, problems = irc.lower(checked.program, tests=True)
    assert lowered is not None, problems
    found = {"lowered": lowered}
    done, problems = irc.run_passes(lowered, Library(folder), passes=passes, after=found.__setitem__)
    assert done is not None, problems
    return found


def shows_all(module: Module) -> None:
    page, graph = module.text(pretty=True), module.graph()
    for body in (*graph.pipelines, *graph.tests):
        for operation in walk(body.body):
            if "entry" in operation.attributes or operation.name == "agent.chat":
                assert f"; {operation.id}\n" in f"{page}\n", operation.id


@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_a_program_comes_back_at_every_pass(path: Path) -> None:
    source, problems = read(path)
    assert source is not None, problems
    for module in modules(source, path.parent, PLAIN).values():
        comes_back(module)
        shows_all(module)
    optimised = modules(source, path.parent, PASSES)[PASSES[-1]]
    comes_back(optimised)
    shows_all(optimised)
