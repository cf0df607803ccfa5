"""Tensors of a CTranslate2 `model.bin`, mapped and not read: a list of named tensors, one behind the other.

The file is little-endian: the version of the format, the name of the model's kind and its revision, then for each
tensor its name, rank, sizes, type and bytes, then other names of tensors. Every size is checked against the file before
anything is believed, so that a file which is cut or made to harm is a `DamagedFile`, and costs no memory.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import DamagedFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VERSIONS = (5, 6)
_MOST_TENSORS = 65_536
_MOST_AXES = 8
# The types of numbers by their id, as NumPy names them; bf16 has no name there, and no speech model is in it.
_TYPES: dict[int, str] = {0: "<f4", 1: "|i1", 2: "<i2", 3: "<i4", 4: "<f2"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies."""

    type: str
    shape: tuple[int, ...]
    start: int
    size: int


class CTranslate2File:
    """The tensors of one file. Raises `DamagedFile` when made, `OSError` where the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 16:
                raise DamagedFile(f"{path.name} has {size} bytes, which is no CTranslate2 file")
            # The mapping stays when the file is closed.
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 0
        version = self._number("<I")
        if version not in _VERSIONS:
            raise DamagedFile(f"{path.name} is no CTranslate2 file of version {' or '.join(map(str, _VERSIONS))}")
        self.kind = self._text()
        self.revision = self._number("<I")
        self._places = dict(self._place() for _ in range(self._count()))
        for _ in range(self._count()):
            alias, meant = self._text(), self._text()
            if meant not in self._places:
                raise DamagedFile(f"{path.name} calls {alias!r} another name of {meant!r}, which it does not have")
            self._places[alias] = self._places[meant]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The sizes of each tensor by its name; a number alone has none."""
        return {name: place.shape for name, place in self._places.items()}

    def tensor(self, name: str, *shape: int) -> NDArray[Any]:
        """A tensor as it lies in the file, read-only. Raises `DamagedFile` if it is not there, or of another shape."""
        import numpy as np

        place = self._places.get(name)
        if place is None:
            raise DamagedFile(f"{self._name} has no tensor {name}")
        if place.shape != shape:
            raise DamagedFile(f"{self._name} has the shape {place.shape} for {name}, not {shape}")
        return np.frombuffer(self._data, place.type, prod(shape), place.start).reshape(shape)

    def number(self, name: str) -> int:
        """A whole number that the file holds under a name."""
        return int(self.tensor(name))

    # Reading from the front, never past the end.

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise DamagedFile(f"{self._name} ends at byte {len(self._data):,}, within what byte {self._at:,} begins")
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _count(self) -> int:
        count = self._number("<I")
        if count > _MOST_TENSORS:
            raise DamagedFile(f"{self._name} says that it has {count:,} tensors")
        return count

    def _text(self) -> str:
        data = self._take(self._number("<H"))
        try:
            return data.removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DamagedFile(f"{self._name} has a name before byte {self._at:,} that is no text") from error

    def _place(self) -> tuple[str, _Place]:
        name = self._text()
        axes = self._number("<B")
        if axes > _MOST_AXES:
            raise DamagedFile(f"{self._name} says that {name!r} has {axes} axes")
        shape = tuple(self._number("<I") for _ in range(axes))
        kind, size = self._number("<B"), self._number("<I")
        if kind not in _TYPES:
            raise DamagedFile(f"{self._name} holds {name!r} as numbers of the unknown type {kind}")
        # Python's numbers do not overflow, whatever the file says.
        if prod(shape) * int(_TYPES[kind][2]) != size:
            raise DamagedFile(f"{self._name} says that {name!r} has {size:,} bytes, which is not its shape {shape}")
        start = self._at
        if size > len(self._data) - start:
            raise DamagedFile(f"{self._name} ends within the tensor {name!r}")
        self._at += size
        return name, _Place(_TYPES[kind], shape, start, size)
