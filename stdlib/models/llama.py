"""The Llama family as plain JAX functions: no framework, weights and caches are trees of arrays.

What makes it fast on a CPU, each point measured:

- Weights are stored as the products want them, `[in, out]`: `x @ W.T` would copy the weight at each call. (`products`
  says how it is with weights in int8.)
- Queries, keys and values are one product, gate and up another.
- A step is `enter ─ layer × n ─ leave`. The layer is compiled once and called for each layer, with that layer's own
  weights and cache: as fast as a program of the whole step (which is unrolled; a scan would copy weights), and it
  compiles and loads in a tenth of the time. A donated cache is updated in place.
- Keys lie `[kv_heads, head_dim,
  positions]` and values `[kv_heads, positions, head_dim]`: both attention products then read memory in order and need
  no transposed copy.
- A prefill chunk attends to what was cached before it in blocks, with a running maximum and sum (Milakov and
  Gimelshein 2018), and to itself in causal blocks of queries. No temporary grows with positions squared, and a first
  chunk does no work for an empty past.

Rotary positions are in the half-split form (first half of a head rotates against the second); checkpoints in the
interleaved form are reordered when they are read.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from .llama_config import LlamaConfig
from .products import Quantised, columns, product

_QUERY_BLOCK = 128
_KEY_BLOCK = 512
NEVER = -1e30


class Layer(NamedTuple):
    """The weights of one layer, f32; its matrices are `Quantised` where the weights are stored in int8."""

    norms: Any
    """[2, d_model]: before attention, before the feed-forward block"""
    qkv: Any
    """[d_model, query_width + 2 * kv_width]: queries, keys, values"""
    out: Any
    """[query_width, d_model]"""
    gate_up: Any
    """[d_model, 2 * ffn]"""
    down: Any
    """[ffn, d_model]"""


class Outer(NamedTuple):
    """The weights around the layers, f32; the tables as the matrices of a layer."""

    head: Any
    """[d_model, vocab]: the output table, and the input table too where embeddings are tied"""
    embedding: Any
    """[vocab, d_model], or None where embeddings are tied"""
    norm: Any
    """[d_model]: before the output table"""


class Weights(NamedTuple):
    outer: Outer
    layers: tuple[Layer, ...]


class LayerCache(NamedTuple):
    """Keys and values of one layer, f32."""

    keys: Any
    """[kv_heads, head_dim, positions]"""
    values: Any
    """[kv_heads, positions, head_dim]"""


class Places(NamedTuple):
    """Where the tokens of a step stand; the same for all layers."""

    cos: Any
    """[n, 1, head_dim / 2]"""
    sin: Any
    """[n, 1, head_dim / 2]"""
    start: Any
    """int32, the position of the first"""


Cache = tuple[LayerCache, ...]


def outer_shapes(config: LlamaConfig) -> Outer:
    """The weights around the layers as `jax.ShapeDtypeStruct`."""
    embedding = None if config.tied_embeddings else _struct(config.vocab, config.d_model)
    return Outer(_matrix(config, config.d_model, config.vocab), embedding, _struct(config.d_model))


def layer_shapes(config: LlamaConfig) -> Layer:
    """The weights of one layer as `jax.ShapeDtypeStruct`."""
    width = config.d_model
    return Layer(
        _struct(2, width),
        _matrix(config, width, config.query_width + 2 * config.kv_width),
        _matrix(config, config.query_width, width),
        _matrix(config, width, 2 * config.ffn),
        _matrix(config, config.ffn, width),
    )


def cache_shapes(config: LlamaConfig, length: int) -> LayerCache:
    """One layer's cache for `length` positions, as `jax.ShapeDtypeStruct`."""
    heads, width = config.kv_heads, config.head_dim
    return LayerCache(_struct(heads, width, length), _struct(heads, length, width))


def grow(cache: LayerCache, length: int) -> LayerCache:
    """A copy of one layer's cache with room for `length` positions; the new ones are zero."""
    more = length - cache.keys.shape[2]
    keys = jnp.pad(cache.keys, ((0, 0), (0, 0), (0, more)))
    return LayerCache(keys, jnp.pad(cache.values, ((0, 0), (0, more), (0, 0))))


def decode(config: LlamaConfig, weights: Weights, cache: Cache, token: Array, position: Array) -> tuple[Array, Cache]:
    """One token: `token` (int32) at `position` (int32, smaller than the cache's length).

    Returns the logits `[vocab]` of the next token, and the cache with this position filled.
    """
    hidden, places = enter(config, weights.outer, token[None], position)
    filled: list[LayerCache] = []
    for layer, past in zip(weights.layers, cache, strict=True):
        hidden, new = decode_layer(config, layer, past, hidden, places)
        filled.append(new)
    return leave(config, weights.outer, hidden, jnp.int32(1)), tuple(filled)


