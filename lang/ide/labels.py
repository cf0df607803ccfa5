"""Labels: where `@pii` stands in the files of a program. A label is declared nowhere and means the same in every file,
so its uses are all there is of it, and they are found in the trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...base.source import Source, Span
from ..analysis.flow import UNTRUSTED
from ..syntax import File, Label
from ..syntax.walk import walk
from .analysis import Analysis

# What the language gives a meaning: tools that reach the network give it to what they return.
OF_THE_LANGUAGE = (UNTRUSTED,)


def label_at(analysis: Analysis, offset: int) -> tuple[str, Span] | None:
    """The label at an offset, by its name and the place of that, without the `@`."""
    for name, span in _own(analysis):
        if span.start - 1 <= offset <= span.end:
            return name, span
    return None


def uses_of_label(programs: Iterable[Analysis], name: str) -> tuple[Span, ...]:
    """The places of a label's name in the files of some programs, in order, each once."""
    found: dict[tuple[str, int, int], Span] = {}
    for path, known, span in _all(programs):
        if known == name:
            found[path, span.start, span.end] = span
    return tuple(found[key] for key in sorted(found))


def labels_of(programs: Iterable[Analysis]) -> frozenset[str]:
    return frozenset(name for _, name, _ in _all(programs))


def _all(programs: Iterable[Analysis]) -> Iterator[tuple[str, str, Span]]:
    for analysis in programs:
        for name, span in _own(analysis):
            yield analysis.path, name, span
        for path, source in analysis.sources.items():
            if path != analysis.path and "@" in source.text:
                for name, span in _labels(_tree(source)):
                    yield path, name, span


def _own(analysis: Analysis) -> Iterator[tuple[str, Span]]:
    if "@" in analysis.text:
        for name, span in _labels(analysis.file):
            yield name, analysis.place(span)


def _labels(file: File) -> Iterator[tuple[str, Span]]:
    for declaration in file.declarations:
        for node in walk(declaration):
            if isinstance(node, Label):
                yield node.name.text, node.name.span


def _tree(source: Source) -> File:
    from ..parser import parse

    return parse(source)[0]
