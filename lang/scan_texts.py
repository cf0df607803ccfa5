"""Reads numbers with their units, and texts with their holes."""

from __future__ import annotations

import math
import re

from ..base.units import UNITS
from . import syntax_problems as problems
from .patterns import (
    AFTER_NUMBERS,
    GLUED,
    HEAD,
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
from .scan_state import Reader
from .tokens import Token


class TextReader(Reader):
    """The modes in which a character means something else than in code."""

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
        from ..base.suggest import suggest

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
