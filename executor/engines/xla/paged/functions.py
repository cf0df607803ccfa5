"""What a model's mathematics offers beside `ModelFunctions`, for an engine that runs many sequences in a step."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


class RowFunctions(Protocol):
    """Pure functions on pages of KV cache (JAX values, hence `Any`).

    A *pool* is one layer's pages, a tree of arrays whose first axis is the page. A *table* (int32) holds the pages of a
    sequence, in order of its positions; what is behind the last one that is needed names any page. All that is written
    lies in pages of the tables.
    """

    def pool_shapes(self, pages: int, page: int) -> Any:
        """The tree of shapes of a layer's pool: `pages` pages of `page` positions."""
        ...

    def enter_rows(self, outer: Any, tokens: Any, positions: Any, table: Any) -> tuple[Any, Any]:
        """Hidden states of `tokens[rows]` at `positions[rows]`, `table[rows, most]`, and a tree that tells layers where
        they stand. Rows may be of one sequence, at successive positions."""
        ...

    def decode_rows_layer(self, layer: Any, pool: Any, hidden: Any, rows: Any) -> tuple[Any, Any]:
        """One layer for one token of each row: hidden states and the pool."""
        ...

    def leave_rows(self, outer: Any, hidden: Any) -> Any:
        """The logits `[rows, vocabulary]`."""
        ...

    def prefill_pages_layer(
        self, layer: Any, pool: Any, hidden: Any, places: Any, table: Any, count: Any
    ) -> tuple[Any, Any]:
        """One layer for a chunk of one sequence, entered and left by `ModelFunctions`, whose first `count` tokens are
        real; `table[most]`."""
        ...

    def copy_page(self, pool: Any, source: Any, target: Any) -> Any: ...

    def grow_pool(self, pool: Any, pages: int) -> Any:
        """The pool with `pages` pages, the new ones zero."""
        ...

    def read_page(self, pool: Any, page: Any) -> tuple[Any, Any]:
        """Keys and values of a page, both `[kv_heads, page, head_dim]`."""
        ...

    def write_page(self, pool: Any, page: Any, keys: Any, values: Any, first: Any, stop: Any) -> Any:
        """The pool with the positions from `first` up to `stop` of a page as in such `keys` and `values`."""
        ...


@runtime_checkable
class PageableFunctions(Protocol):
    """`ModelFunctions` that may be able to run so."""

    def on_pages(self) -> RowFunctions | None:
        """None where they cannot."""
        ...
