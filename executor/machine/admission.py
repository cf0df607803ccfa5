"""Whether a run may begin where its promises are enforced: not if it would be late for what waits in line already.

What runs share are the lines of the plan's pools. Runs get their slots in the order in which they were admitted, and
keep them as long as the plan predicts; one that is over lets go of all of them. A run that is late is counted as if it
lasted as long again as it is late. So this knows nothing of what a run is doing just now, and needs nothing of it: it
is an estimate of the line's length, and right where the plan is.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ..promises import FINISH, Line, Promise, Promises


@dataclass(frozen=True, slots=True)
class Refused:
    """The `promise` that a run would not keep, within its `limit`: it would take `predicted` seconds, `waits` of them
    in line behind what `runs` runs still have to do. One that waits for nobody is never refused."""

    promise: Promise
    limit: float
    predicted: float
    waits: float
    runs: int


class Admission:
    """The runs of one pipeline that are going on. Times on the machine's clock."""

    def __init__(self, promises: Promises) -> None:
        self._promises = promises
        self._begins: dict[str, dict[int, float]] = {line.name: {} for line in promises.lines}
        """By line and run, when it gets its slot."""
        self._open: set[int] = set()

    def refused(self, now: float, timeout: float | None) -> Refused | None:
        """Why a run may not begin now; `timeout` is its own, in seconds."""
        waits = {line.name: self._wait(line, now) for line in self._promises.lines}
        for promise in self._promises.promises:
            if promise.soft or promise.alone is None:
                continue
            mine = [line.name for line in self._promises.lines if not line.stages.isdisjoint(promise.slices)]
            wait = sum(waits[name] for name in mine)
            limit = promise.limit
            if timeout is not None and promise.moment == FINISH:
                limit = min(limit, timeout)
            # Whether it keeps its promise alone the plan has told; a fallback may, where the plan's way does not.
            if wait > 0.0 and promise.alone + wait > limit:
                return Refused(promise, limit, promise.alone + wait, wait, len(self._open))
        return None

    def begin(self, run: int, now: float) -> None:
        self._open.add(run)
        for line in self._promises.lines:
            self._begins[line.name][run] = now + self._wait(line, now)

    def over(self, run: int) -> None:
        """Does nothing for one that is not known."""
        self._open.discard(run)
        for begins in self._begins.values():
            begins.pop(run, None)

    def _wait(self, line: Line, now: float) -> float:
        """Seconds until a slot is free for one more run."""
        begins = self._begins[line.name]
        free = [now] * line.slots
        for run, begin in begins.items():
            at = heapq.heappop(free)
            if begin > now or at > now:
                begins[run] = begin = at
            left = begin + line.seconds - now
            # One that should be over: as long again as it is late.
            heapq.heappush(free, now + abs(left) if begin <= now else begin + line.seconds)
        return free[0] - now
