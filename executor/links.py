"""Channels between islands, as their two ends meet them, and the simplest of them: in one process.

A channel has a pipe for each turn of the loops around it in each run. What goes through is a value, the items of a
stream and its end, or a failure. A pipe holds at most so many items as its channel says: who sends waits for room.

Islands in several processes need another `Links`, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import anyio

from ..ir.graph import Channel

Turn = tuple[int, ...]


class _End:
    """What comes after the last item of a stream."""


END = _End()


class Pipe(Protocol):
    """Both ends of a channel in one turn of one run. Whichever comes first makes it."""

    async def put(self, item: object) -> bool:
        """Hand over an item when there is room for it. False: nobody reads any more."""
        ...

    def end(self) -> None:
        """There are no more items."""
        ...

    async def unread(self) -> None:
        """Returns when nobody reads any more: who read has what it wanted, or was stopped."""
        ...

    async def get(self) -> object:
        """The next item, or `END`."""
        ...

    def leave(self) -> None:
        """Read no further."""
        ...


@runtime_checkable
class Unfinished(Protocol):
    """A value that is used while it is still made (a turn of somebody who still speaks)."""

    async def finished(self) -> object:
        """The value as it is when nothing comes any more."""
        ...


class Links(Protocol):
    def pipe(self, run: int, channel: Channel, turn: Turn) -> Pipe: ...

    def over(self, run: int) -> None:
        """Every island is through with the run: forget it."""
        ...


class MemoryPipe:
    """A pipe between tasks of one event loop; one of them at each end."""

    __slots__ = ("_bound", "_changed", "_ended", "_items", "_left")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: deque[object] = deque()
        self._ended = False
        self._left = False
        self._changed = anyio.Event()

    async def put(self, item: object) -> bool:
        while len(self._items) >= self._bound and not self._left:
            await self._changed.wait()
        if not self._left:
            self._items.append(item)
            self._change()
        return not self._left

    def end(self) -> None:
        self._ended = True
        self._change()

    async def unread(self) -> None:
        while not self._left:
            await self._changed.wait()

    async def get(self) -> object:
        while not self._items:
            if self._ended:
                return END
            await self._changed.wait()
        item = self._items.popleft()
        self._change()
        return item

    def refill(self, items: Iterable[object], ended: bool) -> None:
        """What had been put before a restart, all of it, and whether that was the end."""
        self._items.extend(items)
        self._ended = ended

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self._items.clear()
            self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class MemoryLinks:
    """Islands in one process and one event loop."""

    def __init__(self) -> None:
        self._runs: dict[int, dict[tuple[str, Turn], MemoryPipe]] = {}

    def pipe(self, run: int, channel: Channel, turn: Turn) -> Pipe:
        pipes = self._runs.setdefault(run, {})
        known = pipes.get((channel.name, turn))
        if known is None:
            known = pipes[channel.name, turn] = MemoryPipe(channel.buffer)
        return known

    def over(self, run: int) -> None:
        self._runs.pop(run, None)
