"""What workers are sent, by the hash of its bytes, and where a worker keeps it.

What is kept is looked at again each time: a file that is not what its name says is as good as none, and what comes is
refused unless it is what was asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...base import paths
from ...base.problems import OutsideError
from ...base.store import write_atomic
from . import problems
from .messages import Shipment, shipment

LARGEST = 256 << 20
"""Bytes of one file that a worker takes."""
_MOST = 1024
"""Files that are kept; the oldest go first."""


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Parcel:
    """An island as it is sent: the shipment's bytes, who stands for it, and the files that it names, by hash."""

    shipment: bytes
    signature: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def contents(self) -> Shipment:
        return shipment(self.shipment)


class Cellar:
    """What a worker keeps between runs."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or paths.private("shipped")
        self._coming: dict[str, bytearray] = {}

    def get(self, hash: str) -> bytes | None:
        """The file of that hash, if it is here and is that."""
        try:
            data = (self._folder / hash).read_bytes()
        except OSError:
            return None
        return data if hash_of(data) == hash else None

    def lacks(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(hash for hash in dict.fromkeys(wanted) if self.get(hash) is None)

    def piece(self, hash: str, data: bytes, last: bool) -> bool:
        """Take a piece; whether the file is whole. OutsideError (shipment-altered) where it is another or too large."""
        coming = self._coming.setdefault(hash, bytearray())
        coming += data
        if len(coming) > LARGEST:
            raise OutsideError(problems.shipment_altered(f"a file has more than {LARGEST >> 20} MiB"))
        if not last:
            return False
        whole = bytes(self._coming.pop(hash))
        if hash_of(whole) != hash:
            raise OutsideError(problems.shipment_altered("a file is not what its hash says"))
        write_atomic(self._folder / hash, whole, 0o600)
        self._prune()
        return True

    def _prune(self) -> None:
        kept = sorted((path.stat().st_mtime_ns, path) for path in self._folder.iterdir() if path.is_file())
        for _, path in kept[: max(0, len(kept) - _MOST)]:
            with suppress(OSError):
                path.unlink()

    def lay_out(self, contents: Shipment) -> Path:
        """The program's files in a folder of their own, below this one."""
        place = self._folder / "programs" / contents.digest[:32]
        for file in contents.files:
            path = place / file.path
            if not path.resolve().is_relative_to(place.resolve()):
                raise OutsideError(problems.shipment_altered(f"{file.path!r} leads out of the program's folder"))
            data = self.get(file.hash)
            if data is None:
                raise OutsideError(problems.shipment_altered(f"{file.path!r} is missing"))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != data:
                write_atomic(path, data, 0o600)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place
