"""The cross-encoder on 8-bit numbers, against arithmetic by hand and on random weights."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from agentlang.stdlib.models import bert_scorer
from agentlang.stdlib.models.bert_config import BertConfig
from agentlang.stdlib.models.bert_scorer import Dense

SMALL = BertConfig(layers=2, d_model=16, heads=2, ffn=24, vocab=40, context=64)


def random_weights(seed: int) -> Any:
    generator = np.random.default_rng(seed)

    def drawn(shape: jax.ShapeDtypeStruct) -> Any:
        if shape.dtype == np.float32:
            return np.asarray(generator.uniform(0.01, 0.03, shape.shape), np.float32)
        least, most = (-128, 128) if shape.dtype == np.int8 else (0, 256)
        return generator.integers(least, most, shape.shape, shape.dtype)

    return jax.tree.map(drawn, bert_scorer.weight_shapes(SMALL))


def by_hand(given: Any, matrix: Any, scale: Any, bias: Any) -> Any:
    """ONNX's DynamicQuantizeLinear and MatMulInteger, in 64-bit integers, on real rows alone."""
    least, most = min(0.0, given.min()), max(0.0, given.max())
    step = np.float32((most - least) / 255)
    zero = np.clip(np.rint(np.float32(-least) / step), 0, 255)
    rounded = np.clip(np.rint(given / step) + zero, 0, 255).astype(np.int64)
    return ((rounded - int(zero)) @ matrix.astype(np.int64)).astype(np.float32) * (step * scale) + bias


@pytest.mark.parametrize("shift", [-2.0, 0.0, 2.0])
def test_a_product_is_one_of_integers(shift: float) -> None:
    generator = np.random.default_rng(1)
    given = (generator.standard_normal((6, 300)) + shift).astype(np.float32)
    matrix = generator.integers(-128, 128, (300, 5), np.int8)
    scale, bias = generator.random((2, 5), np.float32)
    padded = np.concatenate([given, np.full((3, 300), 99.0, np.float32)])
    real = np.arange(9) < 6
    out = jax.jit(vars(bert_scorer)["_dense"])(Dense(matrix, scale, bias), padded, real)
    np.testing.assert_allclose(out[:6], by_hand(given, matrix, scale, bias), rtol=1e-6)


def test_nothing_at_all_is_the_bias() -> None:
    dense = Dense(np.ones((4, 2), np.int8), np.ones(2, np.float32), np.array([3.0, 4.0], np.float32))
    out = vars(bert_scorer)["_dense"](dense, np.zeros((1, 4), np.float32), np.ones(1, bool))
    np.testing.assert_array_equal(out, [[3.0, 4.0]])


def test_padding_changes_no_score() -> None:
    weights = random_weights(3)
    step = jax.jit(lambda *given: bert_scorer.score(SMALL, weights, *given))
    ids = np.arange(1, 21, dtype=np.int32)
    scores: list[float] = []
    for junk in (0, 39):
        tokens, types = np.full(32, junk, np.int32), np.full(32, junk % 2, np.int32)
        tokens[:20], types[:20] = ids, ids > 9
        scores.append(float(step(tokens, types, np.int32(20))))
    assert scores[0] == scores[1]
    assert scores[0] != float(step(tokens, types, np.int32(21)))
