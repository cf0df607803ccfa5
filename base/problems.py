"""A problem is a value: what is wrong, where, how bad, and the next step. Layout happens elsewhere (`base.render`).

Every layer returns `(value, problems)`. Words live in each layer's `problems.py`, one function per slug; each slug
has a page in `docs/problems/` whose failing example must produce it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from .frozen import frozen
from .source import Span


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@frozen
class Related:
    """Another place that explains the problem, with a few words why."""

    span: Span
    text: str


@frozen
class Edit:
    """Replace the text of `span` by `text`; an empty span inserts."""

    span: Span
    text: str


@frozen
class Fix:
    """A change that a machine can apply."""

    title: str
    edits: tuple[Edit, ...]


@frozen
class Problem:
    """One thing that is wrong.

    `title` is one line that stands alone, without a full stop; `hint` is the next step; `span` is None only where
    nothing was written (a missing file, a full disk). `detail` may hold more lines, for example a cause from outside.
    """

    slug: str
    title: str
    span: Span | None = None
    severity: Severity = Severity.ERROR
    hint: str | None = None
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    detail: str | None = None


Problems = tuple[Problem, ...]


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any problem forbids going on."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def in_order(problems: Iterable[Problem]) -> Problems:
    """Problems as they stand in the text, each once."""
    unique = dict.fromkeys(problems)
    return tuple(
        sorted(unique, key=lambda p: (p.span is None, p.span.path if p.span else "", p.span.start if p.span else 0))
    )


class OutsideError(Exception):
    """Something outside failed: a model, the network, the disk, a tool. Carries the problem to show; exit code 3.
    `reason` is what a program can name where it is a stage of it that failed."""

    reason = "unreachable"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem
