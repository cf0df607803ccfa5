"""The functions of the catalogue's models, run by a process that has their bytes and weights and no source of them:
what comes out is the model's own answer, bit for bit; and the reranker's is that of the ONNX file that runs here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import fresh_process
import jax
import numpy as np
import pytest
from agent_sources import checked
from safetensors.numpy import save_file

from agentlang.base.problems import OutsideError
from agentlang.executor.engines import engine
from agentlang.executor.engines.onnx.scoring import OnnxScorer
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling
from agentlang.executor.engines.xla.encoder import XlaEncoder
from agentlang.executor.engines.xla.load import QUICKLY
from agentlang.ir import compile as irc
from agentlang.ir import stablehlo
from agentlang.ir.artifact import CACHE, WEIGHT, Artifact
from agentlang.ir.library import NoLibrary
from agentlang.stdlib import store
from agentlang.stdlib.models import bert, bert_scorer, open_chat
from agentlang.stdlib.models.bert_config import BertConfig, read_weights
from agentlang.stdlib.models.checkpoint import DamagedFile
from agentlang.stdlib.models.onnx_file import read_onnx
from agentlang.stdlib.models.opening import open_encoder, open_reranker
from agentlang.stdlib.models.operators import encoder_operators, operators, scorer_operators, weights
from agentlang.stdlib.models.prepared import prepared_folder
from agentlang.stdlib.models.reranker import RerankerSource

pytestmark = pytest.mark.models

QUESTION = "How long do I have to return something?"
PASSAGES = [
    "You have 30 days from the day of delivery to return something you bought.",
    "The label costs four euros and fifty cents, which we take off the refund.",
    "Our shops open at nine. On Sundays they are closed.",
    "A tent is pitched on level ground, with its door away from the wind. " * 12,
]


def files(name: str) -> Mapping[str, Path]:
    try:
        return store.obtain(store.entry(name))
    except OutsideError as error:
        pytest.skip(error.problem.title)


# --- chat ------------------------------------------------------------------------------------------------------------


def test_the_chat_model_without_its_source(tmp_path: Path) -> None:
    """Its prompt and the tokens behind it, from bytes that have been nested in a program's module."""
    found = files("smollm2-135m-instruct")
    source = open_chat(found["weights"], "smollm2-135m-instruct")
    functions = source.functions()
    prompt, engines = anyio.run(_by_the_engine, source)
    prefill, decode = _through_a_module(operators(store.entry("smollm2-135m-instruct"), found))
    tokens = np.zeros(64, np.int32)
    tokens[: len(prompt)] = prompt
    arguments = (tokens, np.int32(0), np.int32(len(prompt)))
    folder = prepared_folder(found["weights"])
    job = fresh_process.Job(prefill, folder, arguments, decode, greedy=len(engines) - 1, quick=True)
    (fresh,) = fresh_process.run(tmp_path / "fresh", [job])

    held = jax.device_put(source.weights())
    tree = jax.tree.structure(tuple(functions.cache_shapes(256) for _ in range(functions.layers)))
    count = len(prefill.of(CACHE))

    def own(step: Any, artifact: Artifact) -> Any:
        shapes = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in artifact.inputs if t.role != WEIGHT]
        given = (held, jax.tree.unflatten(tree, shapes[:count]), *shapes[count:])
        compiled = jax.jit(step, donate_argnums=1).lower(*given).compile(compiler_options=dict(QUICKLY))
        call = lambda *g: jax.tree.leaves(compiled(held, jax.tree.unflatten(tree, g[:count]), *g[count:]))  # noqa: E731
        return call, artifact

    first, step = own(functions.prefill, prefill), own(functions.decode, decode)
    here = fresh_process.answer(first, (), arguments, step, len(engines) - 1)
    assert fresh.tokens == here.tokens == engines
    for left, right in zip(fresh.outputs, here.outputs, strict=True):
        np.testing.assert_array_equal(left, right)


async def _by_the_engine(source: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A prompt's tokens, and the reply's, as a run has them."""
    model = await engine("xla").load(ModelSpec("smollm2-135m-instruct", source))
    prompt = await model.tokenize([Message("user", "Say hello to the world.")])
    sequence = await model.prefill(prompt)
    tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=8))]
    await model.release(sequence)
    await model.close()
    return tuple(prompt), tuple(tokens)


PROGRAM = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
}
"""


def _through_a_module(steps: tuple[Artifact, ...]) -> list[Artifact]:
    program, problems = checked(PROGRAM, "hello.agent")
    assert program is not None, problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, NoLibrary())
    assert module is not None, problems
    module, problems = module.with_functions({"writer": {step.name: step.data for step in steps}})
    assert module is not None, problems
    return [replace(step, data=stablehlo.portable(module.operation, "writer", step.name)) for step in steps]


# --- sentences -------------------------------------------------------------------------------------------------------


