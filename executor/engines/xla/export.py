"""A model's steps as StableHLO portable artifacts: what other layers print, check and compile for other targets.

The whole step is exported, `enter ─ layer × n ─ leave`, from the same functions that the engine compiles part by part;
the layer appears once and is called. Arguments are flat, in the order weights, cache, tokens, start, count for prefill
and weights, cache, token, position for decode; results are the logits and the cache.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from ..protocol import ModelFunctions


def export_prefill(functions: ModelFunctions, chunk: int, length: int) -> bytes:
    """The prefill step for `chunk` tokens on a cache of `length` positions."""
    trees = _whole(functions, length)
    return _export(functions.prefill, *trees, _int(chunk), _int(), _int())


def export_decode(functions: ModelFunctions, length: int) -> bytes:
    """The decode step on a cache of `length` positions."""
    return _export(functions.decode, *_whole(functions, length), _int(), _int())


def export_steps(functions: ModelFunctions, chunk: int = 64, length: int = 256) -> dict[str, bytes]:
    """Both steps by the names that the module gives them: `prefill_64`, `decode_256`."""
    return {
        f"prefill_{chunk}": export_prefill(functions, chunk, length),
        f"decode_{length}": export_decode(functions, length),
    }


def _whole(functions: ModelFunctions, length: int) -> tuple[Any, Any]:
    layers = range(functions.layers)
    weights = (functions.outer_shapes(), tuple(functions.layer_shapes() for _ in layers))
    return weights, tuple(functions.cache_shapes(length) for _ in layers)


def _export(function: Any, *shapes: Any) -> bytes:
    # StableHLO says the same for every platform; a second one would only add an argument that tells which.
    exported = jax.export.export(jax.jit(function), platforms=("cpu",))(*shapes)
    version = stablehlo.get_version_from_compatibility_requirement(stablehlo.StablehloCompatibilityRequirement.WEEK_4)
    with ir.Context() as context:
        module = stablehlo.deserialize_portable_artifact(context, exported.mlir_module_serialized)
        # Source locations are left out: they hold this machine's paths, and whoever called.
        text = str(module.operation.get_asm(enable_debug_info=False))
    return stablehlo.serialize_portable_artifact_str(text, version)


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)
