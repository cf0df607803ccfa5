"""The Llama family as plain JAX functions: no framework, weights and caches are trees of arrays.

What makes it fast on a CPU, each point measured:

- Weights are stored as the products want them, `[in, out]`: `x @ W.T` would copy the weight at each call.
- Queries, keys and values are one product, gate and up another; layers are unrolled, not scanned.
- Each layer has its own cache arrays, so that a donated cache is updated in place. Keys lie `[kv_heads, head_dim,
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
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from .llama_config import LlamaConfig

_QUERY_BLOCK = 128
_KEY_BLOCK = 512
_NEVER = -1e30


class Layer(NamedTuple):
    """The matrices of one layer, f32."""

    qkv: Any
    """[d_model, query_width + 2 * kv_width]: queries, keys, values"""
    out: Any
    """[query_width, d_model]"""
    gate_up: Any
    """[d_model, 2 * ffn]"""
    down: Any
    """[ffn, d_model]"""


class Weights(NamedTuple):
    """All weights, f32. Few large arrays: an argument tree costs a quarter of a microsecond a leaf at each call."""

    head: Any
    """[d_model, vocab]: the output table, and the input table too where embeddings are tied"""
    embedding: Any
    """[vocab, d_model], or None where embeddings are tied"""
    norms: Any
    """[2 * layers + 1, d_model]: for each layer before attention and before the feed-forward block, then the last"""
    layers: tuple[Layer, ...]


class LayerCache(NamedTuple):
    """Keys and values of one layer, f32."""

    keys: Any
    """[kv_heads, head_dim, positions]"""
    values: Any
    """[kv_heads, positions, head_dim]"""


Cache = tuple[LayerCache, ...]


def weight_shapes(config: LlamaConfig) -> Weights:
    """The weights as `jax.ShapeDtypeStruct`."""
    width = config.d_model
    layer = Layer(
        _struct(width, config.query_width + 2 * config.kv_width),
        _struct(config.query_width, width),
        _struct(width, 2 * config.ffn),
        _struct(config.ffn, width),
    )
    embedding = None if config.tied_embeddings else _struct(config.vocab, width)
    norms = _struct(2 * config.layers + 1, width)
    return Weights(_struct(width, config.vocab), embedding, norms, (layer,) * config.layers)


def cache_shapes(config: LlamaConfig, length: int) -> Cache:
    """A cache with room for `length` positions, as `jax.ShapeDtypeStruct`."""
    heads, width = config.kv_heads, config.head_dim
    return (LayerCache(_struct(heads, width, length), _struct(heads, length, width)),) * config.layers


def grow(cache: Cache, length: int) -> Cache:
    """A copy of `cache` with room for `length` positions; the new ones are zero."""

    def wider(layer: LayerCache) -> LayerCache:
        more = length - layer.keys.shape[2]
        keys = jnp.pad(layer.keys, ((0, 0), (0, 0), (0, more)))
        return LayerCache(keys, jnp.pad(layer.values, ((0, 0), (0, more), (0, 0))))

    return tuple(wider(layer) for layer in cache)


def decode(config: LlamaConfig, weights: Weights, cache: Cache, token: Array, position: Array) -> tuple[Array, Cache]:
    """One token: `token` (int32) at `position` (int32, smaller than the cache's length).

    Returns the logits `[vocab]` of the next token, and the cache with this position filled.
    """
    length = cache[0].keys.shape[2]
    if weights.embedding is None:
        hidden = lax.dynamic_slice(weights.head, (0, token), (config.d_model, 1)).T
    else:
        hidden = lax.dynamic_slice(weights.embedding, (token, 0), (1, config.d_model))
    cos, sin = _rotation(config, position[None])
    seen = jnp.arange(length) <= position
    filled: list[LayerCache] = []
    for number, (layer, past) in enumerate(zip(weights.layers, cache, strict=True)):
        query, key, value = _project(config, weights, number, layer, hidden, cos, sin)
        keys = lax.dynamic_update_slice(past.keys, key, (0, 0, position))
        values = lax.dynamic_update_slice(past.values, value, (0, position, 0))
        filled.append(LayerCache(keys, values))
        scores = jnp.einsum("kgd,kdc->kgc", query[:, :, 0], keys)
        shares = jax.nn.softmax(jnp.where(seen, scores, _NEVER), axis=-1)
        mixed = jnp.einsum("kgc,kcd->kgd", shares, values)
        hidden = hidden + mixed.reshape(1, config.query_width) @ layer.out
        hidden = hidden + _feed_forward(config, weights, number, layer, hidden)
    return _logits(config, weights, hidden), tuple(filled)


def prefill(
    config: LlamaConfig, weights: Weights, cache: Cache, tokens: Array, start: Array, count: Array
) -> tuple[Array, Cache]:
    """A chunk of a prompt: `tokens[chunk]` (int32) at positions `start…`, of which the first `count` are real.

    `start + chunk` must not exceed the cache's length. What padding leaves in the cache lies behind the real tokens,
    where the next chunk or decode step overwrites it before anything reads it. Returns the logits `[vocab]` behind
    the last real token, and the cache.
    """
    chunk = tokens.shape[0]
    if weights.embedding is None:
        hidden = jnp.take(weights.head, tokens, axis=1).T
    else:
        hidden = jnp.take(weights.embedding, tokens, axis=0)
    cos, sin = _rotation(config, start + jnp.arange(chunk))
    filled: list[LayerCache] = []
    for number, (layer, past) in enumerate(zip(weights.layers, cache, strict=True)):
        query, key, value = _project(config, weights, number, layer, hidden, cos, sin)
        keys = lax.dynamic_update_slice(past.keys, key, (0, 0, start))
        values = lax.dynamic_update_slice(past.values, value, (0, start, 0))
        filled.append(LayerCache(keys, values))
        mixed = _attend(query, key, value, keys, values, start)
        hidden = hidden + mixed.transpose(2, 0, 1, 3).reshape(chunk, config.query_width) @ layer.out
        hidden = hidden + _feed_forward(config, weights, number, layer, hidden)
    last = lax.dynamic_slice(hidden, (count - 1, 0), (1, config.d_model))
    return _logits(config, weights, last), tuple(filled)


class _Running(NamedTuple):
    """Attention over the keys seen so far: the largest score, the sum of shares, and the mix, per query."""

    top: Array
    """[kv_heads, group, queries, 1]"""
    total: Array
    """[kv_heads, group, queries, 1]"""
    mixed: Array
    """[kv_heads, group, queries, head_dim]"""

    def add(self, scores: Array, values: Array) -> _Running:
        """With more keys: scores `[kv_heads, group, queries, keys]`, values `[kv_heads, keys, head_dim]`."""
        top = jnp.maximum(self.top, scores.max(axis=-1, keepdims=True))
        shares, before = jnp.exp(scores - top), jnp.exp(self.top - top)
        total = self.total * before + shares.sum(axis=-1, keepdims=True)
        return _Running(top, total, self.mixed * before + jnp.einsum("kgnc,kcd->kgnd", shares, values))


def _attend(query: Array, key: Array, value: Array, keys: Array, values: Array, start: Array) -> Array:
    """Causal attention of a chunk to the positions before `start` in the cache and to itself.

    `query` [kv_heads, group, chunk, head_dim] (scaled), `key` [kv_heads, head_dim, chunk],
    `value` [kv_heads, chunk, head_dim]. Returns the shape of `query`.
    """
    heads, _, chunk, width = query.shape
    length = keys.shape[2]
    block = math.gcd(_KEY_BLOCK, length)

    def past_block(index: Array, running: _Running) -> _Running:
        at = index * block
        some_keys = lax.dynamic_slice(keys, (0, 0, at), (heads, width, block))
        some_values = lax.dynamic_slice(values, (0, at, 0), (heads, block, width))
        scores = jnp.einsum("kgnd,kdc->kgnc", query, some_keys)
        return running.add(jnp.where(at + jnp.arange(block) < start, scores, _NEVER), some_values)

    nothing = jnp.zeros((*query.shape[:3], 1), query.dtype)
    running = _Running(nothing + _NEVER, nothing, jnp.zeros_like(query))
    if length > chunk:
        running = cast("_Running", lax.fori_loop(0, (start + block - 1) // block, past_block, running))

    parts: list[Array] = []
    for first in range(0, chunk, _QUERY_BLOCK):
        stop = min(first + _QUERY_BLOCK, chunk)
        mine = _Running(*(part[:, :, first:stop] for part in running))
        scores = jnp.einsum("kgnd,kdc->kgnc", query[:, :, first:stop], key[:, :, :stop])
        causal = jnp.arange(stop) <= jnp.arange(first, stop)[:, None]
        done = mine.add(jnp.where(causal, scores, _NEVER), value[:, :stop])
        parts.append(done.mixed / done.total)
    return jnp.concatenate(parts, axis=2)


def _project(
    config: LlamaConfig, weights: Weights, number: int, layer: Layer, hidden: Array, cos: Array, sin: Array
) -> tuple[Array, Array, Array]:
    """Queries [kv_heads, group, n, head_dim] (scaled), keys [kv_heads, head_dim, n], values [kv_heads, n, head_dim]."""
    count, width, heads = hidden.shape[0], config.head_dim, config.heads
    normal = _norm(config, hidden, weights.norms[2 * number])
    parts = (normal @ layer.qkv).reshape(count, heads + 2 * config.kv_heads, width)
    turned = _rotate(parts[:, : heads + config.kv_heads], cos, sin)
    query = (turned[:, :heads] * width**-0.5).reshape(count, config.kv_heads, heads // config.kv_heads, width)
    key, value = turned[:, heads:], parts[:, heads + config.kv_heads :]
    return query.transpose(1, 2, 0, 3), key.transpose(1, 2, 0), value.transpose(1, 0, 2)


def _feed_forward(config: LlamaConfig, weights: Weights, number: int, layer: Layer, hidden: Array) -> Array:
    both = _norm(config, hidden, weights.norms[2 * number + 1]) @ layer.gate_up
    return (jax.nn.silu(both[:, : config.ffn]) * both[:, config.ffn :]) @ layer.down


def _logits(config: LlamaConfig, weights: Weights, hidden: Array) -> Array:
    return (_norm(config, hidden, weights.norms[2 * config.layers]) @ weights.head)[0]


def _norm(config: LlamaConfig, hidden: Array, scale: Array) -> Array:
    """Root-mean-square norm over the last axis."""
    return hidden * lax.rsqrt((hidden * hidden).mean(axis=-1, keepdims=True) + config.norm_epsilon) * scale


def _rotation(config: LlamaConfig, positions: Array) -> tuple[Array, Array]:
    """Cosines and sines `[n, 1, head_dim / 2]` of the rotary positions."""
    powers = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    speed = jnp.asarray((config.rope_base**-powers).astype(np.float32))
    angles = positions.astype(jnp.float32)[:, None, None] * speed
    return jnp.cos(angles), jnp.sin(angles)


def _rotate(parts: Array, cos: Array, sin: Array) -> Array:
    """Rotate `[n, heads, head_dim]`, the first half of each head against the second."""
    left, right = jnp.split(parts, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


def _struct(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)
