"""Whisper as plain JAX functions: an encoder that hears 30 s, a decoder that writes, weights are trees of arrays.

`encode` runs once for a window and gives what each layer of the decoder attends to: keys and values of what was heard
are made once and kept, as a KV cache of another kind. `step` makes one token with the decoder's own KV cache. Keys lie
`[heads, width, positions]` and values `[heads, positions, width]`, so that both products of attention read memory in
order; matrices are `[in, out]`; a convolution is a matrix product over three columns side by side.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from .whisper_config import WhisperConfig

_NEVER = -1e30
_EPSILON = 1e-5


class Attention(NamedTuple):
    """Attention of a sequence to itself. `d` is the width of the model."""

    norm: Any
    """[2, d]: scale and shift, before it"""
    qkv: Any
    """[d, 3 d]: queries, keys, values"""
    qkv_bias: Any
    """[3 d]"""
    out: Any
    """[d, d]"""
    out_bias: Any


class FeedForward(NamedTuple):
    norm: Any
    """[2, d]"""
    up: Any
    """[d, ffn]"""
    up_bias: Any
    down: Any
    """[ffn, d]"""
    down_bias: Any


class EncoderLayer(NamedTuple):
    own: Attention
    feed_forward: FeedForward


class DecoderLayer(NamedTuple):
    own: Attention
    heard_norm: Any
    """[2, d]: before the attention to what was heard"""
    query: Any
    """[d, d]"""
    query_bias: Any
    key_value: Any
    """[d, 2 d]: keys and values of what was heard"""
    key_value_bias: Any
    """[2 d]"""
    out: Any
    """[d, d]"""
    out_bias: Any
    feed_forward: FeedForward


class Encoder(NamedTuple):
    first: Any
    """[3 mels, d]"""
    first_bias: Any
    second: Any
    """[3 d, d], for every other column"""
    second_bias: Any
    positions: Any
    """[positions, d]"""
    layers: tuple[EncoderLayer, ...]
    norm: Any
    """[2, d]"""


class Decoder(NamedTuple):
    words: Any
    """[d, vocab]: the output table, and the input table too"""
    positions: Any
    """[context, d]"""
    layers: tuple[DecoderLayer, ...]
    norm: Any
    """[2, d]"""


class Weights(NamedTuple):
    """All weights, f32."""

    encoder: Encoder
    decoder: Decoder


class Heard(NamedTuple):
    """What a layer of the decoder attends to; as a cache, what it attends to of its own."""

    keys: Any
    """[heads, width, positions]"""
    values: Any
    """[heads, positions, width]"""


def weight_shapes(config: WhisperConfig) -> Weights:
    """The weights as `jax.ShapeDtypeStruct`."""
    import numpy as np

    from .whisper_config import assemble

    def tensor(name: str, *shape: int) -> Any:
        del name
        # Nothing is filled: an array of one zero that is seen in every place.
        return np.broadcast_to(np.float32(0), shape)

    def described(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, jnp.float32)

    return cast(Weights, jax.tree.map(described, assemble(config, tensor)))


def cache_shapes(config: WhisperConfig, length: int) -> tuple[Heard, ...]:
    """The decoder's cache for `length` positions (or what was heard of as many), as `jax.ShapeDtypeStruct`."""
    heads, width = config.heads, config.d_model // config.heads
    keys = jax.ShapeDtypeStruct((heads, width, length), jnp.float32)
    values = jax.ShapeDtypeStruct((heads, length, width), jnp.float32)
    return (Heard(keys, values),) * config.decoder_layers


def encode(config: WhisperConfig, weights: Weights, features: Array) -> tuple[Heard, ...]:
    """What was heard, for each layer of the decoder, from features `[frames, mels]` of a window."""
    encoder = weights.encoder
    hidden = _gelu(_convolved(features, encoder.first, 1) + encoder.first_bias)
    hidden = _gelu(_convolved(hidden, encoder.second, 2) + encoder.second_bias) + encoder.positions
    for layer in encoder.layers:
        query, key, value = _projected(config, layer.own, hidden)
        shares = jax.nn.softmax(jnp.einsum("hnd,hdk->hnk", query, key), axis=-1)
        hidden = hidden + _joined(jnp.einsum("hnk,hkd->hnd", shares, value)) @ layer.own.out + layer.own.out_bias
        hidden = hidden + _fed_forward(layer.feed_forward, hidden)
    hidden = _norm(hidden, encoder.norm)
    heard: list[Heard] = []
    for layer in weights.decoder.layers:
        both = hidden @ layer.key_value + layer.key_value_bias
        keys, values = _apart(config, both, 2)
        heard.append(Heard(keys.transpose(0, 2, 1), values))
    return tuple(heard)


