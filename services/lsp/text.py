"""Places of a text as an editor counts them: lines from 0, characters in the units that both sides agreed on.

The protocol ends lines at a newline, a carriage return, or both; a source of ours at newlines alone. So lines are
counted here, and offsets (in code points) are what both sides have in common.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol import types

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNITS = {types.PositionEncodingKind.Utf8: "utf-8", types.PositionEncodingKind.Utf16: "utf-16-le"}


class Lines:
    """The lines of a text. `encoding` is the client's: UTF-8, UTF-16 or UTF-32."""

    def __init__(self, text: str, encoding: types.PositionEncodingKind) -> None:
        self.text = text
        self._codec = _UNITS.get(encoding)
        self._size = 2 if encoding == types.PositionEncodingKind.Utf16 else 1
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def offset(self, position: types.Position) -> int:
        """The offset of a position. One behind the end of its line is that end, as the protocol says."""
        if position.line >= len(self._starts):
            return len(self.text)
        line = max(position.line, 0)
        start, end = self._starts[line], self._end(line)
        text, units = self.text[start:end], max(position.character, 0)
        if self._codec is None or text.isascii():
            return start + min(units, len(text))
        for at, character in enumerate(text):
            if units <= 0:
                return start + at
            units -= self._width(character)
        return end

    def position(self, offset: int) -> types.Position:
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return types.Position(line, self._width(before))

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def width(self, start: int, end: int) -> int:
        """How long a part of a line is, in the client's units."""
        return self._width(self.text[start:end])

    def line_end(self, line: int) -> int:
        """The offset at which a line (from 0) ends, without what ends it."""
        return self._end(line)

    def _end(self, line: int) -> int:
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        while end > self._starts[line] and self.text[end - 1] in "\r\n":
            end -= 1
        return end

    def _width(self, text: str) -> int:
        if self._codec is None or text.isascii():
            return len(text)
        # Half a character of two units may stand in a text that is being edited.
        return len(text.encode(self._codec, "surrogatepass")) // self._size


def changed(text: str, change: types.TextDocumentContentChangeEvent, encoding: types.PositionEncodingKind) -> str:
    """The text after one change of it."""
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return change.text
    lines = Lines(text, encoding)
    start, end = lines.offset(change.range.start), lines.offset(change.range.end)
    return text[:start] + change.text + text[max(start, end) :]
