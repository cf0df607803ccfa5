"""`FILE[:PIPELINE]` to a compiled program: what `run` and `plan` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..api import Checked, Compiled, check, choose, compile, read, settings_of
from ..base.problems import Problem, Problems, has_errors
from ..base.source import Source
from ..stdlib.library import Library
from ..stdlib.settings import applied
from ..stdlib.store import Progress, silent
from .console import Exit, unread


@dataclass(frozen=True)
class Target:
    """What was asked for, ready to plan and run. `problems` are warnings and notes."""

    compiled: Compiled
    pipeline: str
    problems: Problems
    sources: dict[str, Source]


@dataclass(frozen=True)
class Refused:
    """Why there is nothing to run, with the exit code."""

    problems: Problems
    sources: dict[str, Source]
    code: int


def split(word: str) -> tuple[str, str | None]:
    """`f.agent:answer` is a file and a pipeline; a colon that belongs to an existing path stays in it. A dot in the
    name (`f.agent:shop.clean`, of an imported file) is one only behind a file that is there."""
    path, colon, name = word.rpartition(":")
    if not colon or Path(word).exists() or not all(part.isidentifier() for part in name.split(".")):
        return word, None
    return (path, name) if name.isidentifier() or Path(path).is_file() else (word, None)


def open_target(
    word: str,
    pipeline: str | None = None,
    progress: Progress = silent,
    warn: Callable[[Problem], None] | None = None,
    profile: str | None = None,
    plain: bool = False,
) -> Target | Refused:
    """Read, check, choose and compile; `plain` where the program is to be shown as it is written."""
    name, suffix = split(word)
    checked = open_checked(name)
    if isinstance(checked, Refused):
        return checked
    assert checked.program is not None
    chosen, found = choose(checked.program, pipeline or suffix)
    if chosen is None:
        code = Exit.ERRORS if any(p.slug == "no-pipeline" for p in found) else Exit.USAGE
        return Refused((*checked.problems, *found), checked.sources, code)
    return open_compiled(name, checked, chosen.name, progress, warn, profile, plain=plain)


def open_checked(name: str) -> Checked | Refused:
    """Read and check; what is checked has a program."""
    source, problems = read(name)
    if source is None:
        return Refused(problems, {}, unread(problems))
    checked = check(source)
    if checked.program is None:
        return Refused(checked.problems, checked.sources, Exit.ERRORS)
    return checked


def open_compiled(
    name: str,
    checked: Checked,
    pipeline: str = "",
    progress: Progress = silent,
    warn: Callable[[Problem], None] | None = None,
    profile: str | None = None,
    tests: bool = False,
    plain: bool = False,
) -> Target | Refused:
    """Compile by the settings of its folder; with `tests`, the file's tests too."""
    assert checked.program is not None
    settings, found = settings_of(Path(name).parent, profile)
    if has_errors(found):
        sources = checked.sources | ({settings.source.path: settings.source} if settings.source else {})
        return Refused((*checked.problems, *found), sources, Exit.ERRORS)
    program = applied(checked.program, settings)
    library = Library(Path(name).parent, progress, warn, settings=settings)
    compiled, found = compile(program, library, tests, plain)
    problems = (*checked.problems, *found)
    if compiled is None or has_errors(problems):
        return Refused(problems, checked.sources, Exit.ERRORS)
    return Target(compiled, pipeline, problems, checked.sources)
