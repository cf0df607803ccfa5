"""What a scan gives, and where one stands: the tokens so far, what is open, the line.

The scanner is one class in three layers, by what they read: here what all share, in `scan_texts` texts and numbers,
in `scanner` all else.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from ..base.problems import Problem
from ..base.source import Source, Span
from . import syntax_problems as problems
from .patterns import HEAD
from .tokens import Comment, Token

# Brackets, texts and holes open at once; the trees that come of them are walked recursively.
MOST_OPEN = 60
# More would help nobody, and a file that is no program could give one for each character.
MOST_PROBLEMS = 100


class Cut(NamedTuple):
    """A place where nothing is open: a line at the left margin that starts a declaration. How the source goes on from
    there has nothing to do with what stands before; how much of each the scan had by then."""

    offset: int
    line: int
    tokens: int
    comments: int
    problems: int
    starts: int
    dropped: int


class Scan:
    """What one source gave. `starts` are indexes of tokens with which a declaration (or a stray line) begins; `dropped`
    are the first tokens of declarations that were too deep to read. `cuts` part the source; `reaching` are the parts
    (by the number of cuts before) that hold a long text without an end, for which all that follows was looked at.
    `most` says for each part how many problems it had at once; `broken_off` that there were too many to go on."""

    __slots__ = ("broken_off", "comments", "cuts", "dropped", "most", "problems", "reaching", "starts", "tokens")

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self.problems: list[Problem] = []
        self.starts: list[int] = []
        self.dropped: list[Token] = []
        self.cuts: list[Cut] = []
        self.reaching: set[int] = set()
        self.most = [0]
        self.broken_off = False


class Reader:
    """A place in a source, and what was found up to there."""

    def __init__(self, source: Source, offset: int, line: int, until: Container[int]) -> None:
        self.source = source
        self.text = source.text
        self.at = 1 if offset == 0 and self.text.startswith("\ufeff") else offset
        self.begin = offset
        self.until = until
        self.out = Scan()
        self.open: list[Token] = []  # opening brackets, TEXT and HOLE tokens that are not closed yet
        self.line: int = line
        self.line_start = offset
        self.first = True
        self.base_column = 0  # the column of the current declaration's first token; 0 before any

    def span(self, start: int, end: int) -> Span:
        return self.source.span(start, end)

    def report(self, problem: Problem) -> None:
        out = self.out
        out.problems.append(problem)
        out.most[-1] = max(out.most[-1], len(out.problems) - (out.cuts[-1].problems if out.cuts else 0))
        if len(out.problems) >= MOST_PROBLEMS:
            # This is no program: what follows is not worth the time.
            self.text = self.text[: self.at]
            out.broken_off = True

    def add(self, kind: str, start: int, end: int) -> Token:
        token = Token(kind, self.text[start:end], start, end, self.line, start - self.line_start + 1, self.first)
        tokens = self.out.tokens
        if self.first:
            self.first = False
            closes = kind in ("RBRACE", "RPAR", "RSQB")
            # One column more than the declaration's first line is no indentation, only a slip.
            outside = not self.open and (token.column <= self.base_column + 1 or not self.base_column)
            if not tokens or (outside and not closes):
                self.start_declaration(token)
        tokens.append(token)
        self.at = end
        return token

    def start_declaration(self, token: Token) -> None:
        if not self.base_column or token.column != self.base_column + 1:
            self.base_column = token.column
        self.out.starts.append(len(self.out.tokens))

    def line_started(self) -> None:
        """At the start of a line of code: does a declaration start here, whatever is open?"""
        self.first = True
        match = HEAD.match(self.text, self.at)
        if match is None:
            return
        start = self.at + len(match[0]) - len(match[0].lstrip())
        column = start - self.line_start + 1
        if not self.open or column <= self.base_column:
            self.open.clear()
            self.base_column = column
            if column == 1 and start > self.begin:
                self.cut(start)

    def cut(self, offset: int) -> None:
        out = self.out
        counts = (len(part) for part in (out.tokens, out.comments, out.problems, out.starts, out.dropped))
        out.cuts.append(Cut(offset, self.line, *counts))
        out.most.append(0)
        if offset in self.until:
            self.text = self.text[:offset]

    def push(self, token: Token) -> None:
        self.open.append(token)
        if len(self.open) > MOST_OPEN:
            self.report(problems.too_deep(self.span(token.start, token.end), "brackets", MOST_OPEN))
            self.drop_declaration()

    def drop_declaration(self) -> None:
        """Forgets the declaration that is being read and goes on at the next line that starts one."""
        starts = self.out.starts
        if starts:
            start = starts.pop()
            self.out.dropped += self.out.tokens[start : start + 2]
            del self.out.tokens[start:]
        self.open.clear()
        while True:
            newline = self.text.find("\n", self.at)
            self.at = len(self.text) if newline < 0 else newline + 1
            self.line += 1
            self.line_start = self.at
            if newline < 0 or HEAD.match(self.text, self.at):
                break
        self.base_column = 0
        self.first = True

    def rewind(self, offset: int) -> None:
        self.at = offset
        self.line, column = self.source.position(offset)
        self.line_start = offset - column + 1
        self.first = False
