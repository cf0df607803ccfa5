"""Prefilling 512 tokens with SmolLM2-135M in f32, beside its matrix products alone.

The products of 512 tokens with every matrix of every layer are timed with nothing around them; the figure is the share
of that rate which a whole prefill reaches, counting only those same products as its work. What a prefill does besides
(attention, norms, rotations, the output table) is thus all overhead.
"""

from __future__ import annotations

import statistics
import sys
import time

import anyio

from agentlang.base import paths
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat

from .rates import GemmRate

NAME = "smollm2-135m-instruct"
TOKENS = 512


async def measure(turns: int = 12) -> None:
    path = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if path is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return
    model = await XlaEngine().load(ModelSpec(NAME, open_chat(path, NAME)))
    matrices = [[part for part in layer if part.shape[0] > 2] for layer in model.device_weights.layers]
    products = GemmRate(matrices, TOKENS)
    prompt = tuple(1000 + i for i in range(TOKENS))
    await model.release(await model.prefill(prompt))
    rates: list[float] = []
    seconds: list[float] = []
    for _ in range(turns):
        rates.append(products())
        began = time.perf_counter()
        sequence = await model.prefill(prompt)
        seconds.append(time.perf_counter() - began)
        await model.release(sequence)
    shares = [products.operations / s / rate for s, rate in zip(seconds, rates, strict=True)]
    print(f"matrix products alone          {statistics.median(rates) / 1e9:6.1f} GFLOP/s")
    took, share = statistics.median(seconds), statistics.median(shares)
    speed = TOKENS / took
    print(f"prefill of {TOKENS} tokens          {speed:6.0f} tokens/s, {took * 1e3:.0f} ms: {share:.0%} of products")
    await model.close()


def main() -> None:
    anyio.run(measure)


if __name__ == "__main__":
    sys.exit(main())
