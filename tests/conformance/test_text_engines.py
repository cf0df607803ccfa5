"""Engines for encoders, rerankers and recognisers keep their promises: ours on random and on published weights, one
behind an endpoint, and one of a stranger, which a program finds by its entry point."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from cli_runs import agentlang
from endpoint_servers import Handler, serving
from numpy.typing import NDArray
from tiny_bert import tiny_bert

from agentlang.base.problems import OutsideError
from agentlang.executor.engines import engine
from agentlang.executor.engines.conformance import (
    EMBEDDING_CHECKS,
    RECOGNISING_CHECKS,
    SCORING_CHECKS,
    PromiseBroken,
    TextCheck,
)
from agentlang.executor.engines.families import Operation, TextModelSpec, operations
from agentlang.executor.engines.protocol import Capabilities, Engine, ModelSpec
from agentlang.stdlib import store
from agentlang.stdlib.models.opening import open_text_model
from agentlang.testing import check_embedding, check_recognising, check_scoring


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def published(name: str) -> TextModelSpec:
    """A model of the catalogue, or a skip that says why there is none."""
    entry = store.entry(name)
    try:
        return TextModelSpec(name, open_text_model(entry, store.obtain(entry)))
    except OutsideError as error:
        pytest.skip(error.problem.title)


def names(check: TextCheck) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.anyio
@pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=names)
async def test_a_random_encoder_on_xla(check: TextCheck, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(home))
    source = tiny_bert(home)
    await check(engine("xla"), TextModelSpec("tiny-bert", source))


@pytest.mark.models
@pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=names)
def test_a_published_encoder_on_xla(check: TextCheck) -> None:
    anyio.run(check, engine("xla"), published("all-minilm-l6-v2"))


@pytest.mark.models
@pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=names)
def test_published_word_vectors(check: TextCheck) -> None:
    anyio.run(check, engine("table"), published("wordllama-256"))


@pytest.mark.models
def test_word_vectors_are_near_where_words_are(tmp_path: Path) -> None:
    published("wordllama-256")
    (tmp_path / "near.agent").write_text(
        'use std/embed\nmodel words = embed.sentence("wordllama-256")\n'
        "pipeline near(a: Text, b: Text) -> Float { return embed.similarity(words.embed(a), words.embed(b)) }\n"
    )

    def near(a: str, b: str) -> float:
        done = agentlang("run", tmp_path / "near.agent", f"a={a}", f"b={b}")
        assert done.code == 0, done.err
        return float(done.out.split()[0])

    question = "How do I return a broken tent?"
    assert near(question, "Send back tents that are damaged.") > near(question, "The shop opens at nine.") + 0.1


@pytest.mark.models
@pytest.mark.parametrize("role", ["weights", "tokenizer"])
def test_damaged_word_vectors_are_one_clear_problem(tmp_path: Path, role: str) -> None:
    from agentlang.stdlib.models.word_table import WordTableSource

    files = dict(published("wordllama-256").source.files)  # pyright: ignore[reportOptionalMemberAccess]
    damaged = tmp_path / files[role].name
    damaged.write_bytes(files[role].read_bytes()[:-1000])
    made: Any = engine("table")

    async def main() -> None:
        source = WordTableSource({**files, role: damaged}, "words", "x")
        await (await made.load_embedding(TextModelSpec("words", source))).embed(["a"])

    with pytest.raises(OutsideError) as caught:
        anyio.run(main)
    assert caught.value.problem.slug == "model-does-not-load"


@pytest.mark.models
@pytest.mark.parametrize("check", SCORING_CHECKS, ids=names)
def test_a_published_reranker_on_onnx_runtime(check: TextCheck) -> None:
    anyio.run(check, engine("onnx"), published("ms-marco-minilm-l12"))


@pytest.mark.models
@pytest.mark.parametrize("check", RECOGNISING_CHECKS, ids=names)
def test_a_published_recogniser_on_onnx_runtime(check: TextCheck) -> None:
    anyio.run(check, engine("onnx"), published("rampart-pii"))


def letters(text: str) -> list[float]:
    """How often a text has each letter, and one more number, so that no text has none."""
    return [1.0, *(float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz")]


class RemoteEngine:
    """Loads what an endpoint serves."""

    name = "elsewhere"
    operations = frozenset({Operation.EMBED})
    capabilities = Capabilities(sequences_per_step=0)

    def __init__(self, url: str) -> None:
        self._url = url

    async def load(self, spec: ModelSpec) -> Any:
        raise NotImplementedError

    async def load_embedding(self, spec: TextModelSpec) -> Any:
        from agentlang.executor.engines.remote.client import Client, Endpoint
        from agentlang.executor.engines.remote.encoder import RemoteEncoder

        encoder = RemoteEncoder(Client(Endpoint("cloud", self._url, silence=10.0)), spec.name)
        await encoder.open()
        return encoder


@pytest.mark.anyio
@pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=names)
async def test_an_encoder_at_an_endpoint(check: TextCheck) -> None:
    pytest.importorskip("httpx2", reason="the extra [remote] is not installed")

    def embedding(handler: Handler, body: dict[str, Any]) -> None:
        found = [{"index": at, "embedding": letters(text)} for at, text in enumerate(body["input"])]
        handler.refuse(200, json.dumps({"data": found}))

    with serving(embedding) as seen:
        await check(RemoteEngine(seen.url), TextModelSpec("letters"))


class Letters:
    """A stranger's encoder and reranker: counts letters, knows no model."""

    key = "letters 1"
    dimensions = 27

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.array([letters(text) for text in texts], np.float32).reshape(len(texts), self.dimensions)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    async def score(self, question: str, passages: Sequence[str]) -> list[float]:
        wanted = set(re.findall(r"\w{3,}", question.lower()))
        return [math.log1p(len(wanted & set(re.findall(r"\w{3,}", each.lower())))) for each in passages]

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()


