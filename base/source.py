"""Source text and places in it.

A `Span` carries both offsets (for slicing) and line and column (for people and for MLIR locations), so that a value may
leave the file it came from and still say where it was written. Lines and columns count from 1; a column counts code
points, an end column is exclusive.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from .frozen import frozen


@frozen
class Span:
    """A half-open range `start..end` (code-point offsets) of the source named `path`. Ordered by its fields."""

    path: str
    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int

    def __init__(self, path: str, start: int, end: int, line: int, column: int, end_line: int, end_column: int) -> None:
        # Every word of a file has a place, so making one is written out.
        state = self.__dict__
        state["path"] = path
        state["start"] = start
        state["end"] = end
        state["line"] = line
        state["column"] = column
        state["end_line"] = end_line
        state["end_column"] = end_column

    def __lt__(self, other: Span) -> bool:
        return (self.path, self.start, self.end) < (other.path, other.start, other.end)

    def __le__(self, other: Span) -> bool:
        return not other < self

    def to(self, other: Span) -> Span:
        """The smallest span from the start of this one to the end of `other` (same path)."""
        return Span(self.path, self.start, other.end, self.line, self.column, other.end_line, other.end_column)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@frozen
class Source:
    """One text and the path that people know it by. Reading files is the caller's job."""

    path: str
    text: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column (from 1) of a code-point offset."""
        line = bisect_right(self.line_starts, offset) - 1
        return line + 1, offset - self.line_starts[line] + 1

    def span(self, start: int, end: int) -> Span:
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        return Span(self.path, start, end, line, column, end_line, end_column)

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its newline."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")
