"""The two ends of a stream as tasks meet them: the credits that a producer waits for, and the iterator that a consumer
reads. What they count is decided by the machine; here is only the waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from .shell import Shell
    from .turns import Turn


class Credits:
    """How many items a stage may still make. Without a `turn` others run between any two."""

    __slots__ = ("_left", "_more", "_turn")

    def __init__(self, credits: int, turn: Turn | None) -> None:
        self._left = credits
        self._turn = turn
        self._more: anyio.Event | None = None

    async def ready(self) -> None:
        """Returns when an item may be made. Lets others run every now and then, so that what was made is read soon, and
        a producer that never waits can be stopped."""
        turn = self._turn
        if self._left > 0:
            if turn is not None and turn.in_a_row():
                return
            await checkpoint()
        while self._left <= 0:
            self._more = anyio.Event()
            await self._more.wait()
        if turn is not None:
            turn.waited = False

    def spend(self) -> None:
        self._left -= 1

    def add(self, credits: int) -> None:
        self._left += credits
        if self._more is not None:
            self._more.set()
            self._more = None


class InputStream:
    """A stream argument of a stage. Read by one task at a time; leaving it unread to the end is fine."""

    __slots__ = ("_closed", "_ended", "_items", "_more", "_number", "_shell", "_turn")

    def __init__(self, shell: Shell, number: int, turn: Turn | None) -> None:
        self._shell = shell
        self._number = number
        self._turn = turn
        self._items: deque[object] = deque()
        self._more: anyio.Event | None = None
        self._ended = False
        self._closed = False

    def __aiter__(self) -> InputStream:
        return self

    async def __anext__(self) -> object:
        turn = self._turn
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._more = anyio.Event()
            await self._more.wait()
            if turn is not None:
                turn.waited = False
        item = self._items.popleft()
        if turn is None or not turn.take(self._number):
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

    def put_several(self, items: Iterable[object]) -> None:
        """For the shell."""
        if not self._closed:
            self._items.extend(items)
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
