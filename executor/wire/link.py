"""A session as tasks of an event loop meet it: channels to write and to read, whatever becomes of the connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from . import events as ev
from .ends import Incoming, Outgoing
from .ports import Deaf, Port
from .problems import WireProblem
from .session import Session


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
        self,
        name: str,
        *,
        items: int = 0,
        about: bytes = b"",
        deadline: float | None = None,
        trace: bytes | None = None,
    ) -> Outgoing:
        """A channel to write on, once the other side takes one more. `items` has fewer be under way, or wait
        there, than its settings say. WireProblem `draining`, or what ended the session."""
        while True:
            if self.over:
                raise self.why()
            if self.session.draining or self.session.may_open:
                break
            waiting = self.loop.create_future()
            self._opening.append(waiting)
            await waiting
        channel = self.session.open(name, items=items, about=about, deadline=deadline, trace=trace)
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
            if isinstance(event, ev.Came):  # most of them are
                self._came(event)
                continue
            match event:
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
                pass  # of a channel that nobody here knows any more

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
