"""Where a program was when it was planned: the same lines stand in a file of another name.

A plan names the lines of its program as whoever made it named the file. Whoever verifies it has the program elsewhere;
that its text is the same, its hash says.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..space.problem import Problem


def named_then(files: Iterable[str], now: str, then: str) -> Mapping[str, str]:
    """What the files of a program (`now` is its main one) were called by whoever called that one `then`: files that it
    imports stand beside it."""
    folder, old = Path(now).parent, Path(then).parent
    beside = {file: os.path.normpath(old / os.path.relpath(file, folder)) for file in files}
    return {**beside, now: then}


def placed_as(problem: Problem, names: Mapping[str, str]) -> Problem:
    """The problem with its places (`file:line:column`) in files of other names."""

    def again(place: str) -> str:
        file, *rest = place.rsplit(":", 2)
        return ":".join((names.get(file, file), *rest))

    return replace(
        problem,
        stages=tuple(replace(each, place=again(each.place)) for each in problem.stages),
        requirements=tuple(replace(each, place=again(each.place)) for each in problem.requirements),
    )
