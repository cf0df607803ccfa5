"""Choosing the next token of many rows in one program, each as it asks; and how likely tokens were.

A row's token is the one that `choosing` gives it alone, from the same logits. What no row asks for is not computed: the
thresholds of top-k and top-p are many passes over the vocabulary.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from ...protocol import MOST_LOGPROBS
from .. import choosing


class Asked(NamedTuple):
    """What each row asks for, `[rows]` each. A temperature of 0 is greedy."""

    temperature: Array
    """f32"""
    top_k: Array
    """int32"""
    top_p: Array
    """f32"""
    seed_low: Array
    """uint32, as are those below"""
    seed_high: Array
    place: Array


def likeliest(logits: Array) -> Array:
    """The most likely token of each row of `[rows, vocabulary]`, int32 `[rows]`, the first of equals. Ten times as fast
    on a CPU as `argmax`, which compares one after the other."""
    top = logits.max(axis=-1, keepdims=True)
    tokens = jnp.arange(logits.shape[-1], dtype=jnp.int32)
    return jnp.where(logits == top, tokens, jnp.int32(logits.shape[-1] - 1)).min(axis=-1)


def masked(logits: Array, masks: Array) -> Array:
    """Minus infinity where a row's mask (uint32 words, lowest bit first) has no bit."""
    return jax.vmap(choosing.masked)(logits, masks)


def chosen(logits: Array, asked: Asked) -> Array:
    """The token of each row, int32 `[rows]`: drawn where it asks for a temperature, and else the likeliest."""
    draws = asked.temperature > 0
    scores = logits / jnp.where(draws, asked.temperature, 1.0)[:, None]

    def narrowed() -> Array:
        kept = jax.vmap(choosing.among)(scores, asked.top_k, asked.top_p)
        return jnp.where(kept, scores, -jnp.inf)

    narrow = jnp.any(draws & ((asked.top_k > 0) | (asked.top_p < 1.0)))
    scores = cast("Array", lax.cond(narrow, narrowed, lambda: scores))
    keys = jax.vmap(choosing.key)(asked.seed_low, asked.seed_high, asked.place)
    noise = jax.vmap(partial(jax.random.gumbel, shape=logits.shape[1:], dtype=logits.dtype))(keys)
    return likeliest(jnp.where(draws[:, None], scores + noise, logits))


def likelihoods(logits: Array, tokens: Array) -> tuple[Array, Array, Array]:
    """Natural logarithms of the shares of `tokens[rows]`, f32 `[rows]`; of the likeliest, f32 `[rows, most]`; and which
    these are, int32 `[rows, most]`."""
    shares = jax.nn.log_softmax(logits)
    own = jnp.take_along_axis(shares, tokens[:, None], axis=1)[:, 0]
    top, which = lax.top_k(shares, min(MOST_LOGPROBS, logits.shape[-1]))
    return own, top, which.astype(jnp.int32)
