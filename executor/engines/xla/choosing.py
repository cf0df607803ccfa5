"""Choosing the next token, on the device: only its id crosses to the host.

Thresholds for top-k and top-p are found by bisection over the bits of the scores, 32 passes over the vocabulary, which
on a CPU is many times faster than sorting it.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array, lax


def greedy(logits: Array) -> Array:
    """The most likely token of `[vocabulary]` logits, int32 `[1]`."""
    return jnp.argmax(logits, keepdims=True).astype(jnp.int32)


def masked(logits: Array, mask: Array) -> Array:
    """`[vocabulary]` logits with minus infinity where `mask` (uint32 words, lowest bit first) has no bit."""
    tokens = jnp.arange(logits.size, dtype=jnp.uint32)
    return jnp.where((mask[tokens >> 5] >> (tokens & 31)) & 1 == 1, logits, -jnp.inf)


def sampled(
    logits: Array, temperature: Array, top_k: Array, top_p: Array, seed_low: Array, seed_high: Array, index: Array
) -> Array:
    """A token drawn from `[vocabulary]` logits at `temperature` (above 0), int32 `[1]`.

    Among the `top_k` most likely (0: all), and of those the fewest whose shares sum to `top_p` at least; equally
    likely ones stay or go together. The draw depends on the seed (two uint32 halves) and on the token's `index` in
    the reply alone.
    """
    scores = logits / temperature
    kept = among(scores, top_k, top_p)
    drawn = jax.random.categorical(key(seed_low, seed_high, index), jnp.where(kept, scores, -jnp.inf))
    return drawn[None].astype(jnp.int32)


def among(scores: Array, top_k: Array, top_p: Array) -> Array:
    """Which of `[vocabulary]` scores are drawn from."""
    ranks = _ordered_bits(scores)
    wanted = jnp.where(top_k == 0, scores.size, jnp.minimum(top_k, scores.size))
    likeliest = ranks >= _largest(lambda least: jnp.sum(ranks >= least) >= wanted)
    shares = jax.nn.softmax(jnp.where(likeliest, scores, -jnp.inf))
    within = ranks >= _largest(lambda least: jnp.sum(jnp.where(ranks >= least, shares, 0.0)) >= top_p)
    return likeliest & (within | (top_p >= 1.0))


def key(seed_low: Array, seed_high: Array, index: Array) -> Array:
    """What a draw depends on."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), seed_low), seed_high), index)


def _ordered_bits(scores: Array) -> Array:
    """f32 as uint32 in the same order."""
    bits = lax.bitcast_convert_type(scores, jnp.uint32)
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _largest(holds: Callable[[Array], Array]) -> Array:
    """The largest uint32 for which `holds`, which holds for 0 and never again after it fails."""

    def bit(step: Array, found: Array) -> Array:
        tried = found | (jnp.uint32(1) << (31 - step).astype(jnp.uint32))
        return jnp.where(holds(tried), tried, found)

    return cast("Array", lax.fori_loop(0, 32, bit, jnp.uint32(0)))
