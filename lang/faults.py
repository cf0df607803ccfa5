"""A fault: a token that does not fit where it stands. And edits of tokens, and where a `}` is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..base.problems import Problem
from ..base.source import Source, Span
from . import lalr
from .lalr import State
from .tokens import OPENERS, Token


@dataclass(frozen=True, slots=True)
class Edit:
    """From `at`, `removed` tokens are replaced by `tokens`."""

    at: int
    removed: int
    tokens: tuple[Token, ...] = ()

    def applied(self, tokens: Sequence[Token], start: int = 0) -> list[Token]:
        """The edited tokens, from index `start` (of the unedited ones) on."""
        return [*tokens[start : self.at], *self.tokens, *tokens[self.at + self.removed :]]

    @staticmethod
    def remove(tokens: Sequence[Token], start: int, end: int) -> Edit:
        """Leaves tokens out; what follows on the line then begins it, if what was left out did."""
        if start < len(tokens) and tokens[start].first and end < len(tokens) and not tokens[end].first:
            return Edit(start, end - start + 1, (tokens[end]._replace(first=True),))
        return Edit(start, end - start)


@dataclass(frozen=True)
class Fault:
    """The token at `index` (or the end, where `index` is their number) does not fit `state`."""

    source: Source
    tokens: Sequence[Token]
    index: int
    state: State
    # States before earlier tokens, as (index, state); the last ones only.
    trail: Sequence[tuple[int, State]] = ()

    def before(self, index: int) -> State | None:
        """The state before a token up to the fault, to be used up; None if the tokens before do not even fit."""
        for at, state in reversed(self.trail):
            if at <= index:
                state = state.copy()
                return state if lalr.run(state, self.tokens, at, index) >= index else None
        state = lalr.start()
        return state if lalr.run(state, self.tokens, 0, index) >= index else None

    @cached_property
    def takes(self) -> frozenset[str]:
        """The kinds that would fit. A newline is among them where it ends what stands before."""
        return self.state.takes()

    @property
    def token(self) -> Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    @property
    def previous(self) -> Token | None:
        return self.tokens[self.index - 1] if self.index > 0 else None

    def ahead(self, count: int) -> Token | None:
        at = self.index + count
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def is_kind(self, *kinds: str) -> bool:
        return self.token is not None and self.token.kind in kinds

    def exchange(self, index: int, kind: str, text: str) -> Edit:
        """Reads the token at `index` as another."""
        return Edit(index, 1, (self.tokens[index]._replace(kind=kind, text=text),))

    def bracket_end(self) -> int | None:
        """The index of the bracket that closes the one at the fault."""
        depth = 0
        for index in range(self.index, len(self.tokens)):
            kind = self.tokens[index].kind
            depth += (kind in OPENERS.values()) - (kind in OPENERS)
            if depth == 0:
                return index
        return None

    def place(self, token: Token) -> Span:
        return self.source.span(token.start, token.end)

    def gap(self, index: int | None = None) -> Span:
        """The empty place right behind the token before `index`."""
        at = self.index if index is None else index
        offset = self.tokens[at - 1].end if at > 0 else self.tokens[0].start
        return self.source.span(offset, offset)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a known mistake is, and how to go on; without an edit the general search finds one."""

    problem: Problem
    edit: Edit | None = None


@dataclass(slots=True)
class _Open:
    token: Token
    indent: int  # of the line on which the brace stands
    many_lines: bool


def missing_brace(tokens: Sequence[Token], upto: int) -> Edit | None:
    """The `}` that indentation says is missing at or before the token `upto`, if any.

    A block that begins on a line of its own must end before a line that stands no further in than the line with its
    `{`, and with a `}` that stands exactly there.
    """
    stack: list[_Open | None] = []
    indent = 1
    for index, token in enumerate(tokens[: upto + 1]):
        if token.first:
            indent = token.column
            while stack and stack[-1] is not None:
                top = stack[-1]
                closes = token.kind == "RBRACE"
                if (indent >= top.indent) if closes else (indent > top.indent):
                    break
                return Edit(index, 0, (_brace(tokens[index - 1]),))
        if token.kind == "LBRACE":
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            stack.append(_Open(token, indent, following is not None and following.first))
        elif token.kind in ("LPAR", "LSQB", "HOLE", "TEXT"):
            stack.append(None)
        elif token.kind in OPENERS and stack:
            stack.pop()
    if upto >= len(tokens) and any(stack):
        return Edit(len(tokens), 0, (_brace(tokens[-1]),))
    return None


def _brace(before: Token) -> Token:
    width = before.end - before.start
    return Token("RBRACE", "}", before.end, before.end, before.line, before.column + width, False)
