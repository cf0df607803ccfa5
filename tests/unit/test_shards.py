"""A model in shards says what the whole model says: by functions, by the engine, as artifacts, and on several devices
with a collective between them. (A real model is in tests/system.)"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mixture_model import TinyMixture
from shard_runs import empty, in_a_process, prompt, whole_and_sharded

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.protocol import Finish, ModelSpec, Sampling, Spread
from agentlang.executor.engines.sharding import ShardableFunctions
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.export import named_leaves
from agentlang.executor.engines.xla.load import load
from agentlang.executor.engines.xla.shards import CannotSpread, collective, export_shards, sharded
from agentlang.ir.artifact import INPUT, WEIGHT
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

CLOSE = 1e-4

# Heads of queries, of keys and values, and shards: two heads for each shard; one; and more shards than key-value heads.
DENSE = [(4, 4, 2), (8, 8, 4), (8, 2, 4)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))


@pytest.mark.parametrize(("heads", "kv_heads", "shards"), DENSE)
def test_shards_say_what_the_whole_says(heads: int, kv_heads: int, shards: int) -> None:
    source = TinyLlama(config=replace(CONFIG, heads=heads, kv_heads=kv_heads), seed=heads + shards)
    whole, parts = whole_and_sharded(source, Spread(shards), prompt(), 8)
    assert np.abs(whole.logits - parts.logits).max() < CLOSE < np.abs(whole.logits).max() / 100
    assert whole.tokens == parts.tokens


def test_each_device_holds_its_part_only() -> None:
    functions = TinyLlama().functions()
    whole, parts = functions.layer_shapes(), functions.in_shards(2)

    def count(tree: Any) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    norms = whole.norms.size
    held = count(parts.attention_shapes()) + count(parts.feed_forward_shapes())
    assert 2 * (held - 2 * norms) == count(whole) - norms
    assert 2 * count(parts.cache_shapes(64)) == count(functions.cache_shapes(64))
    # Four devices share two key-value heads, so each is there twice.
    assert 4 * count(functions.in_shards(4).cache_shapes(64)) == 2 * count(functions.cache_shapes(64))


@pytest.mark.parametrize(("tensor", "expert"), [(1, 4), (2, 2), (4, 2), (2, 1)], ids=lambda number: str(number))
def test_experts_apart_say_what_they_say_together(tensor: int, expert: int) -> None:
    whole, parts = whole_and_sharded(TinyMixture(seed=3), Spread(tensor, expert), prompt(), 6)
    assert np.abs(whole.logits - parts.logits).max() < CLOSE < np.abs(whole.logits).max() / 100
    assert whole.tokens == parts.tokens


def test_what_a_shard_leaves_out_is_missed() -> None:
    """The comparison can fail: the sum without one shard is another model."""
    source = TinyLlama(seed=3)
    functions = sharded(source.functions(), Spread(2))
    outer, layers = functions.weights(source.weights())
    silent = tuple((mine, (rest[0], jax.tree.map(np.zeros_like, rest[1]))) for mine, rest in layers)
    cache = tuple(empty(functions.cache_shapes(64)) for _ in layers)
    given = (cache, prompt(16), jnp.int32(0), jnp.int32(16))
    whole, _ = functions.prefill((outer, layers), *given)
    less, _ = functions.prefill((outer, silent), *given)
    assert np.abs(whole - less).max() > 0.1


# --- what cannot be divided ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "spread", "why"),
    [
        (CONFIG, Spread(3), "4 heads"),
        (replace(CONFIG, ffn=97), Spread(2), "an inner width of 97"),
        (replace(CONFIG, heads=12, kv_heads=6), Spread(4), "6 key-value heads"),
        (CONFIG, Spread(2, 2), "no experts"),
    ],
)
def test_what_cannot_be_divided_is_refused(config: Any, spread: Spread, why: str) -> None:
    functions = TinyLlama(config=config).functions()
    assert isinstance(functions, ShardableFunctions)
    with pytest.raises(CannotSpread, match=why):
        sharded(functions, spread)


def test_the_engine_says_what_it_cannot_divide() -> None:
    async def main() -> None:
        await XlaEngine(keep_programs=False).load(ModelSpec("tiny", TinyLlama(), spread=Spread(3)))

    with pytest.raises(OutsideError) as raised:
        anyio.run(main)
    assert raised.value.problem.slug == "model-does-not-load" and "cannot be divided" in raised.value.problem.title


# --- by the engine ---------------------------------------------------------------------------------------------------


def test_the_engine_runs_a_model_in_shards() -> None:
    text = tuple(int(token) for token in prompt(50))

    async def reply(source: Any, spread: Spread) -> list[int]:
        model = await XlaEngine(keep_programs=False).load(ModelSpec("tiny", source, spread=spread))
        sequence = await model.prefill(text)
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=40))]
        assert sequence.finish in (Finish.LENGTH, Finish.STOP)
        await model.release(sequence)
        await model.close()
        return tokens

    async def main() -> None:
        for source, spread in ((TinyLlama(seed=1), Spread(2)), (TinyMixture(seed=1), Spread(2, 2))):
            assert await reply(source, Spread()) == await reply(source, spread)

    anyio.run(main)


# --- as artifacts ----------------------------------------------------------------------------------------------------


def test_shards_are_functions_of_their_own() -> None:
    source = TinyLlama(seed=4)
    functions = sharded(source.functions(), Spread(2))
    outer, layers = functions.weights(source.weights())
    attention, feed_forward, *_ = made = export_shards(functions, chunk=16, length=32)
    assert [(each.name, each.stage, each.bucket) for each in made] == [
        ("attention_shard_16_32", "attention_shard", (16, 32)),
        ("feed_forward_shard_16", "feed_forward_shard", (16,)),
        ("attention_shard_1_32", "attention_shard", (1, 32)),
        ("feed_forward_shard_1", "feed_forward_shard", (1,)),
    ]
    assert [tensor.name for tensor in attention.of(WEIGHT)] == ["shard.norms", "shard.qkv", "shard.out"]
    assert [tensor.name for tensor in feed_forward.of(INPUT)] == ["hidden"]
    hidden, places = functions.enter(outer, prompt(16), jnp.int32(0))
    expected, filled = functions.prefill_layer(layers[0], empty(functions.cache_shapes(32)), hidden, places)

    attend, follow = load(attention), load(feed_forward)
    state, caches = np.asarray(hidden), []
    for weights in layers[0][0]:
        given = [
            *attend.weights(named_leaves("shard", weights)),
            *jax.tree.leaves(empty(functions.parts.cache_shapes(32))),
        ]
        added, *cache = attend(*given, hidden, *jax.tree.leaves(places))
        state, caches = state + np.asarray(added), [*caches, cache]
    after = state
    for weights in layers[0][1]:
        (added,) = follow(*follow.weights(named_leaves("shard", weights)), state)
        after = after + np.asarray(added)
    assert np.abs(after - expected).max() < CLOSE
    assert all(np.abs(mine - theirs).max() < CLOSE for mine, theirs in zip(caches[1], filled[1], strict=True))


# --- on several devices ----------------------------------------------------------------------------------------------


def test_the_all_reduce_is_a_collective_of_devices() -> None:
    for found in in_a_process([("llama", 4, 1), ("mixture", 4, 2)], steps=6):
        assert found["devices"] == 4
        assert found["whole"] == found["parts"] and len(found["whole"]) >= 6
        assert found["apart"] < CLOSE


def test_a_collective_needs_its_devices() -> None:
    with pytest.raises(CannotSpread, match=f"there are {len(jax.devices())} devices"):
        collective(TinyLlama(config=replace(CONFIG, heads=64, kv_heads=64)).functions().in_shards(32))
    with pytest.raises(CannotSpread, match="attention is in 1 shards and the rest in 4"):
        collective(TinyMixture().functions().in_shards(1, 4))
