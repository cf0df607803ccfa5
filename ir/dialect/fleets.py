"""Fleets: what a program may run on. Tiers and the links between them."""

from __future__ import annotations

from collections.abc import Iterator

from .spec import Is, View, operation


def _fleet_region(op: View) -> Iterator[str]:
    region = op.region(0)
    if region is None:
        yield "has no body"
        return
    names = [inner.attributes["name"].value for inner in region.operations if inner.name == "agent.tier"]
    if len(set(names)) != len(names):
        yield "has a tier twice"
    for inner in region.operations:
        if inner.name not in ("agent.tier", "agent.link"):
            yield f"holds tiers and links, not {inner.name}"
        elif inner.name == "agent.link":
            for end in ("left", "right"):
                if inner.attributes[end].value not in (*names, "*"):
                    yield f"links {inner.attributes[end].value!r}, which is no tier of it"


@operation(
    "fleet",
    attributes={"name": Is.TEXT},
    results=(0, 0),
    regions=("body",),
    inside=("builtin.module",),
    unterminated=True,
    verify_regions=_fleet_region,
)
def fleet(op: View) -> Iterator[str]:
    """What a program may run on.

    "agent.fleet"() ({ "agent.tier"() {…} "agent.link"() {…} }) {name = "laptop"} : () -> ()
    """
    if not op.attributes["name"]:
        yield "has no name"


@operation(
    "tier",
    attributes={"name": Is.TEXT, "device": Is.TEXT, "least": Is.INTEGER, "most": Is.INTEGER},
    optional={"endpoint": Is.MAP, "settings": Is.MAP},
    results=(0, 0),
    inside=("agent.fleet",),
)
def tier(op: View) -> Iterator[str]:
    """A kind of machine of a fleet: its name in the catalogue, and how many there may be. An `endpoint` is models that
    somebody else serves: it has an address or the name of the secret that holds it, and no device. `settings` is what
    the program states otherwise; quantities in base units.

    "agent.tier"() {name = "cpu", device = "laptop", least = 1 : i64, most = 1 : i64} : () -> ()
    """
    if bool(op.attributes["device"]) == ("endpoint" in op.attributes):
        yield "has a device and an endpoint, or neither"
    if not 0 <= op.attributes["least"] <= op.attributes["most"]:
        yield f"has a count {op.attributes['least']}..{op.attributes['most']}"


@operation(
    "link",
    attributes={
        "left": Is.TEXT,
        "right": Is.TEXT,
        "both_ways": Is.BOOLEAN,
        "bandwidth": Is.ANYTHING,
        "latency": Is.ANYTHING,
    },
    results=(0, 0),
    inside=("agent.fleet",),
)
def link(op: View) -> Iterator[str]:
    """A connection between two tiers (`*` is any): bytes per second and seconds.

    "agent.link"() {left = "gpu", right = "cpu", both_ways = true, bandwidth = 2.5e10, latency = 1.0e-5} : () -> ()
    """
    for name in ("bandwidth", "latency"):
        value = op.attributes[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            yield f"has a {name} that is no amount"
