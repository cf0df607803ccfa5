"""Sound as a value: 16-bit samples of one channel, and how fast they follow each other; WAV files in and out.

This is what an `Audio` of the language is at run time, from the command line to the models, so it knows no numerical
library. A WAV file is read piece by piece: a recording may be long, and standard input has no end. Chunks that are not
understood are skipped; what a header says is never believed beyond what is there.
"""

from __future__ import annotations

import base64
import binascii
import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

RATE = 16_000
"""Samples a second of sound that does not say its own: what speech models hear."""
RATES = (4_000, 384_000)
_MOST_CHANNELS = 64
_LONGEST_HEAD = 1 << 20
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of sound: `pcm` has two bytes a sample, little-endian, signed; `rate` is in samples a second."""

    pcm: bytes
    rate: int = RATE

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate

    def __repr__(self) -> str:
        return f"Audio({self.seconds:.3f} s at {self.rate} Hz)"


class NotSound(Exception):
    """Bytes that are no sound that can be read. The text says why."""


def wav(pieces: Iterable[Audio]) -> bytes:
    """A WAV file of the pieces, which are all of one rate."""
    held = tuple(pieces)
    rate = held[0].rate if held else RATE
    if any(piece.rate != rate for piece in held):
        raise ValueError("pieces of several rates are no one file")
    data = b"".join(piece.pcm for piece in held)
    return header(rate, len(data)) + data


def header(rate: int, size: int) -> bytes:
    """What stands in front of `size` bytes of samples in a WAV file."""
    form = struct.pack("<HHIIHH", _PCM, 1, rate, rate * 2, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + (b"data" + struct.pack("<I", min(size, 0xFFFFFFFF)))
    )


def encoded(audio: Audio) -> str:
    """The sound as text, for JSON: a WAV file in base64."""
    return base64.b64encode(wav((audio,))).decode("ascii")


def decoded(text: str) -> Audio:
    """Sound from such a text. Raises `NotSound`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotSound("it is not base64") from error
    if not data.startswith(b"RIFF"):
        raise NotSound("it is no WAV file")
    return whole(data)


def whole(data: bytes) -> Audio:
    """The sound of a whole file: WAV, or samples alone at 16 kHz. Raises `NotSound`."""
    reader = Reader()
    pieces = [piece for piece in (*reader.feed(data), *reader.end()) if piece.pcm]
    return Audio(b"".join(piece.pcm for piece in pieces), pieces[0].rate if pieces else reader.rate)


class Reader:
    """Sound out of bytes as they arrive: a WAV file, or without its header 16-bit samples of one channel at 16 kHz."""

    def __init__(self) -> None:
        self._rest = b""
        self._form: _Form | None = None
        self._head: bytes | None = b""  # None once the samples are reached.
        self._left: int | None = None  # Bytes of samples that are still to come; None: until the end.

    @property
    def rate(self) -> int:
        return self._form.rate if self._form is not None else RATE

    def feed(self, data: bytes) -> list[Audio]:
        """The sound that is whole now. Raises `NotSound`."""
        if self._head is not None:
            self._head += data
            found = _samples_at(self._head)
            if found is None:
                if len(self._head) > _LONGEST_HEAD:
                    raise NotSound("no samples begin within its first 1 MiB")
                return []
            self._form, start, self._left = found
            data, self._head = self._head[start:], None
        assert self._form is not None
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._rest += data
        usable = len(self._rest) - len(self._rest) % self._form.block
        taken, self._rest = self._rest[:usable], self._rest[usable:]
        return [Audio(self._form.mono(taken), self._form.rate)] if taken else []

    def end(self) -> list[Audio]:
        """There are no more bytes. What came in so few that its kind was not told is samples. Raises `NotSound`."""
        if self._head:
            if self._head.startswith(b"RIFF"):
                raise NotSound("it is a WAV file that ends before its samples")
            rest, self._head, self._form = self._head, None, _RAW
            return self.feed(rest)
        return []


@dataclass(frozen=True, slots=True)
class _Form:
    """How samples lie in a file."""

    kind: int
    channels: int
    rate: int
    bytes: int

    @property
    def block(self) -> int:
        return self.channels * self.bytes

    def mono(self, data: bytes) -> bytes:
        """16-bit samples of one channel: the mean of all."""
        if self == _Form(_PCM, 1, self.rate, 2):
            return data
        samples = self._read(data)
        if self.channels > 1:
            count = self.channels
            parts = [samples[number::count] for number in range(count)]
            samples = array("h", (sum(together) // count for together in zip(*parts, strict=True)))
        if sys.byteorder == "big":
            samples.byteswap()
        return samples.tobytes()

    def _read(self, data: bytes) -> array[int]:
        if self.kind == _FLOAT:
            given = array("f" if self.bytes == 4 else "d")
            given.frombytes(data)
            if sys.byteorder == "big":
                given.byteswap()
            # What is no number is silence: comparisons with it are false.
            return array("h", (int(max(-1.0, min(1.0, x)) * 32767) if x == x else 0 for x in given))
        if self.bytes == 1:
            return array("h", ((value - 128) << 8 for value in data))
        # The upper two bytes of each sample are its 16 bits.
        upper = bytearray(len(data) // self.bytes * 2)
        upper[::2], upper[1::2] = data[self.bytes - 2 :: self.bytes], data[self.bytes - 1 :: self.bytes]
        found = array("h")
        found.frombytes(bytes(upper))
        if sys.byteorder == "big":
            found.byteswap()
        return found


_RAW = _Form(_PCM, 1, RATE, 2)


def _samples_at(head: bytes) -> tuple[_Form, int, int | None] | None:
    """How samples lie, where they begin and how many bytes of them come; None while that cannot be told."""
    if not head.startswith(b"RIFF"[: len(head)]):
        return _RAW, 0, None
    if len(head) < 12:
        return None
    if head[8:12] != b"WAVE":
        raise NotSound("it is a RIFF file, but no WAV")
    at, form = 12, None
    while len(head) >= at + 8:
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"data":
            if form is None:
                raise NotSound("its samples come before it says what they are")
            # Who writes without knowing the length says none, or the most there can be.
            return form, at + 8, size if 0 < size < 0x7FFFF000 else None
        if name == b"fmt ":
            if not 16 <= size <= 4096:
                raise NotSound("it does not say what its samples are")
            if len(head) < at + 8 + size:
                return None
            form = _form(head[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return None


def _form(data: bytes) -> _Form:
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", data)
    if kind == _EXTENSIBLE and len(data) >= 26:
        kind = struct.unpack_from("<H", data, 24)[0]
    wide = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}.get(kind)
    if wide is None:
        raise NotSound(f"its samples are compressed (format {kind}), and not PCM")
    if bits not in wide:
        raise NotSound(f"it has samples of {bits} bits")
    if not 1 <= channels <= _MOST_CHANNELS or block != channels * bits // 8:
        raise NotSound(f"it has {channels} channels in blocks of {block} bytes")
    if not RATES[0] <= rate <= RATES[1]:
        raise NotSound(f"it has {rate:,} samples a second")
    return _Form(kind, channels, rate, bits // 8)
