"""What is not built yet."""

from __future__ import annotations

from ...base.problems import Problem
from ...base.source import Span


def not_checked_yet(construct: str, span: Span, hint: str, plural: bool = False) -> Problem:
    """Part of the language that the checker does not know yet: refused, so that nothing unchecked runs."""
    return Problem("not-checked-yet", f"{construct} {'are' if plural else 'is'} not checked yet", span, hint=hint)
