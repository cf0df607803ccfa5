"""BERT sentence encoders (MiniLM) as plain JAX functions: no framework, weights are a tree of arrays.

A text becomes the mean of its tokens' last hidden states, scaled to length one, so that the product of two embeddings
is the cosine of the angle between them. Matrices are stored `[in, out]` and queries, keys and values are one product,
which is what XLA multiplies fastest; the token table stays on the host, where looking up a few rows costs nothing.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from .bert_config import BertConfig

_NEVER = -1e30


class Layer(NamedTuple):
    """One layer. `d` is the width of the model."""

    qkv: Any
    """[d, 3 d]: queries, keys, values"""
    qkv_bias: Any
    """[3 d]"""
    out: Any
    """[d, d]"""
    out_bias: Any
    attention_norm: Any
    """[2, d]: scale and shift, after the attention's residual"""
    up: Any
    """[d, ffn]"""
    up_bias: Any
    down: Any
    """[ffn, d]"""
    down_bias: Any
    feed_forward_norm: Any
    """[2, d]"""


class Weights(NamedTuple):
    """All weights but the token table, f32."""

    positions: Any
    """[context, d], with the vector of the first segment type added"""
    embedding_norm: Any
    """[2, d]"""
    layers: tuple[Layer, ...]


def weight_shapes(config: BertConfig) -> Weights:
    def array(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    d, ffn = config.d_model, config.ffn
    layer = Layer(
        qkv=array(d, 3 * d),
        qkv_bias=array(3 * d),
        out=array(d, d),
        out_bias=array(d),
        attention_norm=array(2, d),
        up=array(d, ffn),
        up_bias=array(ffn),
        down=array(ffn, d),
        down_bias=array(d),
        feed_forward_norm=array(2, d),
    )
    return Weights(array(config.context, d), array(2, d), (layer,) * config.layers)


def encode(config: BertConfig, weights: Weights, words: Array, mask: Array) -> Array:
    """Embeddings `[batch, d]` of length one, from token vectors `[batch, length, d]` and a mask `[batch, length]`.

    The mask is 1 for real tokens and 0 for padding. Padding changes no result.
    """
    length = words.shape[1]
    hidden = _norm(config, words + weights.positions[:length], weights.embedding_norm)
    hidden_from = jnp.where(mask[:, None, None, :] > 0, 0.0, _NEVER)
    for layer in weights.layers:
        attended = _attention(config, layer, hidden, hidden_from)
        hidden = _norm(config, hidden + attended, layer.attention_norm)
        inner = jax.nn.gelu(cast(Array, hidden @ layer.up + layer.up_bias), approximate=False)
        hidden = _norm(config, hidden + inner @ layer.down + layer.down_bias, layer.feed_forward_norm)
    weight = mask[:, :, None].astype(hidden.dtype)
    # A row of padding alone (a batch that is not full) has no tokens: its mean is zero, not a fault.
    mean = jnp.sum(hidden * weight, axis=1) / jnp.maximum(jnp.sum(weight, axis=1), 1.0)
    return mean / jnp.maximum(jnp.sqrt(jnp.sum(mean * mean, axis=1, keepdims=True)), 1e-12)


def _attention(config: BertConfig, layer: Layer, hidden: Array, hidden_from: Array) -> Array:
    batch, length, _ = hidden.shape
    qkv = hidden @ layer.qkv + layer.qkv_bias
    query, key, value = jnp.moveaxis(qkv.reshape(batch, length, 3, config.heads, -1), 2, 0)
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    shares = jax.nn.softmax(scores + hidden_from, axis=-1)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, value).reshape(batch, length, -1)
    return mixed @ layer.out + layer.out_bias


def _norm(config: BertConfig, hidden: Array, scale_and_shift: Any) -> Array:
    centred = hidden - jnp.mean(hidden, axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + config.norm_epsilon) * scale_and_shift[0] + scale_and_shift[1]
