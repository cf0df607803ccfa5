"""What this machine can do, measured the way the benchmarks need it: reading memory, and multiplying matrices.

Each object measures once per call, so that a benchmark can take turns between it and what it is compared with: on a
machine that others use, only ratios of neighbouring measurements mean anything.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp


class ReadRate:
    """Bytes a second that all cores together read from memory, from an array that no cache holds."""

    def __init__(self, size: int = 512 * 2**20, parts: int = 2) -> None:
        self._array = jax.block_until_ready(jnp.ones((parts, size // 4 // parts), jnp.float32))
        self._sum: Any = jax.jit(_sums).lower(self._array).compile()
        jax.block_until_ready(self._sum(self._array))

    def __call__(self) -> float:
        began = time.perf_counter()
        jax.block_until_ready(self._sum(self._array))
        return self._array.nbytes / (time.perf_counter() - began)


def _sums(array: jax.Array) -> jax.Array:
    return array.sum(axis=1)


class GemmRate:
    """Operations a second of the matrix products of a chunk of tokens and nothing else, with the model's own weights.

    `layers` holds, for each layer, its matrices `[in, out]`.
    """

    def __init__(self, layers: list[list[Any]], tokens: int) -> None:
        self._layers = layers
        self._inputs = [jnp.full((tokens, matrix.shape[0]), 0.01, jnp.float32) for matrix in layers[0]]
        self.operations = 2 * tokens * sum(matrix.size for layer in layers for matrix in layer)

        def products(inputs: list[Any], matrices: list[Any]) -> list[Any]:
            return [left @ right for left, right in zip(inputs, matrices, strict=True)]

        self._products: Any = jax.jit(products).lower(self._inputs, layers[0]).compile()
        self()

    def __call__(self) -> float:
        began = time.perf_counter()
        jax.block_until_ready([self._products(self._inputs, layer) for layer in self._layers])
        return self.operations / (time.perf_counter() - began)
