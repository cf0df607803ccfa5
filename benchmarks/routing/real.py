"""Two processes of a model on this machine, a thread each, and sessions of agents on them; and one engine whose cache
is too small for the sessions it serves, with and without a place for what makes way.

Prompts keep the shape of the recorded ones at a quarter of their length: every fourth block of 16 tokens, so that two
that share a part of their blocks share as large a part here. Replies are short, since what a router saves are prompts.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from os import environ
from pathlib import Path
from time import perf_counter

import anyio

from agentlang.base import paths
from agentlang.executor.engines.protocol import ChatModel, ModelSpec, Sampling
from agentlang.executor.engines.routed.engine import RoutedEngine
from agentlang.executor.engines.routed.settings import RoutedSettings
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.executor.routing import Policy
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

from .sessions import Session

NAME = "smollm2-135m-instruct"
BLOCK, QUARTER, LONGEST = 16, 4, 1500


@dataclass(frozen=True, slots=True)
class Measured:
    """Steps a second, seconds to first tokens in order, and the share of prompts that was cached."""

    name: str
    throughput: float
    first: tuple[float, ...]
    cached: float
    steps: int

    def percentile(self, share: float) -> float:
        return self.first[min(len(self.first) - 1, int(share * len(self.first)))]


def spec() -> tuple[str, ModelSpec]:
    """SmolLM2 where it is here, else random weights of a small shape."""
    file = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if file.is_file():
        return "SmolLM2-135M in f32", ModelSpec(NAME, open_chat(file, NAME))
    made = TinyLlama(config=replace(CONFIG, layers=8, context=2048))
    return "random weights of a tiny shape", ModelSpec("tiny", made)


def prompts(sessions: list[Session], steps: int, vocabulary: int, mark: str) -> list[list[tuple[int, ...]]]:
    """Of each session, the prompts of its first steps. `mark` makes them others than those of another one."""

    def block(key: Hashable) -> list[int]:
        digest = sha256(f"{mark} {key!r}".encode()).digest()
        return [10 + (digest[place] * 256 + digest[place + 1]) % (vocabulary - 20) for place in range(BLOCK)]

    out: list[list[tuple[int, ...]]] = []
    for session in sessions:
        kept = [step for step in session if len(step.keys) * BLOCK // QUARTER * QUARTER >= QUARTER * BLOCK]
        texts = [[token for key in step.keys[::QUARTER] for token in block(key)][:LONGEST] for step in kept[:steps]]
        out.append([tuple(text) for text in texts])
    return out


async def driven(name: str, model: ChatModel, sessions: list[list[tuple[int, ...]]], at_once: int) -> Measured:
    """So many sessions at a time, each step as soon as the one before it is over."""
    left, first, computed, tokens = iter(sessions), list[float](), 0, 0

    async def one() -> None:
        nonlocal computed, tokens
        for session in left:
            for prompt in session:
                began = perf_counter()
                sequence = await model.prefill(prompt)
                reply = model.decode(sequence, Sampling(max_tokens=REPLY))
                async for _ in reply:
                    if sequence.stats.generated_tokens == 1:
                        first.append(perf_counter() - began)
                tokens += len(prompt)
                computed += len(prompt) - sequence.stats.cached_tokens
                await model.release(sequence)

    began = perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(one)
    seconds = perf_counter() - began
    return Measured(name, len(first) / seconds, tuple(sorted(first)), 1 - computed / max(1, tokens), len(first))


REPLY = 8


async def routing(sessions: list[Session], policies: tuple[Policy, ...], count: int, steps: int) -> list[Measured]:
    """The policies, one behind the other, each on two fresh processes with warm programs."""
    _, model_spec = spec()
    out: list[Measured] = []
    # The first of them compiles what the others load: it is not measured.
    for turn, policy in enumerate((policies[0], *policies)):
        model = await RoutedEngine(RoutedSettings(2, policy=policy, threads=1)).load(model_spec)
        try:
            # Programs are compiled, or loaded, by sessions that share nothing with what is measured.
            warm = sessions[: 4 if turn else count]
            await driven(policy, model, prompts(warm, 2 if turn else steps, model.facts.vocabulary, "warm"), 4)
            if turn:
                texts = prompts(sessions[:count], steps, model.facts.vocabulary, "measured")
                out.append(await driven(policy, model, texts, 4))
        finally:
            await model.close()
    return out


async def away(sessions: list[Session], count: int, steps: int) -> list[Measured]:
    """One engine, and sessions that take turns, with a cache for hardly more than one of them."""
    out: list[Measured] = []
    for name, host, disk in (("pages are dropped", 0.0, 0.0), ("to memory", 4e9, 0.0), ("to the disk", 1.0, 4e9)):
        async with _home():
            _, model_spec = spec()
            model = await XlaEngine(cache_bytes=CACHE, host_bytes=host, disk_bytes=disk).load(model_spec)
            try:
                for _ in range(2):
                    await driven(name, model, prompts(sessions[:1], 2, model.facts.vocabulary, f"warm {name}"), 1)
                texts = prompts(sessions[:count], steps, model.facts.vocabulary, "measured")
                turns = [[text[step][:MOST_AWAY]] for step in range(steps) for text in texts if step < len(text)]
                out.append(await driven(name, model, turns, 1))
                if isinstance(model, PagedModel) and model.away is not None:
                    store, (prefill, *copies) = model.away.store, model.away.measured
                    print(
                        f"  {name}: {store.saved} pages put away, {store.loaded} back, {store.written} written, "
                        f"{store.read} read; a token of a prompt {1e3 * prefill:.2f} ms, a page of "
                        f"{store.page_bytes / 1e6:.1f} MB out, back, from disk "
                        + ", ".join(f"{1e3 * seconds:.1f} ms" for seconds in copies)
                    )
            finally:
                await model.close()
    return out


MOST_AWAY = 900
CACHE = 50e6
"""Bytes: 1,024 positions of SmolLM2, in 8 pages."""


@asynccontextmanager
async def _home() -> AsyncIterator[None]:
    """Pages of this measurement alone: the programs are those that were compiled before."""
    before, kept = environ.get("AGENTLANG_HOME"), paths.home()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "private").mkdir(mode=0o700)
        for name in ("models", "private/xla", "prepared"):
            if (kept / name).exists():
                (Path(folder) / name).symlink_to(kept / name)
        environ["AGENTLANG_HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del environ["AGENTLANG_HOME"]
            else:
                environ["AGENTLANG_HOME"] = before
