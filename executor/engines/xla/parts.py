"""The parts of a chat model's steps as artifacts: what packages hold, and what the engine runs.

A layer has the same shapes everywhere, so it is exported once for each size and called for each layer. A whole step
(`export.export_decode`) is the same work as one function; it takes a compiler some thirty times as long.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ....ir.artifact import CACHE, INPUT, WEIGHT, Artifact
from ..protocol import ModelFunctions
from .export import Argument, chat_buckets, export, named_leaves


def export_parts(functions: ModelFunctions, longest: int, context: int) -> tuple[Artifact, ...]:
    """All that the engine runs for sequences of up to `longest` positions, of `enter`, `layer` and `leave`."""
    steps = [sizes if len(sizes) == 2 else (1, *sizes) for sizes in chat_buckets(longest, context)]
    counts = sorted({count for count, _ in steps})
    return (
        *(_enter(functions, count) for count in counts),
        *(_layer(functions, count, length) for count, length in sorted(steps)),
        *(_leave(functions, count) for count in counts),
    )


def _enter(functions: ModelFunctions, count: int) -> Artifact:
    arguments = (
        Argument("", WEIGHT, functions.outer_shapes()),
        Argument("tokens", INPUT, _int(count)),
        Argument("start", INPUT, _int()),
    )
    return export(f"enter_{count}", functions.enter, arguments, _hidden_and("places"))


def _layer(functions: ModelFunctions, count: int, length: int) -> Artifact:
    hidden, places = _entered(functions, count)
    arguments = (
        Argument("layer", WEIGHT, functions.layer_shapes()),
        Argument("layer", CACHE, functions.cache_shapes(length), donated=True),
        Argument("hidden", INPUT, hidden, donated=True),
        Argument("places", INPUT, places),
    )
    function = functions.decode_layer if count == 1 else functions.prefill_layer
    return export(f"layer_{count}_{length}", function, arguments, _hidden_and("layer"))


def _leave(functions: ModelFunctions, count: int) -> Artifact:
    hidden, _ = _entered(functions, count)
    arguments = (
        Argument("", WEIGHT, functions.outer_shapes()),
        Argument("hidden", INPUT, hidden),
        Argument("count", INPUT, _int()),
    )
    return export(f"leave_{count}", functions.leave, arguments, lambda _: "logits")


def _entered(functions: ModelFunctions, count: int) -> tuple[Any, Any]:
    return jax.eval_shape(functions.enter, functions.outer_shapes(), _int(count), _int())


def _hidden_and(name: str) -> Callable[[Any], Any]:
    def names(given: Any) -> list[str]:
        return ["hidden", *named_leaves(name, given[1])]

    return names


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)
