"""What was built before, by what it was built of: an unchanged program costs the time to read it.

Each result is one file in a private folder, named by the hash of everything that it depends on, with the hash of its
own bytes in front: one that is damaged is built again. Who builds holds a lock on that name, so that two processes that
want the same thing do it once. Nothing is pickled, but what lies here is believed, so the folder is this user's alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from . import __version__
from .base import paths
from .base.store import write_atomic

_MAGIC = b"agentlang build 1\n"
_HEAD = len(_MAGIC) + 32
_MOST = 2048
"""Results that are kept; the ones not asked for the longest go first."""
_LOCK_KEPT = 24 * 3600 * 10**9
_TOPS = ("base", "lang", "ir", "planner", "executor", "stdlib")
_SUFFIXES = (".py", ".agent", ".json", ".toml", ".lark")
_OUTSIDE = ("torch_mlir", "jax", "jaxlib", "numpy")


def silent() -> None:
    """Waiting is told to nobody."""


def key(*parts: object) -> str:
    """The name of a result: of what it was asked for (JSON data), and of all the code that could have a say in it."""
    text = json.dumps([stamp(), *parts], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def recall(name: str) -> bytes | None:
    """The result of that name, if it is kept and whole."""
    path = _path(name)
    body = None if path is None else _read(path)
    if path is None or body is None:
        return None
    with suppress(OSError):
        os.utime(path)
    return body


def keep(name: str, body: bytes) -> None:
    """Keep a result. A home that cannot be written costs the next build its time, and no result."""
    path = _path(name)
    if path is not None:
        with suppress(OSError):
            write_atomic(path, _MAGIC + hashlib.sha256(body).digest() + body, 0o600)
            _prune(path.parent)


@contextmanager
def alone(name: str, waiting: Callable[[], None] = silent) -> Generator[None]:
    """Hold the name while building it: who comes second looks again when it is free. `waiting` is called meanwhile."""
    path = _path(name)
    if path is None or os.name != "posix":
        yield
        return
    from .stdlib.store.lock import locked

    with locked(path.with_suffix(".lock"), waiting):
        yield


def once(name: str, make: Callable[[], bytes | None], waiting: Callable[[], None] = silent) -> bytes | None:
    """The kept result, or what `make` gives now, kept. None is not kept."""
    found = recall(name)
    if found is not None:
        return found
    with alone(name, waiting):
        found = recall(name)
        if found is None:
            found = make()
            if found is not None:
                keep(name, found)
        return found


@cache
def stamp() -> str:
    """Names the code that builds: our version, our files as they are on this disk, and the libraries behind them.

    Files by name, size and time, not by content, which would cost more than a build saves.
    """
    seen = [__version__, sys.version]
    package = __package__ or "agentlang"
    for top in _TOPS:
        spec = find_spec(f"{package}.{top}")
        for folder in (spec.submodule_search_locations if spec else None) or ():
            seen += sorted(_files(folder))
    for module in _OUTSIDE:
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            seen.append(f"{module} {_mark(Path(spec.origin).stat())}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIXES):
                yield f"{entry.path} {_mark(entry.stat())}"
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _files(entry.path)


def _mark(info: os.stat_result) -> str:
    return f"{info.st_size} {info.st_mtime_ns}"


def _path(name: str) -> Path | None:
    try:
        return paths.private("builds") / name
    except OSError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = data[_HEAD:]
    return body if data[:_HEAD] == _MAGIC + hashlib.sha256(body).digest() else None


def _prune(folder: Path) -> None:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    kept = sorted((entry.stat().st_mtime_ns, entry) for entry in entries)
    results = [entry for _, entry in kept if entry.suffix != ".lock"]
    # A lock that somebody holds or waits for was opened a moment ago.
    stale = [entry for at, entry in kept if entry.suffix == ".lock" and time.time_ns() - at > _LOCK_KEPT]
    for old in (*results[: max(0, len(results) - _MOST)], *stale):
        old.unlink(missing_ok=True)
