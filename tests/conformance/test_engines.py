"""What every engine promises, as checks that anyone may call on an engine of their own: `check_engine`.

Run here on the null engine and on XLA with a tiny random model, under asyncio and trio.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path

import anyio
import pytest
import trio
from json_schemas import complaints, random_schema
from trio.testing import MockClock

from agentlang.base.problems import OutsideError
from agentlang.executor.engines import UnknownEngine, engine, engine_names
from agentlang.executor.engines.generation import Generation, generate
from agentlang.executor.engines.null import NullEngine, NullTimings
from agentlang.executor.engines.problems import PromptTooLong
from agentlang.executor.engines.protocol import (
    ChatModel,
    Engine,
    Finish,
    Message,
    ModelSpec,
    Sampling,
    SequenceHandle,
    SequenceStats,
)
from agentlang.stdlib.models.tiny import TinyLlama

ASK = (Message("system", "Say something."), Message("user", "Grüße, 你好 👋 — what is `x += 1`?"))
SHORT = Sampling(max_tokens=24)

MAIL = json.dumps(
    {
        "type": "object",
        "properties": {
            "intent": {"enum": ["Refund", "Question"]},
            "orders": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "sure": {"type": "boolean"},
        },
        "required": ["intent", "orders", "sure"],
        "additionalProperties": False,
    }
)

Check = Callable[[Engine, ModelSpec], Awaitable[None]]


async def _reply(model: ChatModel, sampling: Sampling, ask: tuple[Message, ...] = ASK) -> tuple[list[str], Generation]:
    async with generate(model, ask, sampling) as reply:
        return [text async for text in reply], reply


async def _tokens(model: ChatModel, sampling: Sampling, ask: tuple[Message, ...] = ASK) -> list[int]:
    sequence = await model.prefill(await model.tokenize(ask))
    try:
        return [token async for token in model.decode(sequence, sampling)]
    finally:
        await model.release(sequence)


async def check_streams(engine: Engine, spec: ModelSpec) -> None:
    """Pieces are never empty, and joined they are the text of the tokens."""
    model = await engine.load(spec)
    pieces, _ = await _reply(model, SHORT)
    tokens = await _tokens(model, SHORT)
    assert pieces and all(pieces)
    assert len(tokens) >= 2
    detokenizer = model.detokenizer()
    assert "".join(pieces) == "".join(map(detokenizer.push, tokens)) + detokenizer.finish()
    assert model.open_sequences == 0
    await model.close()


async def check_repeats(engine: Engine, spec: ModelSpec) -> None:
    """Greedy replies repeat; sampled ones repeat with their seed and differ between seeds."""
    model = await engine.load(spec)
    assert await _tokens(model, SHORT) == await _tokens(model, SHORT)
    drawn = [
        await _tokens(model, Sampling(max_tokens=16, temperature=1.5, seed=seed)) for seed in (1, 1, 2, 3, 2**64 - 1)
    ]
    assert drawn[0] == drawn[1]
    assert len({tuple(tokens) for tokens in drawn}) > 2
    await model.close()


async def check_length(engine: Engine, spec: ModelSpec) -> None:
    """`max_tokens` bounds the reply, and what happened is counted."""
    model = await engine.load(spec)
    prompt = await model.tokenize(ASK)
    sequence = await model.prefill(prompt)
    assert sequence.finish is None
    assert sequence.prompt_tokens == len(prompt)
    tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=2))]
    assert len(tokens) == 2
    assert sequence.finish is Finish.LENGTH
    stats = sequence.stats
    assert (stats.prompt_tokens, stats.generated_tokens, len(stats.gaps)) == (len(prompt), 2, 1)
    assert stats.first_token_seconds is not None
    assert stats.first_token_seconds >= stats.prefill_seconds >= 0
    await model.release(sequence)
    await model.release(sequence)
    assert sequence.finish is Finish.LENGTH
    await model.close()


async def check_stop_texts(engine: Engine, spec: ModelSpec) -> None:
    """A stop text ends the reply before it, also where it crosses tokens, and nothing behind it is computed."""
    model = await engine.load(spec)
    full = "".join((await _reply(model, SHORT))[0])
    stop = full[4:8]
    pieces, reply = await _reply(model, Sampling(max_tokens=24, stop=("never said", stop)))
    assert "".join(pieces) == full[: full.index(stop)]
    assert reply.finish is Finish.STOP
    assert reply.stats is not None
    assert reply.stats.generated_tokens <= len(full[:8].encode())
    await model.close()


async def check_prompt_too_long(engine: Engine, spec: ModelSpec) -> None:
    """A prompt that leaves no room is refused with figures, never cut."""
    model = await engine.load(ModelSpec(spec.name, spec.source, context=64))
    with pytest.raises(PromptTooLong) as caught:
        await model.prefill(tuple(range(5, 5 + 70)))
    assert (caught.value.tokens, caught.value.limit) == (70, 63)
    assert caught.value.problem.slug == "prompt-too-long"
    assert "7 more" in caught.value.problem.title
    assert model.open_sequences == 0
    with pytest.raises(ValueError):
        await model.prefill(())
    await model.close()


async def check_context_ends(engine: Engine, spec: ModelSpec) -> None:
    """A reply that fills the context ends there, with its own reason."""
    model = await engine.load(ModelSpec(spec.name, spec.source, context=64))
    assert model.facts.context == 64
    sequence = await model.prefill(tuple(range(5, 5 + 60)))
    tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=50))]
    assert len(tokens) == 4
    assert sequence.finish is Finish.TRUNCATED
    await model.close()
    assert model.open_sequences == 0


async def check_cancel(engine: Engine, spec: ModelSpec) -> None:
    """`cancel` and `release` end a decode at its next step."""
    model = await engine.load(spec)
    for end, schema in product((model.cancel, model.release), (None, MAIL)):
        sequence = await model.prefill(await model.tokenize(ASK))
        steps = model.decode(sequence, Sampling(max_tokens=200, schema=schema))
        await anext(aiter(steps))
        await end(sequence)
        assert [token async for token in steps] == []
        assert sequence.finish is Finish.CANCELLED
        await model.release(sequence)
    assert model.open_sequences == 0
    await model.close()


async def check_cancelled_task(engine: Engine, spec: ModelSpec) -> None:
    """Cancelling the consumer, while it waits for a step or between steps, stops at once and frees the cache."""
    model = await engine.load(spec)
    made = 0
    prompt = await model.tokenize(ASK)
    async with anyio.create_task_group() as group:

        async def consume() -> None:
            nonlocal made
            sequence = await model.prefill(prompt)
            async for _ in model.decode(sequence, Sampling(max_tokens=200)):
                made += 1
                if made == 2:
                    group.cancel_scope.cancel()

        group.start_soon(consume)
    assert made == 2
    assert model.open_sequences == 0
    with anyio.CancelScope() as scope:
        scope.cancel()
        await model.prefill(prompt)
    assert model.open_sequences == 0
    await model.close()


async def check_misuse(engine: Engine, spec: ModelSpec) -> None:
    """A sequence is decoded once, on its own engine."""
    model = await engine.load(spec)
    sequence = await model.prefill(await model.tokenize(ASK))
    model.decode(sequence, SHORT)
    with pytest.raises(ValueError):
        model.decode(sequence, SHORT)
    await model.close()


async def check_two_at_once(engine: Engine, spec: ModelSpec) -> None:
    """Sequences that run at once take turns and do not disturb each other; the event loop runs meanwhile."""
    model = await engine.load(spec)
    other = (Message("user", "Something else entirely"),)
    alone = [await _tokens(model, SHORT), await _tokens(model, SHORT, other)]
    together: dict[int, list[int]] = {}
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0)

    async def one(number: int, ask: tuple[Message, ...]) -> None:
        together[number] = await _tokens(model, SHORT, ask)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        async with anyio.create_task_group() as both:
            both.start_soon(one, 0, ASK)
            both.start_soon(one, 1, other)
        group.cancel_scope.cancel()
    assert [together[0], together[1]] == alone
    assert turns >= len(alone[0])
    await model.close()


async def _continued(
    model: ChatModel, tokens: tuple[int, ...], prefix: SequenceHandle | None
) -> tuple[list[int], SequenceStats]:
    """The reply behind a prompt that is prefilled with a prefix, and what happened."""
    sequence = await model.prefill(tokens, prefix)
    try:
        return [token async for token in model.decode(sequence, SHORT)], sequence.stats
    finally:
        await model.release(sequence)


async def check_prefix(engine: Engine, spec: ModelSpec) -> None:
    """A prefill with a prefix replies as one without it, wherever the two prompts part, to any number of others at once
    and after the prefix is released too. Not more is cached than both begin with, and one token is always computed."""
    model = await engine.load(spec)
    begin = tuple(5 + place * place % 200 for place in range(100))
    prefix = await model.prefill(begin)
    for shared, more in ((100, 3), (100, 60), (99, 1), (70, 70), (33, 5), (17, 0), (100, 0), (1, 1), (0, 8)):
        prompt = (*begin[:shared], *(7 + 3 * place for place in range(more)))
        plain, _ = await _continued(model, prompt, None)
        reply, stats = await _continued(model, prompt, prefix)
        assert reply == plain, (shared, more)
        assert 0 <= stats.cached_tokens <= min(shared, len(prompt) - 1)
        assert stats.prompt_tokens == len(prompt)
    prompts = [(*begin, 9, last) for last in range(20, 24)]
    alone = [(await _continued(model, prompt, None))[0] for prompt in prompts]
    together: dict[int, list[int]] = {}

    async def one(number: int) -> None:
        together[number] = (await _continued(model, prompts[number], prefix))[0]

    async with anyio.create_task_group() as group:
        for number in range(len(prompts)):
            group.start_soon(one, number)
        # Letting go of it now disturbs nobody: who comes too late computes all.
        group.start_soon(model.release, prefix)
    assert [together[number] for number in range(len(prompts))] == alone
    reply, stats = await _continued(model, prompts[0], prefix)
    assert (reply, stats.cached_tokens) == (alone[0], 0)
    assert model.open_sequences == 0
    await model.close()


async def check_prefix_of_a_reply(engine: Engine, spec: ModelSpec) -> None:
    """A prefix may be decoded itself: others continue its prompt, and it goes on undisturbed."""
    model = await engine.load(spec)
    begin = tuple(5 + place for place in range(40))
    alone, _ = await _continued(model, begin, None)
    other, _ = await _continued(model, (*begin, 9), None)
    prefix = await model.prefill(begin)
    decoding = aiter(model.decode(prefix, SHORT))
    first = [await anext(decoding), await anext(decoding)]
    assert (await _continued(model, (*begin, 9), prefix))[0] == other
    assert [*first, *[token async for token in decoding]] == alone
    await model.release(prefix)
    await model.close()


async def check_left_alone(engine: Engine, spec: ModelSpec) -> None:
    """A reply that is only begun holds its cache until it is left."""
    model = await engine.load(spec)
    async with generate(model, ASK, SHORT) as reply:
        await anext(aiter(reply))
        assert model.open_sequences == 1
        assert reply.finish is None
    assert model.open_sequences == 0
    assert reply.finish is Finish.CANCELLED
    assert [text async for text in reply] == []
    await model.close()


async def check_schema(engine: Engine, spec: ModelSpec) -> None:
    """A reply is a document of its schema and ends with it; it repeats with its seed."""
    model = await engine.load(spec)
    texts: list[str] = []
    for sampling in (
        Sampling(max_tokens=200, schema=MAIL),
        Sampling(max_tokens=200, schema=MAIL),
        *(Sampling(max_tokens=200, schema=MAIL, temperature=1.0, seed=seed) for seed in (1, 1, 2, 3, 4, 5)),
        Sampling(max_tokens=200, schema=MAIL, temperature=2.0, seed=3, top_k=3, top_p=0.9),
    ):
        pieces, reply = await _reply(model, sampling)
        assert complaints("".join(pieces), MAIL) == []
        assert reply.finish is Finish.STOP
        texts.append("".join(pieces))
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert len(set(texts)) > 2
    await model.close()


async def check_any_schema(engine: Engine, spec: ModelSpec) -> None:
    """Whatever the schema, a reply that ends by itself is valid, and one that does not says so."""
    model, whole = await engine.load(spec), 0
    for number in range(24):
        schema = random_schema(random.Random(number))
        pieces, reply = await _reply(model, Sampling(max_tokens=64, schema=schema, temperature=1.0, seed=number))
        if reply.finish is Finish.STOP:
            whole += 1
            assert complaints("".join(pieces), schema) == [], (number, schema)
        else:
            assert reply.finish is Finish.LENGTH
            assert reply.stats is not None
            assert reply.stats.generated_tokens == 64
    assert whole >= 6
    assert model.open_sequences == 0
    await model.close()


async def check_schema_cut_short(engine: Engine, spec: ModelSpec) -> None:
    """A document that does not fit ends as any other reply does: by its tokens, or by the context."""
    model = await engine.load(ModelSpec(spec.name, spec.source, context=64))
    schema = json.dumps({"type": "array", "items": {"type": "boolean"}, "minItems": 40})
    for most, tokens, finish in ((3, 3, Finish.LENGTH), (64, 14, Finish.TRUNCATED)):
        sequence = await model.prefill(tuple(range(5, 5 + 50)))
        made = [token async for token in model.decode(sequence, Sampling(max_tokens=most, schema=schema))]
        assert (len(made), sequence.finish) == (tokens, finish)
        await model.release(sequence)
    sequence = await model.prefill((5, 6, 7))
    exact = Sampling(max_tokens=4, schema=json.dumps({"const": True}))
    made = [token async for token in model.decode(sequence, exact)]
    detokenizer = model.detokenizer()
    assert "".join(map(detokenizer.push, made)) == "true"
    assert sequence.finish is Finish.STOP
    await model.close()


async def check_schema_refused(engine: Engine, spec: ModelSpec) -> None:
    """A schema that is not understood is refused by name before anything is made; the sequence is still there."""
    model = await engine.load(spec)
    sequence = await model.prefill((5, 6, 7))
    with pytest.raises(OutsideError, match="#/pattern") as caught:
        model.decode(sequence, Sampling(schema=json.dumps({"type": "string", "pattern": "a"})))
    assert caught.value.problem.slug == "schema-unsupported"
    assert len([token async for token in model.decode(sequence, Sampling(max_tokens=2))]) == 2
    await model.close()


CHECKS: tuple[Check, ...] = (
    check_streams,
    check_repeats,
    check_length,
    check_stop_texts,
    check_prompt_too_long,
    check_context_ends,
    check_cancel,
    check_cancelled_task,
    check_misuse,
    check_two_at_once,
    check_prefix,
    check_prefix_of_a_reply,
    check_left_alone,
    check_schema,
    check_any_schema,
    check_schema_cut_short,
    check_schema_refused,
)


async def check_engine(make: Callable[[], Engine], spec: ModelSpec) -> None:
    """All checks on a fresh engine each. `spec`'s context must be 256 at least."""
    for check in CHECKS:
        await check(make(), spec)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(params=["null", "null with a tokenizer", "xla"])
def subject(
    request: pytest.FixtureRequest, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Engine, ModelSpec]:
    # One cache for the module: each program compiles once.
    monkeypatch.setenv("AGENTLANG_HOME", str(cache_home))
    if request.param == "null":
        return NullEngine(), ModelSpec("recorded")
    if request.param == "xla":
        return engine("xla"), ModelSpec("tiny", TinyLlama(seed=1))
    return engine("null"), ModelSpec("tiny", TinyLlama(seed=1))


@pytest.mark.anyio
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
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
        assert cached - 16 < sequence.stats.cached_tokens <= 100
        assert sequence.stats.cached_tokens <= cached or made.name == "null"
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
    assert {"null", "xla"} <= set(engine_names())
    with pytest.raises(UnknownEngine, match="known: null, xla"):
        engine("abacus")
