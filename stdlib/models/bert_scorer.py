"""A BERT cross-encoder on 8-bit numbers, as plain JAX functions: the mathematics of the reranker's ONNX file.

Matrices are int8 with one scale. What goes into a product is rounded to 256 steps between its least and its greatest
number, anew each time (ONNX's DynamicQuantizeLinear), and the product is one of integers, so it is exact. Padding takes
no part in the ranges. Between products the last digits of f32 depend on the order of additions, and a number that falls
on the other side of a step then moves all that follow: scores differ from ONNX Runtime's by 0.01 in the median and by a
third at worst, where they range from -11 to 8; two lengths of padding differ by half of that.

This is the form that is exported for other targets. What runs is ONNX Runtime (see `reranker`): XLA has no fast product
of 8-bit integers for a CPU.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from .bert_config import BertConfig
from .checkpoint import DamagedFile
from .onnx_file import read_onnx

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEVER = -1e30


class Dense(NamedTuple):
    """A product with a bias."""

    matrix: Any
    """[in, out], int8"""
    scale: Any
    """[out]: what each column is to be multiplied with"""
    bias: Any
    """[out]"""


class Table(NamedTuple):
    """Rows to look up."""

    rows: Any
    """[rows, d], uint8"""
    scale: Any
    zero: Any
    """f32, both numbers: a row stands for (row - zero) * scale"""


class ScorerLayer(NamedTuple):
    qkv: Dense
    out: Dense
    attention_norm: Any
    """[2, d]: scale and shift"""
    up: Dense
    down: Dense
    feed_forward_norm: Any


class ScorerWeights(NamedTuple):
    words: Table
    positions: Table
    types: Table
    embedding_norm: Any
    layers: tuple[ScorerLayer, ...]
    pooler: Dense
    classifier: Dense


def weight_shapes(config: BertConfig) -> ScorerWeights:
    """The tree of weights, as `jax.ShapeDtypeStruct`."""

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    def dense(deep: int, wide: int) -> Dense:
        return Dense(array(jnp.int8, deep, wide), array(jnp.float32, wide), array(jnp.float32, wide))

    def table(rows: int) -> Table:
        return Table(array(jnp.uint8, rows, d), array(jnp.float32), array(jnp.float32))

    d, ffn = config.d_model, config.ffn
    norm = array(jnp.float32, 2, d)
    layer = ScorerLayer(dense(d, 3 * d), dense(d, d), norm, dense(d, ffn), dense(ffn, d), norm)
    return ScorerWeights(
        words=table(config.vocab),
        positions=table(config.context),
        types=table(2),
        embedding_norm=norm,
        layers=(layer,) * config.layers,
        pooler=dense(d, d),
        classifier=dense(d, 1),
    )


def score(config: BertConfig, weights: ScorerWeights, tokens: Array, types: Array, count: Array) -> Array:
    """How well a passage answers: one number, the higher the better.

    `tokens` and `types` (int32 `[length]`) hold question and passage with their markers, of which the first `count` are
    real; the types are 0 in the question and 1 in the passage.
    """
    length = tokens.shape[0]
    real = jnp.arange(length) < count
    embedded = _rows(weights.words, tokens) + _rows(weights.types, types)
    hidden = _norm(config, embedded + _rows(weights.positions, jnp.arange(length)), weights.embedding_norm)
    for layer in weights.layers:
        attended = _dense(layer.out, _attention(config, layer, hidden, real), real)
        hidden = _norm(config, hidden + attended, layer.attention_norm)
        inner = jax.nn.gelu(_dense(layer.up, hidden, real), approximate=False)
        hidden = _norm(config, hidden + _dense(layer.down, inner, real), layer.feed_forward_norm)
    first = jnp.ones((1,), bool)
    pooled = jnp.tanh(_dense(weights.pooler, hidden[:1], first))
    return _dense(weights.classifier, pooled, first)[0, 0]


def _attention(config: BertConfig, layer: ScorerLayer, hidden: Array, real: Array) -> Array:
    length = hidden.shape[0]
    parts = _dense(layer.qkv, hidden, real).reshape(length, 3, config.heads, -1)
    query, key, value = parts[:, 0], parts[:, 1], parts[:, 2]
    scores = jnp.einsum("qhd,khd->hqk", query, key) / jnp.sqrt(jnp.float32(query.shape[-1]))
    shares = jax.nn.softmax(jnp.where(real, scores, _NEVER), axis=-1)
    return jnp.einsum("hqk,khd->qhd", shares, value).reshape(length, -1)


def _dense(dense: Dense, given: Array, real: Array) -> Array:
    """`given` [n, in], of which the `real` rows count, times the matrix, plus the bias."""
    counted = jnp.where(real[:, None], given, 0.0)
    least, most = jnp.minimum(counted.min(), 0.0), jnp.maximum(counted.max(), 0.0)
    step = (most - least) / 255.0
    safe = jnp.where(step > 0, step, 1.0)
    zero = jnp.clip(jnp.round(-least / safe), 0, 255)
    # Shifted by 128, so that both sides of the product are signed bytes.
    rounded = (jnp.clip(jnp.round(counted / safe) + zero, 0, 255) - 128).astype(jnp.int8)
    product = lax.dot_general(rounded, dense.matrix, (((1,), (0,)), ((), ())), preferred_element_type=jnp.int32)
    columns = dense.matrix.astype(jnp.int32).sum(axis=0)
    exact = product - (zero - 128).astype(jnp.int32) * columns
    return exact.astype(jnp.float32) * (step * dense.scale) + dense.bias


def _rows(table: Table, numbers: Array) -> Array:
    rows = jnp.take(table.rows, numbers, axis=0, mode="clip").astype(jnp.float32)
    return (rows - table.zero) * table.scale


def _norm(config: BertConfig, hidden: Array, scale_and_shift: Any) -> Array:
    centred = hidden - jnp.mean(hidden, axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + config.norm_epsilon) * scale_and_shift[0] + scale_and_shift[1]


def read_scorer(path: Path, config: BertConfig) -> ScorerWeights:
    """The weights of an ONNX file whose products were quantised by ONNX Runtime. Raises `DamagedFile`, `OSError`."""
    import numpy as np

    found = read_onnx(path)

    def tensor(name: str, *shape: int) -> NDArray[Any]:
        given = found.tensors.get(name)
        if given is None or given.shape != shape:
            what = "no tensor" if given is None else f"shape {given.shape} for"
            raise DamagedFile(f"{path.name} has {what} {name}")
        return given

    def dense(module: str, deep: int, wide: int) -> Dense:
        name = found.products.get(module, "")
        if tensor(f"{name}_zero_point") != 0:
            raise DamagedFile(f"{path.name} has a matrix that is not symmetric, {module}")
        scale = np.full(wide, tensor(f"{name}_scale"), np.float32)
        return Dense(tensor(f"{name}_quantized", deep, wide), scale, tensor(f"{module}.bias", wide))

    def beside(parts: Mapping[str, Dense]) -> Dense:
        return Dense(*(np.concatenate(each, axis=-1) for each in zip(*parts.values(), strict=True)))

    def table(name: str, rows: int) -> Table:
        name = f"bert.embeddings.{name}.weight"
        zero = np.asarray(tensor(f"{name}_zero_point"), np.float32)
        return Table(tensor(f"{name}_quantized", rows, config.d_model), tensor(f"{name}_scale"), zero)

    def norm(name: str) -> NDArray[Any]:
        return np.stack([tensor(f"{name}.{part}", config.d_model) for part in ("weight", "bias")])

    def layer(prefix: str) -> ScorerLayer:
        d, ffn = config.d_model, config.ffn
        attention = f"{prefix}.attention"
        return ScorerLayer(
            beside({each: dense(f"{attention}.self.{each}", d, d) for each in ("query", "key", "value")}),
            dense(f"{attention}.output.dense", d, d),
            norm(f"{attention}.output.LayerNorm"),
            dense(f"{prefix}.intermediate.dense", d, ffn),
            dense(f"{prefix}.output.dense", ffn, d),
            norm(f"{prefix}.output.LayerNorm"),
        )

    return ScorerWeights(
        words=table("word_embeddings", config.vocab),
        positions=table("position_embeddings", config.context),
        types=table("token_type_embeddings", 2),
        embedding_norm=norm("bert.embeddings.LayerNorm"),
        layers=tuple(cast("Any", layer(f"bert.encoder.layer.{number}")) for number in range(config.layers)),
        pooler=dense("bert.pooler.dense", config.d_model, config.d_model),
        classifier=dense("classifier", config.d_model, 1),
    )
