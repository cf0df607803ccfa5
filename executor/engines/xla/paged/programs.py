"""The compiled programs of a model on pages, each made once on this machine (see `programs`, `kept`).

A layer is a program of its own here too. How long a sequence is, is no part of a program's shape, since a table names
its pages; how many pages there are, is: `tier`.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ...protocol import ModelFunctions
from .. import choosing as single
from ..kept import KeptPrograms, Program
from . import choosing
from .functions import RowFunctions

Lowerable = tuple[Any, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Parts:
    """The programs of one step: `enter`, `layer`, `leave`."""

    enter: Program
    layer: Program
    leave: Program


class PagedPrograms:
    """Methods block while they compile or load; they may be called from any thread.

    Trees pass as flat lists, as in `Programs`. A table has `most` entries for each sequence.
    """

    def __init__(
        self, key: str, functions: ModelFunctions, rows: RowFunctions, page: int, most: int, keep: Path | None
    ) -> None:
        self._functions = functions
        self._rows = rows
        self.page = page
        self.most = most
        self._kept = KeptPrograms(f"{key}\0{_code()}", keep)

    @property
    def compiled(self) -> int:
        return self._kept.compiled

    @cached_property
    def cache_shape(self) -> tuple[int, int, int]:
        """`(kv_heads, page, head_dim)`: what `read` gives of a page."""
        pool, _ = self._pool(1)
        keys, _ = jax.eval_shape(self._read(1)[0], pool, _int())
        return keys.shape

    def create(self, tier: int) -> Program:
        """`() -> layer's pool` of zeros."""
        return self._kept.get(f"pages-{tier}x{self.page}", lambda: self._create(tier))

    def grow(self, tier: int, larger: int) -> Program:
        """`(layer's pool) -> layer's pool`."""
        return self._kept.get(f"grow-pages-{tier}-{larger}x{self.page}", lambda: self._grow(tier, larger))

    def copy(self, tier: int) -> Program:
        """`(layer's pool, source, target) -> layer's pool`, in place."""
        return self._kept.get(f"copy-page-{tier}x{self.page}", lambda: self._copy(tier))

    def read(self, tier: int) -> Program:
        """`(layer's pool, page) -> keys, values`, both `[kv_heads, page, head_dim]`."""
        return self._kept.get(f"read-page-{tier}x{self.page}", lambda: self._read(tier))

    def write(self, tier: int) -> Program:
        """`(layer's pool, page, keys, values, first, stop) -> layer's pool`, in place."""
        return self._kept.get(f"write-page-{tier}x{self.page}", lambda: self._write(tier))

    def decode(self, rows: int, tier: int) -> Parts:
        """The step of one token for each row: `enter(outer, tokens, positions, table)`, `layer(weights, pool, hidden,
        places)`, `leave(outer, hidden) -> logits[rows, vocabulary]`."""
        enter, layer, leave = self._decode_names(rows, tier)
        return Parts(
            self._kept.get(enter, lambda: self._enter_rows(rows)),
            self._kept.get(layer, lambda: self._rows_layer(rows, tier)),
            self._kept.get(leave, lambda: self._leave_rows(rows)),
        )

    def has_decode(self, rows: int, tier: int) -> bool:
        """Whether `decode` need not compile."""
        return all(map(self._kept.has, self._decode_names(rows, tier)))

    def _decode_names(self, rows: int, tier: int) -> tuple[str, str, str]:
        layer = f"rows-{rows}-{tier}x{self.page}-{self.most}"
        return f"enter-rows-{rows}-{self.most}", layer, f"leave-rows-{rows}"

    def prefill(self, chunk: int, tier: int) -> Parts:
        """The step of a chunk of one sequence: `enter(outer, tokens, start, count, table)`, `layer` as above,
        `leave(outer, hidden, count) -> logits[1, vocabulary]`."""
        layer = f"chunk-{chunk}-{tier}x{self.page}-{self.most}"
        return Parts(
            self._kept.get(f"enter-chunk-{chunk}-{self.most}", lambda: self._enter_chunk(chunk)),
            self._kept.get(layer, lambda: self._chunk_layer(chunk, tier)),
            self._kept.get(f"leave-chunk-{chunk}", lambda: self._leave_chunk(chunk)),
        )

    def choose(self, rows: int, vocabulary: int, masks: bool, draws: bool) -> Program:
        """`(logits[rows, vocabulary], masks?, asked…?) -> tokens[rows]`."""
        name = _choose_name(rows, vocabulary, masks, draws)
        return self._kept.get(name, lambda: _choose(rows, vocabulary, masks, draws))

    def has_choose(self, rows: int, vocabulary: int, masks: bool, draws: bool) -> bool:
        """Whether `choose` need not compile."""
        return self._kept.has(_choose_name(rows, vocabulary, masks, draws))

    def likelihoods(self, rows: int, vocabulary: int) -> Program:
        """`(logits[rows, vocabulary], tokens[rows]) -> own[rows], top[rows, most], which[rows, most]`."""
        shapes = (_struct(jnp.float32, rows, vocabulary), _struct(jnp.int32, rows))
        return self._kept.get(f"likelihoods-{rows}-{vocabulary}", lambda: (jax.jit(choosing.likelihoods), shapes))

    def row(self, rows: int, vocabulary: int) -> Program:
        """`(logits[rows, vocabulary], index) -> logits[1, vocabulary]`."""
        shapes = (_struct(jnp.float32, rows, vocabulary), _struct(jnp.int32))
        return self._kept.get(f"row-{rows}-{vocabulary}", lambda: (jax.jit(_row), shapes))

    # What is compiled: a jitted function and the shapes of its arguments.

    def _pool(self, tier: int) -> tuple[list[Any], Any]:
        return jax.tree.flatten(self._rows.pool_shapes(tier, self.page))

    def _create(self, tier: int) -> Lowerable:
        shapes, _ = self._pool(tier)
        return jax.jit(lambda: [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]), ()

    def _grow(self, tier: int, larger: int) -> Lowerable:
        leaves, tree = self._pool(tier)

        def grow(pool: Any) -> Any:
            return jax.tree.leaves(self._rows.grow_pool(jax.tree.unflatten(tree, pool), larger))

        return jax.jit(grow), (leaves,)

    def _copy(self, tier: int) -> Lowerable:
        leaves, tree = self._pool(tier)

        def copy(pool: Any, source: Any, target: Any) -> Any:
            return jax.tree.leaves(self._rows.copy_page(jax.tree.unflatten(tree, pool), source, target))

        return jax.jit(copy, donate_argnums=0), (leaves, _int(), _int())

    def _read(self, tier: int) -> Lowerable:
        leaves, tree = self._pool(tier)

        def read(pool: Any, page: Any) -> Any:
            return self._rows.read_page(jax.tree.unflatten(tree, pool), page)

        return jax.jit(read), (leaves, _int())

    def _write(self, tier: int) -> Lowerable:
        leaves, tree = self._pool(tier)
        keys, values = jax.eval_shape(self._read(tier)[0], leaves, _int())

        def write(pool: Any, page: Any, keys: Any, values: Any, first: Any, stop: Any) -> Any:
            pages = jax.tree.unflatten(tree, pool)
            return jax.tree.leaves(self._rows.write_page(pages, page, keys, values, first, stop))

        return jax.jit(write, donate_argnums=0), (leaves, _int(), keys, values, _int(), _int())

    def _enter_rows(self, rows: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.outer_shapes())

        def enter(outer: Any, tokens: Any, positions: Any, table: Any) -> Any:
            hidden, places = self._rows.enter_rows(jax.tree.unflatten(tree, outer), tokens, positions, table)
            return hidden, jax.tree.leaves(places)

        return jax.jit(enter), (leaves, _int(rows), _int(rows), _int(rows, self.most))

    def _rows_layer(self, rows: int, tier: int) -> Lowerable:
        weight_leaves, weight_tree = jax.tree.flatten(self._functions.layer_shapes())
        pool_leaves, pool_tree = self._pool(tier)
        given = _int(rows), _int(rows), _int(rows, self.most)
        hidden, places = jax.eval_shape(self._rows.enter_rows, self._functions.outer_shapes(), *given)
        place_leaves, place_tree = jax.tree.flatten(places)

        def layer(weights: Any, pool: Any, hidden: Any, places: Any) -> Any:
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(pool_tree, pool)
            hidden, filled = self._rows.decode_rows_layer(*trees, hidden, jax.tree.unflatten(place_tree, places))
            return hidden, jax.tree.leaves(filled)

        return jax.jit(layer, donate_argnums=(1, 2)), (weight_leaves, pool_leaves, hidden, place_leaves)

    def _leave_rows(self, rows: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.outer_shapes())
        given = _int(rows), _int(rows), _int(rows, self.most)
        hidden, _ = jax.eval_shape(self._rows.enter_rows, self._functions.outer_shapes(), *given)

        def leave(outer: Any, hidden: Any) -> Any:
            return self._rows.leave_rows(jax.tree.unflatten(tree, outer), hidden)

        return jax.jit(leave), (leaves, hidden)

    def _enter_chunk(self, chunk: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.outer_shapes())

        def enter(outer: Any, tokens: Any, start: Any, count: Any, table: Any) -> Any:
            hidden, places = self._functions.enter(jax.tree.unflatten(tree, outer), tokens, start)
            return hidden, [*jax.tree.leaves(places), count, table]

        return jax.jit(enter), (leaves, _int(chunk), _int(), _int(), _int(self.most))

    def _chunk_layer(self, chunk: int, tier: int) -> Lowerable:
        weight_leaves, weight_tree = jax.tree.flatten(self._functions.layer_shapes())
        pool_leaves, pool_tree = self._pool(tier)
        hidden, places = jax.eval_shape(self._functions.enter, self._functions.outer_shapes(), _int(chunk), _int())
        place_leaves, place_tree = jax.tree.flatten(places)

        def layer(weights: Any, pool: Any, hidden: Any, places: Any) -> Any:
            *given, count, table = places
            trees = jax.tree.unflatten(weight_tree, weights), jax.tree.unflatten(pool_tree, pool)
            stands = jax.tree.unflatten(place_tree, given)
            hidden, filled = self._rows.prefill_pages_layer(*trees, hidden, stands, table, count)
            return hidden, jax.tree.leaves(filled)

        given = [*place_leaves, _int(), _int(self.most)]
        return jax.jit(layer, donate_argnums=(1, 2)), (weight_leaves, pool_leaves, hidden, given)

    def _leave_chunk(self, chunk: int) -> Lowerable:
        leaves, tree = jax.tree.flatten(self._functions.outer_shapes())
        hidden, _ = jax.eval_shape(self._functions.enter, self._functions.outer_shapes(), _int(chunk), _int())

        def leave(outer: Any, hidden: Any, count: Any) -> Any:
            return self._functions.leave(jax.tree.unflatten(tree, outer), hidden, count)[None]

        return jax.jit(leave), (leaves, hidden, _int())


def _choose_name(rows: int, vocabulary: int, masks: bool, draws: bool) -> str:
    return f"choose-{rows}-{vocabulary}{'-masked' if masks else ''}{'-drawn' if draws else ''}"


def _choose(rows: int, vocabulary: int, masks: bool, draws: bool) -> Lowerable:
    def choose(logits: Any, *rest: Any) -> Any:
        if masks:
            logits, rest = choosing.masked(logits, rest[0]), rest[1:]
        return choosing.chosen(logits, choosing.Asked(*rest)) if draws else choosing.likeliest(logits)

    words = [_struct(jnp.uint32, rows, (vocabulary + 31) // 32)] if masks else []
    kinds = (jnp.float32, jnp.int32, jnp.float32, jnp.uint32, jnp.uint32, jnp.uint32)
    asked = [_struct(kind, rows) for kind in kinds] if draws else []
    return jax.jit(choose), (_struct(jnp.float32, rows, vocabulary), *words, *asked)


def _row(logits: Any, index: Any) -> Any:
    return jax.lax.dynamic_slice_in_dim(logits, index, 1)


@cache
def _code() -> str:
    """The code that stands around the model's functions."""
    files = (__file__, choosing.__file__, single.__file__)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return _struct(jnp.int32, *shape)


def _struct(kind: Any, *shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, kind)
