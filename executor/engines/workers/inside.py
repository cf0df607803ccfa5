"""The worker's end of its socket: it says what it has to say, and hears what it is asked in a thread of its own.

Where the socket ends, whoever started this process is gone, and so is this process at once, whatever it is computing.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from .frames import Decoder, Frame, encode, received


class Connection:
    """To whoever started this process. `say` may be called in any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = Lock()

    def say(self, words: Mapping[str, Any], data: bytes = b"") -> None:
        with self._lock:
            self._connection.sendall(encode(words, data))

    def listen(self, take: Callable[[Frame], None]) -> None:
        """Call `take` with every frame, in another thread, until the socket ends; then end the process."""
        Thread(target=self._read, args=(take,), daemon=True).start()

    def _read(self, take: Callable[[Frame], None]) -> None:
        decoder = Decoder()
        try:
            while (frames := received(self._connection, decoder)) is not None:
                for frame in frames:
                    take(frame)
        finally:
            os._exit(0)


def called(name: str) -> None:
    """Show in lists of processes what this one does, in up to 15 letters, where the system has a place for that."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name[:15], "utf-8")


def connected() -> Connection:
    """The socket that this process was started with (`process.start_worker`)."""
    return Connection(socket.socket(fileno=int(sys.argv[1])))
