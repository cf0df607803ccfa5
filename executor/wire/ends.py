"""The two ends of a channel, as tasks of an event loop meet them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from . import events as ev
from .framing import Buffer
from .problems import WireProblem

if TYPE_CHECKING:
    from .link import Link


class Outgoing:
    """The end of a channel where items go in. Used by one task at a time."""

    def __init__(self, link: Link, channel: int) -> None:
        self.channel = channel
        self.reason: str | None = None
        """Why nobody reads any more; empty where all was read."""
        self.on_reset: Callable[[int], None] | None = None
        """Called with the new epoch when the reader has reset the channel."""
        self._link = link
        self._gone = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def try_send(
        self,
        body: Buffer,
        *,
        form: int = 0,
        deadline: float | None = None,
        trace: bytes | None = None,
        descriptors: tuple[int, ...] = (),
        head: bytes = b"",
    ) -> bool:
        """Hand over an item if there is credit and room for it now. `deadline` is the time left, in seconds. Raises
        WireProblem `cancelled` where nobody reads, `closed` or what ended the session, `too-large`."""
        link = self._link
        if self.reason is not None:
            raise WireProblem("cancelled", "nobody reads this channel any more")
        if link.over:
            raise link.why()
        session, port = link.session, link.port
        if port is None:
            return session.send(self.channel, body, form, deadline, trace, descriptors, head)
        if port.congested or not session.send(self.channel, body, form, deadline, trace, descriptors, head):
            return False
        port.write(session.output())
        return True

    async def send(
        self,
        body: Buffer,
        *,
        form: int = 0,
        deadline: float | None = None,
        trace: bytes | None = None,
        descriptors: tuple[int, ...] = (),
        head: bytes = b"",
    ) -> None:
        """Hand over an item when there is credit and room for it. See `try_send`."""
        while not self.try_send(body, form=form, deadline=deadline, trace=trace, descriptors=descriptors, head=head):
            await self.room()

    async def room(self) -> None:
        """Returns when it is worth to try again, after `try_send` was False."""
        waiting = self._link.loop.create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        finally:
            self._waiting.remove(waiting)

    def end(self) -> None:
        """There are no more items."""
        self._link.session.end(self.channel)
        self._link.flush()

    def fail(self, reason: str, about: bytes = b"") -> None:
        """There are no more items, for a reason."""
        self._link.session.fail(self.channel, reason, about)
        self._link.flush()

    def reset(self) -> int:
        """What was sent and is not used is dropped at the reader's; the new epoch."""
        epoch = self._link.session.reset(self.channel)
        self._link.flush()
        return epoch

    async def left(self) -> str:
        """Returns when nobody reads any more, or the session is over."""
        await self._gone.wait()
        return self.reason or ""

    def wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def went(self, reason: str) -> None:
        self.reason = reason
        self._gone.set()
        self.wake()


class Incoming:
    """The end of a channel where items come out, an async iterator of them. Used by one task at a time."""

    def __init__(self, link: Link, opened: ev.Opened) -> None:
        self.channel = opened.channel
        self.name = opened.name
        self.about = opened.about
        self.trace = opened.trace
        self.deadline = None if opened.deadline is None else link.loop.time() + opened.deadline
        """On this event loop's clock."""
        self.ended: ev.Ended | None = None
        self._link = link
        self._items: deque[ev.Came] = deque()
        self._size = 0
        self._waiting: asyncio.Future[None] | None = None
        self._listener: Callable[[ev.Came], None] | None = None
        self._on_end: Callable[[], None] | None = None

    def listen(self, took: Callable[[ev.Came], None], ended: Callable[[], None] | None = None) -> None:
        """Have each item given to `took` as it comes, in place of waiting for it in a task; credit goes back when that
        returns. `ended` is called once, at a good or bad end or the session's."""
        self._listener, self._on_end = took, ended
        while self._items:
            took(self._pop())
        if ended is not None and (self.ended is not None or self._link.over):
            ended()

    async def get(self) -> ev.Came | None:
        """The next item, or None after a good end. `deadline` is on this event loop's clock; whoever takes an item with
        descriptors closes them. WireProblem `failed` where the writer said so, or what ended the session."""
        while not self._items:
            if self.ended is not None:
                if self.ended.reason is not None:
                    raise WireProblem("failed", self.ended.reason)
                return None
            if self._link.over:
                raise self._link.why()
            self._waiting = self._link.loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._pop()

    def _pop(self) -> ev.Came:
        item = self._items.popleft()
        session = self._link.session
        session.consumed(self.channel, 1, len(item.body))
        if not self._items and self.ended is not None:
            self._link.forget(self)
        self._link.flush()
        return item

    def __aiter__(self) -> AsyncIterator[ev.Came]:
        return self._each()

    async def _each(self) -> AsyncIterator[ev.Came]:
        while (item := await self.get()) is not None:
            yield item

    def leave(self, reason: str = "") -> None:
        """Read no further."""
        self.drop(credit=False)
        self._link.session.leave(self.channel, reason)
        self._link.forget(self)
        self._link.flush()

    def reset(self) -> int:
        """Drop what was sent so far, here, on its way and at the writer; the new epoch."""
        epoch = self._link.session.reset(self.channel)
        self.drop()
        self._link.flush()
        return epoch

    # --- for the link ---

    @property
    def waits(self) -> bool:
        """Whether there are items that nobody has taken."""
        return bool(self._items)

    def came(self, item: ev.Came) -> None:
        if item.deadline is not None:
            item.deadline += self._link.loop.time()
        if self._listener is not None:
            self._listener(item)
            self._link.session.consumed(self.channel, 1, len(item.body))
            return
        self._items.append(item)
        self.wake()

    def drop(self, *, credit: bool = True) -> None:
        items, self._items = self._items, deque()
        for item in items:
            self._link.dropped(item)
        if items and credit:
            self._link.session.consumed(self.channel, len(items), sum(len(item.body) for item in items))

    def end(self, ended: ev.Ended | None) -> None:
        self.ended = ended
        self.wake()
        if self._on_end is not None:
            self._on_end()

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
