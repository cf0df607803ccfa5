"""The figures of a Llama model. Plain data: reading them needs neither JAX nor weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class UnsupportedModel(ValueError):
    """The file is sound, but holds a model whose mathematics is not implemented. The text says which."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Layers and widths. Queries are `heads` wide, keys and values `kv_heads`; groups of queries share one of them."""

    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int
    rope_base: float
    norm_epsilon: float
    tied_embeddings: bool
    weights: str = "f32"
    """What the matrices are stored in: `f32`, or `int8` with a scale for each output."""

    def __post_init__(self) -> None:
        for name in ("layers", "d_model", "heads", "kv_heads", "head_dim", "ffn", "vocab", "context"):
            if getattr(self, name) < 1:
                raise UnsupportedModel(f"{name} is {getattr(self, name)}")
        if self.weights not in ("f32", "int8"):
            raise UnsupportedModel(f"weights are stored in f32 or int8, not in {self.weights}")
        if self.heads % self.kv_heads:
            raise UnsupportedModel(f"{self.heads} heads cannot share {self.kv_heads} key-value heads evenly")
        if self.head_dim % 2:
            raise UnsupportedModel(f"rotary positions need an even head width, not {self.head_dim}")

    @property
    def query_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def matrix_parameters(self) -> int:
        """Weights in the matrices that each token passes through, embeddings left out."""
        attention = 2 * self.d_model * self.query_width + 2 * self.d_model * self.kv_width
        return self.layers * (attention + 3 * self.d_model * self.ffn)

    @property
    def decode_weight_bytes(self) -> int:
        """Bytes of weights that one decode step reads: all matrices, the norms and the output table."""
        norms = (2 * self.layers + 1) * self.d_model
        values = self.matrix_parameters + self.vocab * self.d_model
        if self.weights == "f32":
            return 4 * (values + norms)
        outputs = self.query_width + 2 * self.kv_width + 2 * self.d_model + 2 * self.ffn
        return values + 4 * (norms + self.layers * outputs + self.vocab)

    @property
    def cache_bytes_per_position(self) -> int:
        """Bytes of f32 keys and values that one position adds."""
        return 4 * 2 * self.layers * self.kv_width

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_data(data: dict[str, Any]) -> LlamaConfig:
        return LlamaConfig(**data)