class LettersEngine:
    name = "letters"
    operations = frozenset({Operation.EMBED, Operation.SCORE})
    capabilities = Capabilities(sequences_per_step=0)
    model: type[Letters] = Letters

    async def load(self, spec: ModelSpec) -> Any:
        raise NotImplementedError

    async def load_embedding(self, spec: TextModelSpec) -> Letters:
        return self.model()

    async def load_scoring(self, spec: TextModelSpec) -> Letters:
        return self.model()


@pytest.mark.anyio
async def test_an_engine_of_a_stranger() -> None:
    await check_embedding(LettersEngine, TextModelSpec("letters"))
    await check_scoring(LettersEngine, TextModelSpec("letters"))
    with pytest.raises(PromiseBroken, match="names the families"):
        await check_recognising(LettersEngine, TextModelSpec("letters"))


class Long(Letters):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return await super().embed(texts) * 2


class Sorted(Letters):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return await super().embed(sorted(texts))


class Centred(Letters):
    """Depends on what is beside a text."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = await super().embed(texts)
        if len(found) > 1:
            found = found - 0.5 * found.mean(axis=0)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


class Cut(Letters):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return await super().embed([text[:2000] for text in texts])


class Ranks(Letters):
    """Gives ranks instead of scores."""

    async def score(self, question: str, passages: Sequence[str]) -> list[float]:
        found = await super().score(question, passages)
        return [float(sorted(found).index(each)) for each in found]


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        (Long, "of length one"),
        (Sorted, "what it is alone"),
        (Centred, "what it is alone"),
        (Cut, "the end of a long text counts"),
    ],
)
def test_an_encoder_that_breaks_a_promise_is_told(model: type[Letters], broken: str) -> None:
    made = LettersEngine()
    made.model = model
    with pytest.raises(PromiseBroken, match=broken):
        anyio.run(check_embedding, lambda: made, TextModelSpec("letters"))


def test_a_reranker_that_breaks_a_promise_is_told() -> None:
    made = LettersEngine()
    made.model = Ranks
    with pytest.raises(PromiseBroken, match="what it is alone"):
        anyio.run(check_scoring, lambda: made, TextModelSpec("letters"))


PLUGIN = """
from collections.abc import Sequence
import numpy as np
from agentlang.executor.engines.families import Operation
from agentlang.executor.engines.protocol import Capabilities

