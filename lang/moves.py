"""Moving trees: all places of a declaration, further on by whole lines, where the text above it grew or shrank.

Spans are values and nothing else may change one. Here they are changed in place, because a keystroke moves every
declaration behind it: to copy ten thousand nodes for that takes longer than to parse, to add to ten thousand numbers
does not. It is sound for one owner alone, who made the trees and gives out only the newest (`incremental`): whoever
holds an older tree sees its places follow the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.source import Span
from .syntax import Node, walk


def places(nodes: Iterable[Node]) -> list[Span]:
    """Every span of some trees, each once, though nodes may share one."""
    return list({id(node.span): node.span for root in nodes for node in walk(root)}.values())


def move(spans: Sequence[Span], offset: int, lines: int) -> None:
    """Moves spans by so many characters and lines. Columns stay."""
    for span in spans:
        # Past the guard of the frozen class, and all at once.
        state = span.__dict__
        state["start"] += offset
        state["end"] += offset
        state["line"] += lines
        state["end_line"] += lines
