"""`agentlang fmt FILE…`: canonical text, comments kept. A file with syntax errors is left as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..api import read
from ..base.problems import has_errors
from ..base.store import write_atomic
from .console import Console, Exit, unread


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not canonical")
    mode.add_argument("--diff", action="store_true", help="change nothing; show what would change")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..lang.format import format_source

    code = Exit.DONE
    report: list[dict[str, object]] = []
    for name in arguments.files:
        source, problems = read(name)
        if source is None:
            code = max(code, console.fail(problems, {}, unread(problems)))
            continue
        text, problems = format_source(source)
        if has_errors(problems):
            code = max(code, console.fail(problems, {source.path: source}))
            continue
        changed = text != source.text
        report.append({"file": name, "changed": changed})
        if changed and arguments.check:
            code = max(code, Exit.ERRORS)
            console.note(f"{name}: not in canonical form")
        elif changed and arguments.diff:
            console.print(_diff(name, source.text, text), end="")
        elif changed:
            write_atomic(Path(name), text.encode(), Path(name).stat().st_mode & 0o777)
            console.note(f"{name}: formatted")
    if console.json:
        console.document(report)
    return code


def _diff(name: str, before: str, after: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} (canonical)")
    return "".join(lines)
