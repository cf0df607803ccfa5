"""Products with weights: in f32, or in int8 where the weights are stored so.

An int8 weight has a scale for each of its outputs. What it is multiplied with is not rounded to 8 bits: a few channels
of a Llama's hidden states are many times as large as the others, and rounding by the largest of them cost more than
the weights' own rounding did (mean KL divergence of the next token 0.05 instead of 0.005, on SmolLM2-135M). It becomes
two planes of int8 instead, the second for what the first leaves over, 15 bits together. Both planes go through one
product of integers, which is no more work on a CPU than one plane: it waits for the weights.

- A product of integers of one row alone is ten times as slow (XLA has a kernel from two rows on): planes make it two.
- Many rows are computed in f32, on weights that are converted on the way: from some dozen rows on, a product of
  integers is not faster, and two planes are twice the work.
- Sums of integers are exact: a row's numbers do not depend on the rows beside it.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

_ROWS = 32
"""Up to so many rows are multiplied as integers."""
_TOP = 127.0
_FINER = 254.0
"""Steps of the second plane in one of the first: what rounding leaves over is half a step at most, on either side."""

_LEAST = 1e-30
"""Rows of zeros have a step too."""


class Quantised(NamedTuple):
    """A weight `[in, out]` in int8."""

    values: Any
    """int8 [out, in]"""
    scales: Any
    """f32 [out]: what one step of an output's values is"""


def product(rows: Array, weight: Any) -> Array:
    """`rows` [n, in] f32 by a weight [in, out], an array or `Quantised`: f32 [n, out]."""
    if not isinstance(weight, Quantised):
        return rows @ weight
    count = rows.shape[0]
    if count > _ROWS:
        # This way round nothing is transposed but the rows: 5 to 20 % more than weights in f32 take.
        return (weight.values.astype(jnp.float32) @ rows.T).T * weight.scales
    step = jnp.maximum(jnp.abs(rows).max(axis=1, keepdims=True), _LEAST) / _TOP
    first = jnp.round(rows / step)
    second = jnp.round((rows / step - first) * _FINER)
    planes = jnp.concatenate([first, second]).astype(jnp.int8)
    sums = lax.dot_general(planes, weight.values, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32)
    together = sums[:count].astype(jnp.float32) + sums[count:].astype(jnp.float32) / _FINER
    return together * step * weight.scales


def columns(weight: Any, tokens: Array) -> Array:
    """The columns of a table [in, vocabulary] for `tokens` [n] (int32), as rows: f32 [n, in]."""
    if isinstance(weight, Quantised):
        rows = jnp.take(weight.values, tokens, axis=0, mode="clip").astype(jnp.float32)
        return rows * jnp.take(weight.scales, tokens, mode="clip")[:, None]
    if tokens.shape[0] == 1:
        return lax.dynamic_slice(weight, (0, tokens[0]), (weight.shape[0], 1)).T
    return jnp.take(weight, tokens, axis=1, mode="clip").T
