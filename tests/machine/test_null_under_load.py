"""The null engine under load: its steps are the scheduler's, so what many requests at once cost can be worked out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
from trio.testing import MockClock

from agentlang.executor.engines.null import NullEngine, NullModel, NullTimings
from agentlang.executor.engines.protocol import Finish, ModelSpec, Sampling, SequenceStats
from agentlang.executor.scheduler import Settings

TIMINGS = NullTimings(prefill_fixed=1.0, prefill_per_token=0.125, gap=1.0)


def on_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


async def loaded(timings: NullTimings, scheduling: Settings | None = None, words: int = 4) -> NullModel:
    engine = NullEngine(timings, answer=lambda *_: "x" * words, scheduling=scheduling)
    return await engine.load(ModelSpec("recorded"))


async def reply(model: NullModel, prompt: tuple[int, ...], most: int = 256) -> SequenceStats:
    sequence = await model.prefill(prompt)
    made = [token async for token in model.decode(sequence, Sampling(max_tokens=most))]
    await model.release(sequence)
    assert sequence.finish in (Finish.STOP, Finish.LENGTH)
    assert len(made) == sequence.stats.generated_tokens
    return sequence.stats


async def all_at_once(model: NullModel, prompts: list[tuple[int, ...]], most: int = 256) -> list[SequenceStats]:
    found: dict[int, SequenceStats] = {}

    async def one(number: int, prompt: tuple[int, ...]) -> None:
        found[number] = await reply(model, prompt, most)

    async with anyio.create_task_group() as group:
        for number, prompt in enumerate(prompts):
            group.start_soon(one, number, prompt)
    assert model.open_sequences == 0
    return [found[number] for number in range(len(prompts))]


@pytest.mark.parametrize("many", [1, 4, 16])
def test_sequences_share_their_steps(many: int) -> None:
    async def main() -> None:
        model = await loaded(TIMINGS)
        began = anyio.current_time()
        stats = await all_at_once(model, [(number, 1, 2, 3, 4, 5, 6, 7) for number in range(many)])
        # All prompts in one step, then four tokens and the end of the reply, each in one step for all.
        assert anyio.current_time() - began == many * (1.0 + 8 * 0.125) + 5 * 1.0
        assert all(each.gaps == (1.0, 1.0, 1.0) for each in stats)

    on_virtual_time(main)


def test_further_rows_cost_what_they_are_said_to() -> None:
    async def main() -> None:
        model = await loaded(NullTimings(gap=1.0, row=0.25))
        began = anyio.current_time()
        await all_at_once(model, [(number,) for number in range(5)], most=4)
        assert round(anyio.current_time() - began, 4) == 4 * (1.0 + 4 * 0.25)

    on_virtual_time(main)


def test_more_than_there_are_rows_wait_for_their_turn() -> None:
    """500 requests on 16 rows: nobody is refused or forgotten, and the rows are never idle."""

    async def main() -> None:
        model = await loaded(NullTimings(gap=1.0))
        began = anyio.current_time()
        await all_at_once(model, [(number // 256, number % 256) for number in range(500)], most=4)
        # 500 prompts and 2000 tokens, 16 in a step.
        assert 2000 / 16 <= anyio.current_time() - began <= 2500 / 16 + 8

    on_virtual_time(main)


def test_a_long_prompt_does_not_hold_up_who_decodes() -> None:
    async def main() -> None:
        timings = NullTimings(prefill_per_token=0.125, gap=1.0)
        model = await loaded(timings, Settings(512, 16, 16, tokens=64, chunk=32), words=60)
        first: list[SequenceStats] = []

        async def decode() -> None:
            first.append(await reply(model, (1,)))

        async with anyio.create_task_group() as group:
            group.start_soon(decode)
            await anyio.sleep(5)
            long = await reply(model, tuple(number % 200 for number in range(1000)), most=1)
        # A chunk of 32 tokens beside each decoded token.
        assert max(first[0].gaps) == 1.0 + 32 * 0.125
        assert long.prefill_seconds < 1000 * 0.125 + 40

    on_virtual_time(main)


def test_the_next_step_of_an_agent_computes_what_is_new() -> None:
    async def main() -> None:
        model = await loaded(NullTimings(prefill_per_token=1.0))
        first = await reply(model, tuple(range(200)))
        # The next prompt holds the one before, the reply and what a tool gave.
        second = await reply(model, (*range(200), *b"xxxx", *range(50)))
        assert (first.cached_tokens, first.prefill_seconds) == (0, 200.0)
        assert (second.cached_tokens, second.prefill_seconds) == (204, 50.0)

    on_virtual_time(main)


def test_memory_for_few_serves_many() -> None:
    """Prompts and replies that need three times the pages there are: some are preempted, all are served."""

    async def main() -> None:
        model = await loaded(NullTimings(gap=1.0, prefill_per_token=0.01), Settings(24, 4, 8, tokens=64), words=20)
        stats = await all_at_once(model, [(number,) * 12 for number in range(9)])
        assert [each.generated_tokens for each in stats] == [20] * 9

    on_virtual_time(main)


def test_the_one_who_runs_the_steps_may_be_cancelled() -> None:
    async def main() -> None:
        model = await loaded(NullTimings(gap=1.0), words=10)
        found: list[SequenceStats] = []
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def one(number: int) -> None:
            with scopes[number]:
                found.append(await reply(model, (number,)))

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(one, number)
            for number in range(3):
                await anyio.sleep(1.5)
                scopes[number].cancel()
        assert [each.gaps for each in found] == [(1.0,) * 9]
        assert model.open_sequences == 0

    on_virtual_time(main)


def test_a_queue_with_a_bound_is_no_engine() -> None:
    with pytest.raises(ValueError):
        NullEngine(scheduling=Settings(8, queue=1))
