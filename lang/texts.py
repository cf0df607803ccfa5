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


def dedent(parts: list[str | None]) -> list[str | None]:
    """The raw parts of a text of several lines (None for a hole) without what is only layout."""
    parts = [part.replace("\r\n", "\n") if part is not None else None for part in parts]
    if parts and parts[0] is not None and parts[0].startswith("\n"):
        starts_line = True
        parts[0] = parts[0][1:]
    else:
        starts_line = False
    last = parts[-1] if parts else None
    if last is not None:
        head, newline, tail = last.rpartition("\n")
        if newline and not tail.strip(" \t"):
            parts[-1] = head
        elif not newline and len(parts) == 1 and starts_line and not tail.strip(" \t"):
            # Nothing but the first newline and the blank last line.
            parts[-1] = ""
    indents: list[str] = []
    for index, part in enumerate(parts):
        if part is None:
            continue
        lines = part.split("\n")
        for number, line in enumerate(lines):
            if number == 0 and not (index == 0 and starts_line):
                continue
            rest = line.lstrip(" \t")
            # A line that ends in a hole is not blank, whatever stands before the hole.
            if rest or (number == len(lines) - 1 and index + 1 < len(parts)):
                indents.append(line[: len(line) - len(rest)])
    common = _common(indents)
    if not common:
        return parts

    def strip(line: str) -> str:
        return line[len(common) :] if line.startswith(common) else line.lstrip(" \t")

    out: list[str | None] = []
    for index, part in enumerate(parts):
        if part is None:
            out.append(None)
            continue
        lines = part.split("\n")
        first = strip(lines[0]) if index == 0 and starts_line else lines[0]
        out.append("\n".join([first, *map(strip, lines[1:])]))
    return out


def _common(indents: list[str]) -> str:
    if not indents:
        return ""
    low, high = min(indents), max(indents)
    for index, character in enumerate(low):
        if high[index] != character:
            return low[:index]
    return low


def quantity(text: str, place: Span) -> Quantity:
    """The node of a QUANTITY token, or of a NUMBER token where a quantity must stand."""
    match = _QUANTITY.fullmatch(text)
    assert match is not None, text
    unit = "$" if match[1] else match[3]
    per = Per(Number(match[5], span=place) if match[5] else None, match[6], span=place) if match[4] else None
    return Quantity(Number(match[2], span=place), unit, per, span=place)
