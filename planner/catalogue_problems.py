"""The words for a catalogue that is wrong. Apart from the other words, which need what the catalogue holds."""

from __future__ import annotations

from ..base.problems import Problem, Severity
from ..base.source import Span


def catalogue_unsound(text: str, span: Span | None, hint: str | None) -> Problem:
    """A warning: the entry is left out, and only who names it cannot go on."""
    return Problem("catalogue-unsound", text, span, Severity.WARNING, hint=hint)
