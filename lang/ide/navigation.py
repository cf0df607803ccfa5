"""Where a name is declared, and where it is used."""

from __future__ import annotations

from collections.abc import Iterable

from ...base.source import Span
from ..checker.symbols import ModuleSymbol
from .analysis import Analysis
from .index import Word
from .labels import label_at, uses_of_label


def definition(analysis: Analysis, offset: int) -> tuple[Span, Span] | None:
    """The word at the offset and where what it stands for is declared, perhaps in another file; a module is declared
    by its whole file."""
    word = analysis.index.word(offset)
    if word is None:
        return None
    thing, here = word.mention.thing, analysis.source.span(word.start, word.end)
    target = analysis.index.target(word.mention)
    if isinstance(thing, ModuleSymbol) and thing.interface is not None and target == word.mention.span:
        return here, thing.interface.source.span(0, 0)
    return here, analysis.place(target)


def declaration_span(analysis: Analysis, word: Word) -> Span:
    """Where what a word stands for is declared, as the tree counts."""
    return analysis.index.target(word.mention)


def references(analysis: Analysis, offset: int, neighbours: Iterable[Analysis] = ()) -> tuple[Span, ...]:
    """All uses of what the word at the offset stands for, its declaration included, in order.

    `neighbours` are programs that may import the file in which it is declared; of a label, which is declared nowhere,
    those that have a file in common with this one.
    """
    word = analysis.index.word(offset)
    if word is None:
        label = label_at(analysis, offset)
        return () if label is None else uses_of_label((analysis, *neighbours), label[0])
    target = analysis.place(declaration_span(analysis, word))
    found: dict[tuple[str, int, int], Span] = {}
    for program in (analysis, *neighbours):
        for span in uses_of(program, target):
            found[span.path, span.start, span.end] = span
    return tuple(found[key] for key in sorted(found))


def uses_of(analysis: Analysis, target: Span) -> tuple[Span, ...]:
    """The words of one program that stand for what is declared at a place (of the text)."""
    inner = target
    if target.path == analysis.path:
        start = analysis.at(target.start)
        length = target.end - target.start
        inner = Span(target.path, start, start + length, 1, 1, 1, 1)
    return tuple(analysis.place(mention.span) for mention in analysis.index.uses(inner))


def same_name(analysis: Analysis, offset: int) -> tuple[Span, ...]:
    """The uses of a name in its own file, to be shown while the cursor is on one."""
    return tuple(span for span in references(analysis, offset) if span.path == analysis.path)