def step(
    config: WhisperConfig,
    weights: Weights,
    heard: tuple[Heard, ...],
    cache: tuple[Heard, ...],
    token: Array,
    position: Array,
) -> tuple[Array, tuple[Heard, ...]]:
    """The logits `[vocab]` behind `token` (int32) at `position` (int32), and the cache with that position filled."""
    decoder = weights.decoder
    hidden = lax.dynamic_slice(decoder.words, (0, token), (config.d_model, 1)).T
    hidden = hidden + lax.dynamic_slice(decoder.positions, (position, 0), (1, config.d_model))
    filled: list[Heard] = []
    for layer, of_layer, past in zip(decoder.layers, heard, cache, strict=True):
        query, key, value = _projected(config, layer.own, hidden)
        keys = lax.dynamic_update_slice(past.keys, key, (0, 0, position))
        values = lax.dynamic_update_slice(past.values, value, (0, position, 0))
        filled.append(Heard(keys, values))
        scores = jnp.einsum("hnd,hdk->hnk", query, keys)
        scores = jnp.where(jnp.arange(keys.shape[2]) <= position, scores, _NEVER)
        mixed = jnp.einsum("hnk,hkd->hnd", jax.nn.softmax(scores, axis=-1), values)
        hidden = hidden + _joined(mixed) @ layer.own.out + layer.own.out_bias
        asked = _norm(hidden, layer.heard_norm) @ layer.query + layer.query_bias
        (query,) = _apart(config, asked, 1)
        query = query * query.shape[-1] ** -0.5
        shares = jax.nn.softmax(jnp.einsum("hnd,hdk->hnk", query, of_layer.keys), axis=-1)
        hidden = hidden + _joined(jnp.einsum("hnk,hkd->hnd", shares, of_layer.values)) @ layer.out + layer.out_bias
        hidden = hidden + _fed_forward(layer.feed_forward, hidden)
    return (_norm(hidden, decoder.norm) @ decoder.words)[0], tuple(filled)


def _convolved(columns: Array, weight: Any, stride: int) -> Array:
    """A convolution over three columns, with silence before and behind: `[n / stride, out]` of `[n, in]`."""
    padded = jnp.pad(columns, ((1, 1), (0, 0)))
    count = columns.shape[0]
    side_by_side = jnp.concatenate([padded[at : at + count : stride] for at in range(3)], axis=1)
    return side_by_side @ weight


def _projected(config: WhisperConfig, attention: Attention, hidden: Array) -> tuple[Array, Array, Array]:
    """Queries `[heads, n, width]` (scaled), keys `[heads, width, n]`, values `[heads, n, width]`."""
    qkv = _norm(hidden, attention.norm) @ attention.qkv + attention.qkv_bias
    query, key, value = _apart(config, qkv, 3)
    return query * query.shape[-1] ** -0.5, key.transpose(0, 2, 1), value


def _apart(config: WhisperConfig, together: Array, parts: int) -> tuple[Array, ...]:
    """`[n, parts * d]` as parts of `[heads, n, width]`."""
    apart = together.reshape(together.shape[0], parts, config.heads, config.d_model // config.heads)
    return tuple(apart[:, part].transpose(1, 0, 2) for part in range(parts))


def _joined(mixed: Array) -> Array:
    """`[heads, n, width]` as `[n, heads * width]`."""
    return mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)


def _fed_forward(block: FeedForward, hidden: Array) -> Array:
    return _gelu(_norm(hidden, block.norm) @ block.up + block.up_bias) @ block.down + block.down_bias


def _gelu(values: Any) -> Array:
    return jax.nn.gelu(cast(Array, values), approximate=False)


def _norm(hidden: Array, scale_and_shift: Any) -> Array:
    centred = hidden - jnp.mean(hidden, axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    return centred * lax.rsqrt(variance + _EPSILON) * scale_and_shift[0] + scale_and_shift[1]
