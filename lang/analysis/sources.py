"""The text behind a span, for what shows or mends it."""

from __future__ import annotations

from ...base.source import Source, Span
from ..program import Program


def source_of(program: Program, span: Span) -> Source | None:
    return next((s for s in (program.source, *program.sources) if s.path == span.path), None)


def text_at(program: Program, span: Span) -> str:
    """The text of a span; empty where its source is not at hand."""
    source = source_of(program, span)
    return source.text[span.start : span.end] if source else ""
