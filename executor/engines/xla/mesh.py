"""A divided model on several devices: device `i` runs shard `i` of each layer, and the all-reduce is between them.

What stands around the layers is on the first device, as for a whole model, so all but the layers is as it is there: the
hidden states go from it to all devices before the layers, and what is on all of them after the layers is read on it.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .kept import KeptPrograms, Program
from .programs import DeviceWeights, Lowerable, Programs, Step
from .shards import Collective, ShardedFunctions, collective


@dataclass(frozen=True, slots=True)
class MeshStep(Step):
    """A step whose layers run on all devices of the mesh."""

    everywhere: Any
    """The sharding of what is on all devices."""

    def __call__(self, weights: DeviceWeights, cache: list[list[Any]], tokens: Any, start: int, count: int) -> Any:
        entered = self.enter(weights.outer, tokens, np.int32(start))
        hidden, places = jax.device_put(entered, self.everywhere)
        for number, layer in enumerate(weights.layers):
            hidden, cache[number] = self.layer(layer, cache[number], hidden, places)
        return self.leave(weights.outer, hidden.addressable_data(0), np.int32(count))


class MeshPrograms(Programs):
    """The programs of a divided model, on as many of JAX's devices as it has shards. Those of several devices are not
    kept between processes. Raises `CannotSpread` if there are fewer devices."""

    def __init__(self, key: str, functions: ShardedFunctions, keep: Path | None) -> None:
        super().__init__(key, functions, keep)
        self._collective: Collective = collective(functions.parts)
        self._mesh = KeptPrograms(key, None)
        self._each, self._everywhere = self._collective.shardings

    @property
    def compiled(self) -> int:
        return super().compiled + self._mesh.compiled

    def placed(self, weights: Any) -> DeviceWeights:
        """Divided weights, each shard's on its device."""
        outer, layers = weights
        around: list[Any] = jax.device_put(jax.tree.leaves(outer), jax.devices()[0])
        return DeviceWeights(around, [jax.tree.leaves(self._collective.placed(layer)) for layer in layers])

    def create(self, length: int) -> Program:
        return lambda: jax.tree.leaves(self._collective.cache(length))

    def grow(self, length: int, longer: int) -> Program:
        return self._mesh.get(f"grow-{length}-{longer}", lambda: self._of_cache(length, self._growing(longer)))

    def copy(self, length: int) -> Program:
        return self._mesh.get(f"copy-{length}", lambda: self._of_cache(length, _copied))

    def prefill(self, chunk: int, length: int) -> Step:
        return self._mesh_step(chunk, length)

    def decode(self, length: int) -> Step:
        return self._mesh_step(1, length)

    def _mesh_step(self, count: int, length: int) -> MeshStep:
        layer = self._mesh.get(f"layer-{count}-{length}", lambda: self._mesh_layer(count, length))
        return MeshStep(self._enter_program(count), layer, self._leave_program(count), self._everywhere)

    # What is compiled.

    def _mesh_layer(self, count: int, length: int) -> Lowerable:
        parts, together = self._collective.parts, self._collective.function()
        weights, weight_tree = jax.tree.flatten((parts.attention_shapes(), parts.feed_forward_shapes()))
        caches, cache_tree = jax.tree.flatten(parts.cache_shapes(length))
        functions = self._functions
        hidden, places = jax.eval_shape(functions.enter, functions.outer_shapes(), _int(count), _int())
        place_leaves, place_tree = jax.tree.flatten(places)

        def layer(weights: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(cache_tree, cache)
            hidden, filled = together(*trees, hidden, jax.tree.unflatten(place_tree, places))
            return hidden, jax.tree.leaves(filled)

        shapes = (self._stacked(weights), self._stacked(caches), self._on_all(hidden), self._on_all(place_leaves))
        return jax.jit(layer, donate_argnums=(1, 2)), shapes

    def _of_cache(self, length: int, function: Callable[[Any], Any]) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._collective.parts.cache_shapes(length))

        def changed(cache: Any) -> Any:
            return jax.tree.leaves(jax.vmap(function)(jax.tree.unflatten(tree, cache)))

        return jax.jit(changed, out_shardings=self._each), (self._stacked(leaves),)

    def _growing(self, longer: int) -> Callable[[Any], Any]:
        return lambda cache: self._collective.parts.grow(cache, longer)

    def _stacked(self, leaves: list[Any]) -> list[Any]:
        count = self._collective.parts.attention_shards
        return [jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype, sharding=self._each) for leaf in leaves]

    def _on_all(self, tree: Any) -> Any:
        def on_all(leaf: Any) -> Any:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self._everywhere)

        return jax.tree.map(on_all, tree)


def _copied(cache: Any) -> Any:
    return jax.tree.map(jnp.copy, cache)


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)