def test_the_encoder_without_its_source(tmp_path: Path) -> None:
    name = "all-minilm-l6-v2"
    found = files(name)
    config = BertConfig.of(store.entry(name).shape)
    artifacts = {artifact.name: artifact for artifact in encoder_operators(config, 64)}
    held = weights(store.entry(name), found)
    table = held.pop("table")
    save_file(held, tmp_path / "encoder.safetensors")
    source = open_encoder(store.entry(name), found)
    encoder = XlaEncoder(name, source.key, source.functions())
    loaded = read_weights(found["weights"], config, name).weights
    wanted = [("encode_1_32", PASSAGES[:1]), ("encode_8_64", PASSAGES[:3])]
    given = [_words(source.functions(), table, artifacts[bucket], texts) for bucket, texts in wanted]
    jobs = [
        fresh_process.Job(artifacts[bucket], tmp_path / "encoder.safetensors", arguments)
        for (bucket, _), arguments in zip(wanted, given, strict=True)
    ]
    step = jax.jit(lambda held, words, mask: bert.encode(config, held, words, mask))
    fresh = fresh_process.run(tmp_path / "fresh", jobs)
    for (_, texts), arguments, answer in zip(wanted, given, fresh, strict=True):
        np.testing.assert_array_equal(answer.outputs[0], np.asarray(step(loaded, *arguments)))
        np.testing.assert_allclose(answer.outputs[0][: len(texts)], encoder.vectors(texts), atol=2e-6)


def _words(functions: Any, table: Any, artifact: Artifact, texts: list[str]) -> tuple[Any, Any]:
    """What the host hands to a bucket: rows of the table, and which are real."""
    size, length = artifact.bucket
    start, end, pad = functions._markers
    ids, mask = np.full((size, length), pad), np.zeros((size, length), np.float32)
    for row, text in enumerate(functions.tokenizer.encode(texts)):
        marked = [start, *text, end]
        ids[row, : len(marked)], mask[row, : len(marked)] = marked, 1.0
    return table[ids], mask


# --- scores ----------------------------------------------------------------------------------------------------------


def test_the_reranker_without_its_source(tmp_path: Path) -> None:
    name = "ms-marco-minilm-l12"
    found = files(name)
    config = BertConfig.of(store.entry(name).shape)
    source = open_reranker(store.entry(name), found)
    judge = OnnxScorer(name, source)
    held = weights(store.entry(name), found)
    assert {str(array.dtype) for array in held.values()} == {"int8", "uint8", "float32"}
    save_file(held, tmp_path / "judge.safetensors")
    # One bucket for all of them, padding included: each one more takes seconds to compile.
    artifacts = scorer_operators(config, 256)[-1:]
    given = [_pair(source, passage, artifacts) for passage in PASSAGES]
    assert {artifact.name for artifact, _ in given} == {"score_256"}
    jobs = [fresh_process.Job(artifact, tmp_path / "judge.safetensors", arguments) for artifact, arguments in given]
    fresh = [float(answer.outputs[0]) for answer in fresh_process.run(tmp_path / "fresh", jobs)]
    read = bert_scorer.read_scorer(found["weights"], config)
    step = jax.jit(lambda held, *arguments: bert_scorer.score(config, held, *arguments))
    assert fresh == [float(step(read, *arguments)) for _, arguments in given]
    # The file itself, by ONNX Runtime: the same order, and a number that moved by a step moves what follows.
    scores = anyio.run(judge.score, QUESTION, PASSAGES)
    assert fresh == pytest.approx(scores, abs=0.5)
    assert np.argsort(fresh).tolist() == np.argsort(scores).tolist()


def _pair(source: RerankerSource, passage: str, artifacts: tuple[Artifact, ...]) -> tuple[Artifact, tuple[Any, ...]]:
    """The smallest bucket for a pair, and what it is given."""
    ((ids, types),) = [(pair.ids, pair.types) for pair in source.pairs(QUESTION, [passage])]
    artifact = next(each for each in artifacts if len(ids) <= each.bucket[0])
    rows = np.zeros((2, artifact.bucket[0]), np.int32)
    rows[:, : len(ids)] = ids, types
    return artifact, (rows[0], rows[1], np.int32(len(ids)))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "long"])
def test_a_damaged_onnx_file_is_refused(tmp_path: Path, damage: str) -> None:
    data = files("ms-marco-minilm-l12")["weights"].read_bytes()
    path = tmp_path / "model.onnx"
    made = {"cut": data[:-5_000_000], "empty": b"", "text": b"not a model", "long": b"\x3a\xff\xff\xff\xff\x7f"}
    path.write_bytes(made[damage])
    with pytest.raises(DamagedFile, match=r"model\.onnx"):
        read_onnx(path)
    config = BertConfig.of(store.entry("ms-marco-minilm-l12").shape)
    with pytest.raises(OutsideError) as caught:
        weights(store.entry("ms-marco-minilm-l12"), {"weights": path})
    assert caught.value.problem.slug == "model-does-not-load"
    with pytest.raises(DamagedFile):
        bert_scorer.read_scorer(files("ms-marco-minilm-l12")["weights"], replace(config, d_model=300))
