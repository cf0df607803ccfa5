"""Prefill and decode of SmolLM2-135M in two processes, beside one.

    python -m benchmarks.split                  # three turns
    python -m benchmarks.split --turns 1        # quicker

First what it costs that a cache travels: by memory that both share and by a socket, layer by layer while the next ones
compute and, to measure against, after the fact. Then what it gives: readers follow replies while prompts arrive, on one
process and on two, the same prompts at the same moments. Each figure is the best of the turns, since what else runs on
a machine only ever takes away.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import anyio

from agentlang.base import paths
from agentlang.executor.engines.protocol import ChatModel, Engine, ModelSpec, Sampling
from agentlang.executor.engines.split.engine import SplitEngine
from agentlang.executor.engines.split.model import SplitSequence
from agentlang.executor.engines.split.settings import SplitSettings
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
SHIPPED = 512
"""Tokens of the prompts whose caches are followed."""
READERS, READ = 2, 60
"""Replies that are followed at once, and tokens of each."""
ARRIVING, PROMPT, APART = 4, 512, 1.5
"""Prompts that arrive meanwhile, their tokens, and the seconds between them."""
WAYS = {
    "memory, by layer": SplitSettings(prefill_niceness=0),
    "memory, afterwards": SplitSettings(prefill_niceness=0, overlap=False),
    "memory, by layer, bfloat16": SplitSettings(prefill_niceness=0, dtype="bfloat16"),
    "socket, by layer": SplitSettings("socket", prefill_niceness=0),
    "socket, afterwards": SplitSettings("socket", prefill_niceness=0, overlap=False),
}


@dataclass(frozen=True, slots=True)
class Shipped:
    """One prompt. Seconds."""

    whole: float
    """Until a token could be chosen where it is decoded."""
    bytes: int
    copying: float
    behind: float
    adopting: float


@dataclass(frozen=True, slots=True)
class Under:
    """Readers while prompts arrive. Seconds."""

    gap: float
    """Between two tokens, the 95th of a hundred."""
    usual: float
    """The median."""
    first: float
    """From a prompt's arrival to its first token, the median."""
    lasted: float
    """Until all readers were at their end."""


@asynccontextmanager
async def loaded(engine: Engine) -> AsyncGenerator[ChatModel]:
    file = next((paths.models_home() / NAME).glob("*.gguf"))
    model = await engine.load(ModelSpec(NAME, open_chat(file, NAME)))
    try:
        # Programs are compiled, and pages there, before anything is measured.
        for draw in (1, 2):
            await reply(model, prompt(draw, PROMPT), 3)
        yield model
    finally:
        await model.close()


def prompt(draw: int, tokens: int) -> tuple[int, ...]:
    """Never the same beginning: nothing of it is cached."""
    numbers = random.Random(draw)
    return tuple(numbers.randrange(100, 40_000) for _ in range(tokens))


async def reply(model: ChatModel, tokens: tuple[int, ...], most: int) -> tuple[float, ...]:
    """When each token came."""
    sequence = await model.prefill(tokens)
    try:
        return tuple([anyio.current_time() async for _ in model.decode(sequence, Sampling(max_tokens=most))])
    finally:
        await model.release(sequence)


async def shipped(settings: SplitSettings, turn: int, count: int = 3) -> Shipped:
    """The best of a few prompts."""
    found: list[Shipped] = []
    async with loaded(SplitEngine(settings)) as model:
        for number in range(count):
            sequence = await model.prefill(prompt(100 * turn + number + 10, SHIPPED))
            assert isinstance(sequence, SplitSequence)
            way = sequence.transfer
            assert way is not None
            seconds = sequence.stats.prefill_seconds
            found.append(Shipped(seconds, way.bytes, way.copying, way.behind, way.adopting))
            await model.release(sequence)
    return min(found, key=lambda one: one.whole)


async def alone(turn: int, count: int = 3) -> float:
    """Seconds of the same prompts in one process."""
    async with loaded(XlaEngine()) as model:
        found: list[float] = []
        for number in range(count):
            sequence = await model.prefill(prompt(100 * turn + number + 10, SHIPPED))
            found.append(sequence.stats.prefill_seconds)
            await model.release(sequence)
        return min(found)


