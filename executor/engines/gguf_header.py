"""What a GGUF file says of itself, with every length held against the bytes that are there: no more is read, and no
more memory taken, than the file has. A file that cannot be what it says is refused before anything native sees it.

llama.cpp checks much of this too, but its words are few, and an error in its reader costs a process. The walk steps
over what nobody asks for: milliseconds, and some hundred for a vocabulary of 128,000.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_STRING, _ARRAY, _BOOL = 8, 9, 7
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SIZES = {kind: struct.calcsize(f"<{form}") for kind, form in _FORMS.items()}
_WHOLE = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
_COUNTS = ("context_length", "embedding_length", "feed_forward_length", "attention.head_count")
_MOST_FIGURE = 1 << 30
_MOST_DIMENSIONS, _MOST_DEPTH = 4, 4
_MOST_FIELDS, _MOST_TENSORS, _MOST_NAME = 1 << 16, 1 << 16, 1 << 16
_MOST_TEXTS = 1 << 22
"""Texts in all arrays together: a vocabulary with its merges has a tenth of that."""

# Bytes and values of a block by type of tensor; one that is not known here is left to the library.
_BLOCKS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 9: (36, 32), 10: (84, 256)}
    | {11: (110, 256), 12: (144, 256), 13: (176, 256), 14: (210, 256), 15: (292, 256), 24: (1, 1), 25: (2, 1)}
    | {26: (4, 1), 27: (8, 1), 28: (8, 1), 30: (2, 1)}
    | {16: (66, 256), 17: (74, 256), 18: (98, 256), 19: (50, 256), 20: (18, 32), 21: (110, 256), 22: (82, 256)}
    | {23: (136, 256), 29: (56, 256), 34: (54, 256), 35: (66, 256), 39: (17, 32)}
)


class Unsound(Exception):
    """The file is not what it says. The text goes on from its name."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value of the header: its type, for an array that of its items and how many, and where its bytes begin."""

    kind: int
    at: int
    item: int | None = None
    count: int = 1


