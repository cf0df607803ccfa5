"""Many requests at once on the XLA engine: SmolLM2-135M in f32, on pages of KV cache.

- A decode step of 1, 4 and 16 rows, the choice of the tokens with it, at caches of 256 and 1,024 positions: one step
  reads the weights once, however many rows it has, so rows are cheap until multiplications and caches cost more.
- The engine as its consumers see it: tokens a second of one request after the other, and of 16 at once.
- The same 16 with replies that a JSON Schema holds: what masks and states cost in a batch.
- The second step of an agent: a prompt that goes on from the first one and its reply, beside one that is new.

All is measured in turns, and ratios are of neighbours.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

import anyio
import anyio.to_thread
import numpy as np

from agentlang.base import paths
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.executor.engines.xla.paged.picking import Picker
from agentlang.executor.engines.xla.paged.pool import Pool
from agentlang.executor.engines.xla.paged.sequence import Making
from agentlang.executor.engines.xla.paged.steps import Entry, Steps
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
LENGTHS = (256, 1024)
ROWS = (1, 4, 16)
MANY = 16
TOKENS = 48
TEXT = '{"type": "string", "minLength": 2000}'
MAIL = "Ada writes about order 4711, which came late, and about her cat, her garden and the weather. " * 12


class BareStep:
    """A decode step of `rows` sequences and the choice of their tokens, in this thread, without the engine around it.
    Positions go round in the second half of `length`."""

    def __init__(self, model: PagedModel, rows: int, length: int) -> None:
        pool = Pool(model.programs, model.budget, len(model.device_weights.layers))
        self._steps = Steps(model.programs, model.device_weights, pool)
        self._picker = Picker(model.programs, model.facts.vocabulary)
        self._rows = tuple((row, Making(None, None, None)) for row in range(rows))
        each = length // model.budget.page
        order = np.random.default_rng(0).permutation(rows * each).reshape(rows, each)
        self._pages = [tuple(int(page) for page in pages) for pages in order]
        self._positions = [length // 2 + 7 * row % (length // 2) for row in range(rows)]
        self._tokens = [5] * rows
        self._length = length

    def __call__(self) -> float:
        """Seconds of the next step."""
        began = time.perf_counter()
        entries = [
            Entry(row, self._positions[row], self._tokens[row], pages, True) for row, pages in enumerate(self._pages)
        ]
        picks = self._picker.pick(self._steps.rows(entries), self._rows)
        self._tokens = np.asarray(picks.tokens).tolist()
        seconds = time.perf_counter() - began
        self._positions = [at + 1 if at + 1 < self._length else self._length // 2 for at in self._positions]
        return seconds


def steps(model: PagedModel, turns: int) -> None:
    for length in LENGTHS:
        made = {rows: BareStep(model, rows, length) for rows in ROWS}
        times: dict[int, list[float]] = {rows: [] for rows in ROWS}
        for turn in range(turns + 2):
            for rows, step in made.items():
                seconds = step()
                if turn > 1:
                    times[rows].append(seconds)
        print(f"a step, cache of {length} positions")
        for rows, seconds in times.items():
            ratio = statistics.median(a / b for a, b in zip(seconds, times[1], strict=True))
            best = min(seconds) / min(times[1])
            print(
                f"  {rows:2} rows {1e3 * statistics.median(seconds):6.1f} ms (best {1e3 * min(seconds):.1f}): "
                f"{ratio:.2f} x the step of one (best {best:.2f}), {rows / ratio:.1f} x its tokens/s"
            )


async def replies(model: PagedModel, count: int, turn: int, schema: str | None = None) -> float:
    """Tokens a second of so many replies at once, by the median time between two tokens of a reply while all run: from
    the first token of the last that has one to the last token of the first that ends."""
    times: list[list[float]] = []
    sampling = Sampling(max_tokens=TOKENS, schema=schema)

    async def one(number: int) -> None:
        prompt = await model.tokenize([Message("user", f"{turn}-{number}: count from {number + 1} to 1000.")])
        sequence = await model.prefill(prompt)
        times.append([time.perf_counter() async for _ in model.decode(sequence, sampling)])
        await model.release(sequence)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)
    began, ended = max(each[0] for each in times), min(each[-1] for each in times)
    gaps = [b - a for each in times for a, b in pairwise(each) if began <= a and b <= ended]
    return count / statistics.median(gaps)


async def throughput(model: PagedModel, turns: int) -> None:
    single: list[float] = []
    many: list[float] = []
    held: list[float] = []
    for turn in range(turns + 1):
        found = [await replies(model, count, turn, schema) for count, schema in ((1, None), (MANY, None), (MANY, TEXT))]
        if turn:
            for rates, rate in zip((single, many, held), found, strict=True):
                rates.append(rate)
    ratio = statistics.median(a / b for a, b in zip(many, single, strict=True))
    print(f"engine, one request            {statistics.median(single):6.1f} tokens/s (best {max(single):.1f})")
    print(f"engine, {MANY} at once             {statistics.median(many):6.1f} tokens/s (best {max(many):.1f})")
    print(f"  beside one                   {ratio:6.2f} x (best of each {max(many) / max(single):.2f})")
    less = statistics.median(b / a for a, b in zip(many, held, strict=True))
    print(f"  held to a schema, beside     {less:6.2f} x (best of each {max(held) / max(many):.2f})")


async def agent(model: PagedModel, turns: int) -> None:
    """Each turn is a conversation of its own, which begins as no other does."""
    ratios: list[float] = []
    shares: list[float] = []
    for turn in range(turns + 1):
        system = Message("system", f"Session {turn} of {time.time_ns()}. {MAIL}")
        talk: list[Message] = [system, Message("user", "What is this about?")]
        _, _, reply = await _asked(model, talk)
        talk += [Message("assistant", reply), Message("user", "And what should I answer her?")]
        again, share, _ = await _asked(model, talk)
        other = [Message("system", f"Other {turn} of {time.time_ns()}. {MAIL}"), *talk[1:]]
        whole, _, _ = await _asked(model, other)
        if turn:
            ratios.append(again / whole)
            shares.append(share)
    cached = f"{statistics.median(shares):.0%} of it was cached"
    print(f"an agent's second step         {statistics.median(ratios):6.2f} x its prefill as a new prompt; {cached}")


async def _asked(model: PagedModel, talk: Sequence[Message]) -> tuple[float, float, str]:
    """Seconds of the prefill, the share of the prompt that was cached, and a short reply."""
    sequence = await model.prefill(await model.tokenize(talk))
    detokenizer = model.detokenizer()
    reply = "".join([detokenizer.push(token) async for token in model.decode(sequence, Sampling(max_tokens=12))])
    await model.release(sequence)
    stats = sequence.stats
    return stats.prefill_seconds, stats.cached_tokens / stats.prompt_tokens, reply


async def measure(turns: int = 20) -> None:
    path = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if path is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return
    model = await XlaEngine().load(ModelSpec(NAME, open_chat(path, NAME)))
    assert isinstance(model, PagedModel)
    await anyio.to_thread.run_sync(steps, model, turns)
    await throughput(model, max(1, turns // 4))
    await agent(model, max(1, turns // 4))
    await model.close()


def main() -> None:
    anyio.run(measure)


if __name__ == "__main__":
    sys.exit(main())
