"""The thread that a device is driven from, and how it speaks with event loops.

Everything that belongs to the device is touched there alone, so it needs no locks: others send it commands, and it has
functions run in the event loop of whoever waits. The thread is there while there is work, and for a second after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

_POLL = 0.05
"""Seconds after which a thread without work looks whether the program ends."""
_IDLE = 20
"""Polls after which it ends itself."""

Soon = Callable[[Callable[[], None]], None]


def event_loop() -> Soon:
    """What runs a function in the event loop of the caller, soon, and may be called from any thread."""
    native: Any = anyio.lowlevel.current_token().native_token
    run: Callable[[Callable[[], None]], object] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon

    def soon(function: Callable[[], None]) -> None:
        # Where the loop is closed, nobody waits any more. (Trio's error is one of these too.)
        with suppress(RuntimeError):
            run(function)

    return soon


class DeviceThread:
    """Runs commands, and between them `work`, which does one step and says whether there was any."""

    def __init__(self, name: str, work: Callable[[], bool], failed: Callable[[Exception], None]) -> None:
        """`failed` is told what a command raises; `work` raises nothing."""
        self._name = name
        self._work = work
        self._failed = failed
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self, command: Callable[[], None]) -> None:
        """Have a command run before the next step. Commands run in the order in which they come."""
        with self._lock:
            self._commands.put(command)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name)
                self._thread.start()

    async def answer(self, question: Callable[[], T]) -> T:
        """What a function returns, or raises, when it is run as a command. A cancelled caller does not wait for it."""
        answer = _Answer[T](event_loop())
        self.soon(lambda: answer.find(question))
        await answer.there.wait()
        return answer.get()

    def _run(self) -> None:
        main = threading.main_thread()
        idle = 0
        while main.is_alive():
            if not self._commands.empty():
                self._command(self._commands.get())
                idle = 0
            elif self._work():
                idle = 0
            elif idle > _IDLE and self._ended():
                return
            else:
                try:
                    command = self._commands.get(timeout=_POLL)
                except Empty:
                    idle += 1
                else:
                    self._command(command)
                    idle = 0

    def _command(self, command: Callable[[], None]) -> None:
        try:
            command()
        except Exception as error:
            self._failed(error)

    def _ended(self) -> bool:
        """Whether nothing came by the last moment; another thread is begun for what comes next."""
        with self._lock:
            if not self._commands.empty():
                return False
            self._thread = None
            return True


class _Answer(Generic[T]):
    def __init__(self, soon: Soon) -> None:
        self.there = anyio.Event()
        self._soon = soon
        self._value: list[T] = []
        self._error: BaseException | None = None

    def find(self, question: Callable[[], T]) -> None:
        try:
            self._value.append(question())
        except Exception as error:
            self._error = error
        self._soon(self.there.set)

    def get(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]
