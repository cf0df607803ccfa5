"""Promises about ends: whoever leaves, at whatever point, leaves nothing behind."""

from __future__ import annotations

from itertools import product

import anyio

from ..generation import generate
from ..protocol import ChatModel, Engine, Finish, ModelSpec, Sampling, SequenceHandle
from .promises import ASK, LONG, SHORT, loaded, promised, prompt_of, reply_tokens, same
from .schemas import MAIL


async def check_cancel(engine: Engine, spec: ModelSpec) -> None:
    """`cancel` and `release` end a decode at its next step."""
    async with loaded(engine, spec) as model:
        for end, schema in product((model.cancel, model.release), (None, MAIL)):
            sequence = await model.prefill(await model.tokenize(ASK))
            steps = aiter(model.decode(sequence, Sampling(max_tokens=200, schema=schema)))
            await anext(steps)
            await end(sequence)
            promised([token async for token in steps] == [], "no token comes after a cancel")
            promised(sequence.finish is Finish.CANCELLED, "it ends as CANCELLED", sequence.finish)
            await model.release(sequence)


async def check_cancel_at_every_point(engine: Engine, spec: ModelSpec) -> None:
    """A consumer that is cancelled at any moment of its life leaves nothing, and does not disturb the others."""
    async with loaded(engine, spec) as model:
        alone = await reply_tokens(model, SHORT)
        long = await prompt_of(model, [5 + place % 200 for place in range(200)])

        async def life() -> None:
            sequence = await model.prefill(long)
            try:
                async for _ in model.decode(sequence, SHORT):
                    await anyio.sleep(0)
            finally:
                with anyio.CancelScope(shield=True):
                    await model.release(sequence)

        began = anyio.current_time()
        await life()
        whole = anyio.current_time() - began
        points = 12
        others: list[list[int]] = []
        for point in range(points):
            kept: list[list[int]] = []

            async def other(kept: list[list[int]] = kept) -> None:
                kept.append(await reply_tokens(model, SHORT))

            async with anyio.create_task_group() as group:
                group.start_soon(other)
                with anyio.move_on_after(whole * point / points):
                    await life()
            others += kept
            promised(model.open_sequences == 0, "a cancelled consumer frees its cache", model.open_sequences, point)
        undisturbed = same(engine, others, [alone] * points)
        promised(undisturbed, "another's reply is what it is without the one that was cancelled", others, alone)


async def check_cancelled_task(engine: Engine, spec: ModelSpec) -> None:
    """Cancelling the consumer, while it waits for a step or between steps, stops at once and frees the cache."""
    async with loaded(engine, spec) as model:
        pulled: list[int] = []
        prompt = await model.tokenize(ASK)
        async with anyio.create_task_group() as group:

            async def consume() -> None:
                sequence = await model.prefill(prompt)
                async for token in model.decode(sequence, LONG):
                    pulled.append(token)
                    if len(pulled) == 2:
                        group.cancel_scope.cancel()

            group.start_soon(consume)
        promised(len(pulled) == 2, "no token comes after the cancellation", pulled)
        promised(model.open_sequences == 0, "a cancelled consumer frees its cache", model.open_sequences)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await model.prefill(prompt)
        promised(model.open_sequences == 0, "a cancelled prefill frees its cache", model.open_sequences)


async def check_left_alone(engine: Engine, spec: ModelSpec) -> None:
    """A reply that is only begun holds its cache until it is left."""
    async with loaded(engine, spec) as model:
        async with generate(model, ASK, SHORT) as running:
            await anext(aiter(running))
            promised(model.open_sequences == 1, "a reply holds its cache", model.open_sequences)
            promised(running.finish is None, "a reply that goes on has no finish", running.finish)
        promised(model.open_sequences == 0, "a reply that is left frees its cache", model.open_sequences)
        promised(running.finish is Finish.CANCELLED, "it ends as CANCELLED", running.finish)
        promised([text async for text in running] == [], "nothing comes from a reply that was left")


async def check_release_twice(engine: Engine, spec: ModelSpec) -> None:
    """`release` may come any number of times, at any point; so may `cancel` after it."""
    async with loaded(engine, spec) as model:

        async def release(sequence: SequenceHandle) -> None:
            await model.release(sequence)
            await model.cancel(sequence)
            await model.release(sequence)

        few = await prompt_of(model, (5, 6, 7))
        untouched = await model.prefill(few)
        await release(untouched)
        begun = await model.prefill(few)
        model.decode(begun, SHORT)
        await release(begun)
        done = await model.prefill(few)
        _ = [token async for token in model.decode(done, Sampling(max_tokens=2))]
        finish = done.finish
        await release(done)
        promised(done.finish is finish, "the first reason to end stays", done.finish, finish)


async def check_close_while_running(engine: Engine, spec: ModelSpec) -> None:
    """`close` ends every reply that runs, and nobody waits for ever."""
    model = await engine.load(spec)
    ends: list[Finish | None] = []

    async def consume(model: ChatModel, started: anyio.Event) -> None:
        sequence = await model.prefill(await model.tokenize(ASK))
        async for _ in model.decode(sequence, LONG):
            started.set()
        started.set()
        ends.append(sequence.finish)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            events = [anyio.Event() for _ in range(3)]
            for event in events:
                group.start_soon(consume, model, event)
            for event in events:
                await event.wait()
            await model.close()
    allowed = {Finish.CANCELLED, Finish.STOP, Finish.LENGTH, Finish.TRUNCATED}
    promised(len(ends) == 3 and set(ends) <= allowed, "close ends every reply", ends)
    promised(model.open_sequences == 0, "nothing is held after close", model.open_sequences)
    await model.close()