_Fits = Callable[[Field], bool]


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor: its sizes with the innermost first, its type as GGUF numbers it, and where its bytes are in the file.
    `size` is None for a type that is not known here."""

    name: str
    sizes: tuple[int, ...]
    kind: int
    at: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Header:
    """A file that is what it says. Contents are read when they are asked for; what is missing is None.

    Reading raises `Unsound` for a field of another type and for text that is none, and `OSError`.
    """

    path: Path
    fields: Mapping[str, Field]
    tensors: Mapping[str, TensorEntry]
    figures: Mapping[str, int]
    """The whole numbers among the fields, by name without the architecture (`block_count`)."""

    def text(self, name: str) -> str | None:
        found = self._of(name, lambda field: field.kind == _STRING, "a text")
        return None if found is None else self._texts(name, found.at, 1)[0]

    def texts(self, name: str) -> list[str] | None:
        found = self._of(name, lambda field: field.item == _STRING, "a list of texts")
        return None if found is None else self._texts(name, found.at, found.count)

    def whole(self, name: str) -> int | None:
        found = self._of(name, lambda field: field.kind in _WHOLE, "a whole number")
        return None if found is None else int(self._numbers(found.at, found.kind, 1)[0])

    def wholes(self, name: str) -> list[int] | None:
        found = self._of(name, lambda field: field.item in _WHOLE, "a list of whole numbers")
        if found is None or found.item is None:
            return None
        return [int(number) for number in self._numbers(found.at, found.item, found.count)]

    def number(self, name: str) -> float | None:
        found = self._of(name, lambda field: field.kind in _FORMS, "a number")
        return None if found is None else float(self._numbers(found.at, found.kind, 1)[0])

    def flag(self, name: str) -> bool | None:
        found = self._of(name, lambda field: field.kind == _BOOL, "a yes or no")
        return None if found is None else bool(self._numbers(found.at, found.kind, 1)[0])

    def _of(self, name: str, fits: _Fits, what: str) -> Field | None:
        found = self.fields.get(name)
        if found is not None and not fits(found):
            raise Unsound(f"has a {name} that is not {what}")
        return found

    def _numbers(self, at: int, kind: int, count: int) -> tuple[float, ...]:
        with self.path.open("rb") as file:
            file.seek(at)
            raw = file.read(count * _SIZES[kind])
        try:
            return struct.unpack(f"<{count}{_FORMS[kind]}", raw)
        except struct.error:
            raise Unsound("became shorter while it was read") from None

    def _texts(self, name: str, at: int, count: int) -> list[str]:
        found: list[str] = []
        with self.path.open("rb") as file:
            file.seek(at)
            try:
                for _ in range(count):
                    (size,) = struct.unpack("<Q", file.read(8))
                    found.append(file.read(size).decode("utf-8"))
            except UnicodeDecodeError as error:
                raise Unsound(f"has text in {name} that is none ({error.reason} at byte {error.start})") from None
            except (struct.error, OverflowError, MemoryError):
                raise Unsound("became another while it was read") from None
        return found


def read_header(path: Path) -> Header:
    """Raises `Unsound`, or `OSError` where the file cannot be read. Blocks."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 24:
            raise Unsound(f"has {size} bytes, too few for a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Walk(path, data, size).file()


def cache_bytes(figures: Mapping[str, int]) -> int | None:
    """About what a position of the cache takes, in f16; None where the file does not say."""
    heads = figures.get("attention.head_count", 0)
    width = figures.get("embedding_length", 0) // heads if heads else 0
    key, value = figures.get("attention.key_length", width), figures.get("attention.value_length", width)
    return 2 * figures.get("block_count", 0) * figures.get("attention.head_count_kv", heads) * (key + value) or None


class _Walk:
    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self._path = path
        self._data = data
        self._size = size
        self._at = 0
        self._alignment = 32
        self._texts = 0
        self._fields: dict[str, Field] = {}
        self._figures: dict[str, int] = {}

    def file(self) -> Header:
        if self._data[:4] != b"GGUF":
            raise Unsound("is no GGUF file")
        self._at = 4
        version = self._number("I", 4)
        if version not in (2, 3):
            raise Unsound(f"is GGUF of version {version}; 2 and 3 are known")
        tensors, fields = self._number("Q", 8), self._number("Q", 8)
        self._fits(tensors, 32, "tensors")
        self._fits(fields, 13, "fields")
        if tensors > _MOST_TENSORS or fields > _MOST_FIELDS:
            raise Unsound(f"has {tensors:,} tensors and {fields:,} fields, more than any model")
        for _ in range(fields):
            self._field()
        if self._alignment <= 0 or self._alignment & (self._alignment - 1):
            raise Unsound(f"aligns its tensors to {self._alignment} bytes")
        for figure, most in (("block_count", tensors), *((name, _MOST_FIGURE) for name in _COUNTS)):
            if not 0 < self._figures.get(figure, 1) <= most:
                raise Unsound(f"says {self._figures[figure]:,} for its {figure}, which cannot be")
        entries = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // self._alignment) * self._alignment
        found = {
            entry.name: TensorEntry(entry.name, entry.sizes, entry.kind, start + entry.at, entry.size)
            for entry in entries
        }
        if len(found) < len(entries):
            raise Unsound("has two tensors of one name")
        self._apart(list(found.values()))
        return Header(self._path, self._fields, found, self._figures)

    def _apart(self, entries: list[TensorEntry]) -> None:
        """All tensors are in the file, and none in another."""
        end = max((entry.at + (entry.size or 0) for entry in entries), default=0)
        if end > self._size:
            missing = end - self._size
            raise Unsound(f"ends {missing:,} bytes before its tensors do: it is cut off, or its sizes lie")
        before: TensorEntry | None = None
        for entry in sorted(entries, key=lambda entry: entry.at):
            if before is not None and entry.at < before.at + (before.size or 0):
                raise Unsound(f"has its tensors {before.name!r} and {entry.name!r} at one place")
            before = entry

    def _field(self) -> None:
        name, kind = self._name("fields"), self._number("I", 4)
        if name in self._fields:
            raise Unsound(f"has two fields {name[:80]!r}")
        at = self._at
        if kind in _WHOLE:
            value = self._number(_FORMS[kind], _SIZES[kind])
            self._figures[name[:80].partition(".")[2]] = value
            if name == "general.alignment":
                self._alignment = value
            self._fields[name] = Field(kind, at)
        elif kind == _ARRAY:
            self._fits(1, 12, "arrays")
            item, count = struct.unpack_from("<IQ", self._data, at)
            self._skip(kind, 0)
            self._fields[name] = Field(kind, at + 12, item, count)
        else:
            self._skip(kind, 0)
            self._fields[name] = Field(kind, at)

    def _tensor(self) -> TensorEntry:
        """An entry whose place is counted from the first tensor on."""
        name = self._name("tensors")
        shown = name[:80]
        count = self._number("I", 4)
        if not 0 < count <= _MOST_DIMENSIONS:
            raise Unsound(f"has a tensor {shown!r} of {count} dimensions")
        sizes = tuple([self._number("Q", 8) for _ in range(count)])
        kind, offset = self._number("I", 4), self._number("Q", 8)
        if offset % self._alignment:
            raise Unsound(f"has its tensor {shown!r} at a place that is not aligned")
        values = 1
        for size in sizes:
            values *= size
        if values <= 0 or values >= 1 << 63:
            raise Unsound(f"has a tensor {shown!r} of the impossible shape {list(sizes)}")
        if kind not in _BLOCKS:
            return TensorEntry(name, sizes, kind, offset, None)
        per_block, block = _BLOCKS[kind]
        if sizes[0] % block:
            raise Unsound(f"has a tensor {shown!r} whose rows of {sizes[0]} are no whole blocks of {block}")
        return TensorEntry(name, sizes, kind, offset, values // block * per_block)

    def _skip(self, kind: int, depth: int) -> None:
        if kind == _STRING:
            self._text()
        elif kind == _ARRAY and depth < _MOST_DEPTH:
            item, count = self._number("I", 4), self._number("Q", 8)
            if item in _SIZES:
                self._fits(count, _SIZES[item], "items")
                self._at += count * _SIZES[item]
            else:
                self._fits(count, 8, "items")
                self._texts += count
                if self._texts > _MOST_TEXTS:
                    raise Unsound(f"has lists of more than {_MOST_TEXTS:,} texts")
                for _ in range(count):
                    self._skip(item, depth + 1)
        elif kind in _SIZES:
            self._fits(1, _SIZES[kind], "values")
            self._at += _SIZES[kind]
        else:
            raise Unsound(f"has a field of the unknown type {kind}")

    def _name(self, of: str) -> str:
        start, length = self._at + 8, self._text()
        if length > _MOST_NAME:
            raise Unsound(f"has names of {length:,} bytes among its {of}")
        return self._data[start : start + length].decode("utf-8", "backslashreplace")

    def _text(self) -> int:
        """Steps over a text; its length."""
        length = self._number("Q", 8)
        self._fits(length, 1, "bytes of text")
        self._at += length
        return length

    def _number(self, form: str, size: int) -> int:
        self._fits(1, size, "numbers")
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += size
        return int(value)

    def _fits(self, count: int, each: int, what: str) -> None:
        if count > (self._size - self._at) // each:
            raise Unsound(f"says to hold {count:,} {what} where {self._size - self._at:,} bytes are left")
