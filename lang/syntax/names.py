"""Words of the source with their places: names, dotted paths, operators, labels and doc comments.

Every node of the tree is frozen and carries its span last, by keyword. Spans take no part in equality, so that two
trees are equal when they mean the same text, wherever it stood.

An empty word (`text == ""`) is one that the parser put in where it reported a missing one: nothing more is to be said
about it.
"""

from __future__ import annotations

from ...base.frozen import field, frozen
from ...base.source import Span


@frozen
class Ident:
    """A word that the author chose (or `*` in a link, `std/llm` in an import), with its own place."""

    text: str
    span: Span = field(compare=False, kw_only=True)


@frozen
class Path:
    """One or more names joined by dots: `search.Passage`, `intent.Refund`, `Model.chat`."""

    parts: tuple[Ident, ...]
    span: Span = field(compare=False, kw_only=True)

    @property
    def text(self) -> str:
        return ".".join(part.text for part in self.parts)


@frozen
class Symbol:
    """An operator where it was written: `+`, `<=`, `and`, `contains`."""

    text: str
    span: Span = field(compare=False, kw_only=True)


@frozen
class Label:
    """`@pii`: the span includes the sign, the name's span does not."""

    name: Ident
    span: Span = field(compare=False, kw_only=True)


@frozen
class Doc:
    """A `##` block: its lines without the marks, joined by newlines."""

    text: str
    span: Span = field(compare=False, kw_only=True)
