"""The frontier as SVG that stands alone: latency to the right, cost upwards, the energy of a run by the size of a
point. Points that keep the goal are filled."""

from __future__ import annotations

from math import ceil, floor, log10
from xml.sax.saxutils import escape

from ..figures import show_value
from .frontier import Frontier, Point

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640.0, 400.0, 90.0, 56.0, 40.0, 24.0
_INK, _GREY, _BLUE = "#18181b", "#71717a", "#3257b8"


def frontier_svg(frontier: Frontier, title: str) -> str:
    """A picture of 640 by 400."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" '
        f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
    )
    parts = [head, f'<text x="{_LEFT:.0f}" y="22" font-size="14">{escape(title)}</text>']
    if not frontier.points:
        return "".join([*parts, f'<text x="{_LEFT:.0f}" y="80">no plan</text></svg>'])
    across = _Scale([point.seconds for point in frontier.points], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([point.dollars * 1000 for point in frontier.points], _HEIGHT - _BOTTOM, _TOP)
    base = _HEIGHT - _BOTTOM
    for value in across.ticks:
        x = across.at(value)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP:.0f}" x2="{x:.1f}" y2="{base:.0f}" stroke="#e4e4e7"/>')
        parts.append(f'<text x="{x:.1f}" y="{base + 16:.0f}" text-anchor="middle">{show_value(value, "s")}</text>')
    for value in up.ticks:
        y = up.at(value)
        parts.append(f'<line x1="{_LEFT:.0f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT:.0f}" y2="{y:.1f}" stroke="#e4e4e7"/>')
        parts.append(f'<text x="{_LEFT - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{show_value(value, "$")}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 14:.0f}" text-anchor="middle">{escape(frontier.latency)}</text>'
    )
    parts.append(f'<text x="{_LEFT - 70:.0f}" y="{_TOP - 6:.0f}">per 1000 runs</text>')
    key = "larger: more energy; filled: keeps the goal"
    parts.append(f'<text x="{_WIDTH - _RIGHT:.0f}" y="{_TOP - 6:.0f}" text-anchor="end" fill="{_GREY}">{key}</text>')
    most = max(point.joules for point in frontier.points) or 1.0
    for number, point in enumerate(frontier.points, 1):
        parts.append(_dot(point, number, across.at(point.seconds), up.at(point.dollars * 1000), most))
    return "".join([*parts, "</svg>\n"])


def _dot(point: Point, number: int, x: float, y: float, most: float) -> str:
    radius = 4.0 + 8.0 * (point.joules / most) ** 0.5
    fill = _BLUE if point.keeps else "#ffffff"
    said = (
        f"{number}: {show_value(point.dollars * 1000, '$')} per 1000 runs, {show_value(point.seconds, 's')}, "
        f"{show_value(point.joules, 'J')} a run" + (", keeps the goal" if point.keeps else "")
    )
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" fill-opacity="0.8" stroke="{_BLUE}">'
        f'<title>{escape(said)}</title></circle><text x="{x + radius + 3:.1f}" y="{y - radius:.1f}">{number}</text>'
    )


class _Scale:
    """Values to places: by logarithm where they span more than a factor of five."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        self.log = low > 0.0 and high > 5.0 * low
        self.start, self.end = start, end
        if self.log:
            self.low, self.high = log10(low) - 0.08, log10(high) + 0.08
            powers = range(floor(self.low), ceil(self.high) + 1)
            ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        else:
            room = (high - low) * 0.1 or max(abs(high), 1e-12) * 0.1
            self.low, self.high = max(0.0, low - room), high + room
            ticks = _even(self.low, self.high)
        self.ticks = [tick for tick in ticks if self.low <= (log10(tick) if self.log else tick) <= self.high]

    def at(self, value: float) -> float:
        place = log10(value) if self.log else value
        return self.start + (self.end - self.start) * (place - self.low) / (self.high - self.low)


def _even(low: float, high: float) -> list[float]:
    """Four to eight round values."""
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
    return [step * number for number in range(ceil(low / step), floor(high / step) + 1)]
