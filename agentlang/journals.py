"""Journals to look at: those of runs that wait to be resumed, and recorded ones. Nothing is run, and what is looked at
is let go of at once, so that who wants to resume it can.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .base.problems import OutsideError, Problem
from .durable import find, folder, same_program, waiting
from .executor.journal.file import Journal, open_journal
from .executor.journal.view import View

if TYPE_CHECKING:
    from .api import Compiled


@dataclass(frozen=True, slots=True)
class Kept:
    """A durable run that is not over for its caller. `age` is in seconds since it was last written to, by the wall
    clock. `problem` says why it cannot be read; it is in use by the process that runs it where its slug is
    `journal-in-use`. `acted` counts what it did, or may have done, to the world."""

    run: str
    path: Path
    age: float
    size: int
    journal: Journal | None
    problem: Problem | None = None

    @property
    def acted(self) -> int:
        return 0 if self.journal is None else sum(line.startswith('["Begun"') for line in self.journal.lines)


def kept() -> list[Kept]:
    """All that lie in the usual place, the newest first."""
    return [look(run) for run in waiting()]


def look(run: str) -> Kept:
    """One of them. Raises `OutsideError` where there is none of the name."""
    path = folder() / f"{run}.journal"
    try:
        journal = find(run)
    except OutsideError as error:
        if error.problem.slug == "no-such-run":
            raise
        return Kept(run, path, _age(path), _size(path), None, error.problem)
    journal.release()
    return Kept(run, path, _age(path), _size(path), journal)


def opened(name: str) -> Journal:
    """The journal of a run by its name, or at a path; let go of. Raises `OutsideError`."""
    path = Path(name)
    journal = open_journal(path) if path.suffix == ".journal" or path.is_file() else find(name)
    journal.release()
    return journal


def view(journal: Journal, compiled: Compiled, given: Mapping[str, object], labels: tuple[str, ...] = ()) -> View:
    """The run of the program, record by record; values with a label other than `labels` are not shown. Raises
    `OutsideError` where the program is another, and where the journal does not tell an input that is not given."""
    found = same_program(journal, compiled)
    if found:
        raise OutsideError(found[0])
    return View(compiled.graph, journal.head, journal.lines, given, labels)


def _age(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    total = 0
    for name in (path.name, f"{path.name}-wal"):
        try:
            total += path.with_name(name).stat().st_size
        except OSError:
            continue
    return total
