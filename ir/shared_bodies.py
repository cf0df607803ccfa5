"""What is asked of an operation with bodies that several tiers share (see `projection`): who is in it, how it is
entered and how it may end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from ..lang.types import StreamType
from .graph import Operation, Region, walk
from .live import TERMINATORS

_ATTEMPTED = ("agent.try", "agent.race", "agent.guard", "agent.interruptible")


def unique(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def tier_of(operation: Operation) -> str:
    return cast(str, operation.attributes["tier"])


def tiers_in(region: Region) -> Iterator[str]:
    """The tiers of all that is in a body."""
    return (tier_of(each) for each in walk(region) if each.name not in TERMINATORS)


def nth(at: int) -> str:
    return "" if not at else f"_{at + 1}"


def bare(region: Region) -> Operation:
    """The terminator of a body that hands nothing out."""
    return replace(region.operations[-1], operands=())


def synchronised(operation: Operation, at: int) -> bool:
    """Whether followers wait for the owner to enter a body, and the owner for them to be through."""
    return operation.name in (*_ATTEMPTED, "agent.repeat") or (operation.name == "agent.map" and at == 0)


def ends_early(operation: Operation) -> bool:
    """Whether it may be over before all of it was entered that followers wait for."""
    stream = any(isinstance(value.type, StreamType) for value in operation.results)
    return stream or operation.name in _ATTEMPTED


def attempts_of(operation: Operation) -> int:
    """How often a body may be entered, after or beside another time."""
    if operation.name != "agent.guard":
        return 1
    rounds = 1 + int(cast(int, operation.attributes.get("retries") or 0))
    return rounds * (2 if operation.attributes.get("hedge") is not None else 1)
