"""A session as tasks of an event loop meet it: channels to write and to read, whatever becomes of the connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable

from . import events as ev
from .framing import Buffer
from .ports import Deaf, Port
from .problems import WireProblem
from .session import Session


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


class Link:
    """One side of a session. Made by `endpoints`; used in one event loop."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.loop = asyncio.get_running_loop()
        self.port: Port | None = None
        self.name = ""
        """What the other side calls itself; `about` is what it says besides."""
        self.about = b""
        self.identity: object = None
        """Whose certificate the first connection had: another's resumes nothing."""
        self.problem: WireProblem | None = None
        self.connections = 0
        self.passes_descriptors = False
        self.disconnected = asyncio.Event()
        """Set while there is no connection."""
        self.on_freed: Callable[[tuple[int, ...]], None] | None = None
        self.on_dropped: Callable[[ev.Came], None] | None = None
        """Called with items that nobody takes, to close their descriptors."""
        self.on_over: list[Callable[[], None]] = []
        self._closed = asyncio.Event()
        self._connected = asyncio.Event()
        self._opening: list[asyncio.Future[None]] = []
        self._outgoing: dict[int, Outgoing] = {}
        self._incoming: dict[int, Incoming] = {}
        self._opened: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._since = self.loop.time()
        self._timer = self.loop.call_later(session.settings.tick, self._tick)
        self.disconnected.set()

    @property
    def over(self) -> bool:
        return self.session.over

    def why(self) -> WireProblem:
        """What is to be raised where the session is over."""
        known = self.problem
        return WireProblem(known.name, str(known)) if known else WireProblem("closed", "the session is over")

    async def connected(self) -> None:
        """Returns when both sides have said hello. Raises what ended the session."""
        await self._connected.wait()
        if self.over and not self.connections:
            raise self.why()

    async def open(
        self, name: str, *, about: bytes = b"", deadline: float | None = None, trace: bytes | None = None
    ) -> Outgoing:
        """A channel to write on, once the other side takes one more. WireProblem `draining`, or what ended the
        session."""
        while True:
            if self.over:
                raise self.why()
            if self.session.draining or self.session.may_open:
                break
            waiting = self.loop.create_future()
            self._opening.append(waiting)
            await waiting
        channel = self.session.open(name, about=about, deadline=deadline, trace=trace)
        made = self._outgoing[channel] = Outgoing(self, channel)
        self.flush()
        return made

    async def accept(self) -> Incoming | None:
        """The next channel that the other side has opened; None when the session is over."""
        if self.over and self._opened.empty():
            return None
        return await self._opened.get()

    async def drain(self) -> None:
        """Open no more channels, let those that are open come to their end, and close. Raises what went wrong."""
        self.session.drain()
        self.flush()
        await self._closed.wait()
        if self.problem is not None:
            raise self.why()

    def close(self, reason: str = "") -> None:
        """End the session at once."""
        self._happened(self.session.goodbye(reason))

    async def closed(self) -> WireProblem | None:
        """Returns when the session is over; None after a goodbye."""
        await self._closed.wait()
        return self.problem

    # --- for endpoints: connections ---

    def attach(self, port: Port, happened: list[ev.Event]) -> None:
        """Go on over this connection; one that there was is closed."""
        if self.port is not None:
            self.port.ear = Deaf()
            self.port.close()
        self.port = port
        port.ear = self
        self.passes_descriptors = port.passes_descriptors
        self.disconnected.clear()
        self._happened(happened)

    def heard(self, data: bytes, descriptors: tuple[int, ...]) -> None:
        session = self.session
        happened = session.received(data, self.loop.time(), descriptors)
        if happened:
            self._happened(happened)
        elif (out := session.output()) and self.port is not None:
            self.port.write(out)

    def cut(self) -> None:
        self.session.disconnected()
        self._gone()

    def writable(self) -> None:
        for outgoing in self._outgoing.values():
            outgoing.wake()

    def flush(self) -> None:
        port = self.port
        if port is not None and (out := self.session.output()):
            port.write(out)

    def forget(self, incoming: Incoming) -> None:
        self._incoming.pop(incoming.channel, None)

    def _gone(self) -> None:
        port, self.port = self.port, None
        if port is not None:
            port.ear = Deaf()
            port.close()
        self._since = self.loop.time()
        self.disconnected.set()

    def _tick(self) -> None:
        session, now = self.session, self.loop.time()
        if session.over:
            return
        self._timer = self.loop.call_later(session.settings.tick, self._tick)
        if self.port is not None:
            self._happened(session.tick(now))
        elif now - self._since > session.settings.linger:
            self._happened(session.lost())

    def _happened(self, happened: list[ev.Event]) -> None:
        for event in happened:
            match event:
                case ev.Came():
                    self._came(event)
                case ev.Dropped():
                    self.dropped(event.item)
                case ev.Writable() | ev.WasReset() | ev.Left() | ev.Ended():
                    self._of_channel(event)
                case ev.Opened():
                    incoming = self._incoming[event.channel] = Incoming(self, event)
                    self._opened.put_nowait(incoming)
                case ev.Connected():
                    self.name, self.about = event.name, event.about
                    self.connections += 1
                    self._connected.set()
                    self._admit()
                case ev.Roomy():
                    self.writable()
                    self._admit()
                case ev.Freed():
                    if self.on_freed is not None:
                        self.on_freed(event.segments)
                case ev.Draining():
                    self._admit()
                case ev.Broken():
                    self._gone()
                case ev.Over():
                    self._end(event.problem)
        self.flush()
        for descriptor in self.session.unclaimed():
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _came(self, event: ev.Came) -> None:
        incoming = self._incoming.get(event.channel)
        if incoming is not None:
            incoming.came(event)
        else:
            self.dropped(event)

    def dropped(self, item: ev.Came) -> None:
        """Nobody takes the item."""
        if self.on_dropped is not None:
            self.on_dropped(item)
        else:
            for descriptor in item.descriptors:
                os.close(descriptor)

    def _of_channel(self, event: ev.Writable | ev.WasReset | ev.Left | ev.Ended) -> None:
        outgoing, incoming = self._outgoing.get(event.channel), self._incoming.get(event.channel)
        match event:
            case ev.Writable() if outgoing is not None:
                outgoing.wake()
            case ev.WasReset() if incoming is not None:
                incoming.drop()
            case ev.WasReset() if outgoing is not None and outgoing.on_reset is not None:
                outgoing.on_reset(event.epoch)
            case ev.Left() if outgoing is not None:
                del self._outgoing[event.channel]
                outgoing.went(event.reason)
                self._admit()
            case ev.Ended() if incoming is not None:
                incoming.end(event)
                if not incoming.waits:
                    self.forget(incoming)
            case _:
                pass

    def _admit(self) -> None:
        opening, self._opening = self._opening, []
        for waiting in opening:
            if not waiting.done():
                waiting.set_result(None)

    def _end(self, problem: WireProblem | None) -> None:
        self.problem = problem
        self._timer.cancel()
        self.flush()
        self._gone()
        for outgoing in self._outgoing.values():
            outgoing.went("the session is over")
        for incoming in self._incoming.values():
            incoming.end(None)
        self._outgoing.clear()
        self._incoming.clear()
        self._opened.put_nowait(None)
        self._connected.set()
        self._closed.set()
        self._admit()
        for told in self.on_over:
            told()
