"""A plan as SVG that stands alone: a box for each tier in use with its machines and its stages, a line for each link
with what passes it, and the goal below."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from ..figures import show_value
from ..goals import term_text
from ..plan import GoalPlan, LinkPlan, Plan, TierPlan

_WIDE, _GAP, _LEFT, _TOP, _LINE, _HEAD, _LANE = 300.0, 120.0, 20.0, 56.0, 38.0, 62.0, 54.0
_COLOURS = ("#3257b8", "#b5432a", "#2b7a5b", "#7a4fb0", "#9a7b12", "#b03a78", "#2a7f96", "#5d6470")
_SMALL = 'font-size="11" fill="#52525b"'


def plan_svg(plan: Plan) -> str:
    """Tiers from left to right in the order of the fleet."""
    tiers = [tier for tier in plan.tiers if plan.on(tier.name) or tier.devices]
    tall = max((len(plan.on(tier.name)) for tier in tiers), default=0)
    bottom = _TOP + _HEAD + _LINE * tall + 10
    places = {tier.name: _LEFT + number * (_WIDE + _GAP) for number, tier in enumerate(tiers)}
    links = [link for link in plan.links if link.bytes_per_run and {link.left, link.right} <= places.keys()]
    below = bottom + _LANE * sum(_far(link, places) for link in links) + 24
    height = below + 18 * len(plan.goals) + 30
    width = max(_LEFT * 2 + len(tiers) * (_WIDE + _GAP) - _GAP, 480.0)
    verdict = "" if not plan.goals else ": meets its goal" if plan.feasible else ": does not meet its goal"
    status = plan.search.status if plan.feasible else "the nearest to its goal"
    title = f"plan of {plan.pipeline} on {plan.fleet}{verdict}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label={quoteattr(title)} '
        'font-family="system-ui, sans-serif" font-size="12.5" fill="#18181b">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(_LEFT, 26, title, 'font-size="15"'),
        _text(_LEFT, 44, f"{show_value(plan.cost.per_1000_runs, '$')} per 1000 runs, {status}", _SMALL),
    ]
    for number, tier in enumerate(tiers):
        parts += _tier(plan, tier, places[tier.name], bottom, _COLOURS[number % len(_COLOURS)])
    lane = bottom
    between: dict[frozenset[str], int] = {}
    for link in links:
        pair = frozenset((link.left, link.right))
        if _far(link, places):
            lane += _LANE
        parts += _link(link, places, lane, between.get(pair, 0))
        between[pair] = between.get(pair, 0) + 1
    for number, term in enumerate(plan.goals):
        parts.append(_text(_LEFT, below + 18 * number, _goal(term), "" if term.met else 'fill="#b5432a"'))
    return "".join([*parts, "</svg>\n"])


def _tier(plan: Plan, tier: TierPlan, x: float, bottom: float, colour: str) -> list[str]:
    machines = "asked elsewhere" if tier.endpoint else f"{tier.devices} x {tier.title}"
    if tier.utilisation:
        machines += f", {tier.utilisation:.0%} busy"
    price = "" if tier.endpoint else f"{show_value(tier.price.value, '$/h')} each"
    out = [
        f'<rect x="{x:.0f}" y="{_TOP:.0f}" width="{_WIDE:.0f}" height="{bottom - _TOP:.0f}" rx="6" fill="#fafafa" '
        f'stroke="{colour}" stroke-width="2"/>',
        _text(x + 12, _TOP + 20, tier.name, f'font-size="14" font-weight="600" fill="{colour}"'),
        _text(x + 12, _TOP + 36, machines, _SMALL),
        _text(x + 12, _TOP + 51, price, _SMALL),
    ]
    for number, stage in enumerate(plan.on(tier.name)):
        y = _TOP + _HEAD + number * _LINE
        batch = f", batch {stage.batch}" if stage.batch > 1 else ""
        wide = f", tensor {stage.tensor_parallel}" if stage.tensor_parallel > 1 else ""
        said = f"{show_value(stage.time.value, 's')} each, {stage.engine}{wide}{batch}"
        out += [
            f'<rect x="{x + 8:.0f}" y="{y:.0f}" width="{_WIDE - 16:.0f}" height="{_LINE - 5:.0f}" rx="4" '
            'fill="#ffffff" stroke="#d4d4d8"/>',
            _text(x + 16, y + 14, stage.id),
            _text(x + 16, y + 27, said, _SMALL),
        ]
    return out


def _far(link: LinkPlan, places: dict[str, float]) -> bool:
    """Whether a link passes other tiers, so that it is drawn below them."""
    return abs(places[link.left] - places[link.right]) > _WIDE + _GAP + 1 or link.left == link.right


def _link(link: LinkPlan, places: dict[str, float], lane: float, number: int) -> list[str]:
    """One way of a link; the `number`th of its pair."""
    arrow = "\u2192" if places[link.left] <= places[link.right] else "\u2190"
    label = f"{arrow} {show_value(link.bytes_per_run, 'B')} a run"
    speed = show_value(link.bandwidth.value, "B/s") + (f", {link.utilisation:.0%}" if link.utilisation else "")
    left, right = sorted((places[link.left], places[link.right]))
    if _far(link, places):
        a, b = left + _WIDE / 2 - 20, right + _WIDE / 2 + 20
        path = f"M{a:.0f} {lane - _LANE:.0f}V{lane - _LANE + 16:.0f}H{b:.0f}V{lane - _LANE:.0f}"
        middle, y = (a + b) / 2, lane - 22
        where = f"{link.left} &lt;-&gt; {link.right}: "
    else:
        y = _TOP + 24 + 46 * number
        path = f"M{left + _WIDE:.0f} {y + 6:.0f}H{right:.0f}"
        middle = left + _WIDE + _GAP / 2
        where = ""
    return [
        f'<path d="{path}" fill="none" stroke="#52525b" stroke-width="1.5"/>',
        f'<text x="{middle:.0f}" y="{y:.0f}" text-anchor="middle" {_SMALL}>{where}{escape(label)}</text>',
        f'<text x="{middle:.0f}" y="{y + 18:.0f}" text-anchor="middle" {_SMALL}>{escape(speed)}</text>',
    ]


def _goal(term: GoalPlan) -> str:
    if term.predicted is None:
        reached = "no bound"
    elif term.term == "rate":
        reached = f"at most {term.predicted.value:.3g} per s"
    elif term.term == "cost":
        reached = f"{show_value(term.predicted.value * 1000, '$')} per 1000 runs"
    else:
        reached = show_value(term.predicted.value, term.unit)
    return f"{term_text(term)}: {reached}{'' if term.met else ', missed'}"


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}"{" " + style if style else ""}>{escape(text)}</text>'
