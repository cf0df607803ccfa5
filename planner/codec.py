"""Frozen values to JSON text and back, checked on the way in. The only place of the planner that knows the library.

The text is deterministic (fields in declared order, shortest floats), so that a value's SHA-256 is its identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec

from ..base.store import sha256_bytes

T = TypeVar("T")


class DecodeError(ValueError):
    """A text that is not the JSON of the wanted type; the message says where."""


def encode(value: object, *, indent: int = 0) -> bytes:
    """JSON in UTF-8. Maps are written in order of their keys."""
    data = msgspec.json.encode(value, order="deterministic", enc_hook=_plain)
    return msgspec.json.format(data, indent=indent) if indent else data


def _plain(value: object) -> object:
    """What the library does not know: maps that cannot be changed."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode(data: bytes, kind: type[T]) -> T:
    """The inverse of `encode`. Raises `DecodeError`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from None


def digest(value: object) -> str:
    """The SHA-256 of the value's JSON, in hex."""
    return sha256_bytes(encode(value))
