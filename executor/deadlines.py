"""One heap of deadlines for the whole executor, pure. A clock per call would be one task and one scope each (6-12 us);
here a call costs one push, and a cancelled deadline is only marked and thrown away when it comes up.

Most deadlines come in order: every call has the same timeout. Those that are no earlier than the last of them go into a
queue beside the heap, where a push costs next to nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Deadlines(Generic[Owner]):
    """Owners and the time (seconds, any clock) at which each is late. An owner has at most one deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._queue: deque[tuple[float, int, Owner]] = deque()
        self._current: dict[Owner, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._current)

    def set(self, owner: Owner, when: float) -> None:
        """Set or move the deadline of `owner`."""
        self._count = count = self._count + 1
        self._current[owner] = count
        queue = self._queue
        if not queue or when >= queue[-1][0]:
            queue.append((when, count, owner))
        else:
            heapq.heappush(self._heap, (when, count, owner))

    def cancel(self, owner: Owner) -> None:
        """Does nothing if `owner` has none."""
        current = self._current
        if current.pop(owner, None) is None:
            return
        waiting = len(self._heap) + len(self._queue)
        if waiting > 64 and waiting > 2 * len(current):
            self._heap = [entry for entry in self._heap if current.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
            self._queue = deque(entry for entry in self._queue if current.get(entry[2]) == entry[1])

    def earliest(self) -> float | None:
        heap, queue, current = self._heap, self._queue, self._current
        while heap and current.get(heap[0][2]) != heap[0][1]:
            heapq.heappop(heap)
        while queue and current.get(queue[0][2]) != queue[0][1]:
            queue.popleft()
        if not heap or (queue and queue[0][:2] < heap[0][:2]):
            return queue[0][0] if queue else None
        return heap[0][0]

    def due(self, now: float) -> list[Owner]:
        """Takes out and returns the owners whose time has come, earliest first; of equals, first the one set first."""
        late: list[Owner] = []
        while (when := self.earliest()) is not None and when <= now:
            from_queue = not self._heap or (self._queue and self._queue[0][:2] < self._heap[0][:2])
            owner = (self._queue.popleft() if from_queue else heapq.heappop(self._heap))[2]
            del self._current[owner]
            late.append(owner)
        return late
