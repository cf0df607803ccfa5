"""The figures of a model that a plan needs, and the parameter count that they imply.

A shape checks itself: the published count and the count derived here from layers and widths must be the same number.
A wrong digit in the catalogue is then an error when it is read, not a plan that is quietly wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

# Bits that one weight takes, scales of its block included.
WEIGHT_BITS: dict[str, float] = {
    "f32": 32.0,
    "bf16": 16.0,
    "f16": 16.0,
    "int8": 8.0,
    "int4": 5.0,  # blocks of 32 with a scale in f32
    "q8_0": 8.5,
    "q4_1": 5.0,
    "mxfp4": 4.25,
}


class CatalogueError(Exception):
    """An entry of the catalogue that contradicts itself. A bug of whoever wrote the entry."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Layers and widths of one transformer.

    `ffn` is the inner width of the feed-forward block, of one expert where there are experts. `context` is in tokens.
    `dtype` is how most weights are stored; `expert_dtype` and `embedding_dtype` say where those differ.
    `classes` is what a model that classifies tokens tells apart. A model that hears has an encoder of `encoder_layers`,
    with so many `positions` in a window of so many `mels`; `layers` are then its decoder's. `sliding_layers` of the
    layers attend to the last `sliding_window` tokens only. `basis` says where the figures come from.
    """

    family: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int
    tied_embeddings: bool
    dtype: str
    parameters: int
    basis: str
    experts: int = 0
    active_experts: int = 0
    sliding_window: int = 0
    sliding_layers: int = 0
    expert_dtype: str = ""
    embedding_dtype: str = ""
    classes: int = 0
    encoder_layers: int = 0
    positions: int = 0
    mels: int = 0

    def __post_init__(self) -> None:
        if self.family not in _COUNTS:
            raise CatalogueError(f"family {self.family!r} is not one of {', '.join(_COUNTS)}")
        for name in ("layers", "d_model", "heads", "kv_heads", "head_dim", "ffn", "vocab", "context"):
            if getattr(self, name) <= 0:
                raise CatalogueError(f"{name} must be positive")
        if self.heads % self.kv_heads:
            raise CatalogueError(f"{self.heads} heads cannot share {self.kv_heads} KV heads evenly")
        if not 0 <= self.active_experts <= self.experts or bool(self.experts) != bool(self.active_experts):
            raise CatalogueError(f"{self.active_experts} of {self.experts} experts cannot be active")
        if not 0 <= self.sliding_layers <= self.layers or bool(self.sliding_window) != bool(self.sliding_layers):
            raise CatalogueError(f"{self.sliding_layers} layers cannot slide over {self.sliding_window} tokens")
        for dtype in (self.dtype, self.expert_dtype or self.dtype, self.embedding_dtype or self.dtype):
            if dtype not in WEIGHT_BITS:
                raise CatalogueError(f"dtype {dtype!r} is not one of {', '.join(WEIGHT_BITS)}")
        derived = _COUNTS[self.family](self)
        if derived != self.parameters:
            raise CatalogueError(f"{self.parameters:,} parameters are stated, but the figures give {derived:,}")

    @property
    def embedding_parameters(self) -> int:
        """Weights of the token table (of both tables where input and output do not share one)."""
        return self.vocab * self.d_model * (1 if self.tied_embeddings else 2)

    @property
    def expert_parameters(self) -> int:
        """Matrix weights of all experts of all layers; 0 for a dense model."""
        return self.layers * self.experts * 3 * self.d_model * self.ffn

    @property
    def active_parameters(self) -> int:
        """The weights that a step for one token reads: idle experts and the looked-up input table left out, and of a
        model that hears its encoder."""
        if self.family == "whisper":
            return _whisper_decoder(self)
        idle = 0
        if self.experts:
            expert = self.expert_parameters + self.layers * _expert_biases(self)
            idle = expert * (self.experts - self.active_experts) // self.experts
        # A tied table is read whole as the output table, except by BERT, which has no output table.
        looked_up = self.vocab * self.d_model if self.family.startswith("bert") or not self.tied_embeddings else 0
        return self.parameters - idle - looked_up

    @property
    def weight_bytes(self) -> int:
        """The size of all weights as they are stored, within a few per cent (norms are counted like the rest)."""
        rest = self.parameters - self.embedding_parameters - self.expert_parameters
        bits = (
            rest * WEIGHT_BITS[self.dtype]
            + self.embedding_parameters * WEIGHT_BITS[self.embedding_dtype or self.dtype]
            + self.expert_parameters * WEIGHT_BITS[self.expert_dtype or self.dtype]
        )
        return round(bits / 8)


def _attention(shape: Shape) -> int:
    """Query, key, value and output matrices of one layer, without biases."""
    query = prod((shape.d_model, shape.heads, shape.head_dim))
    key = prod((shape.d_model, shape.kv_heads, shape.head_dim))
    return 2 * query + 2 * key


def _llama(shape: Shape) -> int:
    layer = _attention(shape) + 3 * shape.d_model * shape.ffn + 2 * shape.d_model
    return shape.embedding_parameters + shape.layers * layer + shape.d_model


def _qwen3(shape: Shape) -> int:
    # As Llama, and a norm over each head of queries and of keys.
    return _llama(shape) + shape.layers * 2 * shape.head_dim


def _gpt_oss(shape: Shape) -> int:
    # Every matrix has a bias, each head has a sink logit, and a router chooses the experts.
    biases = (shape.heads + 2 * shape.kv_heads) * shape.head_dim + shape.d_model + shape.heads
    router = (shape.d_model + 1) * shape.experts
    layer = _attention(shape) + biases + router + _expert_biases(shape) + 2 * shape.d_model
    return shape.embedding_parameters + shape.layers * layer + shape.expert_parameters + shape.d_model


def _expert_biases(shape: Shape) -> int:
    """Biases of one layer's experts."""
    return shape.experts * (2 * shape.ffn + shape.d_model) if shape.family == "gpt-oss" else 0


