"""Frames to bytes and back: `aw`, a version, how many descriptors go along, a length, a CRC-32, and one MessagePack
document.

    0   2  "aw"
    2   1  version
    3   1  descriptors that were passed beside it (Unix sockets only)
    4   4  length of what follows the prefix, big-endian
    8   4  CRC-32 of what follows the prefix, begun with the number of descriptors in place of 0, big-endian
    12  …  the frame

The checksum finds what was damaged, dropped or moved by a bug; who may speak at all was settled before
(`secure.py`), and on TCP a MAC of TLS stands below it.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from . import frames
from .problems import WireProblem

Buffer: TypeAlias = bytes | bytearray | memoryview

PREFIX = struct.Struct(">2sBBII")
_CHECK = struct.Struct(">I")
MAGIC = b"aw"
MOST_DESCRIPTORS = 8
MOST_FRAME = frames.MOST_BODY + (1 << 17)
JOINED = 1 << 14
"""Bodies up to so many bytes are copied behind their frame; larger ones are sent from where they lie."""

_encode = msgspec.msgpack.Encoder().encode
_crc32, _pack, _unpack = zlib.crc32, PREFIX.pack, PREFIX.unpack_from
_decode = msgspec.msgpack.Decoder(frames.Any).decode


def encode(frame: frames.Any, descriptors: int = 0) -> tuple[Buffer, ...]:
    """The frame as buffers to be written one after another."""
    if type(frame) is frames.Item and len(frame.body) > JOINED:
        return _apart(frame, descriptors)
    document = _encode(frame)
    check = _crc32(document, descriptors)
    return (_pack(MAGIC, frames.VERSION, descriptors, len(document), check) + document,)


def _apart(frame: frames.Item, descriptors: int) -> tuple[Buffer, ...]:
    # The body comes last, so a document without it ends in the two bytes of an empty one.
    body = frame.body
    bare = frames.Item(
        frame.sequence,
        frame.ack,
        frame.channel,
        frame.epoch,
        frame.form,
        frame.deadline,
        frame.trace,
        frame.head,
        memoryview(b""),
    )
    document = _encode(bare)[:-2] + b"\xc6" + _CHECK.pack(len(body))
    check = _crc32(body, _crc32(document, descriptors))
    return (_pack(MAGIC, frames.VERSION, descriptors, len(document) + len(body), check) + document, body)


class Decoder:
    """Bytes as they come, to frames. Holds at most one frame that is not whole, of at most `most` bytes, and the
    descriptors that came for frames that are not whole. What it gives may be views of what it was given."""

    def __init__(self, most: int = MOST_FRAME) -> None:
        self.most = most
        self._part = bytearray()
        self._large: bytearray | None = None
        self._filled = 0
        self._expected = 0, 0
        self.descriptors: deque[int] = deque()
        """Not yet given with a frame; who uses this closes them in the end."""

    @property
    def held(self) -> int:
        """Bytes in memory for a frame that is not whole."""
        return len(self._part) + (len(self._large) if self._large is not None else 0)

    def feed(self, data: Buffer, descriptors: Sequence[int] = ()) -> Iterator[tuple[frames.Any, tuple[int, ...]]]:
        """The frames that are whole now, with their descriptors. Raises `WireProblem`; nothing can follow then."""
        if descriptors:
            self.descriptors.extend(descriptors)
            if len(self.descriptors) > 8 * MOST_DESCRIPTORS:
                raise WireProblem("malformed", "open files came with no frame that they belong to")
        if self._large is not None:
            taken = min(len(data), len(self._large) - self._filled)
            self._large[self._filled : self._filled + taken] = data[:taken]
            self._filled += taken
            if self._filled < len(self._large):
                return
            document, self._large = self._large, None
            yield self._frame(memoryview(document), *self._expected)
            data = memoryview(data)[taken:]
        if self._part:
            self._part += data
            data, self._part = bytes(self._part), bytearray()
        at, size = 0, len(data)
        view = memoryview(data)
        while size - at >= 12:
            magic, version, count, length, check = _unpack(data, at)
            if magic != MAGIC:
                raise WireProblem("not-frames", "what came is no frame of this protocol")
            if version != frames.VERSION:
                raise WireProblem("other-version", f"a frame of version {version}, where {frames.VERSION} is spoken")
            if length > self.most or count > MOST_DESCRIPTORS:
                raise WireProblem("oversized", f"a frame of {length} bytes where {self.most} may be sent")
            end = at + 12 + length
            if end > size:
                if length > JOINED:
                    self._expected = count, check
                    self._large = bytearray(length)
                    self._filled = size - at - 12
                    self._large[: self._filled] = view[at + 12 :]
                    return
                break
            yield self._frame(view[at + 12 : end], count, check)
            at = end
        if at < size:
            self._part += view[at:]
            head = bytes(self._part[:2])
            if head != MAGIC[: len(head)]:
                raise WireProblem("not-frames", "what came is no frame of this protocol")

    def _frame(self, document: memoryview, count: int, check: int) -> tuple[frames.Any, tuple[int, ...]]:
        if _crc32(document, count) != check:
            raise WireProblem("checksum", "a frame was damaged on its way")
        try:
            frame = _decode(document)
        except (msgspec.DecodeError, ValueError, RecursionError):
            # What the codec says may quote what was sent.
            raise WireProblem("malformed", "a frame holds what no frame of this version holds") from None
        if not count:
            return frame, ()
        if count > len(self.descriptors):
            raise WireProblem("malformed", "a frame came without its open files")
        return frame, tuple(self.descriptors.popleft() for _ in range(count))
