"""`run --watch`: what a run is doing, drawn at the foot of the terminal while its output scrolls above.

The foot is held by the terminal's own margins, so that what the run writes needs no word of it. It is drawn on standard
error, ten times a second, by a thread of its own: the run is held up by what an observer hears alone. In the end it is
wiped, and the terminal is as it was.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, TextIO

from .console import Console

if TYPE_CHECKING:
    from ..executor.watching.live import Live, Picture, Row

EVERY = 0.1
"""Seconds between two drawings."""
LEAST = 8
"""Rows of the smallest terminal that has room for it."""
STAGES = 10
"""Rows of stages at most; the rest is counted."""

_SIGNS = {"opening": "…", "running": "▸", "held": "‖", "done": "✓", "failed": "✗", "stopped": "·"}
_COLOURS = {"running": "36", "held": "33", "failed": "31", "done": "2", "stopped": "2"}


def lines(picture: Picture, width: int, height: int, colour: bool = False) -> list[str]:
    """The picture in at most `height` lines of at most `width` columns: first what goes on as a whole, then each stage,
    those that run before those that have ended."""
    made = [_paint(_cut(_head(picture), width), "1", colour)]
    made += [_cut(f"{_SIGNS['opening']} opening {name}", width) for name in picture.opening]
    rows = sorted(picture.rows, key=lambda row: not row.running)
    room = height - len(made)
    left_out = len(rows) - room
    if left_out > 0:
        rows = rows[: max(0, room - 1)]
        left_out = len(picture.rows) - len(rows)
    names = max((len(_name(row)) for row in rows), default=0)
    names = min(names, max(12, width // 2))
    made += [_paint(_cut(_line(row, names), width), _COLOURS.get(row.how, ""), colour) for row in rows]
    if left_out > 0:
        made.append(_paint(_cut(f"  and {left_out} more", width), "2", colour))
    return made[:height]


def _head(picture: Picture) -> str:
    runs = "" if picture.runs == 1 and not picture.over else f" {picture.runs} running, {picture.over} over"
    parts = [f"{picture.pipeline or 'opening'}{runs}", f"{picture.since:.1f} s"]
    if picture.left is not None:
        left = picture.left
        parts.append(f"{left:.1f} s left" if left >= 0 else f"{-left:.1f} s late")
    if picture.tokens >= 0.05:
        parts.append(f"{_number(picture.tokens)} tokens/s")
    if picture.unread:
        parts.append(f"{picture.unread} unread")
    return " · ".join(parts)


def _name(row: Row) -> str:
    return row.stage if row.tier is None else f"{row.stage} @{row.tier}"


def _line(row: Row, names: int) -> str:
    name = _name(row)
    name = name if len(name) <= names else "…" + name[len(name) - names + 1 :]
    parts = [f"{_SIGNS[row.how]} {name:<{names}}  {_doing(row):<16}"]
    parts.append(f"{row.items:>7,}" if row.items else " " * 7)
    parts.append("" if not row.rate or row.rate < 0.05 else f"{_number(row.rate)}/s")
    if row.waiting:
        parts.append(f"{row.waiting} wait")
    return " ".join(parts).rstrip()


def _doing(row: Row) -> str:
    if row.running > 1 or (row.running and row.over):
        return f"{row.how} {row.running}" + (f", {row.over} over" if row.over else "")
    return f"{row.how} {row.over}" if row.over > 1 else row.how


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


class Foot:
    """So many lines at the foot of a terminal, on `stream`. What is written by others scrolls above them."""

    def __init__(self, stream: TextIO, height: int) -> None:
        self._stream = stream
        self._height = height
        self._size: tuple[int, int] | None = None

    def draw(self, picture: Picture, colour: bool) -> None:
        columns, rows = os.get_terminal_size(self._stream.fileno())
        height = min(self._height, rows // 2)
        text = ""
        if (columns, rows) != self._size:
            text += self._wiped() + _margin(rows, height)
            self._size = columns, rows
        if height > 0 and rows >= LEAST:
            # The last column is left free: a terminal may break the line there.
            text += "\x1b7"
            shown = lines(picture, columns - 1, height, colour)
            for number in range(height):
                line = shown[number] if number < len(shown) else ""
                text += f"\x1b[{rows - height + number + 1};1H\x1b[2K{line}"
            text += "\x1b8"
        self._write(text)

    def close(self) -> None:
        self._write(self._wiped())

    def _wiped(self) -> str:
        if self._size is None:
            return ""
        _, rows = self._size
        self._size = None
        return f"\x1b7\x1b[r\x1b[{rows - min(self._height, rows // 2) + 1};1H\x1b[J\x1b8"

    def _write(self, text: str) -> None:
        # In one go: what others write comes before it or behind it.
        self._stream.write(text)
        self._stream.flush()


def _margin(rows: int, height: int) -> str:
    """Make room at the foot, and keep others out of it. The cursor stays with what was written last."""
    if rows < LEAST:
        return ""
    # By "index", and not by newlines: the column stays where half a line has been written.
    return "\x1bD" * height + f"\x1b[{height}A\x1b7\x1b[1;{rows - height}r\x1b8"


@contextmanager
def watched(live: Live, console: Console, stages: int) -> Generator[Live]:
    """Draws `live` while the body runs. Where standard error is no terminal that can be drawn on, a note says so."""
    stream = console.err
    if not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        console.note("--watch draws on a terminal, and standard error is none")
        yield live
        return
    if os.get_terminal_size(stream.fileno()).lines < LEAST:
        console.note(f"--watch needs a terminal of {LEAST} lines")
        yield live
        return
    foot, over, colour = Foot(stream, 1 + min(STAGES, max(1, stages))), Event(), console.colour(stream)

    def drawing() -> None:
        while not over.wait(EVERY):
            picture = live.picture()
            if picture is not None:
                foot.draw(picture, colour)

    thread = Thread(target=_until_it_fails, args=(drawing,), name="watch", daemon=True)
    thread.start()
    try:
        yield live
    finally:
        over.set()
        thread.join(1.0)
        foot.close()


def _until_it_fails(drawing: object) -> None:
    assert callable(drawing)
    try:
        drawing()
    except (OSError, ValueError):
        return  # the terminal is gone
