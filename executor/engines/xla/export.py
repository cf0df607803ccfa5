"""A model's functions as StableHLO portable artifacts: what other layers print, check, compile for other targets, and
load without the model's source.

A step of a chat model is exported whole, `enter ─ layer × n ─ leave`, from the same functions that the engine compiles
part by part; the layer appears once and is called. Arguments are flat, in the order weights, cache, tokens, start,
count for prefill and weights, cache, token, position for decode; results are the logits and the cache. Each has the
name of its place in the tree (`layers.0.qkv`), which is what a file of weights calls it.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from jaxlib.version import __version__ as jaxlib_version

from ....ir.artifact import CACHE, INPUT, OUTPUT, STABLEHLO_VERSION, WEIGHT, Artifact, Tensor
from ..protocol import ModelFunctions
from . import buckets


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function that is exported: a tree of shapes, whose leaves are `<name>.<place in the tree>`.

    The name may be empty. A donated one is used up: its memory becomes the results'.
    """

    name: str
    role: str
    tree: Any
    donated: bool = False


def export(
    name: str, function: Callable[..., Any], arguments: Iterable[Argument], results: Callable[[Any], Any]
) -> Artifact:
    """`function(*trees)` as an artifact. `results` gives the names of what it gives, as a tree like its own, of texts.

    The same function and the same JAX give the same bytes, wherever and by whomever they are written.
    """
    given = tuple(arguments)
    trees = tuple(argument.tree for argument in given)
    # A weight that a function happens not to read stays an argument: what a file holds is what functions take.
    jitted = jax.jit(function, keep_unused=True)
    # StableHLO says the same for every platform; a second one would only add an argument that tells which.
    exported = jax.export.export(jitted, platforms=("cpu",))(*trees)
    inputs: list[Tensor] = []
    donated: list[int] = []
    for argument in given:
        leaves = named_leaves(argument.name, argument.tree)
        if argument.donated:
            donated += range(len(inputs), len(inputs) + len(leaves))
        inputs += [_tensor(leaf, argument.role, shape) for leaf, shape in leaves.items()]
    out = jax.eval_shape(function, *trees)
    names = jax.tree.leaves(results(out))
    outputs = [_tensor(leaf, OUTPUT, shape) for leaf, shape in zip(names, jax.tree.leaves(out), strict=True)]
    data = _portable(exported.mlir_module_serialized)
    return Artifact(name, tuple(inputs), tuple(outputs), tuple(donated), f"jaxlib {jaxlib_version}", data)


def export_prefill(functions: ModelFunctions, chunk: int, length: int) -> Artifact:
    """The prefill step for `chunk` tokens on a cache of `length` positions, at most as many."""
    if chunk > length:
        raise ValueError(f"a chunk of {chunk} does not fit a cache of {length}")
    inputs = {"tokens": _int(chunk), "start": _int(), "count": _int()}
    return _export_step(f"prefill_{chunk}_{length}", functions, functions.prefill, length, inputs)


def export_decode(functions: ModelFunctions, length: int) -> Artifact:
    """The decode step on a cache of `length` positions."""
    inputs = {"token": _int(), "position": _int()}
    return _export_step(f"decode_{length}", functions, functions.decode, length, inputs)


def export_steps(functions: ModelFunctions, chunk: int = 64, length: int = 256) -> tuple[Artifact, ...]:
    """One prefill and one decode: `prefill_64_256`, `decode_256`."""
    return export_prefill(functions, chunk, length), export_decode(functions, length)


def chat_buckets(longest: int, context: int) -> tuple[tuple[int, ...], ...]:
    """What the engine may run for sequences of up to `longest` positions: `(chunk, length)` of each prefill, and
    `(length,)` of each decode."""
    top = buckets.cache_length(min(longest, context), context)
    lengths = sorted({buckets.cache_length(positions, context) for positions in range(1, top + 1)})
    prefills = [(chunk, length) for length in lengths for chunk in buckets.CHUNKS if chunk <= length]
    return (*prefills, *((length,) for length in lengths))


def export_buckets(functions: ModelFunctions, wanted: Iterable[tuple[int, ...]]) -> tuple[Artifact, ...]:
    """A step for each bucket, as `chat_buckets` gives them."""
    return tuple(
        export_prefill(functions, *sizes) if len(sizes) == 2 else export_decode(functions, *sizes) for sizes in wanted
    )


def named_leaves(name: str, tree: Any) -> dict[str, Any]:
    """The leaves of a tree by the names that artifacts give them, in order."""
    found: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        places = [_place(key) for key in path]
        found[".".join([name, *places] if name else places)] = leaf
    return found


def _export_step(
    name: str, functions: ModelFunctions, step: Callable[..., Any], length: int, inputs: dict[str, Any]
) -> Artifact:
    cache = tuple(functions.cache_shapes(length) for _ in range(functions.layers))

    def whole(outer: Any, layers: Any, cache: Any, *given: Any) -> Any:
        return step((outer, layers), cache, *given)

    def results(given: Any) -> Any:
        filled = list(named_leaves("layers", given[1]))
        return ["logits", *filled]

    return export(
        name,
        whole,
        (
            Argument("", WEIGHT, functions.outer_shapes()),
            Argument("layers", WEIGHT, tuple(functions.layer_shapes() for _ in range(functions.layers))),
            Argument("layers", CACHE, cache, donated=True),
            *(Argument(each, INPUT, shape) for each, shape in inputs.items()),
        ),
        results,
    )


def _portable(written: Any) -> bytes:
    with ir.Context() as context:
        module = stablehlo.deserialize_portable_artifact(context, written)
        # Source locations are left out: they hold this machine's paths, and whoever called.
        text = str(module.operation.get_asm(enable_debug_info=False))
    # (The other form of this function changes its module.)
    return stablehlo.serialize_portable_artifact_str(text, STABLEHLO_VERSION)


def _place(key: Any) -> str:
    """Where in its parent a leaf is: a field's name, or its number."""
    for attribute in ("name", "idx", "key"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    raise TypeError(f"a tree of no known kind: {key!r}")


def _tensor(name: str, role: str, shape: Any) -> Tensor:
    return Tensor(name, role, tuple(shape.shape), str(shape.dtype))


def _int(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)
