"""`agentlang check FILE…`: every problem of every file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..base.problems import Problem, Severity, has_errors
from ..base.source import Source
from ..checking import check, read
from .console import Console, Exit, unread


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="programs, as in shop.agent")
    parser.add_argument("--online", action="store_true", help="also look whether models and documents are there")
    parser.add_argument("--strict-labels", action="store_true", help="what a label decides on carries it too")
    parser.add_argument("--format", choices=("text", "concise", "json"), default="text", help="how problems look")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    found: list[Problem] = []
    sources: dict[str, Source] = {}
    code = Exit.DONE
    for name in arguments.files:
        source, problems = read(name)
        found += problems
        if source is None:
            code = max(code, unread(problems))
            continue
        checked = check(source, arguments.strict_labels)
        found += checked.problems
        sources |= checked.sources
        if arguments.online and checked.program is not None:
            from ..api import look

            found += look(checked.program, Path(name).parent)
    form = "json" if console.json else arguments.format
    console.problems(found, sources, form)
    if has_errors(found):
        return max(code, Exit.ERRORS)
    if form == "text" and not any(p.severity is not Severity.NOTE for p in found):
        count = len(arguments.files)
        console.note(f"{arguments.files[0] if count == 1 else f'{count} files'}: no problems")
    return Exit.DONE
