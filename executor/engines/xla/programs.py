"""Compiled programs of one model, each made once on this machine.

The layer is a program of its own, called for each layer: it compiles and loads in a tenth of the time that a program
of the whole step takes, and runs as fast, because a call is handed over while the one before still computes.

Weights and caches pass as flat lists: their trees can then be kept without the model's types, and flat arguments are
the cheapest to pass.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..protocol import ModelFunctions
from . import choosing
from .kept import KeptPrograms, Program

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
        self._functions = functions
        self._kept = KeptPrograms(f"{key}\0{_code()}", keep)

    def placed(self, weights: Any) -> DeviceWeights:
        """Weights `(outer, (layer, …))` on the device: a CPU shares the mapped pages, others get a copy."""
        outer, layers = weights
        flat: list[list[Any]] = [jax.tree.leaves(part) for part in (outer, *layers)]
        on_device = cast("list[list[Any]]", jax.device_put(flat))
        return DeviceWeights(on_device[0], on_device[1:])

    @property
    def compiled(self) -> int:
        """How many were compiled rather than loaded: a run that compiled teaches nothing about speed."""
        return self._kept.compiled

    def create(self, length: int) -> Program:
        """`() -> layer's cache` of zeros."""
        return self._kept.get(f"create-{length}", lambda: self._create(length))

    def grow(self, length: int, longer: int) -> Program:
        """`(layer's cache) -> layer's cache` with `longer` positions."""
        return self._kept.get(f"grow-{length}-{longer}", lambda: self._grow(length, longer))

    def copy(self, length: int) -> Program:
        """`(layer's cache) -> layer's cache`, the same in memory of its own."""
        return self._kept.get(f"copy-{length}", lambda: self._copy(length))

    def prefill(self, chunk: int, length: int) -> Step:
        """The step for `chunk` tokens on a cache of `length`."""
        layer = self._kept.get(f"prefill-{chunk}-{length}", lambda: self._layer(chunk, length))
        return Step(self._enter_program(chunk), layer, self._leave_program(chunk))

    def decode(self, length: int) -> Step:
        """The step for one token on a cache of `length`."""
        layer = self._kept.get(f"decode-{length}", lambda: self._layer(1, length))
        return Step(self._enter_program(1), layer, self._leave_program(1))

    def greedy(self, vocabulary: int) -> Program:
        """`(logits) -> token[1]`"""
        return self._kept.get(f"greedy-{vocabulary}", lambda: (jax.jit(choosing.greedy), (_float(vocabulary),)))

    def sampled(self, vocabulary: int) -> Program:
        """`(logits, temperature, top_k, top_p, seed_low, seed_high, index) -> token[1]`"""
        scalars = (_float(), _int(), _float(), _unsigned(), _unsigned(), _unsigned())
        return self._kept.get(
            f"sampled-{vocabulary}", lambda: (jax.jit(choosing.sampled), (_float(vocabulary), *scalars))
        )

    def masked_greedy(self, vocabulary: int) -> Program:
        """`(logits, mask) -> token[1]`"""

        def choose(logits: Any, mask: Any) -> Any:
            return choosing.greedy(choosing.masked(logits, mask))

        return self._kept.get(
            f"masked-greedy-{vocabulary}", lambda: (jax.jit(choose), (_float(vocabulary), _words(vocabulary)))
        )

    def masked_sampled(self, vocabulary: int) -> Program:
        """`(logits, mask, temperature, top_k, top_p, seed_low, seed_high, index) -> token[1]`"""
        scalars = (_float(), _int(), _float(), _unsigned(), _unsigned(), _unsigned())

        def choose(logits: Any, mask: Any, *settings: Any) -> Any:
            return choosing.sampled(choosing.masked(logits, mask), *settings)

        return self._kept.get(
            f"masked-sampled-{vocabulary}",
            lambda: (jax.jit(choose), (_float(vocabulary), _words(vocabulary), *scalars)),
        )

    def _enter_program(self, count: int) -> Program:
        return self._kept.get(f"enter-{count}", lambda: self._enter(count))

    def _leave_program(self, count: int) -> Program:
        return self._kept.get(f"leave-{count}", lambda: self._leave(count))

    # What is compiled: a jitted function and the shapes of its arguments.

    def _create(self, length: int) -> Lowerable:
        shapes = jax.tree.leaves(self._functions.cache_shapes(length))
        return jax.jit(lambda: [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]), ()

    def _grow(self, length: int, longer: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.cache_shapes(length))

        def grow(cache: Any) -> Any:
            return jax.tree.leaves(self._functions.grow(jax.tree.unflatten(tree, cache), longer))

        return jax.jit(grow), (leaves,)

    def _copy(self, length: int) -> Lowerable:
        shapes = jax.eval_shape(self._create(length)[0])

        def copy(cache: Any) -> Any:
            return [jnp.copy(array) for array in cache]

        return jax.jit(copy), (shapes,)

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


@cache
def _code() -> str:
    """The code that stands around the model's functions."""
    return hashlib.sha256(Path(__file__).read_bytes() + Path(choosing.__file__).read_bytes()).hexdigest()


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def _float(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _unsigned(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.uint32)


def _words(vocabulary: int) -> jax.ShapeDtypeStruct:
    """A bit for each token."""
    return _unsigned((vocabulary + 31) // 32)
