"""What passes between us and a worker: words as MessagePack and some bytes, behind their lengths; open files beside.

Both ends are ours and of one version. Lengths are checked all the same: a worker that breaks may write anything. Never
pickle: what is read becomes plain values and nothing else.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

LENGTHS = struct.Struct("<IQ")
_WORDS = msgspec.msgpack.Decoder(dict[str, Any])
_PIECE = 1 << 18
_MOST_DESCRIPTORS = 16
MOST_WORDS, MOST_BYTES = 1 << 26, 1 << 40


class BrokenFrame(Exception):
    """What came is no frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`words` say what; `data` is what the words are about, such as the bytes of a cache. `descriptors` are open files
    that came along; they belong to who has the frame."""

    words: Mapping[str, Any]
    data: bytes = b""
    descriptors: tuple[int, ...] = ()


def encode(words: Mapping[str, Any], data: bytes = b"", descriptors: int = 0, follows: int = 0) -> bytes:
    """A frame's bytes; `descriptors` is how many open files go with the first of them. Where `follows` is given, that
    many bytes of data come behind what this gives."""
    written = msgspec.msgpack.encode({**words, "descriptors": descriptors} if descriptors else words)
    return LENGTHS.pack(len(written), len(data) + follows) + written + data


class Decoder:
    """Bytes as they come, to frames as they are whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: Sequence[int] = ()) -> Iterator[Frame]:
        """Raises `BrokenFrame`; nothing can follow then."""
        self._bytes += data
        self._descriptors += descriptors
        while len(self._bytes) >= LENGTHS.size:
            words, body = LENGTHS.unpack_from(self._bytes)
            if words > MOST_WORDS or body > MOST_BYTES:
                raise BrokenFrame(f"a frame of {words} and {body} bytes")
            start, end = LENGTHS.size + words, LENGTHS.size + words + body
            if len(self._bytes) < end:
                return
            try:
                read = _WORDS.decode(self._bytes[LENGTHS.size : start])
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise BrokenFrame(str(error)) from error
            data = bytes(self._bytes[start:end])
            del self._bytes[:end]
            yield Frame(read, data, self._taken(read.pop("descriptors", 0)))

    def _taken(self, count: Any) -> tuple[int, ...]:
        if not isinstance(count, int) or not 0 <= count <= len(self._descriptors):
            raise BrokenFrame(f"a frame with {count!r} open files")
        return tuple(self._descriptors.popleft() for _ in range(count))


def received(connection: socket.socket, decoder: Decoder) -> Iterator[Frame] | None:
    """The frames that the next bytes make whole, open files among them; None at the end. Raises as `recv`."""
    data, descriptors, _, _ = socket.recv_fds(connection, _PIECE, _MOST_DESCRIPTORS)
    return decoder.feed(data, descriptors) if data else None


class Outgoing:
    """What waits to be written to a socket. It owns the open files in it, and closes them once they are sent."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[bytearray, list[int]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def put(self, words: Mapping[str, Any], data: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        written = encode(words, data, len(descriptors))
        if self._pieces and not descriptors:
            self._pieces[-1][0].extend(written)
        else:
            self._pieces.append((bytearray(written), list(descriptors)))

    def send(self, connection: socket.socket) -> None:
        """Write what is there; raises as `send` does, having kept what was not sent."""
        while self._pieces:
            data, descriptors = self._pieces[0]
            if descriptors:
                sent = socket.send_fds(connection, [data], descriptors)
                _close(descriptors)
            else:
                sent = connection.send(data)
            del data[:sent]
            if not data:
                self._pieces.popleft()

    def clear(self) -> None:
        for _, descriptors in self._pieces:
            _close(descriptors)
        self._pieces.clear()


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
