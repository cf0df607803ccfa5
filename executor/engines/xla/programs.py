"""Compiled programs of one model, each made once on this machine.

The layer is a program of its own, called for each layer: it compiles and loads in a tenth of the time that a program
of the whole step takes, and runs as fast, because a call is handed over while the one before still computes.

Programs are compiled ahead of time for static shapes and kept on disk as XLA's own executables, because compiling costs
seconds and loading milliseconds. XLA's loader unpickles, so the files live in the private folder and carry a hash that
is checked first; a file that is damaged or does not load is made again. The key holds all that the machine code
depends on.

Weights and caches pass as flat lists: their trees can then be kept without the model's types, and flat arguments are
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
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import serialize_executable
from jaxlib.version import __version__ as jaxlib_version

from ....base import paths
from ....base.store import write_atomic
from ..protocol import ModelFunctions
from . import choosing

_MAGIC = b"agentlang xla 1\n"
Program = Callable[..., Any]
Lowerable = tuple[Any, tuple[Any, ...]]
"""A jitted function and the shapes of its arguments."""


@dataclass(frozen=True, slots=True)
class DeviceWeights:
    """Weights on the device, flat."""

    outer: list[Any]
    layers: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """The programs of one step."""

    enter: Program
    layer: Program
    leave: Program

    def __call__(self, weights: DeviceWeights, cache: list[list[Any]], tokens: Any, start: int, count: int) -> Any:
        """Logits `[vocabulary]` behind the first `count` of `tokens`; each layer's `cache` is used up and replaced.

        Returns before the device is done; whoever reads the logits waits.
        """
        hidden, places = self.enter(weights.outer, tokens, np.int32(start))
        for number, layer in enumerate(weights.layers):
            hidden, cache[number] = self.layer(layer, cache[number], hidden, places)
        return self.leave(weights.outer, hidden, np.int32(count))


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
        """`() -> layer's cache` of zeros."""
        return self._get(f"create-{length}", lambda: self._create(length))

    def grow(self, length: int, longer: int) -> Program:
        """`(layer's cache) -> layer's cache` with `longer` positions."""
        return self._get(f"grow-{length}-{longer}", lambda: self._grow(length, longer))

    def prefill(self, chunk: int, length: int) -> Step:
        """The step for `chunk` tokens on a cache of `length`."""
        layer = self._get(f"prefill-{chunk}-{length}", lambda: self._layer(chunk, length))
        return Step(self._enter_program(chunk), layer, self._leave_program(chunk))

    def decode(self, length: int) -> Step:
        """The step for one token on a cache of `length`."""
        layer = self._get(f"decode-{length}", lambda: self._layer(1, length))
        return Step(self._enter_program(1), layer, self._leave_program(1))

    def greedy(self, vocabulary: int) -> Program:
        """`(logits) -> token[1]`"""
        return self._get(f"greedy-{vocabulary}", lambda: (jax.jit(choosing.greedy), (_float(vocabulary),)))

    def sampled(self, vocabulary: int) -> Program:
        """`(logits, temperature, top_k, top_p, seed_low, seed_high, index) -> token[1]`"""
        scalars = (_float(), _int(), _float(), _unsigned(), _unsigned(), _unsigned())
        return self._get(f"sampled-{vocabulary}", lambda: (jax.jit(choosing.sampled), (_float(vocabulary), *scalars)))

    def _enter_program(self, count: int) -> Program:
        return self._get(f"enter-{count}", lambda: self._enter(count))

    def _leave_program(self, count: int) -> Program:
        return self._get(f"leave-{count}", lambda: self._leave(count))

    # What is compiled: a jitted function and the shapes of its arguments.

    def _create(self, length: int) -> Lowerable:
        shapes = jax.tree.leaves(self._functions.cache_shapes(length))
        return jax.jit(lambda: [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]), ()

    def _grow(self, length: int, longer: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.cache_shapes(length))

        def grow(cache: Any) -> Any:
            return jax.tree.leaves(self._functions.grow(jax.tree.unflatten(tree, cache), longer))

        return jax.jit(grow), (leaves,)

    def _enter(self, count: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.outer_shapes())

        def enter(outer: Any, tokens: Any, start: Any) -> Any:
            hidden, places = self._functions.enter(jax.tree.unflatten(tree, outer), tokens, start)
            return hidden, jax.tree.leaves(places)

        return jax.jit(enter), (leaves, _int(count), _int())

    def _layer(self, count: int, length: int) -> Lowerable:
        functions = self._functions
        weight_leaves, weight_tree = jax.tree.flatten(functions.layer_shapes())
        cache_leaves, cache_tree = jax.tree.flatten(functions.cache_shapes(length))
        hidden, places = jax.eval_shape(functions.enter, functions.outer_shapes(), _int(count), _int())
        place_leaves, place_tree = jax.tree.flatten(places)
        one_layer = functions.decode_layer if count == 1 else functions.prefill_layer

        def layer(weights: Any, cache: Any, hidden: Any, places: Any) -> Any:
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(cache_tree, cache)
            hidden, filled = one_layer(*trees, hidden, jax.tree.unflatten(place_tree, places))
            return hidden, jax.tree.leaves(filled)

        return jax.jit(layer, donate_argnums=(1, 2)), (weight_leaves, cache_leaves, hidden, place_leaves)

    def _leave(self, count: int) -> Lowerable:
        functions = self._functions
        leaves, tree = jax.tree.flatten(functions.outer_shapes())
        hidden, _ = jax.eval_shape(functions.enter, functions.outer_shapes(), _int(count), _int())

        def leave(outer: Any, hidden: Any, real: Any) -> Any:
            return functions.leave(jax.tree.unflatten(tree, outer), hidden, real)

        return jax.jit(leave), (leaves, hidden, _int())

    def _get(self, name: str, function: Callable[[], Lowerable]) -> Program:
        with self._lock:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            found = self._loaded.get(name)
            if found is None:
                found = self._loaded[name] = self._make(name, function)
            return found

    def _make(self, name: str, function: Callable[[], Lowerable]) -> Program:
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
