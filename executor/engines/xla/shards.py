"""A model's layers in shards: the same model, computed as several devices compute it together.

    layer:  hidden ─┬─ attention shard 0 ─┬─ + ─┬─ feed-forward shard 0 ─┬─ + ─ hidden
                    ├─ attention shard 1 ─┤     ├─ feed-forward shard 1 ─┤
                    └─ …                 ─┘     └─ …                    ─┘
                                     all-reduce                    all-reduce

`ShardedFunctions` are `ModelFunctions` in which a layer is that picture, so that all that runs a model runs a divided
one. On one device the shards run one after the other and the all-reduce is a sum; `collective` gives the layer as a
program of several devices, in which each runs its own shard and the all-reduce is a collective between them (`mesh`).
`export_shards` gives the shards as functions of their own, for whoever runs them elsewhere.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ....ir.artifact import CACHE, INPUT, WEIGHT, Artifact
from ..protocol import ChatModelSource, ChatTokenizer, ModelFacts, ModelFunctions, Spread
from ..sharding import ShardableFunctions, ShardFunctions
from .export import Argument, export, named_leaves


class CannotSpread(ValueError):
    """The model cannot be divided so. The text says why."""


@dataclass(frozen=True, slots=True)
class ShardedFunctions:
    """`ModelFunctions` of a model whose layers are in shards. A layer's weights are `(for attention, for the rest)`,
    one tree for each shard; its cache is one tree for each shard of attention."""

    whole: ModelFunctions
    parts: ShardFunctions

    @property
    def layers(self) -> int:
        return self.whole.layers

    def outer_shapes(self) -> Any:
        return self.whole.outer_shapes()

    def layer_shapes(self) -> Any:
        attention = (self.parts.attention_shapes(),) * self.parts.attention_shards
        return attention, (self.parts.feed_forward_shapes(),) * self.parts.feed_forward_shards

    def cache_shapes(self, length: int) -> Any:
        return (self.parts.cache_shapes(length),) * self.parts.attention_shards

    def enter(self, outer: Any, tokens: Any, start: Any) -> tuple[Any, Any]:
        return self.whole.enter(outer, tokens, start)

    def leave(self, outer: Any, hidden: Any, count: Any) -> Any:
        return self.whole.leave(outer, hidden, count)

    def prefill_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return self._layer(layer, cache, hidden, places)

    def decode_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return self._layer(layer, cache, hidden, places)

    def prefill(self, weights: Any, cache: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        outer, layers = weights
        hidden, places = self.enter(outer, tokens, start)
        filled: list[Any] = []
        for layer, past in zip(layers, cache, strict=True):
            hidden, new = self._layer(layer, past, hidden, places)
            filled.append(new)
        return self.leave(outer, hidden, count), tuple(filled)

    def decode(self, weights: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        return self.prefill(weights, cache, token[None], position, jnp.int32(1))

    def grow(self, cache: Any, length: int) -> Any:
        return tuple(self.parts.grow(part, length) for part in cache)

    def weights(self, whole: Any) -> Any:
        """The weights `(outer, (layer, …))` of the whole model, divided."""
        outer, layers = whole
        return outer, tuple(self.parts.split(layer) for layer in layers)

    def _layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        attention, rest = layer
        done = [self.parts.attention(mine, part, hidden, places) for mine, part in zip(attention, cache, strict=True)]
        hidden = hidden + _all_reduce([added for added, _ in done])
        hidden = hidden + _all_reduce([self.parts.feed_forward(mine, hidden) for mine in rest])
        return hidden, tuple(filled for _, filled in done)


def _all_reduce(summands: list[Any]) -> Any:
    return reduce(add, summands)


def sharded(functions: ModelFunctions, spread: Spread) -> ShardedFunctions:
    """Raises `CannotSpread`."""
    if not isinstance(functions, ShardableFunctions):
        raise CannotSpread("its functions cannot be divided")
    try:
        return ShardedFunctions(functions, functions.in_shards(spread.tensor, spread.expert))
    except ValueError as error:
        raise CannotSpread(str(error)) from error


class ShardedSource:
    """A `ChatModelSource` whose functions and weights are those of another, in shards. Raises `CannotSpread`."""

    def __init__(self, source: ChatModelSource, spread: Spread) -> None:
        self._source = source
        self._spread = spread
        self._functions = sharded(source.functions(), spread)

    @property
    def key(self) -> str:
        # The code of the shards is in the source's key; what stands around them is in this file.
        code = Path(__file__).read_text("utf-8")
        return f"{self._source.key}\0{self._spread.tensor}\0{self._spread.expert}\0{code}"

    def facts(self) -> ModelFacts:
        return self._source.facts()

    def tokenizer(self) -> ChatTokenizer:
        return self._source.tokenizer()

    def functions(self) -> ShardedFunctions:
        return self._functions

    def weights(self) -> Any:
        return self._functions.weights(self._source.weights())


# --- on several devices ----------------------------------------------------------------------------------------------

_AXIS = "shards"


@dataclass(frozen=True, slots=True)
class Collective:
    """A layer as one program of several devices, device `i` with shard `i`. Its trees are those of one shard with a
    first axis for the shards, which is spread over the devices; hidden states are on all of them."""

    parts: ShardFunctions
    mesh: Any

    def placed(self, layer: Any) -> Any:
        """A layer's divided weights, each shard's on its device."""
        return tuple(self._spread(stacked(part)) for part in layer)

    def cache(self, length: int) -> Any:
        """An empty cache, each shard's part on its device."""
        shapes = self.parts.cache_shapes(length)

        def empty(shape: Any) -> Any:
            return jnp.zeros((self.parts.attention_shards, *shape.shape), shape.dtype)

        return self._spread(jax.tree.map(empty, shapes))

    @property
    def shardings(self) -> tuple[Any, Any]:
        """Of what has a part on each device, along its first axis; and of what is on all of them."""
        spec = jax.sharding.PartitionSpec
        return jax.sharding.NamedSharding(self.mesh, spec(_AXIS)), jax.sharding.NamedSharding(self.mesh, spec())

    def layer(self) -> Callable[[Any, Any, Any, Any], tuple[Any, Any]]:
        """`function`, to be compiled for the devices when it is first called."""
        return jax.jit(self.function())

    def function(self) -> Callable[[Any, Any, Any, Any], tuple[Any, Any]]:
        """`(weights, cache, hidden, places) -> (hidden, cache)` on the devices."""
        parts, each, everywhere = self.parts, jax.sharding.PartitionSpec(_AXIS), jax.sharding.PartitionSpec()

        def one(weights: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
            attention, rest, mine = jax.tree.map(_first, (*weights, cache))
            added, filled = parts.attention(attention, mine, hidden, places)
            hidden = hidden + jax.lax.psum(added, _AXIS)
            hidden = hidden + jax.lax.psum(parts.feed_forward(rest, hidden), _AXIS)
            return hidden, jax.tree.map(_alone, filled)

        # What varies between devices is not tracked: a model's functions hold loops that know nothing of devices.
        specs = (each, each, everywhere, everywhere), (everywhere, each)
        return jax.shard_map(one, mesh=self.mesh, in_specs=specs[0], out_specs=specs[1], check_vma=False)

    def _spread(self, tree: Any) -> Any:
        return jax.device_put(tree, self.shardings[0])


def has_devices(parts: ShardFunctions) -> bool:
    """Whether each shard can have a device of its own, and each device has a part of all."""
    return parts.feed_forward_shards == parts.attention_shards <= len(jax.devices())


def collective(parts: ShardFunctions) -> Collective:
    """The layer on as many of JAX's devices as it has shards. Raises `CannotSpread` where it does not have them."""
    count = parts.attention_shards
    if parts.feed_forward_shards != count:
        raise CannotSpread(f"attention is in {count} shards and the rest in {parts.feed_forward_shards}")
    if len(jax.devices()) < count:
        raise CannotSpread(f"it has {count} shards, and there are {len(jax.devices())} devices")
    return Collective(parts, jax.make_mesh((count,), (_AXIS,), devices=jax.devices()[:count]))


def _first(leaf: Any) -> Any:
    return leaf[0]


def _alone(leaf: Any) -> Any:
    return leaf[None]


def stacked(trees: Any) -> Any:
    """Trees of one shape as one, whose leaves have a first axis for them."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


# --- as functions ----------------------------------------------------------------------------------------------------


def export_shards(functions: ShardedFunctions, chunk: int = 64, length: int = 256) -> tuple[Artifact, ...]:
    """The shards of a layer for a chunk of tokens, and for one token, on a cache of `length` positions:
    `attention_shard_64_256`, `feed_forward_shard_64`, `attention_shard_1_256`, `feed_forward_shard_1`.

    Both give their summand first. All shards of a block are the same function, of other weights.
    """
    return tuple(made for count in (chunk, 1) for made in _export(functions, count, length))


def _export(functions: ShardedFunctions, count: int, length: int) -> tuple[Artifact, Artifact]:
    parts = functions.parts
    numbers = jax.ShapeDtypeStruct((count,), jnp.int32), jax.ShapeDtypeStruct((), jnp.int32)
    hidden, places = jax.eval_shape(functions.enter, functions.outer_shapes(), *numbers)
    attention = export(
        f"attention_shard_{count}_{length}",
        parts.attention,
        (
            Argument("shard", WEIGHT, parts.attention_shapes()),
            Argument("shard", CACHE, parts.cache_shapes(length), donated=True),
            Argument("hidden", INPUT, hidden),
            Argument("places", INPUT, places),
        ),
        lambda given: ["added", *named_leaves("shard", given[1])],
    )
    rest = export(
        f"feed_forward_shard_{count}",
        parts.feed_forward,
        (Argument("shard", WEIGHT, parts.feed_forward_shapes()), Argument("hidden", INPUT, hidden)),
        lambda _: "added",
    )
    return attention, rest
