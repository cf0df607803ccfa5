"""What is true of placed modules and of islands: laws for the table in `laws`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _mlir
from .dialect.types import from_mlir
from .graph import FailureType

if TYPE_CHECKING:
    from .laws import Held

Broken = Iterator[tuple[Any, str]]

_ENDS = ("agent.send", "agent.receive", "agent.watch")


def _text(operation: Any, name: str) -> str | None:
    return operation.attributes[name].value if name in operation.attributes else None


def _channels(module: Held) -> dict[str, Any]:
    return {
        operation.attributes["name"].value: operation
        for operation in module.declarations
        if operation.name == "agent.channel"
    }


def channels_declared(module: Held) -> Broken:
    """Every send, receive and watch is of a declared channel, and stands at its right end; what goes over it has its
    type. (A failure may go over any.)"""
    declared = _channels(module)
    for name in _ENDS:
        for operation in module.inside.get(name, ()):
            channel = declared.get(str(_text(operation, "channel")))
            if channel is None:
                yield operation, f"{_text(operation, 'channel')!r} is no declared channel"
                continue
            here, there = ("from", "to") if name != "agent.receive" else ("to", "from")
            if _text(operation, there) != _text(channel, there) or _text(operation, "tier") != _text(channel, here):
                yield operation, f"the channel {_text(operation, 'channel')!r} does not lead there"
            values = list(operation.operands if name == "agent.send" else operation.results)
            given = from_mlir(values[0].type) if values else FailureType()
            wanted = from_mlir(channel.attributes["type"].value)
            if given not in (wanted, FailureType()):
                yield operation, f"the channel {_text(operation, 'channel')!r} is for {wanted}, not {given}"


def ends_meet(module: Held) -> Broken:
    """In a whole module each channel has one send and one receive, which takes what that gives. In an island each
    channel has one end, and the other is elsewhere."""
    used: dict[str, list[Any]] = {}
    for name in _ENDS:
        for operation in module.inside.get(name, ()):
            used.setdefault(str(_text(operation, "channel")), []).append(operation)
            inside = len(operation.results if name == "agent.send" else operation.operands)
            if name == "agent.watch" and module.tier is None:
                yield operation, "watches a channel, which only an island does"
            elif name != "agent.watch" and inside == (module.tier is not None):
                yield (
                    operation,
                    f"is no end of a channel in {'an island' if module.tier is not None else 'a whole module'}",
                )
    for name, channel in _channels(module).items():
        ends = used.get(name, [])
        if not ends:
            yield channel, f"nothing is sent over the channel {name!r}"
        elif module.tier is None:
            if [end.name for end in ends] != ["agent.send", "agent.receive"]:
                yield channel, f"the channel {name!r} has not one send and one receive"
            elif _mlir.owner(ends[1].operands[0]) != ends[0]:
                yield ends[1], f"what is received from {name!r} was not sent there"
        elif module.tier not in (_text(channel, "from"), _text(channel, "to")):
            yield channel, f"the channel {name!r} does not end on {module.tier!r}"


def tiers_declared(module: Held) -> Broken:
    """Where there is a fleet, every tier is one of a fleet."""
    fleets = [operation for operation in module.declarations if operation.name == "agent.fleet"]
    known = {
        str(_text(tier, "name"))
        for fleet in fleets
        for tier in _mlir.operations(fleet.regions[0].blocks[0])
        if tier.name == "agent.tier"
    }
    for operation in module.stages if known else ():
        tier = _text(operation, "tier")
        if tier is not None and tier not in known:
            yield operation, f"{tier!r} is no tier of a fleet"


def of_one_tier(module: Held) -> Broken:
    """An island holds operations of its tier only."""
    for operation in module.stages if module.tier is not None else ():
        tier = _text(operation, "tier")
        if tier is not None and tier != module.tier:
            yield operation, f"stands in the island of {module.tier!r}, but is on {tier!r}"


def nothing_crosses(module: Held) -> Broken:
    """After transfers are inserted, what an operation takes is on its tier."""
    for operation in module.stages:
        tier = _text(operation, "tier")
        if tier is None or operation.name == "agent.receive":
            continue
        for value in operation.operands:
            made = _mlir.owner(value)
            origin = _text(made, "tier") if made is not None else None
            if origin is not None and origin != tier:
                yield operation, f"takes on {tier!r} what is on {origin!r}, and was not sent"


PLACED: tuple[tuple[str, Callable[[Held], Broken], str | None], ...] = (
    ("channels declared", channels_declared, None),
    ("ends meet", ends_meet, None),
    ("tiers declared", tiers_declared, None),
    ("of one tier", of_one_tier, None),
    ("nothing crosses", nothing_crosses, "insert_transfers"),
)
