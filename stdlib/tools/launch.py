"""Starts a command under a keeper and talks to it through pipes, on whatever event loop asks.

The pipes are plain descriptors, waited for by `anyio.wait_readable`, so nothing here belongs to one event loop: a warm
worker can serve one run after another. Whatever becomes of a call, `stop` leaves no process behind.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio

from .limits import BASELINE, Limits

_KEEPER = str(Path(__file__).with_name("keeper.py"))
_FAREWELL = 5.0  # seconds; a keeper needs some milliseconds
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Launch:
    """A command to run: its words (never a shell's), its folder, the whole of its environment, what it may use, and
    the filter that closes the network to it, if any."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    limits: Limits
    filter: bytes | None = None

    def config(self) -> str:
        """For the keeper: one line of JSON."""
        return json.dumps(
            {
                "command": list(self.command),
                "folder": str(self.folder),
                "environment": dict(self.environment),
                "memory": self.limits.memory + BASELINE,
                "cpu": self.limits.cpu,
                "said_bytes": self.limits.said,
                "filter": self.filter.hex() if self.filter else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended: by itself with an exit code, by a signal, or because it was stopped. `failed` says why it
    could not be started."""

    code: int | None = None
    signal: int | None = None
    failed: str | None = None

    @property
    def words(self) -> str:
        if self.signal is not None:
            return f"was killed by signal {self.signal}"
        return f"ended with exit code {self.code}" if self.code is not None else "was stopped"


class Gone(Exception):
    """The other end of a pipe was closed: the command has ended, or closed its output."""


class Running:
    """A command that runs. One task at a time talks to it."""

    def __init__(self, launch: Launch) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        ours, theirs = socket.socketpair()
        self._link = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _KEEPER, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                pass_fds=(theirs.fileno(),),
                env={},
                bufsize=0,
                start_new_session=True,  # Ctrl-C at a terminal is ours to answer
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for descriptor in (self._in.fileno(), self._out.fileno(), ours.fileno()):
            os.set_blocking(descriptor, False)
        self._config = launch.config().encode() + b"\n"
        self._heard, self._room = 0, launch.limits.said
        self._begun = ""  # of a line that has not ended
        self._ending: Ending | None = None

    async def start(self) -> None:
        """Tell the keeper what to run."""
        await self._write(self._link.fileno(), self._config)

    async def write(self, data: bytes) -> None:
        """Into its standard input. Raises `Gone` when nobody reads there any more."""
        await self._write(self._in.fileno(), data)

    def end_input(self) -> None:
        self._in.close()

    async def _write(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                await anyio.wait_writable(descriptor)
            except (BrokenPipeError, ConnectionError):
                raise Gone from None

    async def some(self, most: int = _PIECE) -> bytes:
        """The next bytes of its standard output, as they come; empty at its end."""
        while True:
            try:
                return os.read(self._out.fileno(), most)
            except BlockingIOError:
                await anyio.wait_readable(self._out.fileno())

    async def exactly(self, count: int) -> bytes:
        """That many bytes of its standard output. Raises `Gone` when it ends before."""
        pieces: list[bytes] = []
        while count:
            piece = await self.some(min(count, _PIECE))
            if not piece:
                raise Gone
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def said(self) -> str:
        """What it has printed since this was asked last."""
        size = os.fstat(self._said.fileno()).st_size
        if size <= self._heard:
            return ""
        data = os.pread(self._said.fileno(), size - self._heard, self._heard)
        self._heard = size
        return data.decode("utf-8", "replace")

    def lines(self, last: bool = False) -> list[str]:
        """The whole lines of what it has printed since it was asked last; with `last`, an unfinished one too."""
        *whole, self._begun = (self._begun + self.said()).split("\n")
        if self._heard > self._room // 2:
            # Room again, so that a long-lived command can go on printing.
            self._said.truncate(0)
            self._heard = 0
        if last and self._begun:
            whole.append(self._begun)
            self._begun = ""
        return whole

    @property
    def ending(self) -> Ending | None:
        """How it ended, once that is known."""
        return self._ending

    async def ended(self) -> Ending:
        """Wait for its own end."""
        return await self._listen(None)

    async def stop(self) -> Ending:
        """End it with all its descendants, if it has not ended. Always completes, even under cancellation."""
        if self._ending is None:
            self._link.shutdown(socket.SHUT_WR)
        ending = Ending()
        with anyio.CancelScope(shield=True):
            ending = await self._listen(_FAREWELL)
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        for closing in (self._in, self._out, self._link):
            closing.close()
        return ending

    def let_go(self) -> None:
        """Close what is left to read: what it had printed."""
        self._said.close()

    async def _listen(self, patience: float | None) -> Ending:
        if self._ending is None:
            told = b""
            with anyio.move_on_after(patience):
                while True:
                    try:
                        piece = self._link.recv(4096)
                    except BlockingIOError:
                        await anyio.wait_readable(self._link)
                        continue
                    except ConnectionError:
                        break
                    if not piece:
                        break
                    told += piece
            facts = cast("dict[str, object]", json.loads(told)) if told else {}
            self._ending = Ending(
                cast("int | None", facts.get("exit")),
                cast("int | None", facts.get("signal")),
                cast("str | None", facts.get("failed")),
            )
        return self._ending
