"""A model of several instances keeps the promises of one; what dies takes its replies along and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
import trio
from trio.testing import MockClock

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.null import ByteTokenizer, NullEngine, NullModel, NullTimings
from agentlang.executor.engines.protocol import (
    SERVICE,
    Capabilities,
    ModelFacts,
    ModelSpec,
    Sampling,
    SequenceHandle,
    Service,
)
from agentlang.executor.engines.routed.engine import routed
from agentlang.executor.engines.routed.model import RoutedModel
from agentlang.executor.engines.routed.settings import RoutedSettings
from agentlang.executor.engines.workers.problems import engine_gone
from agentlang.executor.routing import Policy
from agentlang.testing import check_engine

TIMINGS = NullTimings(prefill_per_token=0.001, gap=0.02)


class Mortal:
    """A null model that dies when it is told to, as a process does."""

    def __init__(self, inner: NullModel) -> None:
        self.inner = inner
        self.dead = anyio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> SequenceHandle:
        made: list[SequenceHandle] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self.dead.wait()
                group.cancel_scope.cancel()

            group.start_soon(watch)
            if not self.dead.is_set():
                made.append(await self.inner.prefill(tokens, prefix, service))
            group.cancel_scope.cancel()
        if not made:
            raise OutsideError(engine_gone("null", "it was told to die", None))
        return made[0]

    async def kill(self) -> None:
        self.dead.set()


class Begun:
    def __init__(self, spec: ModelSpec, timings: NullTimings) -> None:
        self._spec, self._timings = spec, timings

    async def ready(self) -> Mortal:
        return Mortal(await NullEngine(self._timings).load(self._spec))

    async def close(self) -> None: ...


async def many(
    count: int, policy: Policy = "cache_aware", context: int = 8192, timings: NullTimings = TIMINGS
) -> RoutedModel:
    async def start(number: int) -> Begun:
        del number
        return Begun(ModelSpec("null", context=context), timings)

    facts = ModelFacts("null", context, 259, 0, 0, ByteTokenizer.ENDS)
    return await routed(facts, ByteTokenizer(), start, RoutedSettings(count, "null", policy), 16)


class Engine:
    """Of several null models."""

    name = "routed"
    capabilities = Capabilities(32, virtual_time=True, finds_prefixes=True)

    async def load(self, spec: ModelSpec) -> RoutedModel:
        return await many(2, context=spec.context or 8192, timings=NullTimings())


def test_every_promise() -> None:
    anyio.run(check_engine, Engine, ModelSpec("recorded"))


async def session(model: RoutedModel, own: int, steps: int) -> int:
    """Steps that each begin as the one before did; how many tokens were cached."""
    prompt, cached = [own] * 160, 0
    for _ in range(steps):
        sequence = await model.prefill(prompt)
        cached += sequence.stats.cached_tokens
        _ = [token async for token in model.decode(sequence, Sampling(max_tokens=4))]
        await model.release(sequence)
        prompt += [own] * 32
        await anyio.sleep(0.05 * (own % 3))
    return cached


def test_sessions_stay_where_their_prompts_are() -> None:
    async def main(policy: Policy) -> int:
        model = await many(3, policy)
        found: list[int] = []

        async def one(own: int) -> None:
            found.append(await session(model, own, 6))

        async with anyio.create_task_group() as group:
            for own in range(7):
                group.start_soon(one, own)
        await model.close()
        assert model.open_sequences == 0
        return sum(found)

    cached = {
        policy: trio.run(main, policy, clock=MockClock(autojump_threshold=0))
        for policy in ("cache_aware", "least_loaded", "round_robin")
    }
    assert cached["cache_aware"] > 1.2 * cached["round_robin"]
    assert cached["cache_aware"] >= cached["least_loaded"]
    # All that a step has in common with the one before it, up to a page.
    assert cached["cache_aware"] >= 7 * sum(160 + 32 * step - 16 for step in range(5))


def test_prompts_of_one_that_dies_go_elsewhere() -> None:
    async def main() -> None:
        model = await many(2)
        done: list[int] = []

        async def one(own: int) -> None:
            sequence = await model.prefill([own] * 500)
            done.append(own)
            await model.release(sequence)

        async with anyio.create_task_group() as group:
            for own in range(8):
                group.start_soon(one, own)
            await anyio.sleep(0.2)
            first = model.instances[0].model
            assert isinstance(first, Mortal)
            await first.kill()
        assert sorted(done) == list(range(8))
        assert model.open_sequences == 0
        # It is begun again by who comes next, with nothing in its cache.
        await session(model, 1, 2)
        assert model.router.up == (0, 1)
        await model.close()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_a_prompt_that_kills_all_is_given_up() -> None:
    async def main() -> None:
        model = await many(2)

        async def reaper() -> None:
            while True:
                await anyio.sleep(0.01)
                for instance in model.instances:
                    if isinstance(instance.model, Mortal):
                        await instance.model.kill()

        async with anyio.create_task_group() as group:
            group.start_soon(reaper)
            with pytest.raises(OutsideError, match="told to die"):
                await model.prefill([1] * 4000)
            group.cancel_scope.cancel()
        assert model.router.waiting == 0
        await model.close()

    trio.run(main, clock=MockClock(autojump_threshold=0))
