"""The worker as seen from here: a process, a socket, and who waits for which frame.

There is no task of its own behind it: of those who wait, one reads the socket and hands round what comes, and when it
has what it wanted the next one reads. So nothing runs while nobody waits, and nothing has to be shut down.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from .frames import BrokenFrame, Decoder, Frame, Outgoing, received

_FAREWELL = 2.0  # seconds
_SAID = 2000  # characters of what a dying process wrote


class Gone(Exception):
    """The process is over. The text says how it ended; `said` is the end of what it wrote to standard error."""

    def __init__(self, how: str, said: str) -> None:
        super().__init__(how)
        self.said = said


class Inbox:
    """What came for one sequence (or for the worker as a whole), and the event of who waits for it."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.closed = False
        """Nobody wants more: who waits gets None."""
        self._event: anyio.Event | None = None

    def wake(self) -> None:
        if self._event is not None:
            self._event.set()

    def waiting(self) -> anyio.Event:
        self._event = anyio.Event()
        return self._event

    @property
    def ready(self) -> bool:
        return bool(self.frames) or self.closed


class Worker:
    """A running worker. Made by `start_worker`; used in one event loop."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, errors: IO[bytes]) -> None:
        self._process = process
        self._connection = connection
        self._errors = errors
        self._decoder = Decoder()
        self._outgoing = Outgoing()
        self._inboxes: dict[int, Inbox] = {}
        self._waiters: dict[Inbox, None] = {}
        self._reading: Inbox | None = None
        self._reader: anyio.CancelScope | None = None
        self._listening: anyio.CancelScope | None = None
        self._gone: str | None = None
        self._last_words = ""
        """What it wrote to standard error in the end, kept where that is closed."""
        self._end = weakref.finalize(self, _end, process, connection, errors)

    @property
    def process(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._gone is None and self._process.poll() is None

    def inbox(self, number: int) -> Inbox:
        """Where frames for `number` are kept from now on."""
        return self._inboxes.setdefault(number, Inbox())

    def forget(self, number: int) -> None:
        """Frames for `number` are dropped from now on."""
        inbox = self._inboxes.pop(number, None)
        if inbox is not None:
            inbox.closed = True
            inbox.wake()
            if inbox is self._reading and self._reader is not None:
                self._reader.cancel()

    def send(self, words: Mapping[str, Any], data: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Never waits: what the socket does not take now goes when somebody waits for an answer. Open files that go
        along are closed here once they are sent."""
        self._outgoing.put(words, data, descriptors)
        if self._gone is None:
            self._flush()
            if self._outgoing and self._listening is not None:
                # Who reads has to write first: the worker may wait for the rest of this.
                self._listening.cancel()
        else:
            self._outgoing.clear()

    async def receive(self, inbox: Inbox) -> Frame | None:
        """The next frame, or None once the inbox is closed. Raises `Gone`."""
        if inbox.ready:
            await anyio.lowlevel.checkpoint()
        while not inbox.ready:
            if self._gone is not None:
                raise self._farewell()
            if self._reading is not None:
                self._waiters[inbox] = None
                try:
                    await inbox.waiting().wait()
                except BaseException:
                    # It may have been its turn to read, and now it leaves.
                    del self._waiters[inbox]
                    self._pass_on()
                    raise
                del self._waiters[inbox]
            else:
                await self._read(inbox)
        self._pass_on()
        return inbox.frames.popleft() if inbox.frames else None

    async def _read(self, inbox: Inbox) -> None:
        """Read for all, until something is there for `inbox`."""
        self._reading = inbox
        try:
            with anyio.CancelScope() as self._reader:
                while not inbox.ready and self._gone is None:
                    if self._outgoing:
                        await anyio.wait_writable(self._connection)
                        self._flush()
                    else:
                        with anyio.CancelScope() as self._listening:
                            await anyio.wait_readable(self._connection)
                        if not self._outgoing:
                            self._take()
        except OSError:
            self._over("")
        finally:
            self._reading = self._reader = self._listening = None
            self._pass_on()

    def _pass_on(self) -> None:
        """Of those who still wait, one reads on; where nothing more comes, all hear of it."""
        if self._reading is None:
            for waiter in self._waiters:
                if self._gone is not None or not waiter.ready:
                    waiter.wake()
                    if self._gone is None:
                        break

    def _take(self) -> None:
        try:
            frames = received(self._connection, self._decoder)
        except BlockingIOError:
            return
        if frames is None:
            self._over("")
            return
        try:
            for frame in frames:
                number = frame.words.get("sequence", -1)
                inbox = self._inboxes.get(number)
                if inbox is not None:
                    inbox.frames.append(frame)
                    inbox.wake()
                if frame.words.get("say") == "broken":
                    self._over(str(frame.words.get("why")))
        except BrokenFrame as error:
            self._over(f"it wrote what cannot be read: {error}")

    def _flush(self) -> None:
        try:
            self._outgoing.send(self._connection)
        except BlockingIOError:
            pass
        except OSError:
            self._over("")

    def _over(self, why: str) -> None:
        if self._gone is None:
            self._gone = why
            self._outgoing.clear()
            for inbox in self._inboxes.values():
                inbox.wake()
            if self._reader is not None:
                self._reader.cancel()

    def _farewell(self) -> Gone:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        return Gone(self._gone or _ending(self._process.poll()), self._last_words or self._said())

    def _said(self) -> str:
        try:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - _SAID))
            return self._errors.read().decode("utf-8", "replace").strip()
        except (OSError, ValueError):
            return ""

    async def close(self) -> None:
        """End the process, by force if it does not go at once. Who waits gets None."""
        for number in tuple(self._inboxes):
            self.forget(number)
        await self._ended("it was closed")

    async def bury(self) -> None:
        """Let go of a process that is over by itself. Who waits for it, or asks it later, hears that it is `Gone`."""
        await self._ended("")

    async def _ended(self, why: str) -> None:
        self._over(why)
        if not self._last_words:
            self._last_words = self._said()
        with anyio.CancelScope(shield=True):
            while self._reading is not None:
                await anyio.lowlevel.checkpoint()
            await anyio.to_thread.run_sync(self._end)


def start_worker(module: str, environment: Mapping[str, str] | None = None) -> Worker:
    """A fresh process of `python -m module SOCKET` with nothing loaded; `environment` is added to ours. Blocks for
    milliseconds; use the worker in the event loop."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(theirs.fileno())],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C in a terminal is for us; the worker ends with its socket
        )
    except BaseException:
        ours.close()
        errors.close()
        raise
    finally:
        theirs.close()
    return Worker(process, ours, errors)


def _end(process: subprocess.Popen[bytes], connection: socket.socket, errors: IO[bytes]) -> None:
    # The worker ends where its socket does; one that is stopped, or stuck in native code, is killed.
    connection.close()
    try:
        process.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    errors.close()


def _ending(code: int | None) -> str:
    if code is None:
        return "it let go of its socket"
    if code < 0:
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(-code).name}"
    return f"it ended with exit code {code}"
