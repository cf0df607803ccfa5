"""The picture as SVG, which stands alone: no script, no font, no style sheet from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from .layers import LINE, PADDING, TITLE, Item, Layout, lay_out
from .picture import Box, Edge, Picture

# Fill and border by kind; the hues keep apart for those who see fewer of them, and each kind has a shape of its own.
_COLOURS = {
    "input": ("#f4f4f5", "#71717a"),
    "output": ("#f4f4f5", "#71717a"),
    "model": ("#e6edfb", "#3257b8"),
    "tool": ("#fdf0dc", "#a8650f"),
    "stage": ("#eaf5ec", "#3f7d4a"),
    "control": ("none", "#8b8b94"),
    "pipeline": ("#fafafa", "#b4b4bc"),
}
_TIERS = ("#3257b8", "#b5432a", "#2b7a5b", "#7a4fb0", "#9a7b12", "#b03a78", "#2a7f96", "#5d6470")
_LEGEND = 30.0


@dataclass(slots=True)
class _Ink:
    """What is drawn: boxes of boxes first, edges over them, boxes and words on top."""

    tiers: dict[str, str]
    ground: list[str] = field(default_factory=list[str])
    lines: list[str] = field(default_factory=list[str])
    top: list[str] = field(default_factory=list[str])
    ends: dict[tuple[int, bool], tuple[float, float]] = field(
        default_factory=dict[tuple[int, bool], tuple[float, float]]
    )


def svg(picture: Picture) -> str:
    """Left to right; streams are thick lines; a plan's tiers are the colours of borders, with a legend."""
    layout, edges = lay_out(picture)
    ink = _Ink({tier: _TIERS[number % len(_TIERS)] for number, tier in enumerate(picture.tiers)})
    _draw(layout, 0.0, 0.0, edges, ink)
    height = layout.height + (_LEGEND if ink.tiers else 0.0)
    legend: list[str] = []
    x = PADDING
    for tier, colour in ink.tiers.items():
        y = layout.height + 4
        legend.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="14" height="14" rx="3" fill="{colour}"/>')
        legend.append(f'<text x="{x + 20:.1f}" y="{y + 11.5:.1f}">{escape(tier)}</text>')
        x += 44 + 7 * len(tier)
    width = max(layout.width, x)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label={quoteattr("pipeline " + picture.title)} '
        'font-family="system-ui, sans-serif" font-size="12.5" fill="#18181b">'
    )
    arrows = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto"><path d="M0 0 8 4 0 8z" fill="#52525b"/></marker>'
        for name, size in (("arrow", 8), ("stream", 11))
    )
    ground = f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
    return (
        "\n".join([head, f"<defs>{arrows}</defs>", ground, *ink.ground, *ink.lines, *ink.top, *legend, "</svg>"]) + "\n"
    )


def _draw(layout: Layout, x: float, y: float, edges: tuple[Edge, ...], ink: _Ink) -> None:
    for item in layout.items:
        if item.box is not None:
            _box(item, item.box, x + item.x, y + item.y, ink)
            if item.inside is not None:
                _draw(item.inside, x + item.x, y + item.y, edges, ink)
    for thread in layout.threads:
        edge = edges[thread.edge]
        points: list[tuple[float, float]] = []
        for number, item in enumerate(thread.items):
            first, last = number == 0, number == len(thread.items) - 1
            left, right, middle = x + item.x, x + item.x + item.width, y + item.middle
            if item.inside is not None:
                # The edge goes on inside, from the port that it has there.
                port = item.inside.ports.get((edge.source, first))
                middle = y + item.y + port.middle if port is not None else y + item.y + TITLE / 2
            if not first:
                points.append((left, middle))
            if not last:
                points.append((right, middle))
        arrives = thread.items[-1].key == edge.target
        _line(points, edge, thread.label, arrives, ink)


def _line(points: list[tuple[float, float]], edge: Edge, label: str, arrives: bool, ink: _Ink) -> None:
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if number % 2:
            path.append(f"L{x2:.1f} {y2:.1f}")
        else:
            bend = (x2 - x1) / 2
            path.append(f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    width, marker = (2.6, "stream") if edge.stream else (1.3, "arrow")
    end = f' marker-end="url(#{marker})"' if arrives else ""
    said = f"<title>{escape(' '.join(text for text in (edge.name, edge.type) if text))}</title>"
    ink.lines.append(
        f'<path d="{" ".join(path)}" fill="none" stroke="#52525b" stroke-width="{width}"{end}>{said}</path>'
    )
    if label:
        x, y = points[0]
        ink.top.append(
            f'<text x="{x + 6:.1f}" y="{y - 5:.1f}" font-size="11" fill="#3f3f46" stroke="#ffffff" stroke-width="3" '
            f'paint-order="stroke">{escape(label)}</text>'
        )


def _box(item: Item, box: Box, x: float, y: float, ink: _Ink) -> None:
    fill, border = _COLOURS.get(box.kind, _COLOURS["stage"])
    width = 1.2
    if box.tier is not None and not box.parts:
        border, width = ink.tiers.get(box.tier.split(" and ")[0], border), 2.4
    round_ = item.height / 2 if box.kind in ("input", "output") else 10.0 if box.parts else 5.0
    dashes = ' stroke-dasharray="5 4"' if box.kind == "control" and box.parts else ""
    place = f"line {box.line}" if box.line is not None else ""
    said = escape(" · ".join(text for text in (box.id, place) if text))
    shape = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" rx="{round_:.1f}" '
        f'fill="{fill}" stroke="{border}" stroke-width="{width}"{dashes}><title>{said}</title></rect>'
    )
    if box.parts:
        ink.ground.append(shape)
        ink.top.append(
            f'<text x="{x + PADDING:.1f}" y="{y + 18:.1f}" font-weight="600" fill="#52525b">{escape(box.title)}</text>'
        )
        return
    ink.top.append(shape)
    if box.kind == "tool":
        ink.top.append(f'<path d="M{x + 5:.1f} {y + 4:.1f}v{item.height - 8:.1f}" stroke="{border}" stroke-width="3"/>')
    lines = [(box.title, "600", "#18181b")]
    if box.detail:
        lines.append((box.detail, "400", "#52525b"))
    if box.tier:
        lines.append((f"on {box.tier}", "400", border))
    for number, (text, weight, colour) in enumerate(lines):
        ink.top.append(
            f'<text x="{x + item.width / 2:.1f}" y="{y + PADDING / 2 + 12.5 + number * LINE:.1f}" text-anchor="middle" '
            f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
        )
