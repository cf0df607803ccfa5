"""Runtime values as JSON and back, exactly: what a journal says must be what the machine was told.

Data is itself: a Text a text, a list of the language (a tuple) a JSON list, a record or map an object. What JSON has no
form for is an object with the one key `$`, followed by what it is. A value that only this process can hold (a KV cache,
how a decode chooses where that is an object) is written as `lost`: whoever needs it again makes it again. Nothing is
pickled, and reading runs no code but this.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ...base.audio import Audio

_MARK = "$"
_LOST: dict[str, object] = {_MARK: ["lost"]}


class Unreadable(Exception):
    """What stands in a journal is no value. The text says why."""


class _Opaque(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Masked:
    """Stands for an input whose labels forbid that it is written down: `digest` is salted, and tells the same value
    again when somebody gives it."""

    labels: tuple[str, ...]
    digest: str


def to_data(value: object) -> object:
    """The value as plain data for `json.dumps`."""
    if isinstance(value, str | int) or value is None:  # bool is an int
        return value if type(value) in _EXACT else _within(value)
    return _within(value)


_EXACT = (str, int, bool, type(None))


def _within(value: object) -> object:
    try:
        return _data(value)
    except _Opaque:
        return _LOST


def _data(value: object) -> object:
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case int() if type(value) is int:
            return value
        case float() if type(value) is float:
            return value if math.isfinite(value) else {_MARK: ["float", repr(value)]}
        case bytes():
            return {_MARK: ["bytes", base64.b64encode(value).decode("ascii")]}
        case tuple():
            # A tuple with names for its places is an object of some library.
            if hasattr(cast(object, value), "_fields"):
                raise _Opaque
            return [_data(item) for item in cast("tuple[object, ...]", value)]
        case list():
            return {_MARK: ["list", [_data(item) for item in cast("list[object]", value)]]}
        case Mapping():
            entries = cast("Mapping[object, object]", value)
            if not all(isinstance(name, str) for name in entries):
                raise _Opaque
            data = {str(name): _data(item) for name, item in entries.items()}
            return {_MARK: ["map", data]} if _MARK in data else data
        case Audio():
            return {_MARK: ["audio", value.rate, base64.b64encode(value.pcm).decode("ascii")]}
        case Masked():
            return {_MARK: ["masked", list(value.labels), value.digest]}
        case _:
            return _array(value)


def _array(value: object) -> object:
    """Numbers of a numerical library, which is there already if there is one of its values."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        raise _Opaque
    array = cast(Any, numpy).ascontiguousarray(value)
    if array.dtype.hasobject:
        raise _Opaque
    shape = list(cast(Any, value).shape)
    return {_MARK: ["array", array.dtype.str, shape, base64.b64encode(array.tobytes()).decode("ascii")]}


def from_data(data: object, lost: Callable[[], object]) -> object:
    """The value again; `lost` gives what stands for one that only the other process had. Raises `Unreadable`."""
    if isinstance(data, list):
        return tuple(from_data(item, lost) for item in cast("list[object]", data))
    if not isinstance(data, dict):
        return data
    entries = cast("dict[str, Any]", data)
    if _MARK not in entries:
        return {name: from_data(item, lost) for name, item in entries.items()}
    try:
        word, *parts = entries[_MARK]
        return _marked(word, parts, lost)
    except (TypeError, ValueError, binascii.Error, KeyError) as error:
        raise Unreadable(f"no value stands there ({error})") from None


def _marked(word: str, parts: list[Any], lost: Callable[[], object]) -> object:
    match word:
        case "lost":
            return lost()
        case "float":
            return float(parts[0])
        case "bytes":
            return base64.b64decode(parts[0], validate=True)
        case "list":
            return [from_data(item, lost) for item in parts[0]]
        case "map":
            return {name: from_data(item, lost) for name, item in parts[0].items()}
        case "audio":
            return Audio(base64.b64decode(parts[1], validate=True), int(parts[0]))
        case "masked":
            return Masked(tuple(map(str, parts[0])), str(parts[1]))
        case "array":
            import numpy

            array = numpy.frombuffer(base64.b64decode(parts[2], validate=True), dtype=numpy.dtype(parts[0]))
            shaped = array.reshape(parts[1]).copy()
            return shaped if parts[1] else shaped[()]
        case _:
            raise ValueError(f"{word!r} is no kind of value")
