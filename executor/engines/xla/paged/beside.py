"""Programs that are made beside the device's own thread: what is there serves meanwhile.

To compile a step for another number of rows takes seconds, once on a machine. In the device's thread all would wait for
it, those who read replies already among them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress


class Beside:
    """Makes one thing after the other, in a thread that is there while there is something to make."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._over: set[Hashable] = set()
        self._wanted: dict[Hashable, Callable[[], object]] = {}
        self._running = False

    def over(self, what: Hashable) -> bool:
        """Whether that was made, or failed to be: whoever makes it again hears why."""
        return what in self._over

    def want(self, what: Hashable, make: Callable[[], object]) -> None:
        """Have it made, if it is not being made already."""
        with self._lock:
            if what in self._over or what in self._wanted:
                return
            self._wanted[what] = make
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=self._name).start()

    def drop(self) -> None:
        """Nothing more is wanted. What is being made is made."""
        with self._lock:
            self._wanted.clear()

    def _run(self) -> None:
        main = threading.main_thread()
        while True:
            with self._lock:
                what = next(iter(self._wanted), None)
                if what is None or not main.is_alive():
                    self._running = False
                    return
                make = self._wanted[what]
            # What fails is made again by whoever needs it, and fails there.
            with suppress(Exception):
                make()
            with self._lock:
                self._over.add(what)
                self._wanted.pop(what, None)
