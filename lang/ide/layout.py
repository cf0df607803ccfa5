"""A text in parts that stand still, so that trees of what did not change stay as they are while other lines move.

The parts of a source do not depend on each other (`chunks`). Each is given a place in a text of our own, to which parts
are only ever added: the sheet. Trees, problems and facts have places of the sheet, and a part that was not edited keeps
its places, and so its trees, whatever is inserted before it. What is shown to people is led back to the text through
the layout, which says where each part is now. An edit costs the parts that it touches, and no copies of the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ...base.source import Source, Span
from ..chunks import Chunk


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text: where it begins in the text and on which line, and its chunk, which has places of the
    sheet."""

    start: int
    line: int
    chunk: Chunk

    @property
    def size(self) -> int:
        return self.chunk.end - self.chunk.start

    @property
    def end(self) -> int:
        return self.start + self.size

    def moved(self, offset: int, lines: int) -> Piece:
        return self if not offset and not lines else Piece(self.start + offset, self.line + lines, self.chunk)


class Layout:
    """The parts of one text, in order. `sheet` is the source that trees have places of; it has the text's path."""

    def __init__(self, sheet: Source, pieces: Sequence[Piece], moved: dict[int, int]) -> None:
        self.sheet = sheet
        self.pieces = tuple(pieces)
        # Where words stand now whose part was written again, by where they stood: see `renewed`.
        self._moved = moved
        self._starts = [piece.start for piece in self.pieces]
        by_sheet = sorted(self.pieces, key=_on_sheet)
        self._sheet_starts = [piece.chunk.start for piece in by_sheet]
        self._by_sheet = by_sheet

    def inner(self, offset: int, last: bool = False) -> int:
        """Where an offset of the text is on the sheet. At the border of two parts it is the start of the second, or
        with `last` the end of the first."""
        at = bisect_right(self._starts, offset) - 1
        if at < 0:
            return offset
        if last and at > 0 and self.pieces[at].start == offset:
            at -= 1
        piece = self.pieces[at]
        return piece.chunk.start + min(offset - piece.start, piece.size)

    def outer(self, offset: int) -> int:
        """Where a place of the sheet is in the text. What is no longer there is the start of the text."""
        piece = self._piece(offset)
        if piece is None:
            found = self._renewed(offset)
            piece = self._piece(found)
            if piece is None:
                return 0
            offset = found
        return piece.start + offset - piece.chunk.start

    def current(self, span: Span) -> Span:
        """The place of the sheet where the same words stand now, if their part was written again."""
        if not self._moved or self._piece(span.start) is not None:
            return span
        start, end = self._renewed(span.start), self._renewed(span.end)
        return Span(span.path, start, end, span.line, span.column, span.end_line, span.end_column)

    def _renewed(self, offset: int) -> int:
        at = offset
        while at in self._moved:
            at = self._moved[at]
        # The way there is made short, since a line is edited many times.
        while offset in self._moved and self._moved[offset] != at:
            self._moved[offset], offset = at, self._moved[offset]
        return at

    def _piece(self, offset: int) -> Piece | None:
        """The part around a place of the sheet; its end belongs to it, since no part begins where another ends."""
        at = bisect_right(self._sheet_starts, offset) - 1
        if at < 0:
            return None
        piece = self._by_sheet[at]
        return piece if offset <= piece.chunk.end else None


def _on_sheet(piece: Piece) -> int:
    return piece.chunk.start
