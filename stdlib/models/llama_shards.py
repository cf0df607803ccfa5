"""A Llama's layers in shards: what each of several devices holds and computes of them (tensor parallelism, M. Shoeybi
et al. 2019, "Megatron-LM", section 3).

Attention is divided by heads, the feed-forward block by its inner width. A shard is a layer of fewer heads and a
narrower block, so the functions of `llama` compute it, with figures and weights of its own; what its shards add,
summed, is what the layer adds. Where there are more shards than key-value heads, a head is held by several of them.
The norms are on every device, and so are the hidden states; embeddings and the output table are not divided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .llama_config import LlamaConfig, UnsupportedModel

if TYPE_CHECKING:
    from types import ModuleType

    from .llama import Layer, LayerCache


@dataclass(frozen=True, slots=True)
class LlamaShards:
    """`ShardFunctions` of a Llama in `shards` parts. Raises `UnsupportedModel` where it cannot be divided so."""

    config: LlamaConfig
    shards: int

    def __post_init__(self) -> None:
        config, shards = self.config, self.shards
        if config.weights != "f32":
            raise UnsupportedModel(f"weights stored in {config.weights} are not divided")
        if shards < 1 or config.heads % shards or config.ffn % shards:
            raise UnsupportedModel(
                f"{config.heads} heads and an inner width of {config.ffn} cannot be divided by {shards}"
            )
        if config.kv_heads % shards and shards % config.kv_heads:
            raise UnsupportedModel(f"{config.kv_heads} key-value heads cannot be spread over {shards} shards evenly")

    @property
    def copies(self) -> int:
        """How many shards hold the same key-value heads."""
        return max(1, self.shards // self.config.kv_heads)

    @property
    def part(self) -> LlamaConfig:
        """The figures of one shard."""
        config = self.config
        return replace(
            config,
            heads=config.heads // self.shards,
            kv_heads=max(1, config.kv_heads // self.shards),
            ffn=config.ffn // self.shards,
        )

    @property
    def attention_shards(self) -> int:
        return self.shards

    @property
    def feed_forward_shards(self) -> int:
        return self.shards

    def attention_shapes(self) -> Layer:
        """The tree of shapes of one device's weights for attention: a layer without its feed-forward block."""
        return _llama().layer_shapes(self.part)._replace(gate_up=None, down=None)

    def feed_forward_shapes(self) -> Layer:
        """The tree of shapes of one device's weights for the feed-forward block: a layer without attention."""
        return _llama().layer_shapes(self.part)._replace(qkv=None, out=None)

    def cache_shapes(self, length: int) -> LayerCache:
        """The tree of shapes of what one device holds of a layer's cache."""
        return _llama().cache_shapes(self.part, length)

    def split(self, layer: Any) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
        """What each device holds of a layer's weights (NumPy arrays, copied): for attention, and for the rest."""
        import numpy as np

        from .llama import Layer

        whole, part = self.config, self.part
        query, key, value = np.split(layer.qkv, [whole.query_width, whole.query_width + whole.kv_width], axis=1)
        gate, up = np.split(layer.gate_up, 2, axis=1)

        def attention(at: int) -> Layer:
            mine, kept = _part(at, part.query_width), _part(at // self.copies, part.kv_width)
            qkv = np.concatenate([query[:, mine], key[:, kept], value[:, kept]], axis=1)
            return Layer(layer.norms, qkv, np.ascontiguousarray(layer.out[mine]), None, None)

        def feed_forward(at: int) -> Layer:
            mine = _part(at, part.ffn)
            both = np.concatenate([gate[:, mine], up[:, mine]], axis=1)
            return Layer(layer.norms, None, None, both, np.ascontiguousarray(layer.down[mine]))

        numbers = range(self.shards)
        return tuple(map(attention, numbers)), tuple(map(feed_forward, numbers))

    def attention(self, weights: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        """What a shard's heads add to the hidden states of a chunk or of one token, and its part of the cache."""
        functions = _llama()
        attend = functions.decode_attention if hidden.shape[0] == 1 else functions.prefill_attention
        return attend(self.part, weights, cache, hidden, places)

    def feed_forward(self, weights: Any, hidden: Any) -> Any:
        """What a shard's part of the feed-forward block adds to the hidden states."""
        return _llama().feed_forward(self.part, weights, hidden)

    def grow(self, cache: Any, length: int) -> Any:
        """One device's part of a layer's cache, with room for `length` positions."""
        return _llama().grow(cache, length)


def _part(number: int, width: int) -> slice:
    return slice(number * width, (number + 1) * width)


def _llama() -> ModuleType:
    from . import llama

    return llama
