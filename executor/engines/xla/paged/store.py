"""Pages that made way: in ordinary memory, and in files of a private folder. Carries out what the scheduler orders.

A file holds the keys and values of one page, of all layers, behind a mark, the page's name and a SHA-256 of what
follows. It appears whole or not at all, is read by nobody else (mode 0600 in a folder of 0700), and one that is
damaged, cut short or of another page is removed and counts as not there: a page that is wrong would become a strange
reply.

The folder is named by all that the numbers depend on: the model's weights, the mathematics, the type, the layout. So a
process finds what others of the same model left there. Together they keep to `most` bytes: whoever writes removes what
was used longest ago.

Files are written and read in a thread of their own, one after the other. Memory is touched by the device's thread
alone, but for what that thread is to write.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np

from .....base import paths
from .....base.store import write_atomic
from .pool import KeysValues

_MAGIC = b"agentlang kv 1\n"
_SUFFIX = ".kv"
_LATE = 0.2
"""What the last measurement counts in their mean."""

_FADES = 0.98

Shape = tuple[int, int, int, int, int]
"""Layers, 2, key-value heads, positions, numbers in a head."""
Told = Callable[[str, bool], None]


def folder_of(identity: str, dtype: str, shape: Shape) -> Path:
    """Where pages of such a model lie, made if it is not there. Raises OSError, `UnsafeFolder`."""
    digest = hashlib.sha256("\0".join((identity, dtype, repr(shape), _MAGIC.decode())).encode()).hexdigest()[:32]
    folder = paths.private("kv") / digest
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    return folder


class PageStore:
    """`folder` None is no disk. `fetched` hears of what was read or is not there, `spoilt` of what could not be
    written, both in another thread."""

    def __init__(
        self, shape: Shape, folder: Path | None, most: float, fetched: Told, spoilt: Callable[[str], None]
    ) -> None:
        self._shape = shape
        self._folder = folder
        self._most = most
        self._fetched, self._spoilt = fetched, spoilt
        self._host: dict[str, Any] = {}
        self._writing: dict[str, Any] = {}
        self._come: dict[str, Any] = {}
        """Read, and not taken in yet."""
        self._lock = threading.Lock()
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.save_seconds = self.load_seconds = self.read_seconds = 0.0
        """Of a page, as seen of late; 0 where nothing was seen."""
        self.saved = self.loaded = self.read = self.written = self.damaged = 0

    @property
    def page_bytes(self) -> int:
        return 4 * int(np.prod(self._shape))

    @property
    def host(self) -> int:
        """Pages in memory."""
        return len(self._host)

    def kept(self, most: int) -> tuple[str, ...]:
        """What is on the disk since another time, that used longest ago first."""
        found = [(stamp, name) for stamp, name, _ in self._files()]
        return tuple(name for _, name in sorted(found)[-most:]) if most else ()

    # In the device's thread.

    def save(self, name: str, layers: Iterable[KeysValues]) -> None:
        began = perf_counter()
        self._host[name] = np.stack([np.stack(both) for both in layers])
        self.saved += 1
        self.save_seconds = _mean(self.save_seconds, perf_counter() - began)

    def load(self, name: str) -> list[KeysValues]:
        """What is in memory under that name."""
        self.loaded += 1
        return [(both[0], both[1]) for both in self._host[name]]

    def took(self, seconds: float) -> None:
        """A page was brought back."""
        self.load_seconds = _mean(self.load_seconds, seconds)

    def fade(self) -> None:
        """What was seen counts less and less: what did not pay while the machine was busy is tried again."""
        self.save_seconds, self.load_seconds = _FADES * self.save_seconds, _FADES * self.load_seconds
        self.read_seconds *= _FADES

    def spill(self, name: str) -> None:
        page = self._host.pop(name)
        with self._lock:
            self._writing[name] = page
        self._do(lambda: self._write(name))

    def fetch(self, names: Iterable[str]) -> None:
        for name in names:
            self._do(lambda name=name: self._read(name))

    def arrived(self, name: str) -> None:
        """What was read is in memory from now on."""
        with self._lock:
            page = self._come.pop(name)
        self._host.setdefault(name, page)

    def forget(self, name: str, disk: bool) -> None:
        if not disk:
            del self._host[name]
        else:
            self._do(lambda: self._remove(name))

    def clear(self) -> None:
        """Nothing is in memory any more."""
        self._host.clear()
        with self._lock:
            self._come.clear()

    def close(self) -> None:
        """What is to be written is written first."""
        self.clear()
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        self._work.put(None)
        if thread is not None:
            thread.join()

    # In a thread of its own.

    def _do(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                return
            self._work.put(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pages on disk", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            work = self._work.get()
            if work is None:
                return
            work()

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}{_SUFFIX}"

    def _write(self, name: str) -> None:
        page = self._writing[name]
        try:
            body = np.ascontiguousarray(page, "<f4").tobytes()
            write_atomic(self._path(name), _head(name, body) + body, 0o600)
            self.written += 1
            self._trim()
        except OSError:
            self._spoilt(name)
        finally:
            with self._lock:
                del self._writing[name]

    def _read(self, name: str) -> None:
        began = perf_counter()
        path = self._path(name)
        page: Any = None
        with suppress(OSError):
            data = path.read_bytes()
            head = len(_head(name, b""))
            if len(data) == head + self.page_bytes and data[:head] == _head(name, data[head:]):
                page = np.frombuffer(data, "<f4", offset=head).astype(np.float32, copy=False).reshape(self._shape)
                os.utime(path)
            else:
                self.damaged += 1
                path.unlink()
        if page is not None:
            self.read += 1
            self.read_seconds = _mean(self.read_seconds, perf_counter() - began)
            with self._lock:
                self._come[name] = page
        self._fetched(name, page is not None)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def _files(self) -> list[tuple[float, str, int]]:
        out: list[tuple[float, str, int]] = []
        if self._folder is None:
            return out
        with suppress(OSError), os.scandir(self._folder) as found:
            for each in found:
                with suppress(OSError):
                    if each.name.endswith(_SUFFIX):
                        stat = each.stat(follow_symlinks=False)
                        out.append((stat.st_mtime, each.name.removesuffix(_SUFFIX), stat.st_size))
        return out

    def _trim(self) -> None:
        """Others may write here too: who has the last of them removed finds it missing."""
        files = sorted(self._files())
        over = sum(size for _, _, size in files) - self._most
        for _, name, size in files:
            if over <= 0:
                return
            self._remove(name)
            over -= size


def _head(name: str, body: bytes) -> bytes:
    return _MAGIC + name.encode() + hashlib.sha256(name.encode() + body).digest()


def _mean(before: float, now: float) -> float:
    return now if not before else before + _LATE * (now - before)
