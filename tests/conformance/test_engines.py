"""Every engine keeps the promises of `check_engine`: the null engine, XLA and llama.cpp with tiny random models, under
asyncio and trio."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import anyio
import pytest
import trio
from json_schemas import complaints, random_schema
from mixture_model import TinyMixture
from tiny_gguf import write_gguf
from trio.testing import MockClock

from agentlang.executor.engines import UnknownEngine, engine, engine_names
from agentlang.executor.engines.conformance import CHECKS, Check, PromiseBroken
from agentlang.executor.engines.conformance.promises import reply
from agentlang.executor.engines.null import NullEngine, NullModel, NullTimings
from agentlang.executor.engines.protocol import Engine, Finish, ModelSpec, Sampling
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.tiny import TinyLlama
from agentlang.testing import check_engine


async def check_any_schema(engine: Engine, spec: ModelSpec) -> None:
    """Whatever the schema, a reply that ends by itself is valid, and one that does not says so."""
    model, whole = await engine.load(spec), 0
    for number in range(24):
        schema = random_schema(random.Random(number))
        pieces, running = await reply(model, Sampling(max_tokens=64, schema=schema, temperature=1.0, seed=number))
        if running.finish is Finish.STOP:
            whole += 1
            assert complaints("".join(pieces), schema) == [], (number, schema)
        else:
            assert running.finish is Finish.LENGTH
            assert running.stats is not None
            assert running.stats.generated_tokens == 64
    assert whole >= 6
    assert model.open_sequences == 0
    await model.close()


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(params=["null", "null with a tokenizer", "xla", "xla without pages", "llamacpp"])
def subject(
    request: pytest.FixtureRequest, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Engine, ModelSpec]:
    # One cache for the module: each program compiles once.
    monkeypatch.setenv("AGENTLANG_HOME", str(cache_home))
    if request.param == "null":
        return NullEngine(), ModelSpec("recorded")
    if request.param == "xla":
        return engine("xla"), ModelSpec("tiny", TinyLlama(seed=1))
    if request.param == "xla without pages":
        return engine("xla"), ModelSpec("mixture", TinyMixture(seed=1))
    if request.param == "llamacpp":
        pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
        file = cache_home / "tiny.gguf"
        if not file.exists():
            write_gguf(file)
        return engine("llamacpp"), ModelSpec("tiny", open_chat(file, "tiny"))
    return engine("null"), ModelSpec("tiny", TinyLlama(seed=1))


@pytest.mark.anyio
@pytest.mark.parametrize("check", (*CHECKS, check_any_schema), ids=lambda check: check.__name__.removeprefix("check_"))
async def test_engines_keep_their_promises(subject: tuple[Engine, ModelSpec], check: Check) -> None:
    await check(*subject)


@pytest.mark.anyio
async def test_what_both_begin_with_is_not_computed_again(subject: tuple[Engine, ModelSpec]) -> None:
    made, spec = subject
    model = await made.load(ModelSpec(spec.name, spec.source, context=120))
    begin = tuple(range(5, 105))
    prefix = await model.prefill(begin)
    for prompt, cached in (((*begin, 9, 9), 100), ((*begin[:50], 3), 50), (begin, 99), ((*begin, *[9] * 19), 96)):
        sequence = await model.prefill(prompt, prefix)
        assert cached - 16 < sequence.stats.cached_tokens < len(prompt)
        assert sequence.stats.cached_tokens <= 100 or made.capabilities.finds_prefixes
        await model.release(sequence)
    await model.close()


def test_null_time_is_of_what_is_computed() -> None:
    async def main() -> None:
        model = await NullEngine(NullTimings(prefill_fixed=1.0, prefill_per_token=0.5)).load(ModelSpec("recorded"))
        prefix = await model.prefill((1, 2, 3, 4))
        sequence = await model.prefill((1, 2, 3, 5, 6), prefix)
        assert (sequence.stats.prefill_seconds, sequence.stats.cached_tokens) == (2.0, 3)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_null_timings_are_kept_on_a_virtual_clock() -> None:
    timings = NullTimings(load=100.0, prefill_fixed=1.0, prefill_per_token=0.5, gap=2.0)

    async def main() -> None:
        model = await NullEngine(timings, answer=lambda *_: "abc").load(ModelSpec("recorded"))
        assert anyio.current_time() - began == 100.0
        sequence = await model.prefill((1, 2, 3, 4))
        assert [token async for token in model.decode(sequence, Sampling())] == list(b"abc")
        assert sequence.finish is Finish.STOP
        stats = sequence.stats
        assert stats.prefill_seconds == 3.0
        assert stats.first_token_seconds == 5.0
        assert stats.gaps == (2.0, 2.0)

    clock = MockClock(autojump_threshold=0)
    began = clock.current_time()
    trio.run(main, clock=clock)


def test_engines_are_found_by_name() -> None:
    assert {"llamacpp", "null", "xla"} <= set(engine_names())
    with pytest.raises(UnknownEngine, match=r"known: llamacpp, null, .*xla"):
        engine("abacus")


def test_a_broken_promise_is_told_by_name() -> None:
    class Loose(NullEngine):
        """Its replies differ each time."""

        async def load(self, spec: ModelSpec) -> NullModel:
            return await NullEngine(answer=lambda *_: next(replies)).load(spec)

    replies = (f"{number} is a reply of its own" for number in count())
    with pytest.raises(PromiseBroken, match="the pieces are the text of the tokens") as caught:
        anyio.run(check_engine, Loose, ModelSpec("recorded"))
    assert "check_streams" in caught.value.__notes__[0]
