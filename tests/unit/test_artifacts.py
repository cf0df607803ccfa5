"""Functions of a model as values: what stands in an entry, that the same model gives the same bytes, and that a process
without the model's source computes the same numbers, on a small model of random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fresh_process
import jax
import numpy as np
import pytest
from agent_sources import checked
from safetensors.numpy import save_file

from agentlang.executor.engines.xla.buckets import CHUNKS
from agentlang.executor.engines.xla.export import chat_buckets, export_buckets, export_prefill
from agentlang.executor.engines.xla.load import QUICKLY, UnloadableArtifact, load, load_to_ask
from agentlang.ir import compile as irc
from agentlang.ir import stablehlo
from agentlang.ir.artifact import CACHE, INPUT, STABLEHLO_VERSION, WEIGHT, Artifact, UnsoundEntry, from_entry
from agentlang.ir.library import NoLibrary
from agentlang.stdlib.models.bert_config import BertConfig
from agentlang.stdlib.models.operators import chat_operators, chat_weights, encoder_operators, scorer_operators
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

SMALL = BertConfig(layers=2, d_model=16, heads=2, ffn=24, vocab=40, context=128)
PROMPT = np.arange(40, dtype=np.int32) % 7 + 60


@pytest.fixture(scope="module")
def steps() -> tuple[Artifact, Artifact]:
    prefill, decode = chat_operators(TinyLlama())
    return prefill, decode


def test_the_same_model_has_the_same_bytes_and_names_no_place(steps: tuple[Artifact, Artifact]) -> None:
    def somewhere_else() -> tuple[Artifact, ...]:
        return chat_operators(TinyLlama(seed=9))

    assert [step.name for step in steps] == ["prefill_64_256", "decode_256"]
    assert steps == somewhere_else()
    assert not any(b".py" in step.data or str(Path.cwd()).encode() in step.data for step in steps)
    # The version stands in the bytes' head.
    assert all(f"StableHLO_v{STABLEHLO_VERSION}".encode() in step.data[:64] for step in steps)


def test_an_entry_says_what_the_bytes_do_not(steps: tuple[Artifact, Artifact]) -> None:
    prefill, decode = steps
    assert (prefill.stage, prefill.bucket, decode.stage, decode.bucket) == ("prefill", (64, 256), "decode", (256,))
    entry = json.loads(json.dumps(prefill.entry()))
    assert from_entry(entry, prefill.data) == prefill
    assert entry["version"] == STABLEHLO_VERSION and entry["platforms"] == [] and entry["bytes"] == len(prefill.data)
    weights = [tensor.name for tensor in prefill.of(WEIGHT)]
    assert weights[:4] == ["head", "norm", "layers.0.norms", "layers.0.qkv"]
    # Its weights are what the prepared file calls them, and of the same shapes.
    held = chat_weights(TinyLlama())
    assert {tensor.name: tensor.shape for tensor in prefill.of(WEIGHT)} == {n: a.shape for n, a in held.items()}
    assert [tensor.name for tensor in prefill.of(INPUT)] == ["tokens", "start", "count"]
    assert prefill.donated == tuple(range(len(weights), len(weights) + len(prefill.of(CACHE))))
    assert [tensor.name for tensor in prefill.outputs] == ["logits", *(tensor.name for tensor in prefill.of(CACHE))]
    assert sum(tensor.size for tensor in decode.of(CACHE)) == 256 * CONFIG.cache_bytes_per_position


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "their hash differs"),
        ({"sha256": "x"}, "no StableHLO artifact's entry"),
        ({"format": "elf"}, "no StableHLO artifact's entry"),
        ({"name": "../up"}, "no StableHLO artifact's entry"),
        ({"donated": [99]}, "does not have"),
        ({"donated": ["x"]}, "invalid literal"),
        ({"inputs": [{"name": "a", "role": "weight", "shape": [2], "dtype": "complex"}]}, "none that functions take"),
        ({"inputs": [{"name": "a"}]}, "missing or garbled"),
        ({"outputs": 3}, "missing or garbled"),
    ],
)
def test_unsound_entries_are_refused(steps: tuple[Artifact, Artifact], change: dict[str, Any], says: str) -> None:
    with pytest.raises(UnsoundEntry, match=says):
        from_entry({**steps[0].entry(), **change}, steps[0].data)


def test_altered_bytes_are_refused_before_they_are_read(steps: tuple[Artifact, Artifact]) -> None:
    for data in (steps[0].data[:-1], b"", steps[1].data):
        with pytest.raises(UnsoundEntry, match="hash differs"):
            from_entry(steps[0].entry(), data)


def test_bytes_that_are_no_such_function_do_not_load(steps: tuple[Artifact, Artifact]) -> None:
    for data in (steps[0].data[:-50], b"", steps[1].data):
        with pytest.raises(UnloadableArtifact, match="prefill_64_256"):
            load(replace(steps[0], data=data))


def test_weights_of_another_model_are_refused(steps: tuple[Artifact, Artifact]) -> None:
    loaded = load_to_ask(steps[1])
    held = chat_weights(TinyLlama())
    with pytest.raises(KeyError, match="norm"):
        loaded.weights({"head": held["head"]})
    with pytest.raises(ValueError, match="norm is float64"):
        loaded.weights({**held, "norm": held["norm"].astype(np.float64)})


def test_buckets_are_those_that_the_engine_runs() -> None:
    assert chat_buckets(1, 8192) == (*((chunk, 256) for chunk in CHUNKS if chunk <= 256), (256,))
    assert {sizes[-1] for sizes in chat_buckets(600, 8192)} == {256, 512, 1024}
    assert max(sizes[-1] for sizes in chat_buckets(10**6, 300)) == 304
    with pytest.raises(ValueError, match="does not fit"):
        export_prefill(TinyLlama().functions(), 512, 256)
    names = [artifact.name for artifact in encoder_operators(SMALL, 64)]
    assert names == [f"encode_{texts}_{length}" for length in (16, 32, 64) for texts in (1, 8)]
    assert [artifact.name for artifact in scorer_operators(SMALL, 65)] == ["score_64", "score_128"]


def test_what_is_kept_is_loaded_again(steps: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    first = load(steps[1], tmp_path)
    kept = [path.name for path in tmp_path.iterdir()]
    assert len(kept) == 1 and kept[0].startswith("decode_256-")
    weights = first.weights(chat_weights(TinyLlama()))
    caches = [np.zeros(tensor.shape, tensor.dtype) for tensor in steps[1].of(CACHE)]
    again = load(steps[1], tmp_path)
    one, two = (each(*weights, *caches, np.int32(70), np.int32(0)) for each in (first, again))
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_process_without_the_source_says_the_same(steps: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    """Prefill and 24 tokens: the same logits and caches bit for bit, from the bytes as they were exported and from
    those that have been through our module."""
    source = TinyLlama(seed=3)
    held = chat_weights(source)
    save_file(held, tmp_path / "tiny.safetensors")
    prefill, decode = steps
    tokens = np.zeros(64, np.int32)
    tokens[: len(PROMPT)] = PROMPT
    arguments = (tokens, np.int32(0), np.int32(len(PROMPT)))
    job = fresh_process.Job(prefill, tmp_path / "tiny.safetensors", arguments, decode, greedy=24)
    through = [replace(step, data=_through_our_module(steps, step.name)) for step in steps]
    jobs = [job, replace(job, artifact=through[0], decode=through[1])]
    expected = _in_process(source, arguments, prefill, decode, 24)
    assert len(set(expected.tokens)) > 3, "a model that says one thing only shows little"
    for found in fresh_process.run(tmp_path / "fresh", jobs):
        assert found.tokens == expected.tokens
        for left, right in zip(found.outputs, expected.outputs, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("sizes", [(16, 256), (256, 256), (64, 512), (512, 512), (256,), (512,)], ids=str)
def test_each_bucket_is_the_models_own(sizes: tuple[int, ...]) -> None:
    """Behind a past of 40 tokens, where the bucket has room for both; bit for bit, compiled alike."""
    source = TinyLlama()
    functions = source.functions()
    (artifact,) = export_buckets(functions, [sizes])
    generator = np.random.default_rng(0)
    caches = tuple(generator.standard_normal(tensor.shape).astype(np.float32) for tensor in artifact.of(CACHE))
    arguments: tuple[Any, ...] = (np.int32(70), np.int32(sizes[-1] - 1))
    if len(sizes) == 2:
        chunk, length = sizes
        arguments = (
            generator.integers(3, 259, chunk, np.int32),
            np.int32(min(40, length - chunk)),
            np.int32(chunk - 1),
        )
    loaded = load_to_ask(artifact)
    found = loaded(*loaded.weights(chat_weights(source)), *caches, *arguments)
    step = functions.prefill if len(sizes) == 2 else functions.decode
    tree = jax.tree.structure(tuple(functions.cache_shapes(sizes[-1]) for _ in range(functions.layers)))
    given = (source.weights(), jax.tree.unflatten(tree, caches), *arguments)
    own = jax.jit(step).lower(*given).compile(compiler_options=dict(QUICKLY))
    for left, right in zip(found, jax.tree.leaves(own(*given)), strict=True):
        np.testing.assert_array_equal(left, right)


# --- the model itself ------------------------------------------------------------------------------------------------


def _steps(source: TinyLlama, length: int) -> tuple[Any, Any]:
    """The model's own steps, jitted, on caches as flat as an artifact's."""
    functions = source.functions()
    tree = jax.tree.structure(tuple(functions.cache_shapes(length) for _ in range(functions.layers)))

    def flat(step: Any) -> Any:
        jitted = jax.jit(step, donate_argnums=1)
        return lambda weights, cache, *rest: jax.tree.leaves(jitted(weights, jax.tree.unflatten(tree, cache), *rest))

    return flat(functions.prefill), flat(functions.decode)


def _in_process(
    source: TinyLlama, arguments: tuple[Any, ...], prefill: Artifact, decode: Artifact, greedy: int
) -> fresh_process.Answer:
    first, step = _steps(source, prefill.bucket[-1])
    caches = len(prefill.of(CACHE))
    weights = jax.device_put(source.weights())

    def called(function: Any) -> Any:
        return lambda *given: function(weights, given[:caches], *given[caches:])

    return fresh_process.answer((called(first), prefill), (), arguments, (called(step), decode), greedy)


HELLO = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
}
"""


def _through_our_module(steps: tuple[Artifact, ...], name: str) -> bytes:
    program, problems = checked(HELLO, "hello.agent")
    assert program is not None, problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, NoLibrary())
    assert module is not None, problems
    module, problems = module.with_functions({"writer": {step.name: step.data for step in steps}})
    assert module is not None, problems
    return stablehlo.portable(module.operation, "writer", name)