async def under(engine: Engine, turn: int) -> Under:
    """Readers from the start, prompts a while later."""
    async with loaded(engine) as model:
        gaps: list[float] = []
        firsts: list[float] = []
        ends: list[float] = []

        async def read(number: int) -> None:
            times = await reply(model, prompt(1000 * turn + number, 40), READ)
            gaps.extend(after - before for before, after in pairwise(times))
            ends.append(times[-1])

        async def arrive(number: int) -> None:
            await anyio.sleep(0.5 + APART * number)
            began = anyio.current_time()
            firsts.append((await reply(model, prompt(2000 * turn + number, PROMPT), 1))[0] - began)

        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for number in range(READERS):
                group.start_soon(read, number)
            for number in range(ARRIVING):
                group.start_soon(arrive, number)
        gaps.sort()
        firsts.sort()
        last = gaps[int(0.95 * len(gaps))]
        return Under(last, gaps[len(gaps) // 2], firsts[len(firsts) // 2], max(ends) - began)


def show_shipped(one: float, ways: dict[str, Shipped]) -> None:
    size = next(iter(ways.values())).bytes
    print(f"a prompt of {SHIPPED} tokens: {1000 * one:.0f} ms in one process, {size / 1e6:.1f} MB of KV cache")
    print(f"{'':28}{'prefill':>10}{'of one':>8}{'copying':>10}{'behind':>10}{'adopting':>10}")
    for name, way in ways.items():
        figures = "".join(f"{1000 * seconds:7.1f} ms" for seconds in (way.copying, way.behind, way.adopting))
        print(f"{name:28}{1000 * way.whole:7.0f} ms{way.whole / one:6.2f} x{figures}")


def show_under(one: Under, two: Under, niceness: int) -> None:
    print(
        f"\n{READERS} replies of {READ} tokens while {ARRIVING} prompts of {PROMPT} arrive, {APART} s apart"
        f" (prefill gives way by {niceness}):"
    )
    print(f"{'':40}{'one process':>14}{'two':>14}{'':>10}")
    for name, of_one, of_two in (
        ("gap between tokens, 95 of 100 below", one.gap, two.gap),
        ("gap between tokens, median", one.usual, two.usual),
        ("first token of a prompt that arrives", one.first, two.first),
        ("until all replies were read", one.lasted, two.lasted),
    ):
        print(f"{name:40}{1000 * of_one:11.0f} ms{1000 * of_two:11.0f} ms{of_two / of_one:8.2f} x")


def best(turns: list[Under]) -> Under:
    return Under(*(min(getattr(one, name) for one in turns) for name in ("gap", "usual", "first", "lasted")))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("ship", "serve"))
    parser.add_argument("--niceness", type=int, nargs="*", default=[SplitSettings().prefill_niceness])
    given = parser.parse_args()
    if not any((paths.models_home() / NAME).glob("*.gguf")):
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return 0
    turns = range(1, given.turns + 1)
    if given.only != "serve":
        wholes: list[float] = []
        ways: dict[str, list[Shipped]] = {name: [] for name in WAYS}
        for turn in turns:
            wholes.append(anyio.run(alone, turn))
            for name, settings in WAYS.items():
                ways[name].append(anyio.run(shipped, settings, turn))
        show_shipped(min(wholes), {name: min(found, key=lambda one: one.whole) for name, found in ways.items()})
    if given.only != "ship":
        settings = [SplitSettings(prefill_niceness=niceness) for niceness in given.niceness]
        ones, twos = list[Under](), [list[Under]() for _ in settings]
        for turn in turns:
            ones.append(anyio.run(under, XlaEngine(), turn))
            for one, found in zip(settings, twos, strict=True):
                found.append(anyio.run(under, SplitEngine(one), turn))
        for one, found in zip(settings, twos, strict=True):
            show_under(best(ones), best(found), one.prefill_niceness)
    return 0


if __name__ == "__main__":
    sys.exit(main())
