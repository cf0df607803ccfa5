"""Time that jumps from one thing to happen to the next. What is due at the same time happens in the order in which it
was put down, so that a simulation is the same each time."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class VirtualClock:
    """Seconds from 0 on, and what is to happen when."""

    __slots__ = ("_due", "_numbers", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do it then; what would be in the past, now."""
        self._numbers += 1
        heapq.heappush(self._due, (when if when > self.now else self.now, self._numbers, action))

    def run(self) -> None:
        """Until nothing is left to happen."""
        due = self._due
        while due:
            self.now, _, action = heapq.heappop(due)
            action()
