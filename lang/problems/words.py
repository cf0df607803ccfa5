"""Turns of phrase that several areas share."""

from __future__ import annotations

from ...base.problems import Edit, Fix
from ...base.source import Span


def rename(span: Span, suggestion: str | None) -> Fix | None:
    """The fix that writes the suggested name, if there is one."""
    return Fix(f"write `{suggestion}`", (Edit(span, suggestion),)) if suggestion else None


def listed(names: tuple[str, ...], most: int = 8) -> str:
    """Names for the middle of a sentence; those of more than one word stand without marks."""
    shown = ", ".join(name if " " in name else f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
