"""A package into its folder: beside its place first, then moved there whole.

What stands there already stays, unless it is a package itself; one that is the same is not touched. An interrupt leaves
the old package or the new one, never parts of either.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from .. import package_problems as problems
from ..base.problems import Problem
from .building import Package
from .names import NAME, SIGNATURE

_MARK = b'"agentlang package"'


def write(package: Package, folder: Path, signature: bytes | None = None) -> bool | Problem:
    """Whether anything had to be written; or why nothing was."""
    name = str(folder)
    files = {**package.files, NAME: package.manifest}
    if signature is not None:
        files[SIGNATURE] = signature
    try:
        there = _there(folder)
        if isinstance(there, str):
            return problems.not_ours(name, there)
        if there and same(files, folder):
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The folder around it is private; what is made inside gets the modes that the user's files get.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as around:
            made = Path(around) / "new"
            made.mkdir()
            for path, data in files.items():
                place = made / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            if folder.is_dir():
                folder.rename(Path(around) / "old")
            try:
                made.rename(folder)
            except BaseException:
                if (Path(around) / "old").is_dir():
                    (Path(around) / "old").rename(folder)
                raise
    except OSError as error:
        return problems.not_written(name, (error.strerror or str(error)).lower())
    return True


def _there(folder: Path) -> bool | str:
    """Whether a package, or an empty folder, stands there; or what else does."""
    try:
        info = folder.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(info.st_mode):
        return "is no folder"
    if next(folder.iterdir(), None) is None:
        return True
    manifest = folder / NAME
    if not manifest.is_file() or _MARK not in manifest.read_bytes():
        return "is no package"
    return True


def same(files: dict[str, bytes], folder: Path) -> bool:
    """Whether the folder holds these files and no others."""
    found: set[str] = set()
    for place, _, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        found |= {(inside / name).as_posix() for name in names}
    if found != set(files):
        return False
    return all(_digest((folder / path).read_bytes()) == _digest(data) for path, data in files.items())


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
