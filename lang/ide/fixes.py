"""Changes that an editor can make for a problem."""

from __future__ import annotations

from ...base.frozen import frozen
from ...base.problems import Edit, Fix, Problem
from .analysis import Analysis


@frozen
class Repair:
    """A fix and the problem that it mends."""

    problem: Problem
    fix: Fix


def repairs(analysis: Analysis, start: int, end: int) -> tuple[Repair, ...]:
    """The fixes of the problems that touch a part of the text."""
    found: list[Repair] = []
    for problem in analysis.problems:
        span = problem.span
        if problem.fix is None or span is None or span.path != analysis.path:
            continue
        if span.start <= end and start <= span.end:
            found.append(Repair(problem, problem.fix))
    return tuple(found)


def all_of(analysis: Analysis, slug: str) -> Fix | None:
    """The fixes of all problems of a kind as one, as far as they do not touch each other; None for fewer than two."""
    edits = [(e.span.start, e) for p in analysis.problems if p.slug == slug and p.fix for e in p.fix.edits]
    edits = [(start, edit) for start, edit in edits if edit.span.path == analysis.path]
    chosen: list[Edit] = []
    last = -1
    for start, edit in sorted(edits, key=lambda pair: (pair[0], pair[1].span.end)):
        if start > last:
            chosen.append(edit)
            last = edit.span.end
    return Fix(f"mend all problems of the kind {slug}", tuple(chosen)) if len(chosen) > 1 else None
