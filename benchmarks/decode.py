"""Decoding SmolLM2-135M in f32, batch 1, cache of 256 positions, beside what the memory can be read at.

Decoding one token reads every weight and the cache once, so memory bandwidth bounds it; the figure is the share of the
measured bandwidth that is reached: bytes of weights and cache per token x tokens per second / bandwidth. Printed for
the engine as a consumer of its stream sees it, and for its bare device step; what lies between is the engine's own.
"""

from __future__ import annotations

import statistics
import sys
import time

import anyio
import numpy as np

from agentlang.base import paths
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.model import XlaModel
from agentlang.stdlib.models import open_chat

from .rates import ReadRate

NAME = "smollm2-135m-instruct"
POSITIONS = 256
TOKENS = 10
"""In each turn."""


async def measure(turns: int = 20) -> None:
    path = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if path is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return
    model = await XlaEngine().load(ModelSpec(NAME, open_chat(path, NAME)))
    facts = model.facts
    per_token = facts.weight_bytes + POSITIONS * facts.cache_bytes_per_position
    read = ReadRate()
    bare = Bare(model)
    prompt = await model.tokenize([Message("user", "Count from 1 to 1000.")])
    engine_seconds: list[float] = []
    bare_seconds: list[float] = []
    rates: list[float] = []
    while len(rates) < turns:
        sequence = await model.prefill(prompt)
        steps = aiter(model.decode(sequence, Sampling(max_tokens=POSITIONS - len(prompt))))
        await anext(steps)
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
            bare_seconds.append(sum(bare() for _ in range(TOKENS)) / TOKENS)
        await model.release(sequence)
    print(f"read by all cores              {statistics.median(rates) / 1e9:6.1f} GB/s")
    for name, seconds in (("engine", engine_seconds), ("bare step", bare_seconds)):
        shares = [per_token / s / rate for s, rate in zip(seconds, rates, strict=True)]
        speed, share = 1 / statistics.median(seconds), statistics.median(shares)
        print(f"decode, {name:<22} {speed:6.1f} tokens/s, {per_token * speed / 1e9:.1f} GB/s: {share:.0%} of reading")
    more = statistics.median(a / b for a, b in zip(engine_seconds, bare_seconds, strict=True)) - 1
    print(f"engine over its bare step      {more:+.1%}")
    await model.close()


class Bare:
    """One decode step and the choice of the token, in this thread, without the engine around it."""

    def __init__(self, model: XlaModel) -> None:
        programs = model.programs
        self._weights = model.device_weights
        self._step = programs.decode(POSITIONS)
        self._choose = programs.greedy(model.facts.vocabulary)
        create = programs.create(POSITIONS)
        self._cache = [create() for _ in self._weights.layers]
        self._token = np.array([5], np.int32)
        self._position = 0

    def __call__(self) -> float:
        began = time.perf_counter()
        self._token = self._choose(self._step(self._weights, self._cache, self._token, self._position, 1))
        int(self._token[0])
        self._position = (self._position + 1) % POSITIONS
        return time.perf_counter() - began


def main() -> None:
    anyio.run(measure)


if __name__ == "__main__":
    sys.exit(main())
