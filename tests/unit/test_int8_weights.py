"""Weights in int8: what their products are, what is kept of them on disk, and a model that runs on them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlang.base import paths
from agentlang.executor.engines.protocol import ModelSpec, Sampling
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import llama, open_chat
from agentlang.stdlib.models.chat_source import assembled
from agentlang.stdlib.models.llama_config import UnsupportedModel
from agentlang.stdlib.models.llama_shards import LlamaShards
from agentlang.stdlib.models.prepared import fused_tensors, prepared_folder
from agentlang.stdlib.models.products import Quantised, columns, product
from agentlang.stdlib.models.tiny import CONFIG, RandomCheckpoint, TinyLlama

INT8 = replace(CONFIG, weights="int8")
NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"


def quantised(drawn: np.random.Generator, inner: int, outer: int) -> tuple[Quantised, Any]:
    """A weight in int8, and the same in f64."""
    values = drawn.integers(-127, 128, (outer, inner)).astype(np.int8)
    scales = drawn.uniform(0.001, 0.1, outer).astype(np.float32)
    return Quantised(jnp.asarray(values), jnp.asarray(scales)), (values * scales[:, None].astype(np.float64)).T


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 5, 32, 33]),
    st.sampled_from([(8, 8), (96, 130)]),
    st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_a_product_is_that_of_the_weights_as_they_are_stored(
    seed: int, rows: int, shape: tuple[int, int], size: float
) -> None:
    drawn = np.random.default_rng(seed)
    weight, exact = quantised(drawn, *shape)
    # A few channels are far larger than the rest, as those of language models are.
    given = (drawn.standard_normal((rows, shape[0])) * size).astype(np.float32)
    given[:, drawn.integers(0, shape[0], 2)] *= 50
    found = np.asarray(product(jnp.asarray(given), weight))
    # 15 bits of the largest value of a row: the error of each is under 1/64,000 of it.
    most = np.abs(given).max(axis=1, keepdims=True) / 64_000 * np.abs(exact).sum(axis=0) + 1e-5 * np.abs(given @ exact)
    assert (np.abs(found - given @ exact) <= most + 1e-30).all()


def test_a_row_is_the_same_in_any_company_and_rows_of_zeros_are_zero() -> None:
    drawn = np.random.default_rng(1)
    weight, _ = quantised(drawn, 64, 48)
    rows = jnp.asarray(drawn.standard_normal((32, 64)), jnp.float32).at[3].set(0.0)
    together = np.asarray(product(rows, weight))
    for count in (1, 2, 7, 31):
        assert (np.asarray(product(rows[:count], weight)) == together[:count]).all()
    assert (together[3] == 0).all()


def test_a_step_of_many_rows_keeps_no_converted_weight_of_the_output_table() -> None:
    table = Quantised(jax.ShapeDtypeStruct((49152, 576), jnp.int8), jax.ShapeDtypeStruct((49152,), jnp.float32))
    for rows in (1, 16):
        compiled = jax.jit(product).lower(jax.ShapeDtypeStruct((rows, 576), jnp.float32), table).compile()
        analysis: Any = compiled.memory_analysis()
        assert analysis.temp_size_in_bytes < 8 * 2**20


def test_the_columns_of_a_table_are_its_tokens() -> None:
    table, exact = quantised(np.random.default_rng(2), 16, 40)
    for tokens in ([7], [0, 39, 7]):
        found = columns(table, jnp.asarray(tokens, jnp.int32))
        np.testing.assert_allclose(found, exact.T[tokens], rtol=1e-6)


def test_each_weight_is_within_half_a_step_of_what_it_was() -> None:
    checkpoint = RandomCheckpoint(CONFIG, seed=5)
    whole, stored = dict(fused_tensors(checkpoint)), dict(fused_tensors(checkpoint, "int8"))
    assert stored["layers.0.norms"].dtype == np.float32
    for name in ("head", "layers.1.qkv", "layers.0.down"):
        values, scales = stored[f"{name}.values"], stored[f"{name}.scales"]
        assert values.dtype == np.int8 and np.abs(values).max(axis=1).min() == 127
        assert (np.abs(values * scales[:, None] - whole[name].T) <= scales[:, None] * 0.501).all()


def test_a_model_says_nearly_what_it_says_in_f32() -> None:
    checkpoint = RandomCheckpoint(CONFIG, seed=3)
    tokens = np.asarray([(7 * i) % CONFIG.vocab for i in range(24)], np.int32)

    def logits(config: Any) -> Any:
        weights: llama.Weights = jax.tree.map(
            jnp.asarray, assembled(config, dict(fused_tensors(checkpoint, config.weights)))
        )
        shapes = llama.cache_shapes(config, 32)
        cache = tuple(llama.LayerCache(*(jnp.zeros(s.shape, s.dtype) for s in shapes)) for _ in weights.layers)
        found, cache = llama.prefill(config, weights, cache, tokens, jnp.int32(0), jnp.int32(24))
        after, _ = llama.decode(config, weights, cache, jnp.int32(9), jnp.int32(24))
        return np.stack([found, after])

    whole, stored = logits(CONFIG), logits(INT8)
    assert np.abs(whole - stored).mean() < 0.05 * whole.std()
    assert not np.array_equal(whole, stored)


@pytest.mark.anyio
async def test_an_engine_runs_on_them() -> None:
    spec = ModelSpec("tiny", TinyLlama(config=INT8))
    model = await XlaEngine(keep_programs=False).load(spec)
    sequence = await model.prefill([3 + i % 200 for i in range(40)])
    found = [token async for token in model.decode(sequence, Sampling(max_tokens=8))]
    assert len(found) == 8 or sequence.finish is not None
    await model.release(sequence)
    assert model.facts.weight_bytes < 0.4 * TinyLlama().facts().weight_bytes
    await model.close()


def test_they_are_not_divided() -> None:
    with pytest.raises(UnsupportedModel, match="int8"):
        LlamaShards(INT8, 2)
    with pytest.raises(UnsupportedModel, match="int4"):
        replace(CONFIG, weights="int4")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it")
def test_the_real_model_chooses_mostly_as_in_f32() -> None:
    text = (Path(__file__).parents[2] / "docs" / "execution.md").read_text("utf-8")
    likely: list[Any] = []
    for weights in ("f32", "int8"):
        source = open_chat(PATH, NAME, weights)
        assert prepared_folder(PATH, weights).name.endswith("-int8") == (weights == "int8")
        functions: Any = source.functions()
        config, (outer, layers) = functions.config, source.weights()
        assert config.weights == weights
        tokens = np.asarray(source.tokenizer().encode(text)[:512], np.int32)
        hidden, places = llama.enter(config, outer, jnp.asarray(tokens), jnp.int32(0))
        shapes = llama.cache_shapes(config, 512)
        cache = llama.LayerCache(*(jnp.zeros(shape.shape, shape.dtype) for shape in shapes))
        for layer in layers:
            hidden, _ = llama.prefill_layer(config, layer, cache, hidden, places)
        logits = [product(llama.norm(config, hidden[at : at + 1], outer.norm), outer.head) for at in range(512)]
        likely.append(np.asarray(jax.nn.log_softmax(jnp.concatenate(logits))))
        del outer, layers
    whole, stored = likely
    assert (np.exp(whole) * (whole - stored)).sum(axis=1).mean() < 0.02
    assert (whole.argmax(axis=1) == stored.argmax(axis=1)).mean() > 0.9
    assert all(np.isfinite(a).all() and not np.array_equal(a, b) for a, b in pairwise(likely))
