"""What the checker says only because something did not parse: the echo of a fault that has already been told.

A repaired declaration is a guess. On the line of a fault nothing of the guess is worth a word; behind it, what was
bound there may be lost; and whatever the lost part used seems unused. All else stays: most of a faulty file is sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.problems import Problem, Problems, has_errors
from ..base.source import Span
from .syntax import Declaration, File

# What a lost binding, block or branch brings about in the lines behind it.
_CONSEQUENCES = frozenset(
    {
        *("unknown-name", "misplaced", "missing-next", "missing-arm", "missing-return", "unreachable"),
        *("unreachable-fallback", "empty-list", "unused-value", "if-without-else"),
    }
)
_USES = frozenset({"unused"})


def without_echoes(
    file: File,
    syntax: Sequence[Problem],
    meaning: Sequence[Problem],
    placed: Callable[[Declaration], Span] | None = None,
) -> Problems:
    """The checker's problems of a file without the echoes of the parser's. `placed` says where a declaration stands in
    the text that the problems are of, where its own span does not."""
    if not has_errors(syntax):
        return tuple(meaning)
    path = file.span.path
    faults = sorted(problem.span.line for problem in syntax if problem.span is not None and problem.span.path == path)
    spans = [node.span if placed is None else placed(node) for node in file.declarations]
    guessed = [(span, line) for span in spans if (line := _first_fault(span, faults)) is not None]

    def is_echo(problem: Problem) -> bool:
        if problem.slug in _USES:
            return True
        span = problem.span
        if span is None or span.path != path:
            return False
        if span.line in faults:
            return True
        for whole, fault in guessed:
            if whole.line <= span.line <= whole.end_line:
                # A fault in the first line is one in the signature, on which all else rests.
                return fault == whole.line or (span.line > fault and problem.slug in _CONSEQUENCES)
        return False

    return tuple(problem for problem in meaning if not is_echo(problem))


def _first_fault(span: Span, faults: Sequence[int]) -> int | None:
    return next((line for line in faults if span.line <= line <= span.end_line), None)
