"""What a transformer needs for a prompt of `n` tokens and a reply of `m`.

Counts are exact for dense attention, up to what is small beside them (norms, activation functions, sampling). `L`
layers, `d` wide, `H` query heads, `G` key-value heads, `D` the width of a head, `F` that of the feed-forward block; `A`
the active parameters and `O = vocab * d` those of the output table among them. A multiplication and an addition are two
operations. Sources: the counts follow from the matrices (Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
table 1; Pope et al. 2022, "Efficiently Scaling Transformer Inference", section 2); the unit test counts a small
transformer by hand, and another compares with what XLA counts in the compiled models (see `artifact`).
"""

from __future__ import annotations

from ..formula import ZERO, Formula, as_formula, constant
from ..graph import Demand
from ..library import ModelShape
from .data import demand

TOKENIZE_SECONDS = 1.5e-6
"""Per token on a reference core; an assumption until it is measured."""

SAMPLER_SECONDS = 2e-5
DETOKENIZE_SECONDS = 1.5e-6


def cache_bytes_per_token(shape: ModelShape) -> float:
    """Keys and values of one position: `2 * L * G * D` numbers."""
    return 2.0 * shape.layers * shape.kv_heads * shape.head_dim * shape.cache_bytes


def active_bytes(shape: ModelShape) -> float:
    """The weights that one token's step reads."""
    return shape.active_parameters * shape.weight_bytes


def activation_bytes_per_token(shape: ModelShape, gated: bool = True) -> float:
    """What goes into the matrix products of the layers, and comes out, for one token: `4 d + 2 (H + G) D + 3 F` numbers
    a layer (`2 F` where the feed-forward block has no gate; where there are experts, `2 d + 3 F` of it for each that is
    active). All between two products stays in the processor, as in fused kernels; numbers are as wide as those of the
    KV cache."""
    heads = 2.0 * (shape.heads + shape.kv_heads) * shape.head_dim
    inner = 2.0 * shape.d_model + (3.0 if gated else 2.0) * shape.ffn
    blocks = max(1, shape.active_experts)
    return shape.layers * (2.0 * shape.d_model + heads + blocks * inner) * shape.cache_bytes


def prefill(shape: ModelShape, n: Formula, past: Formula = ZERO) -> Demand:
    """Run `n` tokens through the model at once, for the logits behind the last; behind `past` tokens whose KV cache is
    there already.

    Compute: `2 (A - O) n` in the matrices of the layers, `2 O` for one row of logits, and in the attention
    `4 L H D` for each pair of a token and one before it (or itself), of which there are `n (n + 1) / 2 + n past`.
    Traffic: the active weights once, the keys and values of the past read and each token's written once, and what goes
    into and out of each matrix product (the tiles of attention stay in the cache of the processor). Footprint: the KV
    cache; weights belong to the handle.
    """
    output_table = shape.vocab * shape.d_model
    compute = (
        n * (2.0 * (shape.active_parameters - output_table))
        + 2.0 * output_table
        + _attention(shape, _pairs(shape, n, past))
    )
    per_token = cache_bytes_per_token(shape)
    return demand(
        compute=compute,
        traffic=(n + past) * per_token + n * activation_bytes_per_token(shape) + active_bytes(shape),
        footprint=(n + past) * per_token,
        tokens_in=n,
    )


def copied(shape: ModelShape, n: Formula) -> Formula:
    """The traffic of beginning with another cache's first `n` tokens: their keys and values are read and written."""
    return n * (2.0 * cache_bytes_per_token(shape))


