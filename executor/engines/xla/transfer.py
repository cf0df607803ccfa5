"""Caches in and out of the XLA engine's one-sequence model, for `engines/split`."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import jax
import numpy as np

from ..protocol import SERVICE, Finish, ModelFunctions, Service
from ..sequences import prompt_of
from . import buckets
from .model import XlaModel, _compile
from .programs import Step
from .sequence import XlaSequence

Told = Callable[[int, int, Any, Any], None]


async def prefill_told(model: XlaModel, tokens: Sequence[int], told: Told, service: Service = SERVICE) -> XlaSequence:
    """As `prefill`; `told(layer, start, keys, values)` is called in the device's thread after each layer of each chunk
    with f32 `[kv_heads, n, head_dim]`, which is overwritten afterwards."""
    del service
    prompt = prompt_of(tokens, model.facts)
    plan = buckets.chunks(len(tokens), model.facts.context)
    sequence = XlaSequence(prompt, model._room(plan, len(tokens)), anyio.current_time())
    model._open.add(sequence)
    try:
        create = await _compile(model._programs.create, sequence.length)
        sequence.cache = [create() for _ in range(len(model._weights.layers))]
        fed = np.asarray(tokens, np.int32)
        for chunk in plan:
            step = await _compile(model._programs.prefill, chunk.size, sequence.length)
            padded = np.zeros(chunk.size, np.int32)
            padded[: chunk.count] = fed[chunk.start : chunk.start + chunk.count]
            await model._step(_chunk, model, step, sequence, padded, chunk, told)
    except BaseException:
        model._free(sequence, Finish.CANCELLED)
        raise
    sequence.prefill_seconds = anyio.current_time() - sequence.began
    return sequence


def _chunk(model: XlaModel, step: Step, sequence: XlaSequence, padded: Any, chunk: buckets.Chunk, told: Told) -> None:
    weights, cache = model._weights, sequence.cache
    if cache is None:
        return
    stretch = slice(chunk.start, chunk.start + chunk.count)

    def tell(number: int) -> None:
        keys, values = (np.asarray(array) for array in cache[number])
        told(number, chunk.start, keys[:, :, stretch].transpose(0, 2, 1), values[:, stretch])

    hidden, places = step.enter(weights.outer, padded, np.int32(chunk.start))
    for number, layer in enumerate(weights.layers):
        hidden, cache[number] = step.layer(layer, cache[number], hidden, places)
        if number:
            # The device computes this layer while the one before is told.
            tell(number - 1)
    tell(len(cache) - 1)
    sequence.logits = step.leave(weights.outer, hidden, np.int32(chunk.count))
    model._prefilled += chunk.count
    jax.block_until_ready(sequence.logits)


async def adopt(model: XlaModel, tokens: Sequence[int], layers: Sequence[tuple[Any, Any]], logits: Any) -> XlaSequence:
    """A sequence whose prompt was computed elsewhere: `layers` are f32 `[kv_heads, n, head_dim]`."""
    prompt = prompt_of(tokens, model.facts)
    plan = buckets.chunks(len(tokens), model.facts.context)
    sequence = XlaSequence(prompt, model._room(plan, len(tokens)), anyio.current_time())

    def place() -> None:
        cache: list[list[Any]] = []
        more = ((0, 0), (0, sequence.length - len(prompt)), (0, 0))
        for keys, values in layers:
            keys, values = np.pad(keys, more), np.pad(values, more)
            cache.append([jax.device_put(np.ascontiguousarray(keys.transpose(0, 2, 1))), jax.device_put(values)])
        sequence.cache, sequence.logits = cache, jax.device_put(np.asarray(logits, np.float32))

    model._open.add(sequence)
    try:
        await model._step(place)
    except BaseException:
        model._free(sequence, Finish.CANCELLED)
        raise
    return sequence


def cache_sizes(functions: ModelFunctions) -> tuple[int, int, int]:
    """Layers, heads of keys, and numbers in a head."""
    values = jax.tree.leaves(functions.cache_shapes(1))[-1]
    return functions.layers, int(values.shape[0]), int(values.shape[-1])
