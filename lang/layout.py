"""The layout of sound source text: spaces, indentation, blank lines, and columns of neighbouring lines.

Where lines break is the author's choice, as far as the language leaves one; all else is decided here, from tokens and
comments, so that nothing of the source can be lost. The rules of columns are in `columns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..base.source import Source
from . import texts
from .columns import align
from .lalr import State, newline_before, start
from .scanner import Scan, scan
from .tokens import CLOSERS, OPENERS, OPERAND_ENDS, POLICY_WORDS, Comment, Token

INDENT = 2
_NO_SPACE_BEFORE = frozenset({"COMMA", "COLON", "RPAR", "RSQB", "MAYBE", "DOT", "TO", "TEXT_PART", "TEXT_END", "HOLE"})
_NO_SPACE_AFTER = frozenset({"LPAR", "LSQB", "DOT", "TO", "LABEL", "TEXT", "TEXT_PART", "HOLE", "HOLE_END"})
_BLOCK_BEFORE = OPERAND_ENDS | {"ELSE", "RACE", "INTERRUPTIBLE", "MAYBE"}


@dataclass(slots=True)
class Part:
    """A token as it is printed, and the spaces before it."""

    token: Token
    spaces: int
    text: str


@dataclass(slots=True)
class Line:
    """One line of code (more only where a text goes over lines), or a comment of its own (`parts` is empty)."""

    indent: int
    starts: bool  # whether a statement, an entry or a declaration begins here
    inside: Token | None  # the bracket that the line stands in
    parts: list[Part] = field(default_factory=list[Part])
    comment: str | None = None
    comment_spaces: int = 2
    blank_before: bool = False
    balanced: bool = True  # all that the line opens it closes

    @property
    def text(self) -> str:
        return "".join(" " * part.spaces + part.text for part in self.parts)

    @property
    def is_single(self) -> bool:
        return self.balanced and self.is_one_line

    @property
    def is_one_line(self) -> bool:
        return not any("\n" in part.text for part in self.parts)

    def __str__(self) -> str:
        text = self.text
        if self.comment is not None:
            text += (" " * self.comment_spaces if text else "") + self.comment
        return " " * self.indent + text


@dataclass(slots=True)
class _Open:
    token: Token
    line_indent: int
    tight: bool  # a map: no spaces inside its braces


def lay_out(text: str) -> str:
    """The text, which must be sound, in its canonical layout."""
    lines = list(_Layout(scan(Source("", text))).lines())
    _separate(lines)
    align(lines)
    out: list[str] = []
    for line in lines:
        if line.blank_before and out:
            out.append("")
        out.append(str(line))
    return "\n".join(out) + "\n" if out else ""


class _Layout:
    def __init__(self, found: Scan) -> None:
        self.tokens = found.tokens
        self.comments = found.comments
        self.open: list[_Open] = []
        self.state: State = start()
        self.line = Line(0, True, None)
        self.in_module = False
        self.unary = False
        self.reason: Token | None = None  # the last word of `otherwise on WORD, WORD`, with `on` itself
        self.last_line = 0  # of the source, up to which all is printed
        self.at_comment = 0

    def lines(self) -> Iterator[Line]:
        previous: Token | None = None
        for index, token in enumerate(self.tokens):
            trailing = self.trailing(token)
            if previous is None or (token.first and not (token.kind == "ELSE" and not trailing)):
                if previous is not None:
                    yield self.ended(trailing)
                yield from self.own_lines(token)
                self.begin(index, token)
            self.add(index, token, previous)
            self.last_line = token.line + token.text.count("\n")
            previous = token
        if previous is not None:
            yield self.ended(self.trailing(None))
        yield from self.own_lines(None)

    # Comments

    def trailing(self, before: Token | None) -> Comment | None:
        """The comment at the end of the line that is being printed, if the next token comes after it."""
        comment = self.comments[self.at_comment] if self.at_comment < len(self.comments) else None
        if comment is None or comment.own_line or (before is not None and comment.start > before.start):
            return None
        return comment

    def ended(self, comment: Comment | None) -> Line:
        line = self.line
        if comment is not None:
            self.at_comment += 1
            line.comment = _comment(comment)
        line.balanced = not any(entry.token in [part.token for part in line.parts] for entry in self.open)
        return line

    def own_lines(self, before: Token | None) -> Iterator[Line]:
        while self.at_comment < len(self.comments):
            comment = self.comments[self.at_comment]
            if before is not None and comment.start > before.start:
                return
            self.at_comment += 1
            line = Line(self.content_indent(), False, self.inside(), comment=_comment(comment))
            line.blank_before = self.is_blank_before(comment.line, None)
            self.last_line = comment.line
            yield line

    # Lines

    def inside(self) -> Token | None:
        return self.open[-1].token if self.open else None

    def content_indent(self) -> int:
        return self.open[-1].line_indent + INDENT if self.open else 0

    def is_blank_before(self, line: int, token: Token | None) -> bool:
        opened = self.inside()
        if line - 1 <= self.last_line or (token is not None and token.kind in OPENERS):
            return False
        # No blank line right behind what opens.
        return not (opened is not None and opened.line == self.last_line)

    def begin(self, index: int, token: Token) -> None:
        indent, starts = self.content_indent(), True
        if token.kind in OPENERS and self.open:
            indent, starts = self.open[-1].line_indent, False
        elif not self.open or self.open[-1].token.kind == "LBRACE":
            starts = self.starts(index, token)
            indent += 0 if starts else INDENT
        self.line = Line(indent, starts, self.inside(), blank_before=self.is_blank_before(token.line, token))

    def starts(self, index: int, token: Token) -> bool:
        """Whether the line begins something, rather than going on with what stands before."""
        previous = self.state.previous
        if previous is None or newline_before(token, self.state):
            return True
        if previous == "COMMA" and self.open:
            following = self.tokens[index + 1] if index + 1 < len(self.tokens) else None
            value = following is not None and following.kind in ("NUMBER", "QUANTITY", "TEXT", "NAME")
            return not (token.text in POLICY_WORDS and value)
        return previous == "LBRACE"

    # Tokens

    def add(self, index: int, token: Token, previous: Token | None) -> None:
        spaces = self.spaces(token, previous) if self.line.parts else 0
        if token.kind == "TEXT" and token.text == '"""':
            self.indent_text(index)
        text = texts.quantity_text(token.text) if token.kind == "QUANTITY" else token.text
        self.line.parts.append(Part(token, spaces, text))
        kind = token.kind
        if token.text == "use" and len(self.line.parts) == 1 and not self.open:
            self.in_module = True
        elif kind in ("COLON", "AS") or (self.line.starts and len(self.line.parts) == 1):
            self.in_module = False
        self.unary = kind == "MINUS" and (previous is None or not self.is_operand(previous) or token.first)
        self.note_reason(index, token, previous)
        if kind in CLOSERS:
            tight = kind == "LBRACE" and self.is_map(index, token, previous)
            self.open.append(_Open(token, self.line.indent, tight))
            self.state.brackets.append(kind)
        elif kind in OPENERS and self.open:
            self.open.pop()
            self.state.brackets.pop()
        is_contains = token.text == "contains" and previous is not None and self.is_operand(previous)
        self.state.previous = "CONTAINS" if is_contains and not token.first else kind

    def note_reason(self, index: int, token: Token, previous: Token | None) -> None:
        if previous is None or token.kind not in ("NAME", "COMMA"):
            self.reason = None
        elif token.text == "on" and previous.kind == "OTHERWISE":
            following = self.tokens[index + 1] if index + 1 < len(self.tokens) else None
            self.reason = token if following is not None and following.kind == "NAME" else None
        elif self.reason is not None and token.kind == "NAME":
            # One word follows `on`, and one each comma; another one begins the value.
            is_reason = previous.kind == "COMMA" or (previous is self.reason and previous.text == "on")
            self.reason = token if is_reason else None

    def is_operand(self, token: Token) -> bool:
        """Whether a token ends what an operator or a `(` can stand behind."""
        return token.kind in OPERAND_ENDS and token is not self.reason

    def is_map(self, index: int, token: Token, previous: Token | None) -> bool:
        """Whether a brace opens a map (or its type) and not a block or a list of entries."""
        if previous is None or (token.first and self.line.starts):
            return True
        if previous.kind != "GIVES":
            return previous.kind not in _BLOCK_BEFORE or previous.text == "stream"
        depth = 0
        for token_inside in self.tokens[index + 1 :]:
            depth += (token_inside.kind in CLOSERS) - (token_inside.kind in OPENERS)
            if depth <= 0 and token_inside.kind != "TEXT_END":
                return token_inside.kind in ("COLON", "RBRACE")
        return False

    def spaces(self, token: Token, previous: Token | None) -> int:
        """How many spaces stand before a token that does not begin its line."""
        assert previous is not None
        kind, before = token.kind, previous.kind
        if self.in_module:
            # `use ../shop as shop`: the path is one word.
            return 1 if len(self.line.parts) == 1 or kind == "AS" or before == "AS" else 0
        if before == "HOLE" and kind == "LBRACE":
            return 1
        if before in _NO_SPACE_AFTER or kind in _NO_SPACE_BEFORE:
            return 0
        if kind == "HOLE_END" or (self.unary and before == "MINUS"):
            return 0
        if before == "LBRACE" or kind == "RBRACE":
            tight = (before == "LBRACE" and kind == "RBRACE") or (bool(self.open) and self.open[-1].tight)
            return 0 if tight else 1
        if kind == "LPAR":
            return 0 if self.is_operand(previous) else 1
        if kind == "LSQB" and before in OPERAND_ENDS:
            # An index or a list after a word such as `tools`: the author knows.
            return 0 if previous.end == token.start else 1
        return 1

    def indent_text(self, index: int) -> None:
        """Gives the lines of a long text the indentation of the line that it begins on, and one step more."""
        members: list[int] = []
        depth = 0
        for at in range(index + 1, len(self.tokens)):
            kind = self.tokens[at].kind
            if kind == "TEXT_END" and depth == 0:
                break
            if depth == 0:
                members.append(at)
            depth += (kind in CLOSERS) - (kind in OPENERS)
        parts: texts.Raw = []
        places: list[int | None] = []
        for at in members:
            kind = self.tokens[at].kind
            if kind == "TEXT_PART":
                parts.append(self.tokens[at].text)
                places.append(at)
            elif kind == "HOLE":
                parts.append(None)
                places.append(None)
        new = texts.reindent(parts, " " * (self.line.indent + INDENT))
        for at, text in zip(places, new, strict=True):
            if at is not None and text is not None:
                token = self.tokens[at]
                # The end is kept, so that what the source had is still known.
                self.tokens[at] = token._replace(text=text)


def _comment(comment: Comment) -> str:
    mark = "##" if comment.text.startswith("##") else "#"
    rest = comment.text[len(mark) :]
    return mark + (" " if rest and not rest[0].isspace() and rest[0] not in "#!" else "") + rest


def _separate(lines: list[Line]) -> None:
    """A blank line around declarations of several lines, above the comments that belong to them."""
    starts = [i for i, line in enumerate(lines) if line.starts and line.inside is None and line.indent == 0]
    for number, begin in enumerate(starts[1:], 1):
        end = starts[number + 1] if number + 1 < len(starts) else len(lines)
        if _is_long(lines[starts[number - 1] : begin]) or _is_long(lines[begin:end]):
            first = begin
            while not lines[first].blank_before and not lines[first - 1].parts:
                first -= 1
            lines[first].blank_before = True


def _is_long(lines: list[Line]) -> bool:
    code = [line for line in lines if line.parts]
    return len(code) > 1 or any("\n" in part.text for line in code for part in line.parts)
