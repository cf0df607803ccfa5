"""Figures as SVG, written by hand: no library is needed for dots and lines, and the file says what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {"annuity": "#1f6fb4", "capex": "#d9730d", "paper": "#2f8f4e"}
INK, PALE = "#222222", "#d8d8d8"
FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True, slots=True)
class Dot:
    """A value in a row of a panel. Lanes of one row lie below each other, so that dots of different lanes never
    overlap; `hollow` ones are drawn larger, around the filled one of the same value."""

    row: str
    lane: int
    value: float
    colour: str
    hollow: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`note` stands beside the first row, whose values are all one: that of what the others are compared with."""

    title: str
    dots: tuple[Dot, ...]
    note: str = ""


def text(
    x: float, y: float, words: str, size: int = 12, anchor: str = "start", colour: str = INK, more: str = ""
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' {FONT}{more}>"
        f"{escape(words)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str = PALE, more: str = "") -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}'{more}/>"


def circle(x: float, y: float, colour: str, hollow: bool, note: str) -> str:
    fill = f"fill='none' stroke='{colour}' stroke-width='1.4' r='4.4'" if hollow else f"fill='{colour}' r='3'"
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' {fill}><title>{escape(note)}</title></circle>"


def picture(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    inside = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' "
        f"height='{height:.0f}' role='img'>\n<title>{escape(title)}</title>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n{inside}\n</svg>\n"
    )


def panels(
    title: str,
    axis: str,
    legend: Sequence[tuple[str, str, bool]],
    rows: Sequence[str],
    of: Sequence[Panel],
    columns: int,
) -> str:
    """Panels side by side with one scale, each with the same rows; `legend` is (words, colour, hollow)."""
    label, wide, lane, gap = 128.0, 250.0, 9.0, 26.0
    lanes = 1 + max((dot.lane for panel in of for dot in panel.dots), default=0)
    row_height = lane * lanes + 9
    high = row_height * len(rows)
    most = max([dot.value for panel in of for dot in panel.dots] + [1.0])
    ticks = [tick / 2 for tick in range(int(most * 2) + 2)]
    top, panel_height = 76.0, high + 70
    width = label + columns * (wide + gap) + 10
    height = top + -(-len(of) // columns) * panel_height + 24
    parts = [text(14, 26, title, 16)]
    x = 14.0
    for words, colour, hollow in legend:
        parts += [circle(x + 6, 48, colour, hollow, words), text(x + 16, 52, words)]
        x += 34 + 6.6 * len(words)
    for number, panel in enumerate(of):
        left = label + (number % columns) * (wide + gap)
        up = top + number // columns * panel_height + 18

        def at(value: float, left: float = left) -> float:
            return left + wide * value / ticks[-1]

        parts.append(text(left, up - 8, panel.title, 13))
        if panel.note:
            # Beside the first row, whose dots stand at one.
            parts.append(text(at(1.0) + 10, up + row_height / 2 + 4, panel.note, 10))
        for tick in ticks:
            parts.append(line(at(tick), up, at(tick), up + high, INK if tick == 1.0 else PALE))
            if tick == int(tick):
                parts.append(text(at(tick), up + high + 14, f"{tick:g}", 11, "middle"))
        for place, row in enumerate(rows):
            parts.append(line(left, up + (place + 1) * row_height, left + wide, up + (place + 1) * row_height))
            if number % columns == 0:
                parts.append(text(label - 8, up + (place + 0.5) * row_height + 4, row, 12, "end"))
        for dot in panel.dots:
            y = up + rows.index(dot.row) * row_height + 9 + lane * dot.lane
            parts.append(circle(at(dot.value), y, dot.colour, dot.hollow, dot.note))
        if number // columns == (len(of) - 1) // columns:
            parts.append(text(left + wide / 2, up + high + 32, axis, 11, "middle"))
    return picture(width, height, title, parts)


def plane(
    title: str,
    axes: tuple[str, str],
    points: Sequence[tuple[str, float, float]],
    limit: float,
    segments: Sequence[tuple[int, int]] = (),
) -> str:
    """Points (name, x, y) from zero on, a limit of x, and segments between points by their places."""
    left, up, wide, high = 70.0, 50.0, 420.0, 230.0
    most_x = 1.15 * max(x for _, x, _ in points)
    most_y = 1.15 * max(y for _, _, y in points)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + wide * x / most_x, up + high * (1 - y / most_y)

    parts = [text(14, 26, title, 16)]
    parts += [line(left, up + high, left + wide, up + high, INK), line(left, up, left, up + high, INK)]
    for step in range(0, int(most_x) + 1, 40):
        parts.append(text(at(step, 0)[0], up + high + 16, f"{step}", 11, "middle"))
    for step in range(0, int(most_y * 100) + 1, 2):
        parts.append(text(left - 8, at(0, step / 100)[1] + 4, f"${step / 100:.2f}", 11, "end"))
    parts.append(line(at(limit, 0)[0], up, at(limit, 0)[0], up + high, "#b02020", " stroke-dasharray='5 4'"))
    parts.append(
        text(at(limit, 0)[0] + 5, up + 12, f"promised: {limit:.0f} {axes[0].split()[-1]}", 11, colour="#b02020")
    )
    for a, b in segments:
        parts.append(line(*at(*points[a][1:]), *at(*points[b][1:]), "#888888", " stroke-dasharray='2 3'"))
    for name, x, y in points:
        spot = at(x, y)
        parts += [circle(*spot, COLOURS["annuity"], False, name), text(spot[0] + 8, spot[1] - 6, name, 12)]
    parts.append(text(left + wide / 2, up + high + 36, axes[0], 12, "middle"))
    parts.append(
        text(16, up + high / 2, axes[1], 12, "middle", more=f" transform='rotate(-90 16 {up + high / 2:.0f})'")
    )
    return picture(left + wide + 30, up + high + 50, title, parts)
