"""The words for a catalogue that is wrong. Apart from the other words, which need what the catalogue holds."""

from __future__ import annotations

from ..base.problems import Problem
from ..base.source import Span


def catalogue_unsound(text: str, span: Span | None, hint: str | None) -> Problem:
    return Problem("catalogue-unsound", text, span, hint=hint)
