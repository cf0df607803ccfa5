"""One heap of deadlines for the whole executor, pure. A clock per call would be one task and one scope each (6-12 us);
here a call costs one push, and a cancelled deadline is only marked and thrown away when it comes up.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Deadlines(Generic[Owner]):
    """Owners and the time (seconds, any clock) at which each is late. An owner has at most one deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._current: dict[Owner, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._current)

    def set(self, owner: Owner, when: float) -> None:
        """Set or move the deadline of `owner`."""
        self._count += 1
        self._current[owner] = self._count
        heapq.heappush(self._heap, (when, self._count, owner))

    def cancel(self, owner: Owner) -> None:
        """Does nothing if `owner` has none."""
        self._current.pop(owner, None)
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._current):
            self._heap = [entry for entry in self._heap if self._current.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def earliest(self) -> float | None:
        while self._heap and self._current.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Owner]:
        """Takes out and returns the owners whose time has come, earliest first."""
        late: list[Owner] = []
        while (when := self.earliest()) is not None and when <= now:
            owner = heapq.heappop(self._heap)[2]
            del self._current[owner]
            late.append(owner)
        return late
