"""The two ends of a stream as tasks meet them: the credits that a producer waits for, and the iterator that a consumer
reads. What they count is decided by the machine; here is only the waiting.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from .shell import Shell


class Credits:
    """How many items a stage may still make."""

    __slots__ = ("_left", "_more")

    def __init__(self, credits: int) -> None:
        self._left = credits
        self._more: anyio.Event | None = None

    async def ready(self) -> None:
        """Returns when an item may be made. Always lets others run, so that an item is read before the next is made and
        a producer that never waits can be stopped."""
        if self._left > 0:
            await checkpoint()
        while self._left <= 0:
            self._more = anyio.Event()
            await self._more.wait()

    def spend(self) -> None:
        self._left -= 1

    def add(self, credits: int) -> None:
        self._left += credits
        if self._more is not None:
            self._more.set()
            self._more = None


class InputStream:
    """A stream argument of a stage. Read by one task at a time; leaving it unread to the end is fine."""

    __slots__ = ("_closed", "_ended", "_items", "_more", "_number", "_shell")

    def __init__(self, shell: Shell, number: int) -> None:
        self._shell = shell
        self._number = number
        self._items: deque[object] = deque()
        self._more: anyio.Event | None = None
        self._ended = False
        self._closed = False

    def __aiter__(self) -> InputStream:
        return self

    async def __anext__(self) -> object:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._more = anyio.Event()
            await self._more.wait()
        item = self._items.popleft()
        self._shell.taken(self._number)
        return item

    async def aclose(self) -> None:
        """Read no further; a producer that nobody else reads is stopped."""
        if not self._closed:
            self._closed = True
            self._items.clear()
            self.end()
            self._shell.close_reader(self._number)

    def put(self, item: object) -> None:
        """For the shell."""
        if not self._closed:
            self._items.append(item)
            self._wake()

    def withdraw(self, places: tuple[int, ...]) -> None:
        """For the shell: forget what waits at these places."""
        if not self._closed:
            self._items = deque(item for place, item in enumerate(self._items) if place not in places)

    def end(self) -> None:
        """For the shell."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._more is not None:
            self._more.set()
            self._more = None
