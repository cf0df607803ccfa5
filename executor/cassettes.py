"""Cassettes: what models and tools answered, written down so that a program can run again without them.

A cassette is JSON Lines, to be read and compared by people: a first line that says what it is, then one line for each
call in the order in which calls ended. A call is found again by its `key`, a salted digest of who was called with what;
the arguments beside it are for the reader, and may be masked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, cast

from ..base.problems import Problem, Problems
from . import problems
from .values import to_json

VERSION = 1


@dataclass(frozen=True, slots=True)
class Read:
    """What a call took of a stream that it reads: how many items, and their digest."""

    items: int
    digest: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call. `name` is what people call it (`order`, `writer.chat`), `value` and `items` are JSON data; `failure` is
    a reason and a title where it failed. A stream may have both, items first. One that was `stopped` gave no more,
    because nobody wanted it any more or it took too long. `masked` are the labels for which its answer is not told;
    `run` names the test or pipeline that made the call."""

    name: str
    key: str
    stage: str
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    value: object = None
    items: tuple[object, ...] | None = None
    failure: tuple[str, str] | None = None
    reads: Mapping[str, Read] = field(default_factory=dict[str, Read])
    stopped: bool = False
    masked: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True, slots=True)
class Cassette:
    """Recorded calls. `salt` goes into every key, so that two cassettes do not show that they hold the same value;
    `programs` are the files that were run, `kept` the labels whose values are told."""

    calls: tuple[Recorded, ...] = ()
    salt: str = ""
    programs: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def digest(value: object, salt: str = "") -> str:
    """Of JSON data: 16 hex digits of the SHA-256 of its canonical text. Numbers of different types differ."""
    text = salt + json.dumps(to_json(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def write(cassette: Cassette) -> str:
    """The text of a cassette."""
    return first_line(cassette) + "".join(map(line, cassette.calls))


def first_line(cassette: Cassette) -> str:
    said: dict[str, object] = {"cassette": VERSION, "salt": cassette.salt, "programs": cassette.programs}
    return _text({**said, "kept": cassette.kept} if cassette.kept else said)


def line(call: Recorded) -> str:
    """One call, with its newline."""
    said: dict[str, object] = {"call": call.name, "arguments": call.arguments}
    later: dict[str, object] = {"stage": call.stage, "run": call.run, "key": call.key}
    if call.items and all(isinstance(item, str) for item in call.items):
        # A text that came piece by piece is read as a whole; how long the pieces were stands behind it.
        pieces = cast("tuple[str, ...]", call.items)
        said["text"] = "".join(pieces)
        later["pieces"] = list(map(len, pieces))
    elif call.items is not None:
        said["items"] = call.items
    if call.failure is not None:
        said["failed"] = {"reason": call.failure[0], "problem": call.failure[1]}
    elif call.items is None and not call.stopped:
        said["value"] = call.value
    if call.stopped:
        said["stopped"] = True
    if call.masked:
        said["masked"] = call.masked
    if call.reads:
        said["reads"] = {name: {"items": one.items, "digest": one.digest} for name, one in call.reads.items()}
    return _text({**said, **later})


def read(text: str, name: str) -> tuple[Cassette, Problems]:
    """A cassette; `name` is the file's, for problems. A line that is none is left out, with a problem. A last line
    without its end was cut off while it was written, and counts as not there."""
    found: list[Problem] = []
    calls: list[Recorded] = []
    head = Cassette()
    for number, written in enumerate(text.split("\n")[:-1], 1):
        if not written.strip():
            continue
        try:
            data = json.loads(written)
            if number == 1:
                head = _head(data)
            else:
                calls.append(_call(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            found.append(problems.cassette_unreadable(name, number, said))
            if number == 1:
                break
    if not text.partition("\n")[1]:
        found.append(problems.cassette_unreadable(name, 1, "it has no first line"))
    return Cassette(tuple(calls), head.salt, head.programs, head.kept), tuple(found)


def _text(data: object) -> str:
    return json.dumps(to_json(data), ensure_ascii=False) + "\n"


def _head(data: Mapping[str, Any]) -> Cassette:
    version = data.get("cassette")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        what = f"it is of version {version}, and this agentlang reads {VERSION}" if newer else "no cassette begins so"
        raise ValueError(what)
    return Cassette((), str(data["salt"]), _texts(data.get("programs")), _texts(data.get("kept")))


def _call(data: Mapping[str, Any]) -> Recorded:
    failed = cast("Mapping[str, str] | None", data.get("failed"))
    items = _pieces(data) if "text" in data else data.get("items")
    return Recorded(
        str(data["call"]),
        str(data["key"]),
        str(data["stage"]),
        dict(data["arguments"]),
        data.get("value"),
        None if items is None else tuple(items),
        None if failed is None else (str(failed["reason"]), str(failed["problem"])),
        {name: Read(int(one["items"]), str(one["digest"])) for name, one in data.get("reads", {}).items()},
        bool(data.get("stopped")),
        _texts(data.get("masked")),
        str(data.get("run", "")),
    )


def _pieces(data: Mapping[str, Any]) -> list[str]:
    """A text in the pieces in which it came; in one, where it was edited and they do not fit any more."""
    text, lengths = str(data["text"]), [int(length) for length in data.get("pieces", ())]
    if sum(lengths) != len(text) or min(lengths, default=0) < 0:
        return [text]
    ends = list(accumulate(lengths))
    return [text[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _texts(data: Iterable[object] | None) -> tuple[str, ...]:
    return tuple(map(str, data or ()))
