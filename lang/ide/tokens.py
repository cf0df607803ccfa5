"""What each word and sign of a text is, for colours that know what a name stands for."""

from __future__ import annotations

from collections.abc import Iterator

from .. import lalr
from ..scanner import scan
from ..tokens import RESERVED, Token
from ..types import PRIMITIVES
from .analysis import Analysis
from .index import Word
from .things import kind_of
from .words import BUILTINS

# The kinds that a token may have here, and what of the protocol's they are nearest to.
KINDS = (
    *("namespace", "type", "enum", "enumMember", "function", "method", "property", "parameter", "variable"),
    *("keyword", "string", "number", "comment", "operator", "decorator"),
)
DECLARED, CONSTANT, LIBRARY = 1, 2, 4
MODIFIERS = ("declaration", "readonly", "defaultLibrary")

_OF = {
    "module": "namespace",
    "record": "type",
    "opaque type": "type",
    "enum": "enum",
    "case": "enumMember",
    "pipeline": "function",
    "agent": "function",
    "tool": "function",
    "stage": "function",
    "method": "method",
    "field": "property",
    "parameter": "parameter",
    "constant": "variable",
    "test": "",
}
_OPERATORS = frozenset(
    ("PIPE", "GIVES", "RETURNS", "EQ", "NE", "LE", "GE", "LT", "GT", "PLUS", "MINUS", "STAR", "SLASH")
)
_TYPES = frozenset((*PRIMITIVES, "Message", "Role", "Tensor"))
_TEXTS = frozenset(("TEXT", "TEXT_PART", "TEXT_END"))


class Coloured:
    """A part of the text, its kind, and its modifiers as bits."""

    __slots__ = ("end", "kind", "modifiers", "start")

    def __init__(self, start: int, end: int, kind: str, modifiers: int = 0) -> None:
        self.start = start
        self.end = end
        self.kind = kind
        self.modifiers = modifiers


def colours(analysis: Analysis) -> list[Coloured]:
    """All parts of a text that have a colour, in order; they do not overlap, but may span lines."""
    scanned = scan(analysis.source)
    words = {word.start: word for word in analysis.index.words}
    found = [Coloured(c.start, c.start + len(c.text), "comment") for c in scanned.comments]
    found += _tokens(analysis, scanned.tokens, words)
    found.sort(key=_start)
    return [part for i, part in enumerate(found) if i == 0 or part.start >= found[i - 1].end]


def _tokens(analysis: Analysis, tokens: list[Token], words: dict[int, Word]) -> Iterator[Coloured]:
    keywords = lalr.contextual()
    before = ""
    for token in tokens:
        start, end = token.start, token.end
        if token.kind in _TEXTS:
            if start < end:
                yield Coloured(start, end, "string")
        elif token.kind in ("NUMBER", "QUANTITY"):
            yield Coloured(start, end, "number")
        elif token.kind in _OPERATORS:
            yield Coloured(start, end, "operator")
        elif token.kind == "NAME" and before == "LABEL":
            yield Coloured(start - 1, end, "decorator")
        elif (word := words.get(start)) is not None and word.end == end:
            yield from _word(analysis, word)
        elif token.text in RESERVED:
            yield Coloured(start, end, "keyword")
        elif token.kind == "NAME" and token.text in _TYPES:
            yield Coloured(start, end, "type", LIBRARY)
        elif token.kind == "NAME" and token.text in BUILTINS and before != "DOT":
            yield Coloured(start, end, "function", LIBRARY)
        elif token.kind == "NAME" and token.text in keywords and before != "DOT":
            yield Coloured(start, end, "keyword")
        before = token.kind


def _word(analysis: Analysis, word: Word) -> Iterator[Coloured]:
    mention = word.mention
    kind = kind_of(mention.thing)
    if kind == "parameter" and analysis.index.is_field(mention):
        kind = "field"
    shown = _OF.get(kind, "variable")
    if not shown:
        return
    target = analysis.index.target(mention)
    modifiers = DECLARED if target == mention.span else 0
    modifiers |= LIBRARY if target.path.startswith("std/") else 0
    modifiers |= CONSTANT if kind == "constant" else 0
    yield Coloured(word.start, word.end, shown, modifiers)


def _start(part: Coloured) -> int:
    return part.start
