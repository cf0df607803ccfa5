"""A real terminal for tests: a program on a pseudo-terminal, what it shows as plain text, and keys to press."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<>=]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")


class Terminal:
    """`with Terminal([...]) as t: t.type("1 + 1\\r"); t.expect("2")`."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.shown = ""
        self._raw = b""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._ours = ours

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment, "TERM": "xterm", "NO_COLOR": "1"},
            preexec_fn=own_terminal,
        )
        os.close(theirs)

    def type(self, keys: str) -> None:
        """Press keys; `\\r` is Enter, `\\x03` Ctrl-C, `\\x04` Ctrl-D, `\\t` Tab, `\\x1b[A` the up arrow."""
        os.write(self._ours, keys.encode())

    def expect(self, text: str, seconds: float = 60.0) -> str:
        """Wait until `text` is shown; everything shown up to there, which later calls no longer see."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not shown; this was: {self.shown!r}")
        before, _, self.shown = self.shown.partition(text)
        return before

    @property
    def raw(self) -> bytes:
        """All that was written to it, escapes and all."""
        return self._raw

    def ends(self, seconds: float = 30.0) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        return self.process.wait(1.0)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        if b"\x1b[6n" in data:
            # Programs ask where the cursor is; a terminal answers.
            os.write(self._ours, b"\x1b[1;1R")
        self._raw += data
        self.shown += _ESCAPES.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10.0)
        os.close(self._ours)
