"""What a failed operation may say of itself: words from outside (an error's message, a server's answer, the data that
did not fit) may quote what the operation was given, and a caller's terminal and log are no place for labelled data.

So where an operation takes or gives data with a label, its problem keeps its slug, place and next step, and loses its
words. `@untrusted` says where data comes from, not that it is nobody's business, and does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...base.problems import Problem
from ...ir.graph import Graph, Operation
from ...ir.labels import Held, labels_of
from .. import problems

_PUBLIC = frozenset({"untrusted"})
_NOTHING = Held((), frozenset())

WITHOUT_DATA = frozenset(
    [
        "approval-denied",
        "breaker-open",
        "call-timeout",
        "context-full",
        "division-by-zero",
        "document-truncated",
        "extra-missing",
        "interrupted",
        "journal-not-written",
        "may-have-acted",
        "model-does-not-load",
        "model-not-here",
        "model-shape-only",
        "model-unknown",
        "no-answer",
        "not-recorded",
        "number-too-large",
        "question-too-long",
        "recorded-masked",
        "reply-truncated",
        "resumed-otherwise",
        "secret-missing",
        "slice-used",
        "stage-unknown",
        "stopped-elsewhere",
        "stream-idle",
        "tool-does-not-load",
        "tool-not-found",
        "tool-out-of-memory",
        "tool-result-too-large",
        "tool-too-slow",
        "wrong-role",
    ]
)
"""Slugs of problems whose words hold names and numbers of the program, never data."""


class Telling:
    """Of one graph. Labels are looked up when something first fails."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._held: Mapping[str, Held] | None = None

    def told(self, operation: Operation | None, problem: Problem) -> Problem:
        """The problem of an operation that failed, as callers may read it."""
        if operation is None or problem.slug in WITHOUT_DATA:
            return problem
        if self._held is None:
            self._held = labels_of(self._graph)
        held = self._held.get(operation.id, _NOTHING)
        labels = held.result.union(*held.operands) - _PUBLIC
        if not labels:
            return problem
        words = problems.kept_back(problem.slug, operation.id, tuple(sorted(labels)))
        return replace(problem, title=words.title, hint=words.hint, detail=None, related=(), fix=None)
