"""Compiled programs of one model, each made once on this machine.

A program is compiled ahead of time for one static shape and kept on disk as XLA's own executable, because compiling
costs seconds and loading ten milliseconds. XLA's loader unpickles, so the files live in the private folder and carry
a hash that is checked first; a file that is damaged or does not load is made again. The key holds all that the
machine code depends on.

Weights and caches pass as flat lists: their trees are then known without the model's types, and flat arguments are
the cheapest to pass.
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
import jax.numpy as jnp
from jax.experimental import serialize_executable
from jaxlib.version import __version__ as jaxlib_version

from ....base import paths
from ....base.store import write_atomic
from ..protocol import ModelFunctions
from . import choosing

_MAGIC = b"agentlang xla 1\n"
Program = Callable[..., Any]


class Programs:
    """The programs of a model. Methods block while they compile or load; they may be called from any thread.

    `keep` is the folder of kept executables, by default the private one; None keeps nothing.
    """

    def __init__(self, key: str, functions: ModelFunctions, keep: Path | None) -> None:
        self._key = key
        self._functions = functions
        self._keep = keep
        self._loaded: dict[str, Program] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()
        self.compiled: int = 0
        """How many were compiled rather than loaded, for tests and reports."""

    def create(self, length: int) -> Program:
        """`() -> cache` of zeros."""
        return self._get(f"create-{length}", lambda: (self.create_function(length), ()))

    def prefill(self, chunk: int, length: int) -> Program:
        """`(weights, cache, tokens[chunk], start, count) -> (logits, cache)`; the cache given is used up."""
        return self._get(f"prefill-{chunk}-{length}", lambda: self.prefill_function(chunk, length))

    def decode(self, length: int) -> Program:
        """`(weights, cache, token, position) -> (logits, cache)`; the cache given is used up."""
        return self._get(f"decode-{length}", lambda: self.decode_function(length))

    def grow(self, length: int, longer: int) -> Program:
        """`(cache) -> cache` with `longer` positions."""
        return self._get(f"grow-{length}-{longer}", lambda: self._grow_function(length, longer))

    def greedy(self, vocabulary: int) -> Program:
        """`(logits) -> token`"""
        return self._get(f"greedy-{vocabulary}", lambda: (jax.jit(choosing.greedy), (_float(vocabulary),)))

    def sampled(self, vocabulary: int) -> Program:
        """`(logits, temperature, top_k, top_p, seed_low, seed_high, index) -> token`"""
        scalars = (_float(), _int(), _float(), _unsigned(), _unsigned(), _unsigned())
        return self._get(f"sampled-{vocabulary}", lambda: (jax.jit(choosing.sampled), (_float(vocabulary), *scalars)))

    # The functions behind the programs, jitted, with the shapes of their arguments. Export starts from these too.

    def create_function(self, length: int) -> Any:
        shapes = jax.tree.leaves(self._functions.cache_shapes(length))
        return jax.jit(lambda: [jnp.zeros(shape.shape, shape.dtype) for shape in shapes])

    def prefill_function(self, chunk: int, length: int) -> tuple[Any, tuple[Any, ...]]:
        weight_leaves, weight_tree = jax.tree.flatten(self._functions.weight_shapes())
        cache_leaves, cache_tree = jax.tree.flatten(self._functions.cache_shapes(length))

        def prefill(weights: Any, cache: Any, tokens: Any, start: Any, count: Any) -> Any:
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(cache_tree, cache)
            logits, filled = self._functions.prefill(*trees, tokens, start, count)
            return logits, jax.tree.leaves(filled)

        return jax.jit(prefill, donate_argnums=1), (weight_leaves, cache_leaves, _int(chunk), _int(), _int())

    def decode_function(self, length: int) -> tuple[Any, tuple[Any, ...]]:
        weight_leaves, weight_tree = jax.tree.flatten(self._functions.weight_shapes())
        cache_leaves, cache_tree = jax.tree.flatten(self._functions.cache_shapes(length))

        def decode(weights: Any, cache: Any, token: Any, position: Any) -> Any:
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(cache_tree, cache)
            logits, filled = self._functions.decode(*trees, token, position)
            return logits, jax.tree.leaves(filled)

        return jax.jit(decode, donate_argnums=1), (weight_leaves, cache_leaves, _int(), _int())

    def _grow_function(self, length: int, longer: int) -> tuple[Any, tuple[Any, ...]]:
        leaves, tree = jax.tree.flatten(self._functions.cache_shapes(length))

        def grow(cache: Any) -> Any:
            return jax.tree.leaves(self._functions.grow(jax.tree.unflatten(tree, cache), longer))

        return jax.jit(grow), (leaves,)

    def _get(self, name: str, function: Callable[[], tuple[Any, tuple[Any, ...]]]) -> Program:
        with self._lock:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            found = self._loaded.get(name)
            if found is None:
                found = self._loaded[name] = self._make(name, function)
            return found

    def _make(self, name: str, function: Callable[[], tuple[Any, tuple[Any, ...]]]) -> Program:
        path = self._path(name)
        kept = None if path is None else _load(path)
        if kept is not None:
            return kept
        jitted, shapes = function()
        compiled = jitted.lower(*shapes).compile()
        self.compiled += 1
        if path is not None:
            _store(path, compiled)
        return compiled

    def _path(self, name: str) -> Path | None:
        if self._keep is None:
            return None
        digest = hashlib.sha256("\0".join((self._key, name, _code(), environment())).encode()).hexdigest()
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


@cache
def _code() -> str:
    """The code that stands around the model's functions."""
    return hashlib.sha256(Path(__file__).read_bytes() + Path(choosing.__file__).read_bytes()).hexdigest()


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


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def _float(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _unsigned() -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((), jnp.uint32)
