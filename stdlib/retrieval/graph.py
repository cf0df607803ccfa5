"""The graph of an index: which vectors are near each other, so that a search looks at some hundred of them and not at
all (HNSW, by usearch).

It is a file beside the index, mapped into memory when it is opened, not read. The library trusts what it maps, and a
byte that was changed could lead it anywhere; so a file is used only if its hash says that it is whole, and that it is
of these vectors with these settings. Anything else is built again: the vectors are there.
"""

# usearch's annotations name types that it does not export.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...base.store import atomic_file
from .kept import READ_ONLY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Neighbours of a vector; vectors looked at to find them; vectors looked at in a search. Rows are kept as f16: a search
# ends with the exact vectors of what it found, so that what is lost is a neighbour now and then, never a figure.
CONNECTIVITY, BUILDING, SEARCHING = 16, 128, 400
DTYPE = "f16"
_AT_ONCE = 4_096  # vectors added between two reports


def available() -> bool:
    """Whether usearch is installed. Without it every search is exact."""
    return find_spec("usearch") is not None


class Graph:
    """Finds rows that are near a vector. Thread-safe."""

    def __init__(self, index: Any, held: object = None) -> None:
        self._index = index
        self._held = held  # what the index is mapped from
        self._lock = Lock()

    def near(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """About `count` rows that are nearest, in no order; one that is nearer may be missing."""
        with self._lock:
            return self._index.search(vector, count, exact=False).keys.astype("int64")


def open_graph(
    file: Path, rows: NDArray[np.float32], digest: str, progress: Callable[[int], None] | None = None
) -> Graph:
    """The graph of rows whose digest that is: from the file, or built and kept there. `progress` hears how many rows
    were added so far. A disk that cannot keep the file costs the next start its time and nothing else."""
    tail = _tail(rows, digest)
    found = _mapped(file, rows, tail)
    if found is not None:
        return found
    index = _empty(rows.shape[1])
    for start in range(0, len(rows), _AT_ONCE):
        if progress is not None:
            progress(start)
        part = rows[start : start + _AT_ONCE]
        index.add(_numbers(start, len(part)), part, threads=os.cpu_count() or 1)
    with suppress(OSError):
        _keep(file, index, tail)
        return _mapped(file, rows, tail) or Graph(index)
    return Graph(index)


def _numbers(start: int, count: int) -> NDArray[np.uint64]:
    import numpy as np

    return np.arange(start, start + count, dtype=np.uint64)


@cache
def _library() -> tuple[Any, str]:
    """usearch's index, and its version.

    Its wheel for Linux holds a C++ runtime of its own and shows it to whatever is loaded later, which then mixes both:
    ONNX Runtime crashed as it was imported. The system's runtime, loaded first for all, is what every library takes.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)
    from usearch import __version__, index

    return index.Index, str(__version__)


def _empty(dimensions: int) -> Any:
    return _library()[0](
        ndim=dimensions,
        metric="ip",
        dtype=DTYPE,
        connectivity=CONNECTIVITY,
        expansion_add=BUILDING,
        expansion_search=SEARCHING,
        enable_key_lookups=False,
    )


def _tail(rows: NDArray[np.float32], digest: str) -> bytes:
    """Names what a graph is of: the rows, the settings and the library that wrote it."""
    settings = [digest, *rows.shape, CONNECTIVITY, BUILDING, DTYPE, _library()[1]]
    return hashlib.sha256(json.dumps(settings).encode()).digest()


def _keep(file: Path, index: Any, tail: bytes) -> None:
    body = memoryview(index.save())
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(file, READ_ONLY) as out:
        out.write(body)
        out.write(tail)
        out.write(hashlib.sha256(body).digest())


def _mapped(file: Path, rows: NDArray[np.float32], tail: bytes) -> Graph | None:
    """The graph in a file, or None for a file that is not whole or is another's."""
    try:
        with file.open("rb") as opened:
            held = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    whole = memoryview(held)
    body, ends = whole[:-64], bytes(whole[-64:])
    if ends != tail + hashlib.sha256(body).digest():
        body.release()
        whole.release()
        held.close()
        return None
    index = _empty(rows.shape[1])
    try:
        index.view(body)
    except Exception:  # the library has no common base for its errors
        return None
    return Graph(index, body) if len(index) == len(rows) else None
