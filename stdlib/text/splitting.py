"""Cutting a long text into pieces that a model can take, where a reader would cut it.

At paragraphs if these fit, else at sentences, else between words, else inside a word that is too long by itself.
Nothing is lost but the white space at the cuts. How long a piece is says a counter that is given as a value (the
tokenizer of the model that will read the piece).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from .sentence import sentences

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_SPACE = re.compile(r"\s+")

Span = tuple[int, int]


def split(text: str, tokens: int, count: Callable[[str], int]) -> list[str]:
    """Pieces of `text` of at most `tokens` by `count`, as long as its paragraphs and sentences allow.

    A single character that counts more than `tokens` is a piece by itself. Raises `ValueError` if `tokens` < 1.
    """
    if tokens < 1:
        raise ValueError("a piece holds at least one token")
    start, end = _trim(text, 0, len(text))
    if start == end:
        return []
    spans = _Splitter(text, tokens, count).spans(start, end)
    return [text[start:end] for start, end in spans]


class _Splitter:
    def __init__(self, text: str, tokens: int, count: Callable[[str], int]) -> None:
        self._text = text
        self._tokens = tokens
        self._count = count

    def spans(self, start: int, end: int) -> list[Span]:
        atoms = list(self._atoms((start, end), 0))
        packed: list[Span] = []
        at = 0
        while at < len(atoms):
            stop = self._longest_run(atoms, at)
            packed.append((atoms[at][0][0], atoms[stop - 1][0][1]))
            at = stop
        return packed

    def _longest_run(self, atoms: list[tuple[Span, int]], at: int) -> int:
        """The end of the longest run of atoms from `at` that fits. Counts of atoms add up to about the count of all,
        so the sum says where to look and one count of the whole confirms it."""
        stop, total = at + 1, atoms[at][1]
        while stop < len(atoms) and total + atoms[stop][1] <= self._tokens:
            total += atoms[stop][1]
            stop += 1
        while stop > at + 1 and self._size((atoms[at][0][0], atoms[stop - 1][0][1])) > self._tokens:
            stop -= 1
        return stop

    def _atoms(self, span: Span, level: int) -> Iterator[tuple[Span, int]]:
        """The largest parts of the text that fit, each with its count."""
        size = self._size(span)
        if size <= self._tokens:
            yield span, size
        elif level < len(_LEVELS):
            for part in _LEVELS[level](self._text, span):
                yield from self._atoms(part, level + 1)
        else:
            yield from self._characters(span)

    def _characters(self, span: Span) -> Iterator[tuple[Span, int]]:
        """Cut a word that is too long: the longest prefix that fits, again and again."""
        start, end = span
        while start < end:
            low, high = start + 1, end
            while low < high:
                middle = (low + high + 1) // 2
                if self._size((start, middle)) <= self._tokens:
                    low = middle
                else:
                    high = middle - 1
            cut = _whole_character(self._text, start, low, end)
            yield (start, cut), self._size((start, cut))
            start = cut

    def _size(self, span: Span) -> int:
        return self._count(self._text[span[0] : span[1]])


def _paragraphs(text: str, span: Span) -> Iterator[Span]:
    return _between(_BLANK_LINE, text, span)


def _sentences(text: str, span: Span) -> Iterator[Span]:
    at = span[0]
    for sentence in sentences(text[span[0] : span[1]]):
        at = text.index(sentence, at)
        yield at, at + len(sentence)
        at += len(sentence)


def _words(text: str, span: Span) -> Iterator[Span]:
    return _between(_SPACE, text, span)


_LEVELS = (_paragraphs, _sentences, _words)


def _between(pattern: re.Pattern[str], text: str, span: Span) -> Iterator[Span]:
    """The parts of a span that the matches of `pattern` separate."""
    at = span[0]
    for gap in pattern.finditer(text, span[0], span[1]):
        if gap.start() > at:
            yield _trim(text, at, gap.start())
        at = gap.end()
    if at < span[1]:
        yield at, span[1]


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _whole_character(text: str, start: int, cut: int, end: int) -> int:
    """Move a cut back (or, at the very start, on) so that it does not part a letter from its accents, or an emoji."""
    back = cut
    while back > start and back < end and _joins(text, back):
        back -= 1
    if back > start:
        return back
    while cut < end and _joins(text, cut):
        cut += 1
    return cut


def _joins(text: str, at: int) -> bool:
    """Whether the character at `at` belongs to the one before it."""
    here, before = text[at], text[at - 1]
    return (
        unicodedata.category(here) in ("Mn", "Me", "Mc")
        or "\u200d" in (here, before)
        or "\ufe00" <= here <= "\ufe0f"
        or "\U0001f3fb" <= here <= "\U0001f3ff"
    )
