"""The Llama family for many sequences in one step, on a KV cache in pages.

One pool of pages serves all sequences; a table says which pages hold a sequence's positions, in order. A decode step is
one token of each row: the weights are read once for all of them, which is what makes it cheap. What was measured on a
CPU (SmolLM2-135M, 16 rows of 256 positions):

- Pages are attended to one after the other, of a few rows at once, with a running maximum and sum: what is gathered
  stays small, whatever the length, and pages behind the longest of those rows cost nothing. Pages of 128 cost 5 % more
  than a cache that lies in one piece.
- Each few rows are a loop of their own, and the loops run beside each other: a step of 16 rows takes 10 % less than
  with one loop of all, whose gathered pages do not fit the cache of a core. More loops than four only take longer to
  compile.
- The products over a page are multiplications and sums, not matrix products: of a row there are too few queries for
  those (half the time at 256 positions).
- The output table is multiplied in slices of columns. As one product of 16 rows it takes three to four times as long,
  because its rows lie so far apart in memory.

Rows that are not used point to a page that nobody else uses, at position 0.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from .llama import NEVER, Layer, Outer, Places, Running, attend_causally, enter, feed_forward, norm, project
from .llama_config import LlamaConfig
from .products import Quantised, product

_GROUP, _LOOPS = 4, 4
"""Rows that are attended to in one loop, as far as so many loops do for all."""
_SLICE = 2**20
"""At most so many values of the output table at once: 4 MiB are copied to where they lie close together."""


class Pool(NamedTuple):
    """Keys and values of one layer, f32, in pages."""

    keys: Any
    """[pages, kv_heads, head_dim, page]"""
    values: Any
    """[pages, kv_heads, page, head_dim]"""


class Rows(NamedTuple):
    """Where the tokens of a step stand; the same for all layers."""

    places: Places
    positions: Any
    """int32 [rows]"""
    table: Any
    """int32 [rows, most]: the pages of each row's positions; what is behind its last is not read"""


def pool_shapes(config: LlamaConfig, pages: int, page: int) -> Pool:
    """One layer's pages as `jax.ShapeDtypeStruct`."""
    keys = (pages, config.kv_heads, config.head_dim, page)
    values = (pages, config.kv_heads, page, config.head_dim)
    return Pool(jax.ShapeDtypeStruct(keys, jnp.float32), jax.ShapeDtypeStruct(values, jnp.float32))


def copy_page(pool: Pool, source: Array, target: Array) -> Pool:
    """A layer's pool with page `source` copied to page `target` (both int32)."""
    return Pool(*(lax.dynamic_update_index_in_dim(pages, pages[source], target, 0) for pages in pool))


def enter_rows(config: LlamaConfig, outer: Outer, tokens: Array, positions: Array, table: Array) -> tuple[Array, Rows]:
    """Hidden states `[rows, d_model]` of one token for each row, and where they stand."""

    def one(token: Array, position: Array) -> tuple[Array, Places]:
        return enter(config, outer, token[None], position)

    hidden, places = jax.vmap(one)(tokens, positions)
    return hidden[:, 0], Rows(Places(places.cos[:, 0], places.sin[:, 0], positions), positions, table)


