"""What stands where in the files of one program: which word means what, and which type a value has.

Built once for an analysis, when the first question comes. Offsets are those of the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from ...base.source import Span
from ..checker.facts import Mention, Place
from ..program import Expression

if TYPE_CHECKING:
    from .analysis import Analysis


class Word:
    """A word of the file, from `start` to `end`, and what it stands for."""

    __slots__ = ("end", "mention", "start")

    def __init__(self, start: int, end: int, mention: Mention) -> None:
        self.start = start
        self.end = end
        self.mention = mention


class Index:
    """The words of the file in order, the definitions they lead to, and its typed expressions."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._mentions = analysis.facts.mentions
        outer, path = analysis.layout.outer, analysis.path
        self.words: list[Word] = []
        for (file, start, end), mention in self._mentions.items():
            # A word that no program can write stands for something made up.
            if file == path and start < end:
                self.words.append(Word(outer(start), outer(end), mention))
        self.words.sort(key=_start)
        self._starts = [word.start for word in self.words]
        self._fields: set[Place] | None = None
        self._uses: dict[Place, list[Mention]] | None = None

    def word(self, offset: int) -> Word | None:
        """The word at an offset, or that ends there."""
        at = bisect_right(self._starts, offset) - 1
        for word in reversed(self.words[max(at - 1, 0) : at + 1]):
            if word.start <= offset <= word.end:
                return word
        return None

    def target(self, mention: Mention) -> Span:
        """Where what a word stands for is declared. What an import brings is declared where it comes from."""
        layout, path = self._analysis.layout, self._analysis.path
        span = mention.thing.span
        for _ in range(8):
            if span.path == path:
                span = layout.current(span)
            through = self._mentions.get(_place(span))
            if through is None or _place(through.thing.span) == _place(span):
                break
            span = through.thing.span
        return span

    def uses(self, target: Span) -> list[Mention]:
        """All words, in all files of the program, that stand for what is declared at a place, its own included."""
        if self._uses is None:
            self._uses = defaultdict(list)
            for mention in self._mentions.values():
                self._uses[_place(self.target(mention))].append(mention)
        return self._uses.get(_place(target), [])

    def is_field(self, mention: Mention) -> bool:
        """Whether a parameter is a field of a record, or of what a case holds."""
        if self._fields is None:
            contexts = self._analysis.facts.contexts.values()
            records = (field for c in contexts for record in c.records.values() for field in record.fields)
            cases = (f for c in contexts for enum in c.enums.values() for case in enum.cases for f in case.payload)
            self._fields = {_place(field.span) for field in (*records, *cases)}
        return _place(mention.thing.span) in self._fields

    def value(self, offset: int) -> Expression | None:
        """The innermost typed expression around an offset."""
        inner, path = self._analysis.at(offset), self._analysis.path
        best: tuple[int, Expression] | None = None
        for (file, start, end), found in self._analysis.facts.values.items():
            if file == path and start <= inner <= end and (best is None or end - start <= best[0]):
                best = end - start, found
        return None if best is None else best[1]

    def ending(self, offset: int) -> Expression | None:
        """The longest typed expression that ends at an offset, such as the one before a point."""
        inner, path = self._analysis.layout.inner(offset, last=True), self._analysis.path
        best: tuple[int, Expression] | None = None
        for (file, start, end), found in self._analysis.facts.values.items():
            if end == inner and file == path and (best is None or start < best[0]):
                best = start, found
        return None if best is None else best[1]

    def value_of(self, span: Span) -> Expression | None:
        """The typed expression of a part of the tree."""
        return self._analysis.facts.values.get(_place(span))


def _place(span: Span) -> Place:
    return span.path, span.start, span.end


def _start(word: Word) -> int:
    return word.start
