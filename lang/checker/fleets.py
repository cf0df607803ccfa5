"""Fleets: tiers of catalogue devices, how many, endpoints, and the links between them. Whether a device exists is the
planner's business: its name is a value here."""

from __future__ import annotations

from ...base import units
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, syntax
from ..program import Fleet, Link, Tier
from .context import Context
from .endpoints import check_endpoint, kind_of_setting, measured, settings_of
from .facts import Named
from .figures import quantity, whole
from .fleet_ranges import MOST_DEVICES
from .fleet_ranges import sound as possible

_SETTINGS = ("count", "price")
_EVERY = "*"


def check_fleets(context: Context, nodes: list[syntax.FleetDecl]) -> tuple[Fleet, ...]:
    first: dict[str, Span] = {}
    fleets: list[Fleet] = []
    for node in nodes:
        name = node.name
        if name.text in first:
            hint = "give one of the two another name"
            context.report(problems.bound_twice(name.text, name.span, first[name.text], "a fleet", hint))
        first.setdefault(name.text, name.span)
        context.note(name.span, Named("fleet", name.text, name.span))
        fleets.append(_fleet(context, node))
    return tuple(fleets)


def _fleet(context: Context, node: syntax.FleetDecl) -> Fleet:
    names: dict[str, Span] = {}
    tiers: list[Tier] = []
    for tier in node.tiers:
        first = names.get(tier.name.text)
        if first is not None:
            hint = "give one of the two another name"
            what = f"a tier of fleet `{node.name.text}`"
            context.report(problems.bound_twice(tier.name.text, tier.name.span, first, what, hint))
            continue
        names[tier.name.text] = tier.name.span
        context.note_tier(tier.name)
        tiers += _tier(context, tier)
    if not node.tiers:
        hint = "add one, as in `tier gpu = catalog.h100 { count 1 }`"
        context.report(problems.bad_bound("a fleet without tiers runs nothing", node.name.span, hint))
        return Fleet(node.name.text, (), (), node.name.span)
    links: list[Link] = []
    reached: set[str] = set()
    first_of: dict[frozenset[str], Span] = {}
    for link in node.links:
        ends = frozenset((link.left.text, link.right.text))
        first = first_of.setdefault(ends, link.span)
        if first is not link.span:
            hint = "keep the one that is meant; a link goes both ways"
            pair = f"{link.left.text} <-> {link.right.text}"
            what = f"a link of fleet `{node.name.text}`"
            context.report(problems.bound_twice(pair, link.span, first, what, hint))
            continue
        for end in (link.left, link.right):
            if end.text != _EVERY and end.text not in names:
                what = f"no tier of fleet `{node.name.text}`"
                near = suggest(end.text, names)
                hint = "the tiers are " + ", ".join(f"`{name}`" for name in names)
                context.report(problems.unknown_name(end.text, end.span, near, what=what, hint=hint))
                reached |= {near} if near else set()
            elif end.text != _EVERY:
                context.note(end.span, Named("tier", end.text, names[end.text]))
        reached |= set(names) if _EVERY in (link.left.text, link.right.text) else {link.left.text, link.right.text}
        links += _link(context, link)
    if len(names) > 1:
        for name, span in names.items():
            if name not in reached:
                context.report(problems.tier_unreachable(name, node.name.text, span))
    return Fleet(node.name.text, tuple(tiers), tuple(links), node.name.span)


def _tier(context: Context, node: syntax.TierDecl) -> list[Tier]:
    match node.device:
        case syntax.Access(syntax.Name("catalog"), device):
            return [_machines(context, node, device.text)]
        case syntax.Call(syntax.Name("endpoint")):
            return check_endpoint(context, node, node.device)
        case _:
            context.report(problems.not_a_device(node.name.text, node.device.span))
            context.use_all(node.device)
            # What is said of it is looked at all the same.
            _machines(context, node, "")
            return []


def _machines(context: Context, node: syntax.TierDecl, device: str) -> Tier:
    """A tier of devices of the catalogue."""
    count: tuple[int, int] = (1, 1)
    settings: dict[str, units.Quantity] = {}
    for setting in settings_of(context, node, _SETTINGS, "a tier of devices"):
        if setting.name.text == "count":
            count = _count(context, setting) or count
        elif price := measured(context, setting, (units.MONEY_RATE,), "$1.80 per h"):
            settings["price"] = price
    return Tier(node.name.text, device, count, node.name.span, settings=settings)


def _count(context: Context, setting: syntax.TierSetting) -> tuple[int, int] | None:
    value = setting.value
    what = "the `count` of a tier"
    match value:
        case syntax.Number():
            low = high = whole(context, value, what)
        case syntax.Range():
            low, high = whole(context, value.low, what), whole(context, value.high, what)
        case _:
            hint = "write `count 1`, or `count 0..8` to let the planner choose"
            given = kind_of_setting(value)
            context.report(problems.wrong_type(what, "a whole number or a range", given, value.span, (), hint))
            return None
    if low is None or high is None:
        return None
    if low > high:
        hint = f"write the lower end first: `count {high}..{low}`"
        context.report(problems.bad_bound(f"`count {low}..{high}` holds no number", value.span, hint))
        return None
    if high > MOST_DEVICES:
        hint = f"state at most {MOST_DEVICES:_}"
        context.report(problems.bad_bound(f"{high:_} devices are more than a tier has", value.span, hint))
        return None
    if high == 0:
        hint = "write `count 1`, or leave the tier out"
        context.report(problems.bad_bound("a tier of no devices runs nothing", value.span, hint))
        return None
    return low, high


def _link(context: Context, node: syntax.LinkDecl) -> list[Link]:
    bandwidth, latency = quantity(context, node.bandwidth), quantity(context, node.latency)
    sound = bandwidth is not None and latency is not None
    wanted = (
        (bandwidth, node.bandwidth.span, units.BANDWIDTH, "the bandwidth of a link", "200 Gbit/s"),
        (latency, node.latency.span, units.DURATION, "the latency of a link", "10 us"),
    )
    for found, span, dimension, what, example in wanted:
        if found is not None and found.dimension != dimension:
            title = f"{what} is measured in {dimension}, but this is {found.dimension}"
            context.report(problems.unit_mismatch(title, span, f"write it as in `{example}`"))
            sound = False
        elif found is not None:
            sound = possible(context, what, found, span) and sound
    if bandwidth is not None and bandwidth.dimension == units.BANDWIDTH and bandwidth.value <= 0:
        context.report(
            problems.bad_bound("a link without bandwidth carries nothing", node.bandwidth.span, "leave it out")
        )
        sound = False
    if not sound or bandwidth is None or latency is None:
        return []
    return [Link(node.left.text, node.right.text, True, bandwidth, latency, node.span)]
