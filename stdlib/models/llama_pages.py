"""A Llama on pages of KV cache as an engine wants it: what `llama_rows` computes, and what goes in and out of pages."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from . import llama_rows
from .llama_config import LlamaConfig
from .llama_rows import Pool


@dataclass(frozen=True, slots=True)
class LlamaOnPages:
    """`RowFunctions` of one configuration."""

    config: LlamaConfig

    def pool_shapes(self, pages: int, page: int) -> Pool:
        return llama_rows.pool_shapes(self.config, pages, page)

    def enter_rows(self, outer: Any, tokens: Any, positions: Any, table: Any) -> tuple[Any, Any]:
        return llama_rows.enter_rows(self.config, outer, tokens, positions, table)

    def decode_rows_layer(self, layer: Any, pool: Any, hidden: Any, rows: Any) -> tuple[Any, Any]:
        return llama_rows.decode_rows_layer(self.config, layer, pool, hidden, rows)

    def leave_rows(self, outer: Any, hidden: Any) -> Any:
        return llama_rows.leave_rows(self.config, outer, hidden)

    def prefill_pages_layer(
        self, layer: Any, pool: Any, hidden: Any, places: Any, table: Any, count: Any
    ) -> tuple[Any, Any]:
        return llama_rows.prefill_pages_layer(self.config, layer, pool, hidden, places, table, count)

    def copy_page(self, pool: Any, source: Any, target: Any) -> Any:
        return llama_rows.copy_page(pool, source, target)

    def grow_pool(self, pool: Any, pages: int) -> Any:
        return grow_pool(pool, pages)

    def read_page(self, pool: Any, page: Any) -> tuple[Any, Any]:
        return read_page(pool, page)

    def write_page(self, pool: Any, page: Any, keys: Any, values: Any, first: Any, stop: Any) -> Any:
        return write_page(pool, page, keys, values, first, stop)


def grow_pool(pool: Pool, pages: int) -> Pool:
    """A copy of one layer's pool with `pages` pages, the new ones zero."""
    more = pages - pool.keys.shape[0]
    return Pool(*(jnp.pad(part, ((0, more), (0, 0), (0, 0), (0, 0))) for part in pool))


def read_page(pool: Pool, page: Array) -> tuple[Array, Array]:
    """Keys and values of a page (int32), both `[kv_heads, page, head_dim]`."""
    return pool.keys[page].transpose(0, 2, 1), pool.values[page]


def write_page(pool: Pool, page: Array, keys: Array, values: Array, first: Array, stop: Array) -> Pool:
    """A layer's pool with the positions from `first` up to `stop` of a page as in `keys` and `values`, both
    `[kv_heads, page, head_dim]`."""
    at = jnp.arange(pool.keys.shape[3])
    mine = (at >= first) & (at < stop)
    new_keys = jnp.where(mine, keys.transpose(0, 2, 1), pool.keys[page])
    new_values = jnp.where(mine[:, None], values, pool.values[page])
    return Pool(
        lax.dynamic_update_index_in_dim(pool.keys, new_keys, page, 0),
        lax.dynamic_update_index_in_dim(pool.values, new_values, page, 0),
    )
