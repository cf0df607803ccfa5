"""What was measured, as a table of Markdown, and into a page between its markers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- executor: begin -->", "<!-- executor: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured: `ours`, the aim, the floors and the peers, all in `unit`. `more` says that more is
    better. `ours` is None where it could not be measured, and `note` says why."""

    what: str
    unit: str
    aim: float | None
    ours: float | None
    floors: Mapping[str, float]
    peers: Mapping[str, float]
    more: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.ours is None:
            return "not measured" + (f": {self.note}" if self.note else "")
        ahead = [name for name, value in self.peers.items() if (value > self.ours if self.more else value < self.ours)]
        said = f"{', '.join(ahead)} {'is' if len(ahead) == 1 else 'are'} ahead" if ahead else ""
        if self.aim is not None:
            kept = self.ours >= self.aim if self.more else self.ours <= self.aim
            said = ("kept" if kept else "**missed**") + (f"; {said}" if said else "")
        return said + (f" ({self.note})" if self.note and said else self.note)


def page(rows: list[Row], said: str) -> str:
    lines = [said, "", "| what | aim | agentlang | floors | peers | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        aim = "" if row.aim is None else number(row.aim)
        ours = "—" if row.ours is None else f"**{number(row.ours)}**"
        cells = [
            f"{row.what}, {row.unit}",
            aim,
            ours,
            *(_listed(row, of) for of in (row.floors, row.peers)),
            row.verdict,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _listed(row: Row, of: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {number(value)}{_times(row, value)}" for name, value in of.items()) or "—"


def _times(row: Row, value: float) -> str:
    return "" if not row.ours else f" ({value / row.ours:.2g} x)"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_into(path: Path, text: str) -> None:
    """ValueError where the page has no place for it."""
    old = path.read_text("utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(old):
        raise ValueError(f"{path} has no {BEGIN} … {END}")
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", old), "utf-8")
