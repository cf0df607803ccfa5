"""Where a cursor stands in a text that need not parse: the word that is being written, the tokens before it, and what
the parser would take next. The tables of the parser itself answer, so a keyword is offered exactly where it fits.
"""

from __future__ import annotations

import re

from ...base.source import Source
from .. import lalr
from ..scanner import scan
from ..tables import END, tables
from ..tokens import Token

_WORD = re.compile(r"[^\W\d]\w*\Z|\Z")
_NUMBER = re.compile(r"(?:^|[^\w.])(\$?\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)([ \t]*)\Z")
# A line that starts a declaration; the cursor's declaration starts at the last one before it.
_HEAD = re.compile(
    r"^(?:use|type|enum|let|model|resource|memory|server|tool|stage|pipeline|agent|goal|fleet|test)\b", re.M
)


class Cursor:
    """One place. `start` is where the word begins that ends at `offset` (the same where none does)."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.offset = offset
        before = text[:offset]
        match = _WORD.search(before)
        self.start = match.start() if match is not None else offset
        self.word = text[self.start : offset]
        self.line = text[text.rfind("\n", 0, self.start) + 1 : self.start]
        head = 0
        for found in _HEAD.finditer(before, 0, self.start):
            head = found.start()
        self.head = head
        self.number = _NUMBER.search(text[: self.start])
        self.tokens: list[Token] = []
        # Nothing can be said of what is written in a comment, or in a text outside of its holes.
        self.in_code = True
        self.first = not self.line.strip()
        self._read()
        # The brackets that are open, as tokens.
        self.open = _open(self.tokens)
        self._takes: frozenset[str] | None = None

    def _read(self) -> None:
        """The tokens of the declaration up to the word; the scanner reads a word of ours in its place."""
        word = "" if self.number is not None else "word"
        end = self.start - self.head
        scanned = scan(Source("cursor", self.text[self.head : self.start] + word))
        tokens = [token for token in scanned.tokens if token.start < end or token.kind == "NAME"]
        if word:
            at = next((i for i, token in enumerate(tokens) if token.start == end), None)
            if at is None:
                self.in_code = False
                return
            if at in scanned.starts:
                tokens = []
            tokens = tokens[:at]
        starts = [start for start in scanned.starts if start < len(tokens)]
        self.tokens = tokens[starts[-1] :] if starts else tokens

    @property
    def previous(self) -> Token | None:
        return self.tokens[-1] if self.tokens else None

    def kinds(self, count: int) -> list[str]:
        """The kinds of the last tokens before the word, the last one last; a word stands for itself."""
        return [token.text if token.kind == "NAME" else token.kind for token in self.tokens[-count:]]

    @property
    def word_of_declaration(self) -> str:
        return self.tokens[0].text if self.tokens else ""

    @property
    def takes(self) -> frozenset[str]:
        """The kinds of tokens that fit here, keywords as their kind; empty where what stands before does not parse."""
        if self._takes is None:
            self._takes = self._fitting()
        return self._takes

    def _fitting(self) -> frozenset[str]:
        tokens = self.tokens
        state = lalr.start()
        at = lalr.run(state, tokens, 0, len(tokens)) if tokens else 0
        if at < len(tokens):
            return frozenset()
        states = state.states
        word = Token("NAME", "word", 0, 4, 1, 1, self.first)
        if tokens and lalr.newline_before(word, state):
            after = lalr.shifts(states, lalr.NEWLINE)
            if after is None:
                return frozenset()
            states = after
        row = tables().states[states[0]]
        return frozenset(k for k in row if k.isupper() and k != END and lalr.shifts(states, k) is not None)

    def keywords(self) -> list[str]:
        """The words of the language that fit here."""
        literals = tables().literals
        return [literals[kind] for kind in sorted(self.takes) if literals.get(kind, "").isidentifier()]

    @property
    def expects_type(self) -> bool:
        return "TENSOR" in self.takes

    @property
    def expects_value(self) -> bool:
        return "TRUE" in self.takes

    @property
    def expects_pattern(self) -> bool:
        return "WILDCARD" in self.takes and not self.expects_value


def _open(tokens: list[Token]) -> list[Token]:
    stack: list[Token] = []
    for token in tokens:
        if token.kind in ("LPAR", "LSQB", "LBRACE", "TEXT", "HOLE"):
            stack.append(token)
        elif token.kind in ("RPAR", "RSQB", "RBRACE", "TEXT_END", "HOLE_END") and stack:
            stack.pop()
    return stack
