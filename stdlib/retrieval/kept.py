"""The file of an index: what each document was cut into, and the vectors of its passages.

    magic · length of the table · rows · dimensions · table (JSON) · zeros up to 64 · vectors (f32) · SHA-256 of it all

It appears by a rename, so it is whole or the old one. It is mapped and not read: a search touches the vectors that it
compares. Whatever is not as it was written, by its hash, is as if there were no file.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...base.store import atomic_file
from .passages import Cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_MAGIC = b"agentlang index\n"
_HEAD = struct.Struct("<16sQQQ")
# A mapped file must not be written in place: who has another one renames it here.
READ_ONLY = 0o400
_ALIGNED = 64
_HASH = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """`cuts` by what a document hashes to, in the order of their vectors. `digest` names all of it."""

    cuts: Mapping[str, tuple[Cut, ...]]
    vectors: Vectors
    digest: str

    def starts(self) -> dict[str, int]:
        """The row at which the vectors of each document begin."""
        found: dict[str, int] = {}
        at = 0
        for name, cuts in self.cuts.items():
            found[name] = at
            at += len(cuts)
        return found


def keep(file: Path, cuts: Mapping[str, tuple[Cut, ...]], vectors: Vectors) -> Kept:
    """Write the file, where the disk lets us; what it holds either way."""
    table = {name: [[part.line, part.headings, part.body] for part in parts] for name, parts in cuts.items()}
    head = _head(json.dumps(table).encode(), *vectors.shape)
    digest = hashlib.sha256(head)
    data = memoryview(cast("Any", vectors)).cast("B")
    digest.update(data)
    try:
        with atomic_file(file, READ_ONLY) as out:
            out.write(head)
            out.write(data)
            out.write(digest.digest())
    except OSError:
        pass
    return Kept(cuts, vectors, digest.hexdigest())


def load(file: Path, dimensions: int) -> Kept | None:
    """What the file holds, or None where there is none that is whole."""
    import numpy as np

    try:
        with file.open("rb") as opened:
            whole = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    digest = hashlib.sha256(whole[:-_HASH])
    if len(whole) < _HEAD.size + _HASH or bytes(whole[-_HASH:]) != digest.digest():
        return None
    magic, length, rows, wide = _HEAD.unpack_from(whole)
    if magic != _MAGIC or wide != dimensions:
        return None
    table = cast("dict[str, list[list[Any]]]", json.loads(bytes(whole[_HEAD.size : _HEAD.size + length])))
    cuts = {
        name: tuple(Cut(int(line), str(headings), str(body)) for line, headings, body in parts)
        for name, parts in table.items()
    }
    vectors = np.frombuffer(whole, np.float32, rows * wide, _padded(_HEAD.size + length)).reshape(rows, wide)
    return Kept(cuts, vectors, digest.hexdigest())


def _head(table: bytes, rows: int, wide: int) -> bytes:
    head = _HEAD.pack(_MAGIC, len(table), rows, wide) + table
    return head.ljust(_padded(len(head)), b"\0")


def _padded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
