"""Decoding SmolLM2-135M in f32, batch 1, cache of 256 positions, beside what the memory can be read at.

Decoding one token reads every weight and the cache once, so memory bandwidth bounds it; the figure is the share of the
measured bandwidth that is reached: bytes of weights and cache per token x tokens per second / bandwidth. Printed for
the engine as a consumer of its stream sees it, and for its bare device step; what lies between is the engine's own.

Beside it, in the same turns, a reply that a JSON Schema holds: a long text, where each token is chosen under a mask and
none is forced. Then whole records, whose keys are forced and fed at once. Last, what a mask costs on the host.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import anyio

from agentlang.base import paths
from agentlang.executor.engines.constraint.masks import Masks
from agentlang.executor.engines.protocol import ChatTokenizer, Message, ModelSpec, Sampling, Tokens
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.stdlib.models import open_chat

from .batch import BareStep
from .rates import ReadRate

NAME = "smollm2-135m-instruct"
POSITIONS = 256
TOKENS = 10
"""In each turn."""
TEXT = json.dumps({"type": "string", "minLength": 2000})
RECORD = json.dumps(
    {
        "type": "object",
        "properties": {
            "customer": {"type": "string", "maxLength": 12},
            "order number": {"type": "integer"},
            "amount in dollars": {"type": "number"},
            "wants a refund": {"type": "boolean"},
        },
        "required": ["customer", "order number", "amount in dollars", "wants a refund"],
        "additionalProperties": False,
    }
)


async def measure(turns: int = 20) -> None:
    path = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if path is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return
    source = open_chat(path, NAME)
    model = await XlaEngine().load(ModelSpec(NAME, source))
    assert isinstance(model, PagedModel)
    facts = model.facts
    per_token = facts.weight_bytes + POSITIONS * facts.cache_bytes_per_position
    read = ReadRate()
    bare = BareStep(model, 1, POSITIONS)
    prompt = await model.tokenize([Message("user", "Count from 1 to 1000.")])
    engine_seconds: list[float] = []
    bare_seconds: list[float] = []
    masked_seconds: list[float] = []
    rates: list[float] = []
    while len(rates) < turns:
        sequence = await model.prefill(prompt)
        steps = aiter(model.decode(sequence, Sampling(max_tokens=POSITIONS - len(prompt))))
        await anext(steps)
        held = await model.prefill(prompt)
        masked = aiter(model.decode(held, Sampling(max_tokens=POSITIONS - len(prompt), schema=TEXT)))
        await anext(masked)
        while len(rates) < turns and sequence.stats.generated_tokens + TOKENS + 1 < POSITIONS - len(prompt):
            rates.append(statistics.median(read() for _ in range(3)))
            try:
                # The engine is a step ahead: the first token was computed before this turn.
                await anext(steps)
                began = time.perf_counter()
                for _ in range(TOKENS):
                    await anext(steps)
            except StopAsyncIteration:
                rates.pop()
                break
            engine_seconds.append((time.perf_counter() - began) / TOKENS)
            # The step that is ahead of this reply is no part of the other one's.
            await anyio.sleep(2 * engine_seconds[-1])
            await anext(masked)
            began = time.perf_counter()
            for _ in range(TOKENS):
                await anext(masked)
            masked_seconds.append((time.perf_counter() - began) / TOKENS)
            await anyio.sleep(2 * masked_seconds[-1])
            bare_seconds.append(sum(bare() for _ in range(TOKENS)) / TOKENS)
        await model.release(sequence)
        await model.release(held)
    print(f"read by all cores              {statistics.median(rates) / 1e9:6.1f} GB/s")
    for name, seconds in (("engine", engine_seconds), ("under masks", masked_seconds), ("bare step", bare_seconds)):
        shares = [per_token / s / rate for s, rate in zip(seconds, rates, strict=True)]
        speed, share = 1 / statistics.median(seconds), statistics.median(shares)
        print(f"decode, {name:<22} {speed:6.1f} tokens/s, {per_token * speed / 1e9:.1f} GB/s: {share:.0%} of reading")
    more = statistics.median(a / b for a, b in zip(engine_seconds, bare_seconds, strict=True)) - 1
    print(f"engine over its bare step      {more:+.1%}")
    ratio = statistics.median(a / b for a, b in zip(engine_seconds, masked_seconds, strict=True))
    print(f"under masks beside without     {ratio:.2f} x the tokens/s")
    await records(model)
    print(on_the_host(source.tokenizer(), facts.vocabulary))
    await model.close()


async def records(model: PagedModel, count: int = 8) -> None:
    """Whole records, each beside as many tokens without a schema."""
    prompt = await model.tokenize([Message("user", "Ada wants $25.50 back for order 4711. Answer in JSON.")])

    async def made(sampling: Sampling) -> tuple[int, float]:
        sequence = await model.prefill(prompt)
        began = time.perf_counter()
        tokens = len([token async for token in model.decode(sequence, sampling)])
        seconds = time.perf_counter() - began
        await model.release(sequence)
        return tokens, tokens / seconds

    await made(Sampling(max_tokens=100, schema=RECORD, temperature=0.7))  # waits for programs to load
    held: list[float] = []
    ratios: list[float] = []
    for seed in range(count):
        tokens, rate = await made(Sampling(max_tokens=100, schema=RECORD, temperature=0.7, seed=seed))
        held.append(rate)
        free = Sampling(max_tokens=tokens, schema=TEXT, temperature=0.7, seed=seed)
        ratios.append(rate / (await made(free))[1])
    speed, ratio = statistics.median(held), statistics.median(ratios)
    print(f"records, keys fed at once      {speed:6.1f} tokens/s, {ratio:.2f} x those of a text")


def on_the_host(tokenizer: ChatTokenizer, vocabulary: int) -> str:
    """Masks of a document of 400 tokens, without a model; and the first schema, then another one."""
    masks = Masks(tokenizer, vocabulary)
    began = time.perf_counter()
    masks.constraint(TEXT)
    first = time.perf_counter() - began
    began = time.perf_counter()
    masks.constraint(RECORD)
    then = time.perf_counter() - began
    record = {"customer": "Ada Lovelace", "order number": 4711, "amount in dollars": 25.5, "wants a refund": True}
    document: Tokens = tokenizer.encode(json.dumps([record] * 12))
    constraint = masks.constraint(json.dumps({"type": "array", "items": json.loads(RECORD)}))
    each: list[float] = []
    for token in document:
        began = time.perf_counter()
        constraint.mask()
        constraint.take(token)
        constraint.forced()
        each.append(time.perf_counter() - began)
    each.sort()
    return (
        f"mask and state, on the host    {1e6 * statistics.median(each):6.1f} us a token, "
        f"p99 {1e6 * each[len(each) * 99 // 100]:.0f} us\n"
        f"a model's first schema         {1e3 * first:6.1f} ms, another {1e3 * then:.1f} ms"
    )


def main() -> None:
    anyio.run(measure)


if __name__ == "__main__":
    sys.exit(main())
