"""`agentlang fmt FILE…`: canonical text, comments kept. A file with syntax errors is left as it is.

`fmt -` reads standard input and writes the formatted text to standard output, as editors want it: with errors nothing
is written there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ..api import LARGEST_SOURCE, decode, read
from ..base.problems import Problem, Problems, has_errors
from ..base.render import as_json
from ..base.source import Source
from ..base.store import write_atomic
from .console import Console, Exit, unread

STDIN = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="programs, as in shop.agent; - is standard input")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not canonical")
    parser.add_argument("--diff", action="store_true", help="change nothing; show what would change")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..lang.format import format_source

    code = Exit.DONE
    report: list[dict[str, object]] = []
    failed: list[Problem] = []
    sources: dict[str, Source] = {}
    for name in arguments.files:
        source, problems = _stdin() if name == STDIN else read(name)
        if source is None:
            code = max(code, unread(problems))
            failed += problems
            continue
        text, problems = format_source(source)
        if has_errors(problems):
            code = max(code, Exit.ERRORS)
            failed += problems
            sources[source.path] = source
            continue
        changed = text != source.text
        entry: dict[str, object] = {"file": name, "changed": changed}
        report.append(entry)
        if arguments.check and changed:
            code = max(code, Exit.ERRORS)
            console.note(f"{name}: not in canonical form")
        if arguments.diff and changed and not console.json:
            console.print("".join(_diff(name, source.text, text)), end="")
        if arguments.check or arguments.diff:
            continue
        if name == STDIN:
            if console.json:
                entry["text"] = text
            else:
                console.print(text, end="")
        elif changed:
            # A link stays a link: what it leads to is written.
            target = Path(name).resolve()
            write_atomic(target, text.encode(), target.stat().st_mode & 0o777)
            console.note(f"{name}: formatted")
    if console.json:
        console.document({"files": report, "problems": [as_json(problem) for problem in failed]})
    elif failed:
        console.problems(failed, sources)
    return code


def _stdin() -> tuple[Source | None, Problems]:
    """Standard input as a source; what is too large is refused by the parser, which sees that there is more."""
    return decode("<stdin>", sys.stdin.buffer.read(LARGEST_SOURCE + 1))


def _diff(name: str, before: str, after: str) -> Iterator[str]:
    from difflib import unified_diff

    # Only newlines end lines: a form feed or a line separator in a text does not.
    old, new = ([*(f"{line}\n" for line in text.split("\n")[:-1]), text.split("\n")[-1]] for text in (before, after))
    for line in unified_diff([p for p in old if p], [p for p in new if p], name, f"{name} (canonical)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
