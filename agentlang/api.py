"""What Python users import: each step from text to result as one function, without hiding the stages.

Every function returns its value with the problems found so far; none prints, none exits. What costs much (MLIR, JAX,
the event loop) is imported by the step that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .base.problems import Problem, Problems, has_errors, in_order
from .base.source import Source

if TYPE_CHECKING:
    from .lang.program import Program
    from .lang.syntax import File

LARGEST_SOURCE = 1 << 20


@dataclass(frozen=True)
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
            return None, (_unreadable("not-a-file", f"{name} is a folder, not an .agent file", _files_in(file)),)
        if size > LARGEST_SOURCE:
            title = f"{name} has {size:,} bytes; a source may have {LARGEST_SOURCE:,}"
            return None, (_unreadable("source-too-large", title, "split the program, or keep documents in files"),)
        data = file.read_bytes()
    except FileNotFoundError:
        return None, (_unreadable("no-such-file", f"there is no file {name}", _nearby(file)),)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return None, (_unreadable("unreadable-file", f"{name} cannot be read: {reason}", "check its permissions"),)
    return decode(name, data)


def decode(name: str, data: bytes) -> tuple[Source | None, Problems]:
    """Bytes as a source; binary data is one problem."""
    hint = "an .agent file is UTF-8 text; is this the right file?"
    if b"\0" in data:
        return None, (_unreadable("not-text", f"{name} is not text: it holds zero bytes", hint),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, (_unreadable("not-text", f"{name} is not UTF-8 text: byte {error.start:,} is not valid", hint),)
    return Source(name, text), ()


def check(source: Source) -> Checked:
    """Parse, resolve and type. All problems of the file, in the order of its text."""
    from .lang.checker import check as check_file
    from .lang.parser import parse
    from .stdlib.interfaces import interface

    file, problems = parse(source)
    program, found = check_file(file, source, interface)
    if not file.declarations and not has_errors(problems):
        title = f"{source.path} declares nothing"
        problems += (Problem("empty-file", title, source.span(0, 0), hint="write a pipeline; see `agentlang init`"),)
        program = None
    problems = in_order((*problems, *found))
    sources = {source.path: source}
    if program is not None:
        sources |= {s.path: s for s in program.sources}
    return Checked(source, file, None if has_errors(problems) else program, problems, sources)


def models_of(program: Program) -> tuple[str, ...]:
    """The catalogue names of the models that a program declares, each once, in order."""
    from .lang.program import Literal

    names: dict[str, None] = {}
    for handle in program.handles:
        for argument in handle.arguments if handle.keyword == "model" else ():
            if argument.name == "name" and isinstance(argument.value, Literal):
                names[str(argument.value.value)] = None
    return tuple(names)


def _unreadable(slug: str, title: str, hint: str | None) -> Problem:
    return Problem(slug, title, hint=hint)


def _nearby(file: Path) -> str:
    from .base.suggest import suggest

    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix == ".agent"]
    except OSError:
        return f"there is no folder {file.parent} either; check the path"
    near = suggest(file.name, names)
    if near:
        return f"did you mean {file.parent / near}?"
    return f"check the path; {file.parent} has {', '.join(sorted(names)[:5]) or 'no .agent file'}"


def _files_in(folder: Path) -> str:
    names = sorted(p.name for p in folder.glob("*.agent"))
    return f"name a file in it: {', '.join(str(folder / n) for n in names[:5])}" if names else "name an .agent file"
