"""A small mixture of experts with random weights, whole and in shards: what expert parallelism is tested with.

It is a Llama whose feed-forward block is one of several experts: a router gives each token to the `ACTIVE` most likely,
and what they add is weighted by how likely they are (N. Shazeer et al. 2017; as Mixtral does it). The whole model looks
up the weights of the chosen experts, token by token; a shard runs its own experts on every token, and weighs what was
not meant for them with zero.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from agentlang.executor.engines.protocol import ModelFacts
from agentlang.stdlib.models import llama
from agentlang.stdlib.models.chat_source import LlamaFunctions
from agentlang.stdlib.models.llama_config import LlamaConfig
from agentlang.stdlib.models.llama_shards import LlamaShards
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama
from agentlang.stdlib.models.tokenizer import BytePairTokenizer

EXPERTS, ACTIVE = 8, 3


class Experts(NamedTuple):
    norm: Any
    """[d_model]"""
    router: Any
    """[d_model, experts], of all experts"""
    gate_up: Any
    """[held, d_model, 2 * ffn]"""
    down: Any
    """[held, ffn, d_model]"""
    first: Any
    """int32, the first expert that is held"""


def routed(config: LlamaConfig, weights: Experts, hidden: Any) -> tuple[Any, Any, Any]:
    """The normed states, and for each token which experts it goes to and with what weight, `[n, ACTIVE]`."""
    scale = jax.lax.rsqrt((hidden * hidden).mean(axis=-1, keepdims=True) + config.norm_epsilon)
    normed = hidden * scale * weights.norm
    scores, chosen = jax.lax.top_k(normed @ weights.router, ACTIVE)
    return normed, chosen, jax.nn.softmax(scores, axis=-1)


def whole_block(config: LlamaConfig, weights: Experts, hidden: Any) -> Any:
    normed, chosen, shares = routed(config, weights, hidden)
    both = jnp.einsum("nd,nkdf->nkf", normed, weights.gate_up[chosen])
    inner = jax.nn.silu(both[..., : config.ffn]) * both[..., config.ffn :]
    return jnp.einsum("nkf,nkfd,nk->nd", inner, weights.down[chosen], shares)


def held_block(ffn: int, config: LlamaConfig, weights: Experts, hidden: Any) -> Any:
    """What the held experts add, of an inner width `ffn`."""
    normed, chosen, shares = routed(config, weights, hidden)
    held = weights.first + jnp.arange(weights.gate_up.shape[0])
    meant = (shares[:, :, None] * (chosen[:, :, None] == held)).sum(axis=1)
    both = jnp.einsum("nd,edf->nef", normed, weights.gate_up)
    inner = jax.nn.silu(both[..., :ffn]) * both[..., ffn:]
    return jnp.einsum("nef,efd,ne->nd", inner, weights.down, meant)


@dataclass(frozen=True, slots=True)
class MixtureFunctions(LlamaFunctions):
    """`ShardableFunctions`. A layer's weights are (a Llama layer without its block, `Experts`)."""

    def on_pages(self) -> None:
        """An engine takes one sequence after the other."""

    def layer_shapes(self) -> Any:
        return self.config_attention(self.config), expert_shapes(self.config, EXPERTS, self.config.ffn)

    @staticmethod
    def config_attention(config: LlamaConfig) -> Any:
        return llama.layer_shapes(config)._replace(gate_up=None, down=None)

    def prefill_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return self._layer(llama.prefill_attention, layer, cache, hidden, places)

    def decode_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return self._layer(llama.decode_attention, layer, cache, hidden, places)

    def _layer(self, attend: Callable[..., Any], layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        added, filled = attend(self.config, layer[0], cache, hidden, places)
        hidden = hidden + added
        return hidden + whole_block(self.config, layer[1], hidden), filled

    def prefill(self, weights: Any, cache: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        outer, layers = weights
        hidden, places = self.enter(outer, tokens, start)
        attend = llama.decode_attention if tokens.shape[0] == 1 else llama.prefill_attention
        filled: list[Any] = []
        for layer, past in zip(layers, cache, strict=True):
            hidden, new = self._layer(attend, layer, past, hidden, places)
            filled.append(new)
        return self.leave(outer, hidden, count), tuple(filled)

    def decode(self, weights: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        return self.prefill(weights, cache, token[None], position, jnp.int32(1))

    def in_shards(self, tensor: int, expert: int = 1) -> MixtureShards:
        return MixtureShards(self.config, tensor, expert)


@dataclass(frozen=True, slots=True)
class MixtureShards:
    """`ShardFunctions`: `tensor` shards of attention; the experts in `expert` groups, each expert in as many slices as
    there are devices for its group."""

    config: LlamaConfig
    tensor: int
    expert: int

    def __post_init__(self) -> None:
        if EXPERTS % self.expert or (self.tensor % self.expert and self.tensor > 1):
            raise ValueError(f"{EXPERTS} experts cannot be divided by {self.expert} on {self.tensor} devices")

    @property
    def _attention(self) -> LlamaShards:
        return LlamaShards(self.config, self.tensor)

    @property
    def _slices(self) -> int:
        return self.feed_forward_shards // self.expert

    @property
    def attention_shards(self) -> int:
        return self.tensor

    @property
    def feed_forward_shards(self) -> int:
        return max(self.tensor, self.expert)

    def attention_shapes(self) -> Any:
        return self._attention.attention_shapes()

    def feed_forward_shapes(self) -> Any:
        return expert_shapes(self.config, EXPERTS // self.expert, self.config.ffn // self._slices)

    def cache_shapes(self, length: int) -> Any:
        return self._attention.cache_shapes(length)

    def split(self, layer: Any) -> tuple[Any, Any]:
        dense = np.zeros((self.config.d_model, 2 * self.config.ffn), np.float32)
        attention, _ = self._attention.split(layer[0]._replace(gate_up=dense, down=dense[:, : self.config.ffn].T))
        experts: Experts = layer[1]
        gate, up = np.split(experts.gate_up, 2, axis=2)

        def part(number: int) -> Experts:
            group, piece = divmod(number, self._slices)
            held = slice(group * EXPERTS // self.expert, (group + 1) * EXPERTS // self.expert)
            inner = slice(piece * self.config.ffn // self._slices, (piece + 1) * self.config.ffn // self._slices)
            both = np.concatenate([gate[held, :, inner], up[held, :, inner]], axis=2)
            return Experts(experts.norm, experts.router, both, experts.down[held, inner], np.int32(held.start))

        return attention, tuple(part(number) for number in range(self.feed_forward_shards))

    def attention(self, weights: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return self._attention.attention(weights, cache, hidden, places)

    def feed_forward(self, weights: Any, hidden: Any) -> Any:
        return held_block(self.config.ffn // self._slices, self.config, weights, hidden)

    def grow(self, cache: Any, length: int) -> Any:
        return self._attention.grow(cache, length)


def expert_shapes(config: LlamaConfig, held: int, ffn: int) -> Experts:
    def struct(*shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    width = config.d_model
    return Experts(
        struct(width),
        struct(width, EXPERTS),
        struct(held, width, 2 * ffn),
        struct(held, ffn, width),
        jax.ShapeDtypeStruct((), jnp.int32),
    )


class TinyMixture:
    """A `ChatModelSource` without files."""

    def __init__(self, seed: int = 0) -> None:
        self._dense = TinyLlama("mixture", CONFIG, seed)
        self._seed = seed

    @property
    def key(self) -> str:
        return f"mixture {self._dense.key}"

    def facts(self) -> ModelFacts:
        return self._dense.facts()

    def tokenizer(self) -> BytePairTokenizer:
        return self._dense.tokenizer()

    def functions(self) -> MixtureFunctions:
        return MixtureFunctions(CONFIG)

    def weights(self) -> Any:
        outer, layers = self._dense.weights()
        return outer, tuple(self._with_experts(number, layer) for number, layer in enumerate(layers))

    def _with_experts(self, number: int, layer: Any) -> Any:
        draw = np.random.default_rng([self._seed, number])
        width, ffn = CONFIG.d_model, CONFIG.ffn

        def drawn(*shape: int) -> Any:
            return (draw.standard_normal(shape) * 1.5 * shape[-2] ** -0.5).astype(np.float32)

        experts = Experts(
            layer.norms[1],
            drawn(width, EXPERTS),
            drawn(EXPERTS, width, 2 * ffn),
            drawn(EXPERTS, ffn, width),
            np.int32(0),
        )
        return layer._replace(gate_up=None, down=None), experts
