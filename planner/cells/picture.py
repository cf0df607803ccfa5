"""Cells as one picture: that of each cell's plan, below each other."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from ..answers.picture import plan_svg
from ..figures import show_value
from .plan import CellsPlan

_SIZE = re.compile(r'width="(\d+)" height="(\d+)"')
_LEFT, _TOP, _HEAD = 20, 52, 26


def cells_svg(plan: CellsPlan) -> str:
    """An SVG that stands alone."""
    verdict = "meets its goal" if plan.feasible else "does not meet its goal"
    title = f"plan of {plan.pipeline} on {plan.fleet}: {verdict} with {len(plan.cells)} cells"
    parts: list[str] = []
    below, widest = _TOP, 480
    for number, cell in enumerate(plan.cells, 1):
        drawn = plan_svg(cell.plan)
        size = _SIZE.search(drawn)
        assert size is not None  # `plan_svg` opens with it
        wide, high = int(size[1]), int(size[2])
        said = f"cell {number}: {cell.share:.1%} of the runs, {show_value(cell.rate, 'per s')}"
        parts.append(f'<text x="{_LEFT}" y="{below + 18}" font-size="14" font-weight="600">{escape(said)}</text>')
        parts.append(drawn.strip().replace("<svg ", f'<svg y="{below + _HEAD}" ', 1))
        below, widest = below + _HEAD + high, max(widest, wide)
    cost = f"{show_value(plan.cost.per_1000_runs, '$')} per 1000 runs"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest}" height="{below}" viewBox="0 0 {widest} {below}" '
        f'role="img" aria-label={quoteattr(title)} font-family="system-ui, sans-serif" fill="#18181b">'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="{_LEFT}" y="26" font-size="15">{escape(title)}</text>'
        f'<text x="{_LEFT}" y="44" font-size="11" fill="#52525b">{escape(cost)}</text>'
    )
    return "".join([head, *parts, "</svg>\n"])