def decode_rows_layer(config: LlamaConfig, layer: Layer, pool: Pool, hidden: Array, rows: Rows) -> tuple[Array, Pool]:
    """One layer for one token of each row, `hidden` [rows, d_model]: hidden states, and the pool with the positions
    filled."""
    count, page = hidden.shape[0], pool.keys.shape[3]
    query, key, value = project(config, layer, hidden, rows.places)
    query = query.transpose(2, 0, 1, 3)[..., None]
    keys, values = pool
    for row in range(count):
        at, place = rows.table[row, rows.positions[row] // page], rows.positions[row] % page
        keys = lax.dynamic_update_slice(keys, key[None, :, :, row, None], (at, 0, 0, place))
        values = lax.dynamic_update_slice(values, value[None, :, row, None, :], (at, 0, place, 0))

    pool = Pool(keys, values)
    # Loops that do not wait for each other run on several cores.
    group = max(_GROUP, -(-count // _LOOPS))
    groups = [slice(first, min(first + group, count)) for first in range(0, count, group)]
    mixed = [_attend(query[rows_of], pool, rows.positions[rows_of], rows.table[rows_of]) for rows_of in groups]
    hidden = hidden + product(jnp.concatenate(mixed).reshape(count, config.query_width), layer.out)
    return hidden + feed_forward(config, layer, hidden), pool


def _attend(query: Array, pool: Pool, positions: Array, table: Array) -> Array:
    """Attention of a token of each row to its pages, up to and with its position. `query` is [rows, kv_heads, group,
    head_dim, 1] (scaled); returns [rows, kv_heads, group, head_dim]."""
    page = pool.keys.shape[3]

    def one_page(index: Array, running: Running) -> Running:
        pages = lax.dynamic_slice_in_dim(table, index, 1, axis=1)[:, 0]
        scores = (query * pool.keys[pages][:, :, None]).sum(axis=3)
        seen = index * page + jnp.arange(page) <= positions[:, None]
        scores = jnp.where(seen[:, None, None], scores, NEVER)
        top = jnp.maximum(running.top, scores.max(axis=-1, keepdims=True))
        shares, before = jnp.exp(scores - top), jnp.exp(running.top - top)
        mixed = (shares[..., None] * pool.values[pages][:, :, None]).sum(axis=3)
        total = running.total * before + shares.sum(axis=-1, keepdims=True)
        return Running(top, total, running.mixed * before + mixed)

    nothing = jnp.zeros((*query.shape[:3], 1), jnp.float32)
    begin = Running(nothing + NEVER, nothing, jnp.zeros(query.shape[:4], jnp.float32))
    done = cast("Running", lax.fori_loop(0, positions.max() // page + 1, one_page, begin))
    return done.mixed / done.total


def prefill_pages_layer(
    config: LlamaConfig, layer: Layer, pool: Pool, hidden: Array, places: Places, table: Array, count: Array
) -> tuple[Array, Pool]:
    """One layer for a chunk of one sequence, `hidden` [chunk, d_model], of which the first `count` are real.

    `places` are those of `llama.enter`; `table` (int32 [most]) holds the sequence's pages. Only the positions of real
    tokens are written.
    """
    chunk, page = hidden.shape[0], pool.keys.shape[3]
    start = places.start
    query, key, value = project(config, layer, hidden, places)

    def fill_page(index: Array, filled: Pool) -> Pool:
        number = start // page + index
        of_chunk = number * page + jnp.arange(page) - start
        real = (of_chunk >= 0) & (of_chunk < count)
        at = table[jnp.minimum(number, table.shape[0] - 1)]
        new_keys = jnp.where(real, jnp.take(key, of_chunk, axis=2, mode="clip"), filled.keys[at])
        new_values = jnp.where(real[:, None], jnp.take(value, of_chunk, axis=1, mode="clip"), filled.values[at])
        return Pool(
            lax.dynamic_update_index_in_dim(filled.keys, new_keys, at, 0),
            lax.dynamic_update_index_in_dim(filled.values, new_values, at, 0),
        )

    # Written first and read then: two loops the other way round have XLA copy the whole pool. What is written here
    # stands at `start` and behind it, which `past_page` leaves out.
    last = (start + count - 1) // page
    filled = cast("Pool", lax.fori_loop(0, last - start // page + 1, fill_page, pool))

    def past_page(index: Array, running: Running) -> Running:
        at = table[index]
        scores = jnp.einsum("kgnd,kdc->kgnc", query, filled.keys[at])
        return running.add(jnp.where(index * page + jnp.arange(page) < start, scores, NEVER), filled.values[at])

    nothing = jnp.zeros((*query.shape[:3], 1), query.dtype)
    running = Running(nothing + NEVER, nothing, jnp.zeros_like(query))
    running = cast("Running", lax.fori_loop(0, (start + page - 1) // page, past_page, running))
    mixed = attend_causally(query, key, value, running)
    hidden = hidden + product(mixed.transpose(2, 0, 1, 3).reshape(chunk, config.query_width), layer.out)
    return hidden + feed_forward(config, layer, hidden), filled


def leave_rows(config: LlamaConfig, outer: Outer, hidden: Array) -> Array:
    """The logits `[rows, vocab]` behind `hidden` [rows, d_model]."""
    last = norm(config, hidden, outer.norm)
    most = min(_SLICE // config.d_model, config.vocab)
    width = next((width for width in range(most, most // 8, -1) if config.vocab % width == 0), None)
    if hidden.shape[0] == 1 or width is None or isinstance(outer.head, Quantised):
        return product(last, outer.head)

    def some(index: Array, logits: Array) -> Array:
        part = last @ lax.dynamic_slice(outer.head, (0, index * width), (config.d_model, width))
        return lax.dynamic_update_slice(logits, part, (0, index * width))

    empty = jnp.zeros((hidden.shape[0], config.vocab), jnp.float32)
    return cast("Array", lax.fori_loop(0, config.vocab // width, some, empty))


def likeliest(logits: Array) -> Array:
    """The most likely token of each row, int32 `[rows]`, the first of equals. Ten times as fast on a CPU as `argmax`,
    which compares one after the other."""
    top = logits.max(axis=-1, keepdims=True)
    tokens = jnp.arange(logits.shape[-1], dtype=jnp.int32)
    return jnp.where(logits == top, tokens, jnp.int32(logits.shape[-1])).min(axis=-1)
