"""The machine's one timer, as a task: it sleeps until the earliest deadline, and is woken when that changes."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from .clock import Clock
from .machine import events, orders

_EARLY = 1e-6  # seconds by which an event loop may wake a timer too early


class Timer:
    """`tell` hears when the time has come."""

    def __init__(self, clock: Clock, tell: Callable[[events.Event], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._at: float | None = None
        self._scope: anyio.CancelScope | None = None

    def set(self, order: orders.SetTimer) -> None:
        self._at = order.at
        self._wake()

    def cancel(self, order: orders.CancelTimer) -> None:
        del order
        self._at = None
        self._wake()

    async def run(self) -> None:
        """Never ends."""
        while True:
            at, now = self._at, self._clock.now()
            if at is not None and now >= at - _EARLY:
                self._at = None
                self._tell(events.TimerFired(max(at, now)))
                continue
            with anyio.CancelScope() as self._scope:
                if at is None:
                    await anyio.sleep_forever()
                else:
                    await self._clock.sleep_until(at)

    def _wake(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
