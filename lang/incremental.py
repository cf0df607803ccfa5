"""Parses a text that is being edited: what did not change since the last time is kept.

The parts of a source between two cuts (see `scanner.Cut`) depend on nothing but their own text and place. So only the
text around the edit is scanned again, from the cut before it to the first cut behind it that was one before; parts
whose text was seen before keep their trees, moved to where they stand now. The result is always that of `parser.parse`.
"""

from __future__ import annotations

from bisect import bisect_right

from ..base.problems import Problems
from ..base.source import Source
from .chunks import MOST_PROBLEMS, Chunk, chunks
from .parser import Documented, assembled, refused
from .patterns import CONTROL
from .scanner import scan
from .syntax import File


class Incremental:
    """One document over time. A declaration whose text did not change is the same object as before, so that `is` tells
    a checker what it may keep; where its text moved, its places have moved with it (see `moves`).

    Only the newest file is of use. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._source: Source | None = None
        self._chunks: list[Chunk] = []
        self._documented: Documented = {}

    def parse(self, source: Source) -> tuple[File, Problems]:
        """What `parser.parse` gives for the source."""
        if (nothing := refused(source)) is not None:
            self._source = None
            return nothing
        before = self._source
        found = None
        if before is not None and before.path == source.path:
            found = self._edited(before.text, source)
        self._source = source
        if found is None:
            scanned = scan(source)
            found = list(chunks(source, scanned))
            if scanned.broken_off or CONTROL.search(source.text):
                # A scan that did not end, or that changed characters, is no base for the next.
                self._source = None
        self._chunks = found
        return assembled(source, found, self._documented)

    def _edited(self, old: str, source: Source) -> list[Chunk] | None:
        """The chunks of the edited text, or None where all of it must be read again."""
        new, before = source.text, self._chunks
        if CONTROL.search(new):
            return None
        head = _common(old, new)
        tail = _common_end(old[head:], new[head:])
        shift = len(new) - len(old)
        # One chunk more than the edit's own: where that one ends may depend on the line that was edited.
        first = max(0, bisect_right(before, head, key=_start) - 2)
        first = next((number for number, chunk in enumerate(before[:first]) if chunk.reaching), first)
        behind = {
            chunk.start + shift: number
            for number, chunk in enumerate(before)
            if number > first and chunk.start >= len(old) - tail
        }
        begin = before[first]
        scanned = scan(source, begin.start, begin.line, behind)
        last, end, lines = len(before), len(new), 0
        if scanned.cuts and (cut := scanned.cuts[-1]).offset in behind:
            last, end = behind[cut.offset], cut.offset
            lines = cut.line - before[last].line
        seen = {old[chunk.start : chunk.end]: chunk for chunk in before[first:last]}
        found = [*before[:first], *chunks(source, scanned, begin.start, begin.line, end, seen)]
        for chunk in before[last:]:
            found.append(chunk.placed(chunk.start + shift, chunk.line + lines) or _again(source, chunk, shift, lines))
        # As many problems as this would have ended the scan of the whole.
        return found if sum(chunk.most for chunk in found) < MOST_PROBLEMS else None


def _start(chunk: Chunk) -> int:
    return chunk.start


def _again(source: Source, chunk: Chunk, shift: int, lines: int) -> Chunk:
    """A chunk parsed again at its new place."""
    start, line, end = chunk.start + shift, chunk.line + lines, chunk.end + shift
    (again,) = chunks(source, scan(source, start, line, {end}), start, line, end)
    return again


def _common(left: str, right: str) -> int:
    """How many characters two texts begin with alike."""
    if left == right:
        return len(left)
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(left: str, right: str) -> int:
    """How many characters two texts end with alike."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[len(left) - middle :] == right[len(right) - middle :]:
            low = middle
        else:
            high = middle - 1
    return low
