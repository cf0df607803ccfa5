"""Sources for tests: texts checked as `agentlang check` would, the acceptance programs, and code blocks of pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agentlang.base.problems import Problem, in_order
from agentlang.base.source import Source
from agentlang.lang.checker import check
from agentlang.lang.echoes import without_echoes
from agentlang.lang.parser import parse
from agentlang.lang.problems import import_outside
from agentlang.lang.program import Program
from agentlang.stdlib.interfaces import MODULES, interface

ROOT = Path(__file__).parents[1]
# All acceptance programs lie beside a checkout in development; those that run here are examples of the repository.
ACCEPTANCE = ROOT.parent / "shared" / "programs"
EXAMPLES = tuple(sorted((ROOT / "examples").glob("*/*.agent")))

INTERFACES = {f"std/{name}.agent": source for name in MODULES if (source := interface(f"std/{name}")) is not None}
_FENCE = re.compile(r"^```(?P<kind>[a-z]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def checked(text: str, path: str = "page.agent") -> tuple[Program | None, tuple[Problem, ...]]:
    """The program of a text and every problem of its syntax and meaning."""
    source = Source(path, text)
    file, problems = parse(source)

    def files(origin: str, module: str) -> Source | Problem | None:
        # A page is the only file of its folder, so all that it can import is itself.
        if module.startswith("../"):
            return import_outside(module)
        return source if f"{module.removeprefix('./')}.agent" == origin else None

    program, found = check(file, source, interface, files=files)
    return program, in_order((*problems, *without_echoes(file, problems, found)))


def slugs(text: str) -> list[str]:
    return [problem.slug for problem in checked(text)[1]]


def sound(text: str) -> Program:
    """The program of a text that has no problem at all."""
    program, problems = checked(text)
    assert not problems, [problem.title for problem in problems]
    assert program is not None
    return program


def blocks(page: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """The fenced blocks of a Markdown page: what each is, its text, and where it stands."""
    for match in _FENCE.finditer(page):
        yield match["kind"], match["text"], match
