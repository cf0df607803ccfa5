"""Whether a GGUF file can be what it says, before native code reads it: every length against the bytes that are there.

llama.cpp checks much of this too, but its words are few, and an error in its reader costs a process. The walk costs
milliseconds, as it steps over what it does not need.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_WHOLE = {4: ("I", 4), 5: ("i", 4), 10: ("Q", 8), 11: ("q", 8)}
_COUNTS = ("context_length", "embedding_length", "feed_forward_length", "attention.head_count")
_MOST_FIGURE = 1 << 30
_MOST_DIMENSIONS, _MOST_DEPTH = 4, 4

# Bytes and values of a block by type of tensor; one that is not known here is left to the library.
_BLOCKS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 9: (36, 32), 10: (84, 256)}
    | {11: (110, 256), 12: (144, 256), 13: (176, 256), 14: (210, 256), 15: (292, 256), 24: (1, 1), 25: (2, 1)}
    | {26: (4, 1), 27: (8, 1), 28: (8, 1), 30: (2, 1)}
)


class Unsound(Exception):
    """The file is not what it says. The text goes on from its name."""


def check_header(path: Path) -> Mapping[str, int]:
    """The whole numbers among the file's fields, by name without the architecture (`block_count`).

    Raises `Unsound`, or `OSError` where the file cannot be read. Blocks.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 24:
            raise Unsound(f"has {size} bytes, too few for a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Walk(data, size).file()


def cache_bytes(figures: Mapping[str, int]) -> int | None:
    """About what a position of the cache takes, in f16; None where the file does not say."""
    heads = figures.get("attention.head_count", 0)
    width = figures.get("embedding_length", 0) // heads if heads else 0
    key, value = figures.get("attention.key_length", width), figures.get("attention.value_length", width)
    return 2 * figures.get("block_count", 0) * figures.get("attention.head_count_kv", heads) * (key + value) or None


class _Walk:
    def __init__(self, data: mmap.mmap, size: int) -> None:
        self._data = data
        self._size = size
        self._at = 0
        self._alignment = 32
        self._figures: dict[str, int] = {}

    def file(self) -> Mapping[str, int]:
        if self._data[:4] != b"GGUF":
            raise Unsound("is no GGUF file")
        self._at = 4
        version = self._number("I", 4)
        if version not in (2, 3):
            raise Unsound(f"is GGUF of version {version}; 2 and 3 are known")
        tensors, fields = self._number("Q", 8), self._number("Q", 8)
        self._fits(tensors, 32, "tensors")
        self._fits(fields, 13, "fields")
        for _ in range(fields):
            name, kind = self._text(), self._number("I", 4)
            if kind in _WHOLE:
                form, size = _WHOLE[kind]
                value = self._number(form, size)
                self._figures[name[:80].decode("utf-8", "replace").partition(".")[2]] = value
                if name == b"general.alignment":
                    self._alignment = value
            else:
                self._skip(kind, 0)
        if self._alignment <= 0 or self._alignment & (self._alignment - 1):
            raise Unsound(f"aligns its tensors to {self._alignment} bytes")
        for figure, most in (("block_count", tensors), *((name, _MOST_FIGURE) for name in _COUNTS)):
            if not 0 < self._figures.get(figure, 1) <= most:
                raise Unsound(f"says {self._figures[figure]:,} for its {figure}, which cannot be")
        ends = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // self._alignment) * self._alignment
        if start + max(ends, default=0) > self._size:
            missing = start + max(ends) - self._size
            raise Unsound(f"ends {missing:,} bytes before its tensors do: it is cut off, or its sizes lie")
        return self._figures

    def _tensor(self) -> int:
        name = self._text()
        shown = name[:80].decode("utf-8", "replace")
        count = self._number("I", 4)
        if not 0 < count <= _MOST_DIMENSIONS:
            raise Unsound(f"has a tensor {shown!r} of {count} dimensions")
        sizes = [self._number("Q", 8) for _ in range(count)]
        kind, offset = self._number("I", 4), self._number("Q", 8)
        if offset % self._alignment:
            raise Unsound(f"has its tensor {shown!r} at a place that is not aligned")
        values = 1
        for size in sizes:
            values *= size
        if values <= 0 or values >= 1 << 63:
            raise Unsound(f"has a tensor {shown!r} of the impossible shape {sizes}")
        if kind not in _BLOCKS:
            return offset
        per_block, block = _BLOCKS[kind]
        if sizes[0] % block:
            raise Unsound(f"has a tensor {shown!r} whose rows of {sizes[0]} are no whole blocks of {block}")
        return offset + values // block * per_block

    def _skip(self, kind: int, depth: int) -> None:
        if kind == _STRING:
            self._text()
        elif kind == _ARRAY and depth < _MOST_DEPTH:
            inner, count = self._number("I", 4), self._number("Q", 8)
            if inner in _SIZES:
                self._fits(count, _SIZES[inner], "items")
                self._at += count * _SIZES[inner]
            else:
                self._fits(count, 8, "items")
                for _ in range(count):
                    self._skip(inner, depth + 1)
        elif kind in _SIZES:
            self._fits(1, _SIZES[kind], "values")
            self._at += _SIZES[kind]
        else:
            raise Unsound(f"has a field of the unknown type {kind}")

    def _text(self) -> bytes:
        length = self._number("Q", 8)
        self._fits(length, 1, "bytes of text")
        start = self._at
        self._at += length
        return self._data[start : self._at]

    def _number(self, form: str, size: int) -> int:
        self._fits(1, size, "numbers")
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += size
        return int(value)

    def _fits(self, count: int, each: int, what: str) -> None:
        if count > (self._size - self._at) // each:
            raise Unsound(f"says to hold {count:,} {what} where {self._size - self._at:,} bytes are left")
