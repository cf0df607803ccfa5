"""Ten thousand runs at once in one process, each a source of 8 items and three stages that pass them on: memory, and
how far the last is behind the first. Beside them the same tasks and anyio streams with nothing that runs them.

    python -m benchmarks.executor.many [--runs N] [--floor]    # prints JSON; a process of its own, for its memory

A source waits a moment before each of its items, as one that asks a model would, so that all runs are there at once.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item
from agentlang.executor.kinds import Context, Kind, Opener
from agentlang.executor.shell import Shell, open_shell

from .costs import passing, streaming

ITEMS, STAGES = 8, 4


class Library:
    def __init__(self, gate: anyio.Event) -> None:
        self._gate = gate

    def kind(self, entry: str) -> Kind:
        return passing if entry == "x:pass" else self.source

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)

    async def source(self, _: Context, __: Mapping[str, Any]) -> AsyncIterator[int]:
        await self._gate.wait()
        for number in range(ITEMS):
            await anyio.sleep(0)
            yield number


class Watched:
    """When each run had its first item and its last."""

    def __init__(self, runs: int) -> None:
        self.first = [0.0] * runs
        self.last = [0.0] * runs
        self.items = [0] * runs
        self.behind: int | None = None
        """Items that the slowest run had when the first was through."""

    def item(self, run: int) -> None:
        now = time.perf_counter()
        if not self.items[run]:
            self.first[run] = now
        self.items[run] += 1
        if self.items[run] == ITEMS:
            self.last[run] = now
            if self.behind is None:
                self.behind = min(self.items)


async def ours(runs: int, watched: Watched) -> tuple[float, float]:
    gate = anyio.Event()

    async def read(shell: Shell, number: int) -> None:
        async for frame in shell.run("p", {}):
            if isinstance(frame, Item):
                watched.item(number)
            assert not isinstance(frame, End) or frame.outcome.status == "done", frame

    async with (
        open_shell(Deployment(streaming(STAGES - 1), call_timeout=3600.0), LocalBackend(Library(gate))) as shell,
        anyio.create_task_group() as group,
    ):
        for number in range(runs):
            group.start_soon(read, shell, number)
        return await _let_go(gate)
    raise AssertionError


async def floor(runs: int, watched: Watched) -> tuple[float, float]:
    gate = anyio.Event()
    library = Library(gate)

    async def pump(made: AsyncIterator[Any], send: Any) -> None:
        async with send:
            async for item in made:
                await send.send(item)

    async def read(receive: Any, number: int) -> None:
        async with receive:
            async for _ in receive:
                watched.item(number)

    async with anyio.create_task_group() as group:
        for number in range(runs):
            made: Any = library.source(None, {})  # type: ignore[arg-type]
            for _ in range(STAGES):
                send, receive = anyio.create_memory_object_stream[int](64)
                group.start_soon(pump, made, send)
                made = receive
            group.start_soon(read, made, number)
        return await _let_go(gate)
    raise AssertionError


async def _let_go(gate: anyio.Event) -> tuple[float, float]:
    """Open the gate when all runs stand before it. When that was, and what the process had taken by then, in MB."""
    for _ in range(20):
        await anyio.sleep(0.01)
    standing = resident()
    began = time.perf_counter()
    gate.set()
    return began, standing


def resident() -> float:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - not a path of anybody's
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--floor", action="store_true")
    arguments = parser.parse_args()
    runs: int = arguments.runs
    watched = Watched(runs)
    before = resident()
    began, standing = anyio.run(floor if arguments.floor else ours, runs, watched)
    assert watched.items == [ITEMS] * runs
    ends = sorted(watched.last)
    print(
        json.dumps(
            {
                "peak MB": peak(),
                "MB before": before,
                "MB while all stand": standing,
                "seconds to the first end": ends[0] - began,
                "seconds to the last end": ends[-1] - began,
                "first item, first run": min(watched.first) - began,
                "first item, last run": max(watched.first) - began,
                "items of the slowest when the first was through": watched.behind,
            }
        )
    )


if __name__ == "__main__":
    main()
