"""Source text to tokens, comments and the places where declarations start. Never fails: what it cannot read it reports.

Written by hand because texts hold expressions that hold texts: a stack of what is open (brackets, texts, holes) says in
which mode the next character is read. Newlines are not tokens here: each token knows whether it is the first on its
line, and the parser, which knows what is open after its repairs too, decides where a newline ends something.

Declarations are found here, by the property of the language that no statement puts two names side by side: a line that
starts `pipeline NAME (` is a declaration, whatever was left open above it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.problems import Problem
from ..base.source import Source, Span
from ..base.suggest import suggest
from ..base.units import UNITS
from . import syntax_problems as problems
from .patterns import (
    A_WORD,
    AFTER_NUMBERS,
    BEFORE_COLON,
    CODE,
    CONTROL,
    GLUED,
    HEAD,
    INFIX_WORDS,
    LINE,
    LONG_NAMES,
    LONG_PART,
    NO_UNIT,
    NUMBER,
    PART,
    PER,
    PERCENT,
    UNIT,
)
from .tokens import OPENERS, OPERAND_ENDS, RESERVED, SIGNS, Comment, Token

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


@dataclass(slots=True)
class Scan:
    """What one source gave. `starts` are indexes of tokens with which a declaration (or a stray line) begins; `dropped`
    are the first tokens of declarations that were too deep to read. `cuts` part the source; `reaching` are the parts
    (by the number of cuts before) that hold a long text without an end, for which all that follows was looked at.
    `most` says for each part how many problems it had at once; `broken_off` that there were too many to go on."""

    tokens: list[Token] = field(default_factory=list[Token])
    comments: list[Comment] = field(default_factory=list[Comment])
    problems: list[Problem] = field(default_factory=list[Problem])
    starts: list[int] = field(default_factory=list[int])
    dropped: list[Token] = field(default_factory=list[Token])
    cuts: list[Cut] = field(default_factory=list[Cut])
    reaching: set[int] = field(default_factory=set[int])
    most: list[int] = field(default_factory=lambda: [0])
    broken_off: bool = False


def scan(source: Source, offset: int = 0, line: int = 1, until: Container[int] = ()) -> Scan:
    """All tokens of the source, in order; or only from a cut on (its offset and line), to a cut of which the offset is
    in `until`."""
    return _Scanner(source, offset, line, until).run()


class _Scanner:
    def __init__(self, source: Source, offset: int, line: int, until: Container[int]) -> None:
        self.source = source
        self.text = source.text
        self.at = 1 if offset == 0 and self.text.startswith("\ufeff") else offset
        self.begin = offset
        self.until = until
        self.out = Scan()
        self.open: list[Token] = []  # opening brackets, TEXT and HOLE tokens that are not closed yet
        self.line = line
        self.line_start = offset
        self.first = True
        self.base_column = 0  # the column of the current declaration's first token; 0 before any

    def run(self) -> Scan:
        if match := CONTROL.search(self.text, self.begin):
            # One is enough to say that the file is no clean text.
            self.report(problems.bad_character(self.span(match.start(), match.end()), match[0]))
            self.text = CONTROL.sub(" ", self.text)
        self.line_started()
        while self.at < len(self.text):
            if self.open and self.open[-1].kind == "TEXT":
                self.template()
            else:
                self.code()
        while self.open:
            if self.open[-1].kind == "TEXT":
                self.unclosed_text(self.open[-1])
            else:
                self.open.pop()
        return self.out

    # Helpers

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

    # Code

    def code(self) -> None:
        match = CODE.match(self.text, self.at)
        assert match is not None
        kind, end = match.lastgroup, match.end()
        if kind == "word":
            start = match.start("word")
            if self.first and self.ends_hole(start):
                return
            self.word(match["word"], start, end)
        elif kind == "sign":
            self.sign(match["sign"], match.start("sign"), end)
        elif kind == "newline":
            self.newline(end)
        elif kind == "number":
            start = match.start("number")
            if not (self.first and self.ends_hole(start)):
                self.number(start)
        elif kind == "text":
            start = match.start("text")
            if not (self.first and self.ends_hole(start)):
                self.push(self.add("TEXT", start, end))
        elif kind == "comment":
            self.comment(match["comment"], match.start("comment"))
        elif kind == "wrong":
            self.wrong(match["wrong"], match.start("wrong"))
        elif kind == "bad":
            self.report(problems.bad_character(self.span(end - 1, end), match["bad"]))
            self.at = end
        else:
            self.at = end

    def word(self, text: str, start: int, end: int) -> None:
        kind = "NAME"
        if text in RESERVED:
            # As field and argument names reserved words are names: behind a dot or before a colon.
            tokens = self.out.tokens
            after_dot = bool(tokens) and tokens[-1].kind == "DOT" and not self.first
            if not after_dot and not BEFORE_COLON.match(self.text, end):
                kind = "WILDCARD" if text == "_" else text.upper()
        self.add(kind, start, end)

    def sign(self, text: str, start: int, end: int) -> None:
        kind = SIGNS[text]
        if kind == "DOT" and self.text[end : end + 1].isdigit() and self.lacks_operand(start):
            match = NUMBER.match(self.text, end)
            end = match.end() if match else end
            self.report(problems.bad_number(self.span(start, end), self.text[start:end], f"0{self.text[start:end]}"))
            self.add_as("NUMBER", start, end, f"0{self.text[start:end]}")
            return
        if kind in ("LPAR", "LSQB", "LBRACE"):
            self.push(self.add(kind, start, end))
            return
        if kind in OPENERS:
            kind = self.close(kind)
        self.add(kind, start, end)

    def lacks_operand(self, start: int) -> bool:
        tokens = self.out.tokens
        return not tokens or tokens[-1].end < start or tokens[-1].kind not in OPERAND_ENDS

    def close(self, kind: str) -> str:
        """Closes the bracket that fits, and with it what was left open inside. A `}` may close a hole."""
        if kind == "RBRACE":
            for index in range(len(self.open) - 1, -1, -1):
                opened = self.open[index].kind
                if opened in ("LBRACE", "HOLE"):
                    del self.open[index:]
                    return "HOLE_END" if opened == "HOLE" else kind
        elif self.open and self.open[-1].kind == OPENERS[kind]:
            self.open.pop()
        return kind

    def newline(self, end: int) -> None:
        for token in self.open:
            if token.kind == "TEXT" and token.text == '"':
                self.at = end - 1
                self.unclosed_text(token)
                return
        self.at = self.line_start = end
        self.line += 1
        self.line_started()

    def ends_hole(self, start: int) -> bool:
        """Whether a hole was left open on a line before: an operand at a line's start follows an operand there."""
        if not self.open or self.open[-1].kind != "HOLE" or self.out.tokens[-1].kind not in OPERAND_ENDS:
            return False
        word = A_WORD.match(self.text, start)
        if word and word[0] in INFIX_WORDS:
            return False
        hole, last = self.open.pop(), self.out.tokens[-1]
        self.report(problems.unclosed_hole(self.span(hole.start, hole.end), self.span(last.end, last.end)))
        self.rewind(last.end)
        self.add("HOLE_END", self.at, self.at)
        return True

    def rewind(self, offset: int) -> None:
        self.at = offset
        self.line, column = self.source.position(offset)
        self.line_start = offset - column + 1
        self.first = False

    def comment(self, text: str, start: int) -> None:
        if any(token.kind == "HOLE" for token in self.open):
            self.report(problems.comment_in_hole(self.span(start, start + len(text))))
        else:
            column = start - self.line_start + 1
            self.out.comments.append(Comment(text.rstrip(), start, self.line, column, self.first))
        self.at = start + len(text)

    def wrong(self, text: str, start: int) -> None:
        """Signs of other languages."""
        end = start + len(text)
        if text.startswith("'"):
            content = text[1:-1]
            self.report(problems.bad_quotes(self.span(start, end), content))
            self.add("TEXT", start, start + 1)
            if content:
                self.add("TEXT_PART", start + 1, end - 1)
            self.add("TEXT_END", end - 1, end)
        elif text.startswith("//"):
            self.report(problems.bad_comment(self.span(start, start + 2)))
        elif text == ";":
            self.report(problems.statement_mark(self.span(start, end)))
        else:
            instead = {"&&": "and", "||": "or", "!": "not"}[text]
            self.report(problems.bad_character(self.span(start, end), text, instead))
            self.add(instead.upper(), start, end)
        self.at = end

    # Numbers

    def number(self, start: int) -> None:
        match = NUMBER.match(self.text, start)
        assert match is not None
        digits, end, is_money = match[0].removeprefix("$"), match.end(), match[1] == "$"
        kind = "QUANTITY" if is_money else "NUMBER"
        unit = None if is_money else UNIT.match(self.text, end)
        glued = GLUED.match(self.text, end)
        if unit and unit[1] in UNITS:
            kind, end = "QUANTITY", unit.end()
        elif glued or not _readable(digits):
            end = glued.end() if glued else end
            self.bad_number(start, end)
            self.add_as("NUMBER", start, end, digits if _readable(digits) else "0")
            return
        elif percent := PERCENT.match(self.text, end):
            kind, end = "QUANTITY", percent.end()
        elif unit and unit[1] not in AFTER_NUMBERS and not NO_UNIT.match(self.text, unit.end()):
            self.unknown_unit(unit.start(1), unit.end(1))
            self.add_as("NUMBER", start, unit.end(), digits)
            return
        per = PER.match(self.text, end)
        if per is None:
            self.add(kind, start, end)
        elif per[2] in UNITS:
            self.add("QUANTITY", start, per.end())
        else:
            self.unknown_unit(per.start(2), per.end(2))
            self.add_as(kind, start, per.end(), self.text[start:end])

    def add_as(self, kind: str, start: int, end: int, text: str) -> None:
        """Adds a token that was reported as if it had been written soundly, so that nothing more is said about it."""
        self.add(kind, start, end)
        self.out.tokens[-1] = self.out.tokens[-1]._replace(text=text)

    def bad_number(self, start: int, end: int) -> None:
        text = self.text[start:end]
        fixed = re.sub("_+", "_", text).strip("_").rstrip(".")
        sound = bool(NUMBER.fullmatch(fixed)) and _readable(fixed)
        self.report(problems.bad_number(self.span(start, end), text, fixed if sound else None))

    def unknown_unit(self, start: int, end: int) -> None:
        text = self.text[start:end]
        known = LONG_NAMES.get(text.lower()) or suggest(text, [u for u in UNITS if len(u) > 1 or len(text) == 1])
        self.report(problems.unknown_unit(self.span(start, end), text, known, ", ".join(u for u in UNITS if u != "$")))

    # Texts

    def template(self) -> None:
        opened = self.open[-1]
        is_long = opened.text == '"""'
        if part := (LONG_PART if is_long else PART).match(self.text, self.at):
            self.part(part.end())
        rest = self.text[self.at : self.at + 3]
        if not rest or (rest[0] == "\n" and not is_long):
            self.unclosed_text(opened)
        elif rest.startswith(opened.text):
            self.add("TEXT_END", self.at, self.at + len(opened.text))
            self.open.pop()
        elif rest[0] == "{":
            self.push(self.add("HOLE", self.at, self.at + 1))
        else:
            if rest[0] == "}":
                self.report(problems.lone_brace(self.span(self.at, self.at + 1)))
            self.part(self.at + 1)

    def part(self, end: int) -> None:
        start = self.at
        self.add("TEXT_PART", start, end)
        if newlines := self.text.count("\n", start, end):
            self.line += newlines
            self.line_start = self.text.rindex("\n", start, end) + 1

    def unclosed_text(self, opened: Token) -> None:
        """Reports a text that never ends, and goes on as if it ended with its line (or before the next declaration)."""
        if opened.text == '"""':
            self.out.reaching.add(len(self.out.cuts))
            self.leave_long_text(opened)
            at = self.at
        else:
            # A text that ends on its line ends there with all that is open inside.
            opened = next(token for token in self.open if token.kind == "TEXT" and token.text == '"')
            at = self.before_line_end(opened)
        index = self.open.index(opened)
        hole = next((token for token in self.open[index:] if token.kind == "HOLE"), None)
        if hole is not None and opened.text == '"':
            self.report(problems.unclosed_hole(self.span(hole.start, hole.end), None))
        else:
            self.report(problems.unclosed_text(self.span(opened.start, opened.end), opened.text, self.span(at, at)))
        if opened.text == '"':
            # If it stood in a hole of a longer text, the hole is lost with it.
            outer = [i for i, token in enumerate(self.open[:index]) if token.kind in ("HOLE", "TEXT", "LBRACE")]
            if outer and self.open[outer[-1]].kind == "HOLE":
                index = outer[-1]
        for token in reversed(self.open[index:]):
            if token.kind in ("HOLE", "TEXT"):
                self.add(f"{token.kind}_END", self.at, self.at)
        del self.open[index:]

    def leave_long_text(self, opened: Token) -> None:
        """Goes back to where a text of several lines must end: before the next declaration, if one follows."""
        after = next((m for m in LINE.finditer(self.text, opened.end) if HEAD.match(self.text, m.end())), None)
        if after is not None:
            while self.out.tokens[-1].start > opened.start:
                self.out.tokens.pop()
            self.rewind(after.start())
            self.add("TEXT_PART", opened.end, self.at)
        # What was said about the inside of the text supposed that it is text.
        found = self.out.problems
        found[:] = [p for p in found if p.span is not None and p.span.start < opened.start]
        self.out.comments[:] = [c for c in self.out.comments if c.start < opened.start]

    def before_line_end(self, opened: Token) -> int:
        """Where the closing quote most likely belongs: at the line's end, before the brackets opened on the line."""
        at = self.at
        inside = [token for token in self.open[: self.open.index(opened)] if token.line == opened.line]
        brackets = len([token for token in inside if token.kind in ("LPAR", "LSQB", "LBRACE")])
        while at > opened.end and self.text[at - 1] in " \t\r":
            at -= 1
        end = at
        while at > opened.end and (self.text[at - 1] in " \t" or (brackets and self.text[at - 1] in ")]}")):
            brackets -= self.text[at - 1] in ")]}"
            at -= 1
        return at if at > opened.end else end


def _readable(digits: str) -> bool:
    """Whether the number fits: not thousands of digits, not infinite."""
    return len(digits) <= 40 and math.isfinite(float(digits.removeprefix("$")))
