"""What passes between us and the worker: a JSON object and some bytes, behind their lengths.

Both ends are ours and of one version. Lengths are checked all the same: a worker that breaks may write anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

_LENGTHS = struct.Struct("<IQ")
MOST_WORDS, MOST_BYTES = 1 << 26, 1 << 40


class BrokenFrame(Exception):
    """What came is no frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`words` say what; `data` is what the words are about, such as the bytes of a cache."""

    words: Mapping[str, Any]
    data: bytes = b""


def encode(words: Mapping[str, Any], data: bytes = b"") -> bytes:
    written = json.dumps(words, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(written), len(data)) + written + data


class Decoder:
    """Bytes as they come, to frames as they are whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Raises `BrokenFrame`; nothing can follow then."""
        self._bytes += data
        while len(self._bytes) >= _LENGTHS.size:
            words, body = _LENGTHS.unpack_from(self._bytes)
            if words > MOST_WORDS or body > MOST_BYTES:
                raise BrokenFrame(f"a frame of {words} and {body} bytes")
            start, end = _LENGTHS.size + words, _LENGTHS.size + words + body
            if len(self._bytes) < end:
                return
            try:
                read = cast("object", json.loads(self._bytes[_LENGTHS.size : start]))
            except ValueError as error:
                raise BrokenFrame(str(error)) from error
            if not isinstance(read, dict):
                raise BrokenFrame("a frame without an object")
            data = bytes(self._bytes[start:end])
            del self._bytes[:end]
            yield Frame(cast("dict[str, Any]", read), data)
