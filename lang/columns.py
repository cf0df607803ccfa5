"""Columns: what neighbouring lines have in common stands one below the other.

- the `=` of neighbouring bindings, and of neighbouring declarations and tiers of one kind, and the `{` of tiers, unless
  a line would need more than `MOST_PADDING` spaces for it;
- the `=>` of neighbouring arms;
- the second column of goals and agents, where an author's own column is kept if it serves all lines;
- comments at the ends of neighbouring lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .tokens import CLOSERS, OPENERS

if TYPE_CHECKING:
    from .layout import Line

MOST_PADDING = 3
MOST_PADDING_OF_ARMS = 24
_NAMED = frozenset({"model", "let", "resource", "memory", "server", "tier"})

# What lines of a group share, and which part of the line is put below that of the line before.
Column = tuple[object, int]


def align(lines: Sequence[Line]) -> None:
    """Sets the spaces before the parts that stand in columns."""
    _neighbours(lines, _binding, MOST_PADDING)
    _neighbours(lines, _arm, MOST_PADDING_OF_ARMS)
    _neighbours(lines, _tier_brace, MOST_PADDING)
    _tables(lines)
    _comments(lines)


def _neighbours(lines: Sequence[Line], column: Callable[[Line], Column | None], most: int) -> None:
    group: list[tuple[Line, int]] = []
    key: object = None
    low = high = 0
    for line in lines:
        found = column(line)
        width = _width(line, found[1]) if found is not None else 0
        fits = found is not None and group and not line.blank_before and found[0] == key
        if not (fits and max(high, width) - min(low, width) <= most):
            _pad(group)
            group = []
            low = high = width
        low, high = min(low, width), max(high, width)
        if found is not None:
            key = found[0]
            group.append((line, found[1]))
            if not line.is_single:
                _pad(group)
                group = []
    _pad(group)


def _pad(group: Sequence[tuple[Line, int]]) -> None:
    if len(group) < 2:
        return
    widest = max(_width(line, at) for line, at in group)
    for line, at in group:
        line.parts[at].spaces = 1 + widest - _width(line, at)


def _width(line: Line, at: int) -> int:
    return line.indent + sum(part.spaces + len(part.text) for part in line.parts[:at])


def _kinds(line: Line, count: int) -> list[str]:
    return [part.token.kind for part in line.parts[:count]]


def _binding(line: Line) -> Column | None:
    if not line.starts:
        return None
    if _kinds(line, 2) == ["NAME", "IS"] and line.inside is not None:
        return ("bind", line.inside), 1
    word = line.parts[0].token.text if line.parts else ""
    if word in _NAMED and _kinds(line, 3) == ["NAME", "NAME", "IS"]:
        return (word, line.inside), 2
    return None


def _outer(line: Line, kind: str) -> int | None:
    """The first part of a kind that stands outside of the brackets of its line."""
    depth = 0
    for index, part in enumerate(line.parts):
        if part.token.kind == kind and depth == 0:
            return index
        depth += (part.token.kind in CLOSERS) - (part.token.kind in OPENERS)
    return None


def _arm(line: Line) -> Column | None:
    at = _outer(line, "GIVES") if line.starts and line.inside is not None else None
    return None if at is None else (line.inside, at)


def _tier_brace(line: Line) -> Column | None:
    if not line.starts or _kinds(line, 3) != ["NAME", "NAME", "IS"] or line.parts[0].token.text != "tier":
        return None
    at = _outer(line, "LBRACE")
    return None if at is None else (line.inside, at)


def _tables(lines: Iterable[Line]) -> None:
    """The second column of each goal and agent."""
    goals: dict[object, list[Line]] = {}
    agents: dict[object, list[Line]] = {}
    heads: dict[object, str] = {}
    for line in lines:
        if line.inside is None and line.starts and (brace := _outer(line, "LBRACE")) is not None:
            heads[line.parts[brace].token] = line.parts[0].token.text
        word = heads.get(line.inside)
        if not line.starts or len(line.parts) < 2:
            continue
        if word == "goal" and line.parts[1].token.kind != "LBRACE":
            goals.setdefault(line.inside, []).append(line)
        elif word == "agent" and line.parts[0].token.text != "at":
            agents.setdefault(line.inside, []).append(line)
    for table, gap in [*((table, 2) for table in goals.values()), *((table, 1) for table in agents.values())]:
        longest = max(len(line.parts[0].text) for line in table)
        written = {line.parts[1].token.column - line.parts[0].token.column for line in table}
        width = longest + gap
        if len(written) == 1 and longest < (column := written.pop()) <= longest + MOST_PADDING:
            width = column
        for line in table:
            line.parts[1].spaces = width - len(line.parts[0].text)


def _comments(lines: Sequence[Line]) -> None:
    group: list[Line] = []
    for line in [*lines, None]:
        if line is not None and line.parts and line.comment is not None and not line.blank_before and line.is_one_line:
            group.append(line)
            continue
        widest = max((member.indent + len(member.text) for member in group), default=0)
        for member in group:
            member.comment_spaces = widest + 2 - member.indent - len(member.text)
        group = [line] if line is not None and line.parts and line.comment is not None and line.is_one_line else []
