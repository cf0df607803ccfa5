"""Promises about who waits for whom: the engine for its consumer, and the event loop for nobody."""

from __future__ import annotations

import anyio

from ..families import Counted
from ..protocol import Engine, ModelSpec
from .promises import ASK, LONG, SHORT, loaded, promised, reply_tokens


async def check_back_pressure(engine: Engine, spec: ModelSpec) -> None:
    """An engine is at most one step ahead of its consumer. (Where the model counts its work.)"""
    async with loaded(engine, spec) as model:
        if not isinstance(model, Counted):
            return
        sequence = await model.prefill(await model.tokenize(ASK))
        before = (await model.stats()).decoded_tokens
        steps = aiter(model.decode(sequence, LONG))
        for pulled in (1, 2, 3):
            await anext(steps)
            await anyio.sleep(0.2)
            made = (await model.stats()).decoded_tokens - before
            promised(pulled <= made <= pulled + 1, "at most one token is made ahead", pulled, made)
        await model.release(sequence)
        await anyio.sleep(0.1)
        made = (await model.stats()).decoded_tokens
        await anyio.sleep(0.2)
        promised((await model.stats()).decoded_tokens == made, "nothing is made for a sequence that was released")


async def check_event_loop_runs(engine: Engine, spec: ModelSpec) -> None:
    """The event loop runs while the engine computes, and each token is a moment for others."""
    async with loaded(engine, spec) as model:
        turns, tokens = 0, list[int]()

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0)

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            tokens = await reply_tokens(model, SHORT)
            group.cancel_scope.cancel()
        promised(turns >= len(tokens), "others have a turn at each token", turns, len(tokens))