def prefill(
    config: LlamaConfig, weights: Weights, cache: Cache, tokens: Array, start: Array, count: Array
) -> tuple[Array, Cache]:
    """A chunk of a prompt: `tokens[chunk]` (int32) at positions `start…`, of which the first `count` are real.

    `start + chunk` must not exceed the cache's length. What padding leaves in the cache lies behind the real tokens,
    where the next chunk or decode step overwrites it before anything reads it. Returns the logits `[vocab]` behind
    the last real token, and the cache.
    """
    hidden, places = enter(config, weights.outer, tokens, start)
    filled: list[LayerCache] = []
    for layer, past in zip(weights.layers, cache, strict=True):
        hidden, new = prefill_layer(config, layer, past, hidden, places)
        filled.append(new)
    return leave(config, weights.outer, hidden, count), tuple(filled)


F = TypeVar("F", bound=Callable[..., Any])


def _part(function: F) -> F:
    """A part of a step, jitted: a whole step, as it is exported, then holds its layer once and calls it."""
    return cast("F", jax.jit(function, static_argnums=0))


@_part
def enter(config: LlamaConfig, outer: Outer, tokens: Array, start: Array) -> tuple[Array, Places]:
    """Hidden states `[n, d_model]` of `tokens[n]`, and their places."""
    if outer.embedding is not None:
        hidden = jnp.take(outer.embedding, tokens, axis=0, mode="clip")
    else:
        hidden = columns(outer.head, tokens)
    powers = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    speed = jnp.asarray((config.rope_base**-powers).astype(np.float32))
    angles = (start + jnp.arange(tokens.shape[0])).astype(jnp.float32)[:, None, None] * speed
    return hidden, Places(jnp.cos(angles), jnp.sin(angles), start)


@_part
def decode_layer(
    config: LlamaConfig, layer: Layer, cache: LayerCache, hidden: Array, places: Places
) -> tuple[Array, LayerCache]:
    """One layer for one token, `hidden` [1, d_model]."""
    added, filled = decode_attention(config, layer, cache, hidden, places)
    hidden = hidden + added
    return hidden + feed_forward(config, layer, hidden), filled


@_part
def prefill_layer(
    config: LlamaConfig, layer: Layer, cache: LayerCache, hidden: Array, places: Places
) -> tuple[Array, LayerCache]:
    """One layer for a chunk, `hidden` [chunk, d_model]."""
    added, filled = prefill_attention(config, layer, cache, hidden, places)
    hidden = hidden + added
    return hidden + feed_forward(config, layer, hidden), filled


@_part
def leave(config: LlamaConfig, outer: Outer, hidden: Array, count: Array) -> Array:
    """The logits `[vocab]` behind token `count` of `hidden` [n, d_model]."""
    last = lax.dynamic_slice(hidden, (count - 1, 0), (1, config.d_model))
    return product(norm(config, last, outer.norm), outer.head)[0]


# What a layer adds to the hidden states. With the figures and weights of a shard (`llama_shards`) it is what the shard
# adds, so that the shards' sums are the layer's.


def decode_attention(
    config: LlamaConfig, layer: Layer, cache: LayerCache, hidden: Array, places: Places
) -> tuple[Array, LayerCache]:
    """What attention adds to `hidden` [1, d_model] of one token, and the cache with its position filled."""
    query, key, value = project(config, layer, hidden, places)
    keys = lax.dynamic_update_slice(cache.keys, key, (0, 0, places.start))
    values = lax.dynamic_update_slice(cache.values, value, (0, places.start, 0))
    scores = jnp.einsum("kgd,kdc->kgc", query[:, :, 0], keys)
    seen = jnp.arange(keys.shape[2]) <= places.start
    shares = jax.nn.softmax(jnp.where(seen, scores, NEVER), axis=-1)
    mixed = jnp.einsum("kgc,kcd->kgd", shares, values)
    return product(mixed.reshape(1, config.query_width), layer.out), LayerCache(keys, values)


def prefill_attention(
    config: LlamaConfig, layer: Layer, cache: LayerCache, hidden: Array, places: Places
) -> tuple[Array, LayerCache]:
    """What attention adds to `hidden` [chunk, d_model] of a chunk, and the cache with its positions filled."""
    query, key, value = project(config, layer, hidden, places)
    keys = lax.dynamic_update_slice(cache.keys, key, (0, 0, places.start))
    values = lax.dynamic_update_slice(cache.values, value, (0, places.start, 0))
    mixed = _attend(query, key, value, keys, values, places.start)
    together = mixed.transpose(2, 0, 1, 3).reshape(hidden.shape[0], config.query_width)
    return product(together, layer.out), LayerCache(keys, values)


def feed_forward(config: LlamaConfig, layer: Layer, hidden: Array) -> Array:
    """What the feed-forward block adds to `hidden` [n, d_model]."""
    both = product(norm(config, hidden, layer.norms[1]), layer.gate_up)
    return product(jax.nn.silu(both[:, : config.ffn]) * both[:, config.ffn :], layer.down)


