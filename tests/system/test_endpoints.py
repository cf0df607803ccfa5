"""Programs whose models are at an endpoint, as whole commands: against llama.cpp's own server in a process of its own,
and against servers that do what they should not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from cli_runs import Done, agentlang
from endpoint_servers import Handler, Seen, serving, words
from tiny_gguf import GGUF_CONFIG, write_gguf

from agentlang.base import paths
from agentlang.executor.engines.generation import generate
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling
from agentlang.executor.engines.remote.client import Endpoint
from agentlang.executor.engines.remote.dialects import Dialect
from agentlang.executor.engines.remote.engine import RemoteEngine
from agentlang.testing import check_engine

WEIGHTS = paths.models_home() / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
real = pytest.mark.skipif(not WEIGHTS.is_file(), reason="smollm2-135m-instruct is not here")

SERVER = """
import sys, time, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.n_ctx, settings.n_parallel = 4096, 4
# Two threads would wait for each other while other tests run: with one it is as fast as it gets its core.
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
settings.warmup, settings.verbosity = False, -1
server = xllamacpp.Server(settings)
print("address", server.listening_address, flush=True)
sys.stdin.read()
"""

PROGRAM = """
use std/llm
model far = llm.chat("someone-elses-model")
model near = llm.chat("smollm2-135m-instruct")
type Answer { city: Text, sure: Bool }
pipeline say(question: Text) -> stream Text { return far.chat(question, max_tokens: 12) }
pipeline sure(question: Text) -> Answer { return far.chat(question, max_tokens: 60) into Answer }
pipeline safe(question: Text) -> Text {
  return all(far.chat(question, max_tokens: 12)) otherwise on denied, unreachable, refused "nobody is there"
}
fleet office {
  tier cloud = endpoint(secret("FAR_URL")) { serves ["someone-elses-model"], price $2.00 per 1_000_000 tokens }
}
"""
QUESTION = "question=What is the capital of France?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "far.agent").write_text(PROGRAM)
    return tmp_path


def run(folder: Path, pipeline: str, url: str, *more: str, **environment: str) -> Done:
    return agentlang("run", f"far.agent:{pipeline}", QUESTION, *more, cwd=folder, FAR_URL=url, **environment)


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    """The address of a llama.cpp server with the small model."""
    with served_by_llama(WEIGHTS) as url:
        yield url


@contextmanager
def served_by_llama(file: Path) -> Iterator[str]:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    command = [sys.executable, "-c", SERVER, str(file)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    try:
        until = time.monotonic() + 60
        for line in server.stdout:
            if line.startswith(b"address "):
                yield line.split()[1].decode() + "/v1"
                break
            assert time.monotonic() < until
        else:
            raise AssertionError("llama.cpp's server ended before it listened")
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.models
@real
def test_a_reply_of_a_real_server_streams_and_is_counted(folder: Path, llama: str) -> None:
    done = run(folder, "say", llama, "--json")
    assert done.code == 0, done.err + done.out
    frames = [json.loads(line) for line in done.out.splitlines()]
    items = [frame["output"] for frame in frames if frame["type"] == "item"]
    assert len(items) > 3 and len("".join(items).split()) > 2
    usage = frames[-1]["usage"]
    assert 0 < usage["tokens_out"] <= 12 < usage["tokens_in"] < 80
    # Beside the endpoint, this machine costs while it waits.
    assert (usage["tokens_in"] + usage["tokens_out"]) * 2e-6 < usage["dollars"] < 0.01


@pytest.mark.models
@real
def test_a_real_server_keeps_to_a_schema(folder: Path, llama: str) -> None:
    done = run(folder, "sure", llama, "--quiet")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert isinstance(answer["city"], str) and isinstance(answer["sure"], bool)


@pytest.mark.slow
def test_a_real_server_lets_the_engine_keep_every_promise(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", config=replace(GGUF_CONFIG, context=1024), endless=True)
    with served_by_llama(tmp_path / "tiny.gguf") as url:
        anyio.run(check_engine, partial(RemoteEngine, Endpoint("cloud", url, silence=600)), ModelSpec("tiny"))


@pytest.mark.models
@real
def test_a_real_server_is_asked_by_each_of_its_apis(llama: str) -> None:
    schema = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
    schema = schema[:-1] + ', "additionalProperties": false}'

    async def asked(dialect: Dialect, sampling: Sampling) -> tuple[str, Any]:
        model = await RemoteEngine(Endpoint("cloud", llama), dialect).load(ModelSpec("small"))
        ask = (Message("user", "The capital of France is"),)
        async with generate(model, ask, sampling) as reply:
            text = "".join([piece async for piece in reply])
        await model.close()
        return text, reply

    async def main() -> None:
        text, reply = await asked(Dialect("completions"), Sampling(max_tokens=8))
        # The text goes on: no template stands around it.
        assert text.startswith(" Paris") and reply.stats.billed[1] <= 8 and reply.stats.billed[0] < 9
        text, _ = await asked(Dialect(), Sampling(max_tokens=60, schema=schema))
        assert list(json.loads(text)) == ["city"]
        # Functions are taken; this model's template knows none, so the server does not hold the reply to them.
        text, reply = await asked(Dialect("chat", "tools"), Sampling(max_tokens=8, schema=schema))
        assert text and reply.finish is not None

    anyio.run(main)


def test_without_its_address_the_fallback_answers(folder: Path) -> None:
    done = agentlang("run", "far.agent:safe", QUESTION, "--quiet", cwd=folder)
    assert (done.code, done.out.strip()) == (0, "nobody is there")
    done = agentlang("run", "far.agent:say", QUESTION, "--quiet", cwd=folder)
    assert done.code == 3 and "error[secret-missing]" in done.err and "FAR_URL" in done.err


def test_a_key_opens_it_and_is_told_nowhere(folder: Path) -> None:
    def keyed(handler: Handler, body: dict[str, object]) -> None:
        if handler.headers["Authorization"] == "Bearer open-sesame-1":
            words("let ", "in")(handler, body)
        else:
            handler.refuse(401, f"bad key: {handler.headers['Authorization']}")

    with serving(keyed) as seen:
        (folder / "agentlang.toml").write_text(
            f'[endpoints.cloud]\nurl = "{seen.url}"\nkey = {{ secret = "FAR_KEY" }}\n'
        )
        done = run(folder, "say", "unused", "--quiet", FAR_KEY="open-sesame-1")
        assert (done.code, done.out.strip()) == (0, "let in")
        done = run(folder, "say", "unused", "--quiet", FAR_KEY="wrong-sesame-2")
        assert done.code == 3 and "error[endpoint-refused]" in done.err
        assert "sesame" not in done.err + done.out
        assert run(folder, "safe", "unused", "--quiet", FAR_KEY="wrong-sesame-2").out.strip() == "nobody is there"


def test_a_secret_address_is_told_nowhere(folder: Path) -> None:
    done = run(folder, "say", "http://hidden-host.invalid:81/v1", "--quiet")
    assert done.code == 3 and "error[endpoint-unreachable]" in done.err and "cloud" in done.err
    assert "hidden-host" not in done.err + done.out


def test_a_reply_that_is_cut_ends_the_run_by_name(folder: Path) -> None:
    def cutting(handler: Handler, body: dict[str, object]) -> None:
        del body
        handler.begin()
        handler.say("half a ")

    with serving(cutting) as seen:
        done = run(folder, "say", seen.url, "--quiet")
    assert done.code == 3 and done.out.startswith("half a") and "error[endpoint-broke-off]" in done.err


def test_a_timeout_closes_the_connection(folder: Path) -> None:
    slow = PROGRAM.replace("max_tokens: 12) }", "max_tokens: 12) with timeout 600 ms }", 1)
    (folder / "far.agent").write_text(slow)
    seen: Seen
    with serving(words(*["word "] * 300, gap=0.02)) as seen:
        done = run(folder, "say", seen.url, "--quiet")
        assert done.code == 3 and "error[call-timeout]" in done.err
        assert seen.left.wait(5)


SEARCHES = """
use std/embed
use std/search
model encoder = embed.sentence("someone-elses-encoder")
resource pages = search.index("pages/*.md", encoder: encoder)
pipeline near(a: Text, b: Text) -> Float { return embed.similarity(encoder.embed(a), encoder.embed(b)) }
pipeline find(question: Text) -> [Text] { return for hit in pages.search(question, top: 1) { hit.path } }
fleet office { tier cloud = endpoint(secret("FAR_URL")) { serves ["someone-elses-encoder"] } }
"""


def test_vectors_of_an_endpoint_fill_an_index(folder: Path) -> None:
    def embedding(handler: Handler, body: dict[str, Any]) -> None:
        said = [[1 + text.lower().count(word) * 9 for word in ("tea", "mug", "hat")] for text in body["input"]]
        found = [{"index": number, "embedding": vector} for number, vector in enumerate(said)]
        handler.refuse(200, json.dumps({"data": found}))

    (folder / "far.agent").write_text(SEARCHES)
    (folder / "pages").mkdir()
    for word in ("tea", "mug", "hat"):
        (folder / "pages" / f"{word}.md").write_text(f"# All about a {word}\n\nA {word} is a {word}.\n")
    with serving(embedding) as seen:
        inputs = ("a=tea", "b=tea for two")
        done = agentlang("run", "far.agent:near", *inputs, "--quiet", cwd=folder, FAR_URL=seen.url)
        assert (done.code, round(float(done.out), 3)) == (0, 1.0), done.err
        words = ("run", "far.agent:find", "question=where is my mug?", "--quiet")
        done = agentlang(*words, cwd=folder, FAR_URL=seen.url)
        assert (done.code, json.loads(done.out)) == (0, ["pages/mug.md"]), done.err
        assert {body["model"] for body in seen.bodies} == {"someone-elses-encoder"}
    done = agentlang(*words, cwd=folder, FAR_URL=seen.url)
    assert done.code == 3 and "error[endpoint-unreachable]" in done.err
