"""Promises as the head of a journal has them, exactly: a run that goes on is held to what it began with, and a replay
comes to the same blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..promises import Line, Promise, Promises


def to_data(promises: Iterable[Promises]) -> tuple[Mapping[str, Any], ...]:
    """As plain data for `json.dumps`."""
    data = [asdict(each) for each in promises]
    for each in data:
        for line in each["lines"]:
            line["stages"] = sorted(line["stages"])
    return tuple(data)


def from_data(data: Iterable[Mapping[str, Any]]) -> tuple[Promises, ...]:
    """ValueError, TypeError or KeyError where it is no such data."""
    return tuple(map(_promises, data))


def _promises(data: Mapping[str, Any]) -> Promises:
    lines = tuple(
        Line(line["name"], line["slots"], line["seconds"], frozenset(line["stages"])) for line in data["lines"]
    )
    held = tuple(Promise(**each) for each in data["promises"])
    return Promises(data["pipeline"], held, data["times"], lines, data["enforce"])
