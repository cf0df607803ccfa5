"""XLA on pages, beyond its promises: caches that are told and taken over, little memory, scopes, devices that fail."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

from agentlang.executor.engines.conformance.promises import same
from agentlang.executor.engines.protocol import ModelSpec, Sampling, Service
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged import steps
from agentlang.executor.engines.xla.paged.budget import budget, page_size
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.executor.engines.xla.paged.programs import PagedPrograms
from agentlang.executor.engines.xla.paged.sequence import PagedSequence
from agentlang.executor.scheduler import Chunk, Preempted, Row, Scheduler, Step
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

PROMPT = tuple(5 + 7 * place * place % 200 for place in range(150))


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(shared_home))
    return shared_home


async def opened(**options: Any) -> PagedModel:
    model = await XlaEngine(**options).load(ModelSpec("tiny", TinyLlama(seed=1)))
    assert isinstance(model, PagedModel)
    return model


async def reply(model: PagedModel, sequence: PagedSequence, most: int = 20) -> list[int]:
    tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=most))]
    await model.release(sequence)
    return tokens


def test_a_cache_is_told_once_and_taken_over() -> None:
    async def main() -> None:
        model, other = await opened(), await opened()
        for cached in (0, len(PROMPT) - 1):
            told: dict[tuple[int, int], tuple[Any, Any]] = {}

            def tell(layer: int, start: int, keys: Any, values: Any, told: dict[Any, Any] = told) -> None:
                for place in range(keys.shape[1]):
                    assert (layer, start + place) not in told
                    told[layer, start + place] = keys[:, place].copy(), values[:, place].copy()

            sequence = await model.prefill_told(PROMPT, tell)
            assert sequence.cached_tokens == cached
            assert len(told) == CONFIG.layers * len(PROMPT)
            wanted = await reply(model, sequence)

            def part(layer: int, which: int, told: dict[Any, Any] = told) -> Any:
                return np.stack([told[layer, place][which] for place in range(len(PROMPT))], axis=1)

            layers = [(part(layer, 0), part(layer, 1)) for layer in range(CONFIG.layers)]
            assert await reply(other, await other.adopt(PROMPT, layers)) == wanted
            # Taken over, it serves as if it had been computed here.
            again = await other.prefill((*PROMPT, 9))
            assert again.cached_tokens >= len(PROMPT)
            await other.release(again)
            with pytest.raises(ValueError, match="2 layers"):
                await other.adopt(PROMPT, layers[:1])
        await model.close()
        await other.close()

    anyio.run(main)


def test_who_is_told_and_fails_fails_alone() -> None:
    async def main() -> None:
        model = await opened()

        def tell(*_: object) -> None:
            raise OSError("the link is down")

        with pytest.raises(OSError, match="the link is down"):
            await model.prefill_told(PROMPT, tell)
        assert len(await reply(model, await model.prefill(PROMPT))) == 20
        assert model.open_sequences == 0
        await model.close()

    anyio.run(main)


def test_with_little_memory_sequences_are_preempted_and_reply_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    preempted: list[object] = []
    handle = Scheduler.handle

    def counted(self: Scheduler, event: Any) -> Any:
        orders = handle(self, event)
        preempted.extend(order for order in orders if isinstance(order, Preempted))
        return orders

    async def main() -> None:
        model = await opened(cache_bytes=8 * 32 * 512)
        assert model.facts.context == 8 * 32, "eight pages of 32 positions"
        prompts = [tuple(5 + 7 * place * place * (number + 1) % 200 for place in range(60)) for number in range(8)]
        alone = [await reply(model, await model.prefill(prompt), 60) for prompt in prompts]
        monkeypatch.setattr(Scheduler, "handle", counted)
        found: dict[int, list[int]] = {}

        async def one(number: int) -> None:
            found[number] = await reply(model, await model.prefill(prompts[number]), 60)

        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for number in range(8):
                    group.start_soon(one, number)
        assert preempted
        assert [found[number] for number in range(8)] == alone
        await model.close()

    anyio.run(main)


def test_requests_of_different_scopes_share_nothing() -> None:
    async def main() -> None:
        model = await opened()
        cached: list[int] = []
        for scope in ("", "", "a", "b", "a"):
            sequence = await model.prefill(PROMPT, service=Service(scope=scope))
            cached.append(sequence.stats.cached_tokens)
            await model.release(sequence)
        assert cached == [0, len(PROMPT) - 1, 0, 0, len(PROMPT) - 1]
        await model.close()

    anyio.run(main)


def test_a_device_that_fails_ends_what_is_open_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        model = await opened()
        wanted = await reply(model, await model.prefill(PROMPT))
        sequence = await model.prefill(PROMPT)
        running = aiter(model.decode(sequence, Sampling(max_tokens=50)))
        await anext(running)

        def fails(*_: object) -> None:
            raise MemoryError("the device has no memory")

        with monkeypatch.context() as patched:
            patched.setattr(steps.Steps, "rows", fails)
            with pytest.raises(MemoryError, match="the device has no memory"):
                while True:
                    await anext(running)
        assert model.open_sequences == 0
        assert await reply(model, await model.prefill(PROMPT)) == wanted
        await model.close()

    anyio.run(main)


def test_replies_do_not_wait_for_a_program_of_more_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine that never ran so many at once: those that run go on with what is there while it is compiled."""
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    made, may = threading.Event(), threading.Event()
    layer = PagedPrograms._rows_layer  # pyright: ignore[reportPrivateUsage]

    def slow(self: PagedPrograms, rows: int, tier: int) -> Any:
        if rows > 1:
            made.set()
            assert may.wait(60)
        return layer(self, rows, tier)

    monkeypatch.setattr(PagedPrograms, "_rows_layer", slow)
    # Few pages: a larger pool would have programs of its own, and none of those is there.
    prompts = [(5 + number, *PROMPT[:6]) for number in range(6)]

    async def main() -> None:
        model = await opened()
        alone = [await reply(model, await model.prefill(prompt), 8) for prompt in prompts]
        found: dict[int, list[int]] = {}

        async def one(number: int) -> None:
            found[number] = await reply(model, await model.prefill(prompts[number]), 8)

        async def all_at_once() -> list[list[int]]:
            async with anyio.create_task_group() as group:
                for number in range(len(prompts)):
                    group.start_soon(one, number)
            return [found[number] for number in range(len(prompts))]

        tier = model.budget.tier(1) + 1  # a page for rows of nobody
        try:
            with anyio.fail_after(60):
                assert same(XlaEngine(), await all_at_once(), alone)
            assert await anyio.to_thread.run_sync(made.wait, 60)
            assert not any(model.programs.has_decode(rows, tier) for rows in (4, 16))
        finally:
            may.set()
        with anyio.fail_after(60):
            while not any(model.programs.has_decode(rows, tier) for rows in (4, 16)):
                await anyio.sleep(0.01)
        assert same(XlaEngine(), await all_at_once(), alone)
        await model.close()

    anyio.run(main)


