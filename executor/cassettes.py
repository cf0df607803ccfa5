"""Cassettes: what stages answered, written down so that a test can run again without models and tools.

A cassette is JSON Lines, to be read and compared by people: a first line that says what it is, then one line for each
call in the order in which calls ended. A call is found again by its `key`, a digest of who was called with what; the
arguments beside it are for the reader, and may be masked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..base.problems import Problem, Problems
from . import problems
from .values import to_json

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Read:
    """What a call took of a stream that it reads: how many items, and their digest."""

    items: int
    digest: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call. `name` is the tool's name or the entry, `value` and `items` are JSON data; `failure` is a reason and a
    title where it failed. A stream may have both, items first."""

    name: str
    key: str
    stage: str
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    value: object = None
    items: tuple[object, ...] | None = None
    failure: tuple[str, str] | None = None
    reads: Mapping[str, Read] = field(default_factory=dict[str, Read])


def digest(value: object) -> str:
    """Of JSON data: 16 hex digits of the SHA-256 of its canonical text. Numbers of different types differ."""
    text = json.dumps(to_json(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def write(recorded: Iterable[Recorded]) -> str:
    """The text of a cassette."""
    lines = [{"cassette": _VERSION}, *map(_line, recorded)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read(text: str, name: str) -> tuple[tuple[Recorded, ...], Problems]:
    """The calls of a cassette; `name` is the file's, for problems. A line that is none is left out, with a problem."""
    found: list[Problem] = []
    calls: list[Recorded] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            if number == 1:
                if data.get("cassette") != _VERSION:
                    raise ValueError(f'its first line must be {{"cassette": {_VERSION}}}')
            else:
                calls.append(_call(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            found.append(problems.cassette_unreadable(name, number, said))
            if number == 1:
                break
    return tuple(calls), tuple(found)


def _line(call: Recorded) -> dict[str, object]:
    line: dict[str, object] = {"call": call.name, "arguments": to_json(call.arguments)}
    if call.items is not None:
        line["items"] = to_json(call.items)
    if call.failure is not None:
        line["failed"] = {"reason": call.failure[0], "problem": call.failure[1]}
    elif call.items is None:
        line["value"] = to_json(call.value)
    if call.reads:
        line["reads"] = {name: {"items": one.items, "digest": one.digest} for name, one in call.reads.items()}
    return {**line, "stage": call.stage, "key": call.key}


def _call(data: Mapping[str, Any]) -> Recorded:
    failed = cast("Mapping[str, str] | None", data.get("failed"))
    items = data.get("items")
    return Recorded(
        str(data["call"]),
        str(data["key"]),
        str(data["stage"]),
        dict(data["arguments"]),
        data.get("value"),
        None if items is None else tuple(items),
        None if failed is None else (str(failed["reason"]), str(failed["problem"])),
        {name: Read(int(one["items"]), str(one["digest"])) for name, one in data.get("reads", {}).items()},
    )