class Running(NamedTuple):
    """Attention over the keys seen so far: the largest score, the sum of shares, and the mix, per query."""

    top: Array
    """[kv_heads, group, queries, 1]"""
    total: Array
    """[kv_heads, group, queries, 1]"""
    mixed: Array
    """[kv_heads, group, queries, head_dim]"""

    def add(self, scores: Array, values: Array) -> Running:
        """With more keys: scores `[kv_heads, group, queries, keys]`, values `[kv_heads, keys, head_dim]`."""
        top = jnp.maximum(self.top, scores.max(axis=-1, keepdims=True))
        shares, before = jnp.exp(scores - top), jnp.exp(self.top - top)
        total = self.total * before + shares.sum(axis=-1, keepdims=True)
        return Running(top, total, self.mixed * before + jnp.einsum("kgnc,kcd->kgnd", shares, values))


def _attend(query: Array, key: Array, value: Array, keys: Array, values: Array, start: Array) -> Array:
    """Causal attention of a chunk to the positions before `start` in the cache and to itself.

    `query` [kv_heads, group, chunk, head_dim] (scaled), `key` [kv_heads, head_dim, chunk],
    `value` [kv_heads, chunk, head_dim]. Returns the shape of `query`.
    """
    heads, _, chunk, width = query.shape
    length = keys.shape[2]
    block = math.gcd(_KEY_BLOCK, length)

    def past_block(index: Array, running: Running) -> Running:
        at = index * block
        some_keys = lax.dynamic_slice(keys, (0, 0, at), (heads, width, block))
        some_values = lax.dynamic_slice(values, (0, at, 0), (heads, block, width))
        scores = jnp.einsum("kgnd,kdc->kgnc", query, some_keys)
        return running.add(jnp.where(at + jnp.arange(block) < start, scores, NEVER), some_values)

    nothing = jnp.zeros((*query.shape[:3], 1), query.dtype)
    running = Running(nothing + NEVER, nothing, jnp.zeros_like(query))
    if length > chunk:
        running = cast("Running", lax.fori_loop(0, (start + block - 1) // block, past_block, running))

    return attend_causally(query, key, value, running)


def attend_causally(query: Array, key: Array, value: Array, running: Running) -> Array:
    """Attention of a chunk to itself, behind `running`, what it attended to before; shapes as for `_attend`."""
    chunk = query.shape[2]
    parts: list[Array] = []
    for first in range(0, chunk, _QUERY_BLOCK):
        stop = min(first + _QUERY_BLOCK, chunk)
        mine = Running(*(part[:, :, first:stop] for part in running))
        scores = jnp.einsum("kgnd,kdc->kgnc", query[:, :, first:stop], key[:, :, :stop])
        causal = jnp.arange(stop) <= jnp.arange(first, stop)[:, None]
        done = mine.add(jnp.where(causal, scores, NEVER), value[:, :stop])
        parts.append(done.mixed / done.total)
    return jnp.concatenate(parts, axis=2)


def project(config: LlamaConfig, layer: Layer, hidden: Array, places: Places) -> tuple[Array, Array, Array]:
    """Queries [kv_heads, group, n, head_dim] (scaled), keys [kv_heads, head_dim, n], values [kv_heads, n, head_dim]."""
    count, width, heads = hidden.shape[0], config.head_dim, config.heads
    parts = product(norm(config, hidden, layer.norms[0]), layer.qkv).reshape(count, heads + 2 * config.kv_heads, width)
    turned = _rotate(parts[:, : heads + config.kv_heads], places)
    query = (turned[:, :heads] * width**-0.5).reshape(count, config.kv_heads, heads // config.kv_heads, width)
    key, value = turned[:, heads:], parts[:, heads + config.kv_heads :]
    return query.transpose(1, 2, 0, 3), key.transpose(1, 2, 0), value.transpose(1, 0, 2)


def norm(config: LlamaConfig, hidden: Array, scale: Array) -> Array:
    """Root-mean-square norm over the last axis."""
    return hidden * lax.rsqrt((hidden * hidden).mean(axis=-1, keepdims=True) + config.norm_epsilon) * scale


def _rotate(parts: Array, places: Places) -> Array:
    """Rotate `[n, heads, head_dim]`, the first half of each head against the second."""
    left, right = jnp.split(parts, 2, axis=-1)
    turned = [left * places.cos - right * places.sin, right * places.cos + left * places.sin]
    return jnp.concatenate(turned, axis=-1)


def _matrix(config: LlamaConfig, inner: int, outer: int) -> Any:
    if config.weights == "f32":
        return _struct(inner, outer)
    return Quantised(jax.ShapeDtypeStruct((outer, inner), jnp.int8), _struct(outer))


def _struct(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)
