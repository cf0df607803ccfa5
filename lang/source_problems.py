"""The words of problems of a source as a whole, which no example on a page can show."""

from __future__ import annotations

from ..base.problems import Problem
from ..base.source import Span


def source_too_large(path: str, length: int, limit: int) -> Problem:
    return Problem(
        "source-too-large",
        f"the source has {length:,} characters; at most {limit:,} are read",
        Span(path, 0, 0, 1, 1, 1, 1),
        hint="split the program into files and join them with `use`",
    )
