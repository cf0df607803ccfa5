"""From syntax to meaning: `check` resolves every name, gives every expression its type, and refuses what it must.

A file is checked in steps, so that a fault in one declaration hides none of another: names, signatures, constants,
models and resources, pipelines (those that are called first), tests, goals, fleets; then what only the whole tells
(recursion, what is never used). A part that cannot be understood gets an unknown type that fits everywhere, so that
one fault is reported once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...base.problems import Problem
from ...base.source import Source
from ..program import Program
from ..syntax import File
from .context import Library
from .file import check_file, expand_agents, finished
from .files import Resolve

if TYPE_CHECKING:
    from .facts import Facts
    from .memory import Memory

__all__ = ["Library", "Resolve", "check", "expand_agents", "finished"]


def check(
    file: File,
    source: Source,
    library: Library,
    *,
    files: Resolve | None = None,
    strict_labels: bool = False,
    facts: Facts | None = None,
    memory: Memory | None = None,
) -> tuple[Program | None, tuple[Problem, ...]]:
    """The typed program of one file, and all problems of its meaning, in the order of the text.

    `library("std/llm")` gives the interface source of a module, or None if there is none; `files(path, "./shop")` the
    source that an import in the file of that path means, a problem where it may not be read (its span is filled in), or
    None. Errors of imported files are reported with their own spans, warnings are not. With `strict_labels`, what a
    label decides on carries it too. The program is None where a problem is an error. Syntax problems are the parser's;
    a file that has some may be checked all the same. What is learned of each place of the text is added to `facts`;
    with a `memory`, what was found of unchanged bodies is not looked for again.
    """
    return check_file(file, source, library, files, strict_labels, facts, memory)
