"""The figures of a BERT encoder, and its weights read from a safetensors file. Knows no JAX.

The checkpoint is the one that sentence-transformers publishes: tensors named as in Hugging Face's `BertModel`, with or
without a `bert.` before the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from ..catalogue import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bert import Weights


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Layers and widths. `context` is the number of learned positions."""

    layers: int
    d_model: int
    heads: int
    ffn: int
    vocab: int
    context: int
    norm_epsilon: float = 1e-12

    @staticmethod
    def of(shape: Shape) -> BertConfig:
        return BertConfig(shape.layers, shape.d_model, shape.heads, shape.ffn, shape.vocab, shape.context)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a checkpoint holds: the token table `[vocab, d]`, for the host, and the other weights."""

    table: NDArray[Any]
    weights: Weights


def read_weights(path: Path, config: BertConfig, model: str) -> Loaded:
    """The weights of a safetensors file. Raises `OutsideError` (model-does-not-load) if they do not fit."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

    try:
        tensors: Mapping[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise OutsideError(model_does_not_load(model, f"{path.name}: {error}")) from error

    def tensor(name: str, *shape: int) -> NDArray[Any]:
        found = tensors.get(name, tensors.get(f"bert.{name}"))
        if found is None or found.shape != shape:
            what = "no tensor" if found is None else f"shape {found.shape} for"
            raise OutsideError(model_does_not_load(model, f"{path.name} has {what} {name}"))
        return found

    return assemble(config, tensor)


def assemble(config: BertConfig, tensor: Callable[..., NDArray[Any]]) -> Loaded:
    """Weights in the form that `bert.encode` takes, from `tensor(name, *shape)` in the checkpoint's own form."""
    import numpy as np

    from .bert import Layer, Weights

    d, ffn = config.d_model, config.ffn

    def matrix(name: str, wide: int, deep: int) -> NDArray[Any]:
        return np.ascontiguousarray(tensor(f"{name}.weight", wide, deep).T, dtype=np.float32)

    def norm(name: str) -> NDArray[Any]:
        return np.stack([tensor(f"{name}.weight", d), tensor(f"{name}.bias", d)]).astype(np.float32)

    def layer(prefix: str) -> Layer:
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        return Layer(
            qkv=np.concatenate([matrix(part, d, d) for part in parts], axis=1),
            qkv_bias=np.concatenate([tensor(f"{part}.bias", d) for part in parts]).astype(np.float32),
            out=matrix(f"{prefix}.attention.output.dense", d, d),
            out_bias=tensor(f"{prefix}.attention.output.dense.bias", d),
            attention_norm=norm(f"{prefix}.attention.output.LayerNorm"),
            up=matrix(f"{prefix}.intermediate.dense", ffn, d),
            up_bias=tensor(f"{prefix}.intermediate.dense.bias", ffn),
            down=matrix(f"{prefix}.output.dense", d, ffn),
            down_bias=tensor(f"{prefix}.output.dense.bias", d),
            feed_forward_norm=norm(f"{prefix}.output.LayerNorm"),
        )

    positions = tensor("embeddings.position_embeddings.weight", config.context, d)
    # One text at a time has one segment type: its vector is added to the positions once and for all.
    segment = tensor("embeddings.token_type_embeddings.weight", 2, d)[0]
    weights = Weights(
        positions=np.asarray(positions + segment, dtype=np.float32),
        embedding_norm=norm("embeddings.LayerNorm"),
        layers=tuple(layer(f"encoder.layer.{number}") for number in range(config.layers)),
    )
    return Loaded(tensor("embeddings.word_embeddings.weight", config.vocab, d), weights)
