"""A trace's file, or why there is none."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...base.problems import Problem
from .. import trace_problems as problems


@contextmanager
def opened(path: str) -> Generator[IO[bytes] | Problem]:
    """The bytes of a trace while the block runs; a problem where it cannot be opened."""
    stream = _open(path)
    if isinstance(stream, Problem):
        yield stream
        return
    with stream:
        yield stream


def _open(path: str) -> IO[bytes] | Problem:
    file = Path(path)
    try:
        return problems.trace_folder(path) if file.is_dir() else file.open("rb")
    except FileNotFoundError:
        return problems.trace_no_such_file(path, _beside(file))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return problems.trace_unreadable(path, reason.lower())


def _beside(file: Path) -> list[str] | None:
    try:
        return [each.name for each in file.parent.iterdir() if each.is_file()]
    except OSError:
        return None
