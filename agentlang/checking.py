"""From a path to a checked program: all that `agentlang check` needs. Python users find these in `agentlang.api`.

They stand apart because every command starts here, and the rest of the way is long.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .base.frozen import frozen
from .base.later import Later
from .base.problems import Problem, Problems, has_errors, in_order
from .base.source import Source

if TYPE_CHECKING:
    from . import problems
    from .lang.program import Program
    from .lang.syntax import File
else:
    problems = Later(".problems", __package__)

LARGEST_SOURCE = 2 << 20
"""Bytes that are read at all: what the parser takes in characters, at four bytes each."""


@frozen
class Checked:
    """A file after `check`: its tree always, its program only without errors. `sources` are for rendering problems."""

    source: Source
    file: File
    program: Program | None
    problems: Problems
    sources: dict[str, Source]


def read(path: Path | str) -> tuple[Source | None, Problems]:
    """The text of an `.agent` file, or the one problem that says why there is none.

    The path in problems is the path as given. UTF-8 only; a byte-order mark is dropped.
    """
    name = str(path)
    file = Path(path)
    try:
        size = file.stat().st_size
        if file.is_dir():
            return None, (problems.not_a_file(name, [str(p) for p in file.glob("*.agent")]),)
        if size > LARGEST_SOURCE:
            return None, (problems.file_too_large(name, size, LARGEST_SOURCE),)
        data = file.read_bytes()
    except FileNotFoundError:
        return None, (problems.no_such_file(name, _agent_files(file.parent)),)
    except OSError as error:
        return None, (problems.unreadable_file(name, (error.strerror or str(error)).lower()),)
    return decode(name, data)


def decode(name: str, data: bytes) -> tuple[Source | None, Problems]:
    """Bytes as a source; binary data is one problem."""
    if b"\0" in data:
        return None, (problems.not_text(name, "it holds zero bytes"),)
    try:
        return Source(name, data.decode("utf-8-sig")), ()
    except UnicodeDecodeError as error:
        return None, (problems.not_text(name, f"byte {error.start:,} is not UTF-8"),)


def check(source: Source, strict_labels: bool = False) -> Checked:
    """Parse, resolve and type, with the imported files of its folder. All problems, in the order of the text. With
    `strict_labels`, what a label decides on (which branch runs, which items are taken) carries it too."""
    from .lang.checker import check as check_file
    from .lang.echoes import without_echoes
    from .lang.parser import parse
    from .stdlib.interfaces import interface

    file, found = parse(source)
    files = Imports(source)
    program, more = check_file(file, source, interface, files=files.find, strict_labels=strict_labels)
    found = (*found, *without_echoes(file, found, more))
    if not file.declarations and not has_errors(found):
        found = (*found, problems.empty_file(source.path, source.span(0, 0)))
    if program is not None and any(len(fleet.tiers) > 1 for fleet in program.fleets):
        from .stdlib.declared import tier_notes

        found = (*found, *tier_notes(program))
    found = in_order(found)
    sources = {source.path: source, **files.sources}
    if program is not None:
        sources |= {s.path: s for s in program.sources}
    # Problems of a faulty file point into interfaces too, at what was declared there.
    places = {place.path for p in found for place in (p.span, *(r.span for r in p.related)) if place}
    for path in sorted(places - sources.keys()):
        if declared := interface(path.removesuffix(".agent")):
            sources[path] = declared
    return Checked(source, file, None if has_errors(found) else program, found, sources)


class Imports:
    """The files that a program imports. They lie in the folder of the file that is checked, or below it.

    `unsaved` gives the text of a file (by its real path) that somebody is editing, which is then not read.
    """

    def __init__(self, root: Source, unsaved: Callable[[Path, str], Source | None] | None = None) -> None:
        path = Path(root.path)
        self._unsaved = unsaved
        self._folder = path.parent.resolve()
        self._known = {path.resolve(): root}
        self.sources: dict[str, Source] = {}

    def find(self, path: str, module: str) -> Source | Problem | None:
        """What `use ./NAME` in the file of a path means."""
        from .lang import problems as words

        # A path as people would write it, which is also how problems name it.
        name = os.path.normpath(Path(path).parent / f"{module}.agent")
        try:
            real = Path(name).resolve()
        except (OSError, RuntimeError):  # a loop of links
            return None
        if not real.is_relative_to(self._folder):
            return words.import_outside(module)
        if real in self._known:
            return self._known[real]
        edited = self._unsaved(real, name) if self._unsaved is not None else None
        if edited is not None:
            self._known[real] = self.sources[name] = edited
            return edited
        if not real.is_file():
            return None
        source, found = read(name)
        if source is None:
            return found[0]
        self._known[real] = self.sources[name] = source
        return source


def _agent_files(folder: Path) -> list[str] | None:
    try:
        return [p.name for p in folder.iterdir() if p.suffix == ".agent"]
    except OSError:
        return None
