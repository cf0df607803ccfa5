"""Texts and quantities as they are written, read into what they mean.

A text of several lines loses the first newline, a blank last line, and the indentation that its lines have in common
(lines that are blank, or that begin inside a hole, do not count). Only then are escapes and doubled braces read, so
that an escaped space or newline is never taken for layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..base.source import Span
from .syntax import Number, Per, Quantity

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|(.)|\Z)|\{\{|\}\}", re.DOTALL)
_QUANTITY = re.compile(
    r"(\$?)([\d_.]+(?:[eE][+-]?[\d_]+)?)[ \t]*((?!per\b)[A-Za-z]+(?:/s)?|%)?"
    r"(?:[ \t]*(per)[ \t]+(?:([\d_]+)[ \t]+)?(\w+))?"
)


def unescape(raw: str, report: Callable[[int, str], None]) -> str:
    """The text that `raw` stands for. `report(offset, text)` is called for each escape that is none."""
    if "\\" not in raw and "{" not in raw and "}" not in raw:
        return raw

    def read(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1]:
            code = int(match[1], 16)
            if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
                return chr(code)
        elif match[2] in ESCAPES:
            return ESCAPES[match[2]]
        report(match.start(), match[0])
        return match[0]

    return _ESCAPE.sub(read, raw)


Raw = list[str | None]  # the raw parts of a text, None for a hole


def dedent(parts: Raw) -> Raw:
    """The raw parts of a text of several lines without what is only layout."""
    return _Lines(parts).content()


def reindent(parts: Raw, indent: str) -> Raw:
    """Other raw parts for the same text, with `indent` as the layout of its lines, if its lines have a layout."""
    lines = _Lines(parts)
    if not lines.starts_line or lines.common is None:
        return parts
    out: Raw = []
    content = lines.content()
    for index, part in enumerate(content):
        if part is None:
            out.append(None)
            continue
        rows = part.split("\n")
        for number, row in enumerate(rows):
            before_hole = number == len(rows) - 1 and index + 1 < len(content)
            if (number > 0 or index == 0) and (row or before_hole):
                rows[number] = indent + row
        out.append("\n".join(rows))
    out[0] = f"\n{out[0]}"
    if lines.ends_line:
        out[-1] = f"{out[-1]}\n{indent}"
    return out


class _Lines:
    """What is layout in a text: a first newline, a blank last line, and the indentation that the lines share."""

    def __init__(self, parts: Raw) -> None:
        self.parts: Raw = [part.replace("\r\n", "\n") if part is not None else None for part in parts]
        first = self.parts[0] if self.parts else None
        self.starts_line = first is not None and first.startswith("\n")
        if first is not None and self.starts_line:
            self.parts[0] = first[1:]
        self.ends_line = False
        last = self.parts[-1] if self.parts else None
        if last is not None:
            head, newline, tail = last.rpartition("\n")
            if not tail.strip(" \t") and (newline or (self.starts_line and len(self.parts) == 1)):
                self.parts[-1] = head
                self.ends_line = bool(newline)
        self.common = self._common()

    def _common(self) -> str | None:
        """The shared indentation; None if no line counts."""
        indents: list[str] = []
        for index, part in enumerate(self.parts):
            rows = part.split("\n") if part is not None else []
            for number, row in enumerate(rows):
                if number == 0 and not (index == 0 and self.starts_line):
                    continue
                rest = row.lstrip(" \t")
                # A line that ends in a hole is not blank, whatever stands before the hole.
                if rest or (number == len(rows) - 1 and index + 1 < len(self.parts)):
                    indents.append(row[: len(row) - len(rest)])
        if not indents:
            return None
        low, high = min(indents), max(indents)
        same = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
        return low[:same]

    def content(self) -> Raw:
        common = self.common
        if not common:
            return self.parts
        out: Raw = []
        for index, part in enumerate(self.parts):
            if part is None:
                out.append(None)
                continue
            rows = part.split("\n")
            for number, row in enumerate(rows):
                if number > 0 or (index == 0 and self.starts_line):
                    rows[number] = row[len(common) :] if row.startswith(common) else row.lstrip(" \t")
            out.append("\n".join(rows))
        return out


def quantity_text(text: str) -> str:
    """A quantity as it is written best: `250ms` is `250 ms`."""
    match = _QUANTITY.fullmatch(text)
    assert match is not None, text
    money, amount, unit, per, count, under = match.groups()
    words = [money + amount, unit, per, count, under]
    return " ".join(word for word in words if word)


def quantity(text: str, place: Span) -> Quantity:
    """The node of a QUANTITY token, or of a NUMBER token where a quantity must stand."""
    match = _QUANTITY.fullmatch(text)
    assert match is not None, text
    unit = "$" if match[1] else match[3]
    per = Per(Number(match[5], span=place) if match[5] else None, match[6], span=place) if match[4] else None
    return Quantity(Number(match[2], span=place), unit, per, span=place)