def test_small_chunks_ride_along_where_rows_are_free() -> None:
    def step(rows: int, *counts: int) -> Step:
        chunks = tuple(Chunk(100 + n, 8, count, (7,) * count, (1,), True) for n, count in enumerate(counts))
        return Step(1, chunks, tuple(Row(n, 5, 7, (0,)) for n in range(rows)))

    def shape(made: tuple[list[steps.Entry], list[Chunk]]) -> tuple[int, list[int]]:
        return len(made[0]), [chunk.count for chunk in made[1]]

    def nobody(_: int) -> bool:
        return False

    assert shape(steps.divided(step(10, 5), nobody)) == (15, [])
    assert shape(steps.divided(step(1, 300), nobody)) == (1, [300])
    assert shape(steps.divided(step(16, 10), nobody)) == (16, [10])
    assert shape(steps.divided(step(16, 5, 5, 200), nobody)) == (26, [200])
    entries, _ = steps.divided(step(1, 3), nobody)
    assert [(entry.position, entry.wanted) for entry in entries] == [(5, True), (8, False), (9, False), (10, True)]
    # What is told or taken over is no row, not even a single token.
    assert shape(steps.divided(step(2, 3), lambda number: number in (0, 100))) == (1, [1, 3])


def test_pages_and_tiers_come_from_memory() -> None:
    assert [page_size(context) for context in (64, 512, 2048, 8192)] == [16, 32, 128, 128]
    small = budget(512, 16, 512, 8 * 32 * 512 + 5)
    assert (small.page, small.pages) == (32, 8)
    large = budget(8192, 16, 46080, 4e9)
    assert (large.page, large.pages) == (128, 512)
    assert [large.tier(pages) for pages in (1, 16, 17, 129, 512)] == [16, 16, 128, 512, 512]
    assert budget(8192, 16, 46080, 1e12).pages == 1024, "no more than 16 sequences of the whole context"