def _bert(shape: Shape) -> int:
    width = shape.d_model
    # Positions (one for each token of the context), two segment types, one norm.
    tables = shape.embedding_parameters + (shape.context + 2 + 2) * width
    attention = _attention(shape) + 4 * width
    feed_forward = 2 * width * shape.ffn + shape.ffn + width
    pooler = (width + 1) * width
    return tables + shape.layers * (attention + feed_forward + 4 * width) + pooler


def _bert_scorer(shape: Shape) -> int:
    # A cross-encoder: BERT with one output number.
    return _bert(shape) + shape.d_model + 1


def _bert_recogniser(shape: Shape) -> int:
    # BERT without what reads the first token alone, and for each token a number for each class.
    pooler = (shape.d_model + 1) * shape.d_model
    return _bert(shape) - pooler + (shape.d_model + 1) * shape.classes


def _whisper_layer(shape: Shape, attentions: int) -> int:
    """Attentions (keys have no bias) and a feed-forward block, each behind a norm."""
    width = shape.d_model
    attention = _attention(shape) + 3 * width + 2 * width
    feed_forward = 2 * width * shape.ffn + shape.ffn + width + 2 * width
    return attentions * attention + feed_forward


def _whisper_decoder(shape: Shape) -> int:
    width = shape.d_model
    tables = shape.vocab * width + shape.context * width
    return tables + shape.layers * _whisper_layer(shape, 2) + 2 * width


def _whisper(shape: Shape) -> int:
    # The encoder begins with two convolutions over three columns each.
    width = shape.d_model
    convolutions = (3 * shape.mels + 1) * width + (3 * width + 1) * width
    encoder = convolutions + shape.positions * width + shape.encoder_layers * _whisper_layer(shape, 1) + 2 * width
    return encoder + _whisper_decoder(shape)


_COUNTS: dict[str, Callable[[Shape], int]] = {
    "whisper": _whisper,
    "llama": _llama,
    "qwen3": _qwen3,
    "gpt-oss": _gpt_oss,
    "bert": _bert,
    "bert-scorer": _bert_scorer,
    "bert-recogniser": _bert_recogniser,
}
