"""Many sequences in one step, on pages: every reply is the one that its prompt gives alone."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paged_llama import PagedLlama, SingleLlama

from agentlang.base import paths
from agentlang.executor.scheduler import Settings
from agentlang.stdlib.models import llama, llama_rows, open_chat
from agentlang.stdlib.models.chat_source import LlamaFunctions
from agentlang.stdlib.models.tiny import TinyLlama


def tiny() -> tuple[LlamaFunctions, llama.Weights]:
    source = TinyLlama(seed=3)
    return source.functions(), llama.Weights(*source.weights())


def prompts(count: int, most: int) -> list[tuple[int, ...]]:
    """Some begin alike, to the middle of a page or to the end."""
    draw = random.Random(count)
    begin = tuple(draw.randrange(3, 259) for _ in range(most))
    parts = [draw.randrange(1, most) for _ in range(count)]
    return [(*begin[:part], *(draw.randrange(3, 259) for _ in range(draw.randrange(1, most // 2)))) for part in parts]


@pytest.mark.parametrize(("pages", "page", "rows", "chunk"), [(14, 16, 4, 64), (200, 8, 3, 13)])
def test_replies_are_those_of_prompts_alone(pages: int, page: int, rows: int, chunk: int) -> None:
    functions, weights = tiny()
    asked = prompts(8, 100)
    single = SingleLlama(functions.config, weights, 256)
    paged = PagedLlama(functions.config, weights, Settings(pages, page, rows, rows + chunk, chunk), 256)
    assert paged.run(asked, 12) == [single.run(prompt, 12) for prompt in asked]
    assert paged.seen["Copy"] > 0
    if pages == 14:
        assert paged.seen["Preempted"] > 0


def test_the_likeliest_is_the_first_of_equals() -> None:
    logits = jnp.asarray([[1.0, 3.0, 3.0], [-jnp.inf, -jnp.inf, -2.0], [0.0, 0.0, 0.0]])
    assert llama_rows.likeliest(logits).tolist() == [1, 2, 0]


def test_a_step_needs_no_large_temporary() -> None:
    """At 1,024 positions a step holds, beside weights and pages, less than two pages of each row's keys and values."""
    functions, weights = tiny()
    config, rows, page = functions.config, 8, 128
    shapes = llama_rows.pool_shapes(config, 1 + rows * 8, page)
    table = jax.ShapeDtypeStruct((rows, 8), jnp.int32)
    row = jax.ShapeDtypeStruct((rows,), jnp.int32)

    def layer(
        weights: llama.Layer, pool: llama_rows.Pool, tokens: jax.Array, at: jax.Array, pages: jax.Array
    ) -> object:
        hidden, places = llama_rows.enter_rows(config, outer, tokens, at, pages)
        return llama_rows.decode_rows_layer(config, weights, pool, hidden, places)

    outer = weights.outer
    compiled = jax.jit(layer, donate_argnums=1).lower(weights.layers[0], shapes, row, row, table).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    of_a_page = 2 * rows * config.kv_heads * config.head_dim * page * 4
    assert analysis.temp_size_in_bytes < 2 * of_a_page + 2**18


def test_a_chunk_needs_no_copy_of_the_pool() -> None:
    """What a chunk holds beside weights and pages does not grow with the pages that there are."""
    functions, weights = tiny()
    config, page, chunk = functions.config, 16, 8
    table = jax.ShapeDtypeStruct((8,), jnp.int32)
    one = jax.ShapeDtypeStruct((), jnp.int32)
    tokens = jax.ShapeDtypeStruct((chunk,), jnp.int32)

    def layer(
        weights: llama.Layer, pool: llama_rows.Pool, tokens: jax.Array, start: jax.Array, pages: jax.Array
    ) -> object:
        hidden, places = llama.enter(config, outer, tokens, start)
        return llama_rows.prefill_pages_layer(config, weights, pool, hidden, places, pages, jnp.int32(chunk))

    outer = weights.outer
    sizes: list[int] = []
    for pages in (9, 900):
        shapes = llama_rows.pool_shapes(config, pages, page)
        compiled = jax.jit(layer, donate_argnums=1).lower(weights.layers[0], shapes, tokens, one, table).compile()
        analysis = compiled.memory_analysis()
        assert analysis is not None
        sizes.append(analysis.temp_size_in_bytes)
    assert sizes[1] < sizes[0] + 2**12


@pytest.mark.models
def test_a_real_model_replies_the_same() -> None:
    name = "smollm2-135m-instruct"
    path = next(iter((paths.models_home() / name).glob("*.gguf")), None)
    if path is None:
        pytest.skip(f"{name} is not in the cache")
    source = open_chat(path, name)
    functions = source.functions()
    assert isinstance(functions, LlamaFunctions)
    weights = jax.device_put(llama.Weights(*source.weights()))
    encode = source.tokenizer().encode
    asked = [
        tuple(encode(text))
        for text in ("The capital of France is", "The capital of Italy is", "One, two, three,", "Water boils at")
    ]
    paged = PagedLlama(functions.config, weights, Settings(12, 64, 4, 260, 256), 128)
    alone = [paged.run([one], 8)[0] for one in asked]
    together = paged.run(asked, 8)
    assert together == alone
    logits = np.asarray(_whole(functions, weights, (*asked[0], *together[0][:-1])))
    assert int(logits.argmax()) == together[0][-1]


def _whole(functions: LlamaFunctions, weights: llama.Weights, tokens: tuple[int, ...]) -> jax.Array:
    """The logits behind all tokens by the prefill of one sequence."""
    padded = np.zeros(32, np.int32)
    padded[: len(tokens)] = tokens
    hidden, places = llama.enter(functions.config, weights.outer, jnp.asarray(padded), jnp.int32(0))
    for layer in weights.layers:
        cache = llama.LayerCache(*(jnp.zeros(s.shape, s.dtype) for s in llama.cache_shapes(functions.config, 32)))
        hidden, _ = llama.prefill_layer(functions.config, layer, cache, hidden, places)
    return llama.leave(functions.config, weights.outer, hidden, jnp.int32(len(tokens)))
