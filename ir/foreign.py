"""Modules that somebody else wrote are read in a process of their own.

MLIR's readers are made for what MLIR wrote: damaged bytecode, or a text that is nested deep enough, can end the process
that reads it. So a child with little time, memory and stack reads first, verifies, and says what it read as text in the
generic form; who asked reads that. What becomes of the child is a problem by name, never the end of the command.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ..base.problems import Problem, Problems, Related, Severity
from ..base.source import Source, Span
from . import problems

LARGEST = 64 << 20
"""Bytes of a module that is read at all. Weights are never in one."""

_HERE = "-"  # what MLIR calls a text that has no file


@dataclass(frozen=True, slots=True)
class Limits:
    """What the child may use: seconds on the clock and of the processor, bytes of address space."""

    seconds: float = 30.0
    memory: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Foreign:
    """A module that was read and verified in the child: its generic text with locations, the passes that it says it has
    been through, and its digest (`Module.digest`)."""

    text: str
    passes: tuple[str, ...]
    digest: str


def parse_foreign(
    given: str | bytes,
    name: str = _HERE,
    digest: str | None = None,
    *,
    graph: bool = False,
    limits: Limits | None = None,
) -> tuple[Foreign | None, Problems]:
    """A module from a text or bytecode of unknown origin. It blocks for about a quarter of a second.

    Bytecode is given to the child only if its SHA-256 (hex) is `digest`. `name` is the path that problems point into.
    With `graph` the child also reads the frozen graph, so that what comes back is known to have one.
    """
    data = given.encode() if isinstance(given, str) else given
    if len(data) > LARGEST:
        return None, (problems.unreadable(f"it has {len(data):,} bytes, and {LARGEST:,} are read"),)
    if isinstance(given, str) and "\0" in given:
        return None, (problems.unreadable("it is no text: it holds zero bytes"),)
    if isinstance(given, bytes) and digest is None:
        return None, (problems.unreadable("it is bytecode, and nobody says what its hash should be"),)
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        return None, (problems.unreadable("its bytes are not those that were written (their hash differs)"),)
    asked = {"what": "module", "text": isinstance(given, str), "graph": graph}
    answer, why = _ask(data, asked, limits or Limits())
    if answer is None:
        return None, (problems.unreadable(why),)
    source = Source(name, given) if isinstance(given, str) else None
    found = tuple(_problem(entry, name, source) for entry in answer["problems"])
    if answer["text"] is None:
        return None, found
    return Foreign(answer["text"], tuple(answer["passes"]), answer["digest"]), found


def unsound_functions(functions: Mapping[str, bytes], limits: Limits | None = None) -> Mapping[str, str]:
    """Of portable StableHLO functions of unknown origin, by name, those that cannot be read, and why.

    All are read in one child; where one ends it, that is said of all. It blocks for a quarter of a second and some
    milliseconds for each.
    """
    data = b"".join(len(given).to_bytes(8, "little") + given for given in functions.values())
    answer, why = _ask(data, {"what": "functions"}, limits or Limits())
    if answer is None:
        return dict.fromkeys(functions, why)
    said = zip(functions, answer["functions"], strict=True)
    return {name: each for name, each in said if each is not None}


def _ask(data: bytes, asked: Mapping[str, Any], limits: Limits) -> tuple[dict[str, Any] | None, str]:
    """What the child answered; or None and why it did not."""
    module = f"{(__package__ or '')}.foreign_child"
    options = json.dumps({**asked, "seconds": limits.seconds, "memory": limits.memory})
    try:
        # -P: a folder that somebody else made must not offer modules to the child that reads their files.
        child = subprocess.run(
            [sys.executable, "-P", "-m", module, options], input=data, capture_output=True, timeout=limits.seconds
        )
    except subprocess.TimeoutExpired:
        return None, f"reading it took longer than {limits.seconds:g} s"
    if child.returncode < 0:
        return None, f"reading it ended the process that read it (signal {-child.returncode})"
    try:
        answer: object = json.loads(child.stdout)
    except ValueError:
        answer = None
    if child.returncode or not isinstance(answer, dict):
        last = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return None, f"the process that read it failed{': ' + last[0] if last else ''}"
    return cast("dict[str, Any]", answer), ""


# --- problems on their way from the child ----------------------------------------------------------------------------


def as_data(problem: Problem) -> dict[str, Any]:
    """A problem as JSON data; locations of MLIR have no offsets."""
    return {
        "slug": problem.slug,
        "title": problem.title,
        "hint": problem.hint,
        "severity": problem.severity.value,
        "span": _place(problem.span),
        "related": [[_place(note.span), note.text] for note in problem.related],
    }


def placed(found: Problems, name: str, source: Source | None) -> Problems:
    """Problems of a module that came from here, where it was read as text: what stands nowhere else stands in that."""
    return tuple(_problem(as_data(problem), name, source) for problem in found)


def _place(span: Span | None) -> list[Any] | None:
    return None if span is None else [span.path, span.line, span.column, span.end_line, span.end_column]


def _problem(given: Mapping[str, Any], name: str, source: Source | None) -> Problem:
    notes = ((_span(place, name, source), text) for place, text in given["related"])
    return Problem(
        given["slug"],
        given["title"],
        _span(given["span"], name, source),
        Severity(given["severity"]),
        given["hint"],
        tuple(Related(place, text) for place, text in notes if place is not None),
    )


def _span(given: list[Any] | None, name: str, source: Source | None) -> Span | None:
    if given is None:
        return None
    path, line, column, end_line, end_column = given
    span = Span(name if path == _HERE else path, 0, 0, line, column, end_line, end_column)
    if path != _HERE or source is None:
        return span
    starts = source.line_starts
    if not (0 < line <= len(starts) and 0 < end_line <= len(starts)):
        return span
    return replace(span, start=starts[line - 1] + column - 1, end=starts[end_line - 1] + end_column - 1)
