"""Three quotes that close a text whose beginning was lost: what stood between was read as code, and is no help.

The scanner takes them for the start of a text that never ends. Where they begin their line they are far more likely the
end of one: of a text in which a hole went wrong, of one that was closed where it opens, or of one whose opening quotes
are missing. One problem is then said, at that place.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.problems import Problem
from ..base.source import Source
from . import structure_problems as words
from .tokens import Token

_LONG = '"""'


def settle(
    source: Source, tokens: Sequence[Token], scanned: Sequence[Problem], found: Sequence[Problem]
) -> tuple[list[Problem], list[Problem]]:
    """The problems of the scanner and those of one declaration, without what orphaned quotes stirred up."""
    orphan = _orphan(tokens, scanned)
    if orphan is None:
        return list(scanned), list(found)
    index, reported = orphan
    begin = _beginning(tokens[:index])
    first, last = tokens[0].start, tokens[-1].end
    own = [p for p in (*scanned, *found) if p.span and p is not reported and first <= p.span.start <= last]
    after = tokens[begin].start if begin is not None else first
    inside = sorted((p for p in own if p.span and p.span.start >= after), key=lambda p: p.span.start if p.span else 0)
    if begin is not None and tokens[begin + 1].kind == "TEXT_END":
        second = tokens[begin + 1]
        said = words.written_twice(source.span(second.start, second.end), _LONG)
    elif begin is not None and inside:
        said = inside[0]
    elif inside and (faulty := inside[0].span) is not None and 1 < faulty.line <= tokens[index].line:
        line = faulty.line - 1
        end = source.line_starts[line - 1] + len(source.line(line).rstrip())
        closing = source.span(tokens[index].start, tokens[index].end)
        said = words.unopened_text(source.span(end, end), closing)
    else:
        return list(scanned), list(found)
    # What is said of the lines from there on was read as something that it is not.
    start = said.span.start if said.span else 0
    if begin is not None:
        start = min(start, source.line_starts[tokens[begin].line - 1])

    kept = [p for p in scanned if p.span is None or not start <= p.span.start <= last]
    return kept, [*(p for p in found if p.span is None or p.span.start < start), said]


def _orphan(tokens: Sequence[Token], scanned: Sequence[Problem]) -> tuple[int, Problem] | None:
    """The first three quotes of the declaration that begin their line and open a text that never ends."""
    lost = {p.span.start: p for p in scanned if p.slug == "unclosed-text" and p.span is not None}
    for index, token in enumerate(tokens):
        if token.kind == "TEXT" and token.text == _LONG and token.first and token.start in lost:
            return index, lost[token.start]
    return None


def _beginning(tokens: Sequence[Token]) -> int | None:
    """The last three quotes whose text was cut short: by a fault inside, or because it is closed at once."""
    for index in range(len(tokens) - 2, -1, -1):
        token, following = tokens[index], tokens[index + 1]
        if token.kind != "TEXT" or token.text != _LONG:
            continue
        if following.kind == "TEXT_END" and following.text == _LONG:
            return index
        depth = 0
        for other in tokens[index:]:
            depth += (other.kind == "TEXT") - (other.kind == "TEXT_END")
            if depth == 0:
                return index if other.start == other.end else None
        # It was still open where the next declaration began.
        return index
    return None
