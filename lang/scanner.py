"""Source text to tokens, comments and the places where declarations start. Never fails: what it cannot read it reports.

Written by hand because texts hold expressions that hold texts: a stack of what is open (brackets, texts, holes) says in
which mode the next character is read. Newlines are not tokens here: each token knows whether it is the first on its
line, and the parser, which knows what is open after its repairs too, decides where a newline ends something.

Declarations are found here, by the property of the language that no statement puts two names side by side: a line that
starts `pipeline NAME (` is a declaration, whatever was left open above it.
"""

from __future__ import annotations

from collections.abc import Container

from ..base.source import Source
from . import syntax_problems as problems
from .patterns import A_WORD, BEFORE_COLON, CODE, CONTROL, INFIX_WORDS, NUMBER
from .scan_state import Cut, Scan
from .scan_texts import TextReader
from .tokens import OPENERS, OPERAND_ENDS, RESERVED, SIGNS, Comment

__all__ = ["Cut", "Scan", "scan"]


def scan(source: Source, offset: int = 0, line: int = 1, until: Container[int] = ()) -> Scan:
    """All tokens of the source, in order; or only from a cut on (its offset and line), to a cut of which the offset is
    in `until`."""
    return _Scanner(source, offset, line, until).run()


class _Scanner(TextReader):
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
        elif kind == "bad" and self.goes_on(end - 1):
            pass
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

    def goes_on(self, start: int) -> bool:
        """Whether a word goes on with a mark, as words of many scripts do, which patterns take for no letter."""
        tokens = self.out.tokens
        if not tokens or tokens[-1].end != start or not (tokens[-1].kind == "NAME" or tokens[-1].text in RESERVED):
            return False
        from unicodedata import category

        end = start
        while end < len(self.text) and ((char := self.text[end]).isalnum() or char == "_" or category(char)[0] == "M"):
            end += 1
        if end > start:
            word = tokens[-1]
            tokens[-1] = word._replace(kind="NAME", text=self.text[word.start : end], end=end)
            self.at = end
        return end > start

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
