"""Items a second through ten stages with buffers of 64, in one process: ours, and the same by the means of Python.

The floors are anyio's memory streams and asyncio's queues between tasks, and asynchronous generators in one another,
which have no buffers and no tasks: nothing that runs Python's `async for` ten times an item can be faster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.shell import open_shell

from .costs import Library, streaming

STAGES, BUFFER = 10, 64
_END = object()


async def ours(items: int) -> None:
    """A source, nine stages that pass each item on, and the caller."""
    deployment = Deployment(streaming(STAGES - 1), buffer=BUFFER)
    async with open_shell(deployment, LocalBackend(Library(items))) as shell:
        end = await shell.start("p", {}).result()
    assert end.outcome.status == "done" and end.timings.items == items


async def memory_streams(items: int) -> None:
    links = [anyio.create_memory_object_stream[int](BUFFER) for _ in range(STAGES)]

    async def source() -> None:
        async with links[0][0] as send:
            for number in range(items):
                await send.send(number)

    async def stage(number: int) -> None:
        async with links[number][0] as send, links[number - 1][1] as receive:
            async for item in receive:
                await send.send(item)

    count = 0
    async with anyio.create_task_group() as group:
        group.start_soon(source)
        for number in range(1, STAGES):
            group.start_soon(stage, number)
        async with links[-1][1] as receive:
            async for _ in receive:
                count += 1
    assert count == items


async def queues(items: int) -> None:
    links: list[asyncio.Queue[object]] = [asyncio.Queue(BUFFER) for _ in range(STAGES)]

    async def source() -> None:
        for number in range(items):
            await links[0].put(number)
        await links[0].put(_END)

    async def stage(number: int) -> None:
        while (item := await links[number - 1].get()) is not _END:
            await links[number].put(item)
        await links[number].put(_END)

    count = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(source())
        for number in range(1, STAGES):
            group.create_task(stage(number))
        while await links[-1].get() is not _END:
            count += 1
    assert count == items


async def generators(items: int) -> None:
    async def source() -> AsyncIterator[int]:
        for number in range(items):
            yield number

    async def passing(of: AsyncIterator[int]) -> AsyncIterator[int]:
        async for item in of:
            yield item

    made = source()
    for _ in range(STAGES - 1):
        made = passing(made)
    count = 0
    async for _ in made:
        count += 1
    assert count == items


async def measure(items: int, turns: int) -> dict[str, float]:
    """Items a second, the best of so many turns in processor time: nothing here waits."""
    systems: dict[str, Callable[[int], Awaitable[None]]] = {
        "agentlang": ours,
        "floor: anyio memory streams": memory_streams,
        "floor: asyncio queues": queues,
        "floor: generators, no buffers": generators,
    }
    best = dict.fromkeys(systems, 0.0)
    for turn in range(turns + 1):
        for name, work in systems.items():
            began = time.process_time()
            await work(items)
            if turn:  # the first warms up
                best[name] = max(best[name], items / (time.process_time() - began))
    return best