def encode(shape: ModelShape, n: Formula, texts: float = 1.0) -> Demand:
    """Run `texts` texts of `n` tokens each through an encoder (BERT), in which each token attends to all of its text.

    Compute: `2 M` for each token, where `M = L (2 d (H + G) D + 2 d F)` are the layers' matrices, and `4 L H D` for
    each of the `n n` pairs. Traffic: the matrices once, and what goes into and out of each product. Its tables are
    looked up, and one vector is pooled, for next to nothing.
    """
    attention = 2.0 * shape.d_model * (shape.heads + shape.kv_heads) * shape.head_dim
    matrices = shape.layers * (attention + 2.0 * shape.d_model * shape.ffn)
    pairs = n * n * (4.0 * shape.layers * shape.heads * shape.head_dim)
    return demand(
        compute=(n * (2.0 * matrices) + pairs) * texts,
        traffic=n * (activation_bytes_per_token(shape, gated=False) * texts) + matrices * shape.weight_bytes,
        tokens_in=n * texts,
    )


def decode(shape: ModelShape, n: Formula, m: Formula) -> Demand:
    """Make `m` tokens behind a prompt of `n`, one at a time. The first comes from the logits of the prefill, so there
    are `m - 1` steps, the j-th (from 0) at position `n + j`, which attends to `n + j + 1` positions.

    Compute: `2 A` a step, and `4 L H D` for each position attended to: in all `(m - 1) n + m (m - 1) / 2` of them.
    Traffic: the active weights each step, the KV cache of each position attended to, and one position written.
    Footprint: the KV cache of prompt and reply.
    """
    steps = m + -1.0
    attended = _attended(shape, n, m)
    per_token = cache_bytes_per_token(shape)
    return demand(
        compute=steps * (2.0 * shape.active_parameters) + _attention(shape, attended),
        traffic=steps * active_bytes(shape) + _cache_read(shape, attended) + steps * per_token,
        footprint=(n + m) * per_token,
        tokens_out=m,
    )


def transfer(shape: ModelShape, n: Formula) -> Demand:
    """Move the KV cache of `n` tokens: `2 L G D` numbers each."""
    return demand(network=n * cache_bytes_per_token(shape))


def tokenize(n: Formula) -> Demand:
    return demand(cpu=n * TOKENIZE_SECONDS, tokens_in=n)


def sample() -> Demand:
    """Look up what chooses the tokens. (A schema that is new takes 1 to 3 ms, once; the first one of a model most of a
    second, for the tree of its vocabulary.)"""
    return demand(cpu=constant(SAMPLER_SECONDS))


def detokenize(m: Formula) -> Demand:
    return demand(cpu=m * DETOKENIZE_SECONDS, tokens_out=m)


def opening(shape: ModelShape) -> Demand:
    """Load the weights and keep them."""
    return demand(disk=constant(shape.file_bytes), footprint=constant(shape.parameters * shape.weight_bytes))


# --- attention -------------------------------------------------------------------------------------------------------
# Pairs of (full layers, sliding layers): how many positions are attended to, summed over tokens. A sliding layer looks
# at its window at most; a polynomial has no minimum, so it counts the window in full, which short prompts do not fill.

_Attended = tuple[Formula, Formula]


def _pairs(shape: ModelShape, n: Formula, past: Formula) -> _Attended:
    window = n * float(shape.sliding_window) if shape.sliding_layers else ZERO
    return (n * n + n) * 0.5 + n * past, window


def _attended(shape: ModelShape, n: Formula, m: Formula) -> _Attended:
    full = n * m + n * -1.0 + m * m * 0.5 + m * -0.5
    return full, (m + -1.0) * float(shape.sliding_window) if shape.sliding_layers else ZERO


def _by_layers(shape: ModelShape, attended: _Attended) -> Formula:
    full, window = attended
    return full * float(shape.layers - shape.sliding_layers) + window * float(shape.sliding_layers)


def _attention(shape: ModelShape, attended: _Attended) -> Formula:
    return _by_layers(shape, attended) * (4.0 * shape.heads * shape.head_dim)


def _cache_read(shape: ModelShape, attended: _Attended) -> Formula:
    return _by_layers(shape, attended) * (cache_bytes_per_token(shape) / shape.layers)


def known(tokens: Formula | None, otherwise: float) -> Formula:
    """A size, or the constant where it is not known."""
    return tokens if tokens is not None else as_formula(otherwise)
