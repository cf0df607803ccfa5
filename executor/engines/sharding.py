"""A model's layers in shards, as an engine wants them: beside `ModelFunctions`, for models that can be divided."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from .protocol import ModelFunctions


class ShardFunctions(Protocol):
    """A model's layers in parts, each for a device of its own: tensor and expert parallelism.

    All parts have the same shapes. Each takes the whole hidden states and gives a summand of what its block adds to
    them; whoever runs the parts sums these on all devices (the all-reduce). What stands around the layers is not
    divided.
    """

    @property
    def attention_shards(self) -> int: ...

    @property
    def feed_forward_shards(self) -> int: ...

    def attention_shapes(self) -> Any:
        """The tree of shapes of one device's weights for attention."""
        ...

    def feed_forward_shapes(self) -> Any:
        """The tree of shapes of one device's weights for the feed-forward block, or for its experts."""
        ...

    def cache_shapes(self, length: int) -> Any:
        """The tree of shapes of one device's part of a layer's cache."""
        ...

    def split(self, layer: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """A layer's weights (NumPy arrays) as the devices hold them: those for attention, and those for the rest."""
        ...

    def attention(self, weights: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        """A shard's summand for a chunk of tokens, or for one, and its part of the cache."""
        ...

    def feed_forward(self, weights: Any, hidden: Any) -> Any:
        """A shard's summand."""
        ...

    def grow(self, cache: Any, length: int) -> Any:
        """One device's part of a layer's cache, with room for `length` positions."""
        ...


@runtime_checkable
class ShardableFunctions(ModelFunctions, Protocol):
    """`ModelFunctions` of a model that can be divided."""

    def in_shards(self, tensor: int, expert: int = 1) -> ShardFunctions:
        """The layers in `tensor` shards of heads and widths, and in `expert` groups of experts.

        Raises `ValueError` with a text that says why, where they cannot be divided so.
        """
        ...