class Lengths:
    key = "lengths 1"
    dimensions = 2
    async def embed(self, texts):
        found = np.array([(1.0, len(text)) for text in texts], np.float32).reshape(len(texts), 2)
        return found / np.linalg.norm(found, axis=1, keepdims=True)
    async def score(self, question, passages):
        return [float(len(passage)) for passage in passages]
    async def close(self):
        pass

class LengthsEngine:
    name = "lengths"
    operations = {Operation.EMBED, Operation.SCORE}
    capabilities = Capabilities(sequences_per_step=0)
    async def load_embedding(self, spec):
        assert spec.source.files["weights"].exists()
        return Lengths()
    load_scoring = load_embedding
"""
PROGRAM = """
use std/embed
use std/search

model encoder = embed.sentence("all-minilm-l6-v2"{named})
model judge = search.reranker("ms-marco-minilm-l12"{named})
resource pages = search.index("*.md", encoder)

pipeline ask(question: Text) -> Text {{
  vector = encoder.embed(question)
  found = judge.rerank(pages.search(question, top: 2), question, keep: 1)
  return "{{vector[1]}} {{found[0].path}}"
}}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """An installed package with an engine, and a folder of pages. Weights are asked of the store as for any engine."""
    place = tmp_path / "site"
    info = place / "lengths_engine-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "lengths_engine.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lengths-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agentlang.engines]\nlengths = lengths_engine:LengthsEngine\n")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "short.md").write_text("Short.\n")
    (folder / "long.md").write_text("A page that is a good deal longer than the other.\n")
    return folder


@pytest.mark.models
@pytest.mark.parametrize("settings", [False, True], ids=["named", "by settings"])
def test_a_program_finds_the_engine_of_a_package(plugin: Path, settings: bool) -> None:
    published("all-minilm-l6-v2"), published("ms-marco-minilm-l12")
    named = "" if settings else ', engine: "lengths"'
    (plugin / "ask.agent").write_text(PROGRAM.format(named=named))
    if settings:
        models = ("all-minilm-l6-v2", "ms-marco-minilm-l12")
        (plugin / "agentlang.toml").write_text(
            "".join(f'[models."{each}"]\nuse = "{each}"\nengine = "lengths"\n' for each in models)
        )
    done = agentlang("run", plugin / "ask.agent", "question=abc", PYTHONPATH=str(plugin.parent / "site"))
    assert (done.code, done.out.split()[1:]) == (0, ["long.md"]), done.err
    assert float(done.out.split()[0]) == pytest.approx(3 / math.sqrt(10), abs=1e-6)


@pytest.mark.parametrize("name", ["null", "letters"])
def test_an_engine_that_does_not_embed_is_told(plugin: Path, name: str) -> None:
    (plugin / "ask.agent").write_text(PROGRAM.format(named=f', engine: "{name}"'))
    done = agentlang("run", plugin / "ask.agent", "question=abc")
    assert done.code != 0
    slug = "engine-unsuitable" if name == "null" else "engine-unknown"
    assert f"error[{slug}]" in done.err


def test_an_engine_for_chats_is_refused_where_vectors_are_wanted() -> None:
    assert operations(engine("null")) == {Operation.CHAT}
    assert Operation.EMBED in operations(engine("xla"))
    assert operations(engine("onnx")) == {Operation.SCORE, Operation.RECOGNISE}


@pytest.mark.anyio
async def test_what_is_no_model_of_the_engine_is_refused(tmp_path: Path) -> None:
    made: Any = engine("onnx")
    others: list[Any] = [engine("xla"), engine("table")]
    for load in (made.load_scoring, made.load_recognising, *(each.load_embedding for each in others)):
        with pytest.raises(OutsideError) as caught:
            await load(TextModelSpec("mine", None))
        assert caught.value.problem.slug == "model-does-not-load"
    with pytest.raises(OutsideError, match="no chat models"):
        await made.load(ModelSpec("mine"))


def _is_an_engine(made: Engine) -> Engine:
    return made


def test_they_are_engines() -> None:
    from agentlang.executor.engines.onnx.engine import OnnxEngine

    assert _is_an_engine(OnnxEngine()).name == "onnx"
