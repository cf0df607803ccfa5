"""The two kinds of transport below a link, behind one face: bytes and open files in and out, and whether the other side
keeps up.

On a Unix socket this reads and writes itself, for asyncio's own transports pass no open files; on uvloop that costs no
more than its streams do (measured: 11.6 us for a round trip of 64 B against 10.5). On TCP it is asyncio's transport
with TLS in it.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from .core import Chunk
from .framing import MOST_DESCRIPTORS, Buffer

HIGH = 1 << 20
"""Bytes that wait to be written, after which no more items are taken."""
_LEAST, _MOST = 1 << 14, 1 << 18
"""Bytes read at once. Little is asked for until much comes: memory for much would be had from the system each time."""
# Open files that come are not for programs that are started from here.
_FLAGS: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_MOST_PARTS = 64


class Ear(Protocol):
    """Who is told what happens at a port."""

    def heard(self, data: bytes, descriptors: tuple[int, ...]) -> None: ...

    def cut(self) -> None:
        """The other end is gone. Called once, and never after `close`."""
        ...

    def writable(self) -> None:
        """Less waits than `HIGH` again."""
        ...


class Port(Protocol):
    passes_descriptors: bool
    ear: Ear

    @property
    def congested(self) -> bool: ...

    def write(self, chunks: list[Chunk]) -> None: ...

    def close(self) -> None: ...


class Deaf:
    """Hears nothing: whose port is closed."""

    def heard(self, data: bytes, descriptors: tuple[int, ...]) -> None: ...

    def cut(self) -> None: ...

    def writable(self) -> None: ...


class UnixPort:
    """A connected Unix socket, which this takes over."""

    passes_descriptors: bool = True

    def __init__(self, connection: socket.socket, ear: Ear) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._number = connection.fileno()
        self.ear = ear
        self._waiting: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._size = 0
        self._told = False
        self._open = True
        self._piece = _LEAST
        self._ancillary = socket.CMSG_SPACE(8 * 4 * MOST_DESCRIPTORS)
        connection.setblocking(False)
        self._receive: Callable[..., tuple[bytes, list[tuple[int, int, bytes]], int, object]] = connection.recvmsg
        self._loop.add_reader(self._number, self._read)

    @property
    def congested(self) -> bool:
        if self._size > HIGH:
            self._told = True
            return True
        return False

    def write(self, chunks: list[Chunk]) -> None:
        if not self._open or not chunks:
            return
        if not self._waiting and len(chunks) == 1:
            buffers, descriptors = chunks[0]
            if len(buffers) == 1 and not descriptors:
                # Most often: one small frame, and room for it.
                data = buffers[0]
                try:
                    sent = self._connection.send(data)
                except (BlockingIOError, InterruptedError):
                    sent = 0
                except OSError:
                    self._cut()
                    return
                if sent == len(data):
                    return
                self._queue(memoryview(data)[sent:], ())
                self._loop.add_writer(self._number, self._write)
                return
        idle = not self._waiting
        for buffers, descriptors in chunks:
            for buffer in buffers:
                self._queue(memoryview(buffer).cast("B"), descriptors)
                descriptors = ()
        if idle and self._waiting:
            self._write()
            if self._open and self._waiting:
                self._loop.add_writer(self._number, self._write)

    def _queue(self, view: memoryview, descriptors: tuple[int, ...]) -> None:
        self._waiting.append((view, descriptors))
        self._size += len(view)

    def _write(self) -> None:
        waiting = self._waiting
        try:
            while waiting:
                views: list[memoryview] = []
                descriptors = waiting[0][1]
                for view, others in waiting:
                    # Open files go with the first byte of what they belong to.
                    if (views and others) or len(views) == _MOST_PARTS:
                        break
                    views.append(view)
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
                sent = self._connection.sendmsg(views, rights)
                self._size -= sent
                while sent:
                    view, _ = waiting.popleft()
                    if sent < len(view):
                        waiting.appendleft((view[sent:], ()))
                        break
                    sent -= len(view)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._cut()
            return
        if not waiting:
            self._loop.remove_writer(self._number)
        if self._told and self._size <= HIGH // 2:
            self._told = False
            self.ear.writable()

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._receive(self._piece, self._ancillary, _FLAGS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._cut()
            return
        if len(data) == self._piece:
            self._piece = _MOST
        elif len(data) < _LEAST:
            self._piece = _LEAST
        if data and not ancillary:
            self.ear.heard(data, ())
            return
        descriptors: tuple[int, ...] = ()
        for level, kind, given in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(given[: len(given) - len(given) % numbers.itemsize])
                descriptors += tuple(numbers)
        if not data:
            for descriptor in descriptors:
                os.close(descriptor)
            self._cut()
            return
        self.ear.heard(data, descriptors)

    def _cut(self) -> None:
        if self._open:
            self.close()
            self.ear.cut()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._number)
            self._loop.remove_writer(self._number)
            # What is still to be said is said if it can be said at once: a goodbye.
            with contextlib.suppress(OSError):
                while self._waiting:
                    view, descriptors = self._waiting.popleft()
                    if descriptors or self._connection.send(view) < len(view):
                        break
            self._waiting.clear()
            self._size = 0
            self._connection.close()


class TlsPort(asyncio.Protocol):
    """A connection with TLS in it, made by `loop.create_connection` or a server; `made` is called when it is there."""

    passes_descriptors: bool = False

    def __init__(self, made: Callable[[TlsPort], None]) -> None:
        self._made = made
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._told = False
        self.ear: Ear = Deaf()

    @property
    def certificate(self) -> dict[str, object]:
        """Of the other side, as `ssl.SSLSocket.getpeercert` gives it."""
        return (self._transport.get_extra_info("peercert") if self._transport is not None else None) or {}

    @property
    def congested(self) -> bool:
        self._told = self._told or self._paused
        return self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, and not its class.
        self._transport = made = cast("asyncio.Transport", transport)
        made.set_write_buffer_limits(HIGH)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        self.ear.heard(data, ())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        ear, self.ear = self.ear, Deaf()
        ear.cut()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._told:
            self._told = False
            self.ear.writable()

    def write(self, chunks: list[Chunk]) -> None:
        if self._transport is not None:
            buffers: list[Buffer] = [buffer for parts, _ in chunks for buffer in parts]
            self._transport.write(buffers[0]) if len(buffers) == 1 else self._transport.writelines(buffers)

    def close(self) -> None:
        self.ear = Deaf()
        if self._transport is not None:
            self._transport.close()
