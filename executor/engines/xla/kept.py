"""Compiled programs that are kept on disk, each made once on this machine.

A program is compiled ahead of time for one static shape and kept as XLA's own executable, because compiling costs
seconds and loading some ten milliseconds. XLA's loader unpickles, so the files live in the private folder and carry a
hash that is checked first; a file that is damaged or does not load is made again. The key holds all that the machine
code depends on.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import os
import pickle
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import jax
from jax.experimental import serialize_executable
from jaxlib.version import __version__ as jaxlib_version

from ....base import paths
from ....base.store import write_atomic

_MAGIC = b"agentlang xla 1\n"
Program = Callable[..., Any]


class KeptPrograms:
    """Programs by name. Methods block while they compile or load; they may be called from any thread.

    `key` names the mathematics and the code that writes it down. `keep` is a folder, or None to keep nothing.
    """

    def __init__(self, key: str, keep: Path | None) -> None:
        self._key = key
        self._keep = keep
        self._loaded: dict[str, Program] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()
        self.compiled: int = 0
        """How many were compiled rather than loaded, for tests and reports."""

    def get(self, name: str, function: Callable[[], tuple[Any, tuple[Any, ...]]]) -> Program:
        """The program of that name; `function` gives a jitted function and the shapes of its arguments.

        Arguments are arrays, or tuples and lists of arrays: their trees are kept along with the code.
        """
        with self._lock:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            found = self._loaded.get(name)
            if found is None:
                found = self._loaded[name] = self._make(name, function)
            return found

    def has(self, name: str) -> bool:
        """Whether the program of that name is loaded, or kept: to get it takes no more than milliseconds."""
        if name in self._loaded:
            return True
        path = self._path(name)
        return path is not None and path.is_file()

    def _make(self, name: str, function: Callable[[], tuple[Any, tuple[Any, ...]]]) -> Program:
        path = self._path(name)
        kept = None if path is None else _load(path)
        if kept is not None:
            return kept
        jitted, shapes = function()
        compiled = jitted.lower(*shapes).compile()
        with self._lock:
            self.compiled += 1
        if path is not None:
            _store(path, compiled)
        return compiled

    def _path(self, name: str) -> Path | None:
        if self._keep is None:
            return None
        digest = hashlib.sha256("\0".join((self._key, name, environment())).encode()).hexdigest()
        return self._keep / f"{name}-{digest[:24]}.xla"


def kept_programs() -> Path:
    """The private folder of kept executables."""
    return paths.private("xla")


@cache
def environment() -> str:
    """What machine code depends on besides the program: versions, flags, the processor and how many threads."""
    device = jax.devices()[0]
    processor = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n", 1)[0].splitlines()
        processor += "".join(line for line in lines if line.startswith(("flags", "Features", "model name")))
    except OSError:
        processor += platform.processor()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = os.environ.get("XLA_FLAGS", "")
    versions = (jax.__version__, jaxlib_version, platform.python_version())
    return "\0".join((*versions, device.platform, device.device_kind, processor, str(threads), flags))


def _store(path: Path, compiled: Any) -> None:
    # The trees are of plain tuples and lists, so pickle can hold them.
    body = pickle.dumps(serialize_executable.serialize(compiled))
    with suppress(OSError):
        # A full disk costs the next start its time; this run has its program.
        write_atomic(path, _MAGIC + hashlib.sha256(body).digest() + body, 0o600)


def _load(path: Path) -> Program | None:
    """The kept program, or None if there is none that loads."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + hashlib.sha256().digest_size
    body = data[head:]
    if data[:head] != _MAGIC + hashlib.sha256(body).digest():
        return None
    try:
        return serialize_executable.deserialize_and_load(*pickle.loads(body))
    except Exception:
        # Written by a version of XLA that says it is the same and is not: compile again.
        return None
