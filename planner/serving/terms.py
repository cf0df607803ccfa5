"""What a step of a served model consists of: the physics of each part, before anything is fitted.

A decode step of `batch` sequences on a group of `tensor` devices, and the prefill of a prompt, as parts that add up:

| part | physics |
| --- | --- |
| `matrices` | max(weights / bandwidth, operations / compute): both overlap, whichever is longer |
| `cache` | keys and values of all sequences / bandwidth |
| `attention` | operations of a prompt's tokens with those before them / compute |
| `layers` | one for each layer: kernels are started, norms computed, whatever the batch |
| `spreading` | layers x log2 of the devices: an all-reduce passes so many of them (latency) |
| `all_reduce` | bytes of two all-reduces a layer (Shoeybi et al. 2019, "Megatron-LM"), by a ring, / link |
| `sequences` | layers x batch: what attention costs for each sequence beside its bytes |

Where prompts and replies share the devices, prompts of other requests are computed between the steps of a reply. In a
steady state each step of `batch` sequences stands beside `batch * prompt / reply` tokens of prompts:

| part | physics |
| --- | --- |
| `prompts` | operations of those tokens, attention included / compute |
| `prompts_all_reduce` | their bytes / link |

Parts with bytes and operations are seconds; `layers`, `spreading` and `sequences` are counts, whose coefficient is
seconds. Sources of the counts: `ir.demand.llm`; that such parts suffice: `benchmarks.fit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from ...ir.library import ModelShape

ACTIVATION_BYTES = 2.0
"""Of one number between devices: 16 bits, whatever the weights are stored in."""


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that hold one model in `tensor` shards. Of each: `bandwidth` in bytes a second; `compute` in operations a
    second for products with the weights, `attention` for those among activations; `link` in bytes a second one way to
    its neighbour."""

    bandwidth: float
    compute: float
    attention: float
    link: float
    tensor: int = 1


@dataclass(frozen=True, slots=True)
class Beside:
    """Requests whose prompts and replies share the devices: tokens of each."""

    prompt: float
    reply: float


def decode_parts(
    shape: ModelShape, group: Group, batch: float, context: float, beside: Beside | None = None
) -> dict[str, float]:
    """A decode step of `batch` sequences with `context` positions each; `beside`, where prompts are computed between
    its steps."""
    n = group.tensor
    cached = 2.0 * shape.layers * shape.kv_heads * shape.head_dim * shape.cache_bytes
    parts = {
        "matrices": _matrices(shape, group, batch),
        "cache": batch * context * cached / n / group.bandwidth,
        "layers": float(shape.layers),
        "spreading": shape.layers * log2(n),
        "all_reduce": _reduced(shape, group, batch),
        "sequences": shape.layers * batch,
    }
    if beside is not None:
        tokens = batch * beside.prompt / beside.reply
        operations = 2.0 * shape.active_parameters / group.compute + _pairs(shape, beside.prompt) / group.attention
        parts["prompts"] = tokens * operations / n
        parts["prompts_all_reduce"] = _reduced(shape, group, tokens)
    return parts


def prefill_parts(shape: ModelShape, group: Group, prompts: float, tokens: float) -> dict[str, float]:
    """The prefill of so many prompts of `tokens` each, at once."""
    n = group.tensor
    return {
        "matrices": _matrices(shape, group, prompts * tokens),
        "attention": prompts * tokens * _pairs(shape, tokens) / n / group.attention,
        "layers": float(shape.layers),
        "spreading": shape.layers * log2(n),
        "all_reduce": _reduced(shape, group, prompts * tokens),
    }


def bound(shape: ModelShape, group: Group, tokens: float, cached: float = 0.0) -> float:
    """What physics allows, in seconds: no step of `tokens` tokens behind `cached` positions in all can be faster."""
    positions = 2.0 * shape.layers * shape.kv_heads * shape.head_dim * shape.cache_bytes
    weights = shape.active_parameters * shape.weight_bytes
    reading = (weights + cached * positions) / group.tensor / group.bandwidth
    return max(reading, 2.0 * shape.active_parameters * tokens / group.tensor / group.compute)


def _matrices(shape: ModelShape, group: Group, tokens: float) -> float:
    reading = shape.active_parameters * shape.weight_bytes / group.bandwidth
    return max(reading, 2.0 * shape.active_parameters * tokens / group.compute) / group.tensor


def _pairs(shape: ModelShape, tokens: float) -> float:
    """Operations of attention for one token of a prompt: four for each number of a head and each of the tokens before
    it, of which there are half as many as the prompt has."""
    return 2.0 * shape.layers * shape.heads * shape.head_dim * tokens


def _reduced(shape: ModelShape, group: Group, tokens: float) -> float:
    """Seconds in which the sums of a step's tokens pass the link, by a ring."""
    n = group.tensor
    if n == 1:
        return 0.0
    return 2.0 * shape.layers * tokens * shape.d_model * ACTIVATION_BYTES * 2.0 * (n - 1) / n / group.link
