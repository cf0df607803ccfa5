"""What executions give to the machine: items, as far as their readers have room, and ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..machine import events, orders
from .clock import VirtualClock
from .stages import Execution, Pieces


class Sending:
    """`tell` hears events. `together` are the stages whose stream may come in two pieces (`Program.together`)."""

    def __init__(self, clock: VirtualClock, tell: Callable[[events.Event], None], together: frozenset[str]) -> None:
        self.tell = tell
        self.stages: dict[int, Execution] = {}
        """Those that are not over, by their numbers."""
        self._clock, self._together = clock, together

    def send_all(self, execution: Execution, times: list[float], end: float) -> None:
        """Items that come at these times."""
        if execution.name in self._together:
            self.at(times[0], partial(self.send, execution, Pieces(times[:1])))
            if times[1:]:
                self.at(times[-1], partial(self.send, execution, Pieces(times[1:])))
        else:
            for time in times:
                self.at(time, partial(self.send, execution, Pieces([time])))
        self.at(max(end, times[-1]), partial(self.close, execution))

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Then, or at once where that is over."""
        if when <= self._clock.now:
            action()
        else:
            self._clock.at(when, action)

    def send(self, execution: Execution, pieces: Pieces) -> None:
        if execution.over or execution.closing:
            return
        if execution.first is None:
            execution.first = pieces.times[0]
        if execution.credits > 0 and not execution.backlog:
            execution.credits -= 1
            self.tell(events.StageItem(self._clock.now, execution.number, pieces))
        else:
            execution.backlog.append(pieces)

    def grant(self, order: orders.Grant) -> None:
        execution = self.stages.get(order.stage)
        if execution is None:
            return
        execution.credits += order.credits
        while execution.credits > 0 and execution.backlog:
            execution.credits -= 1
            self.tell(events.StageItem(self._clock.now, execution.number, execution.backlog.popleft()))
        if execution.closing and not execution.backlog:
            self.end(execution, None)

    def close(self, execution: Execution) -> None:
        """Nothing more comes; it is over when all has been taken."""
        if execution.over:
            return
        execution.closing = True
        execution.ended = self._clock.now
        if not execution.backlog:
            self.end(execution, None)

    def end(self, execution: Execution, value: object) -> None:
        if execution.over:
            return
        execution.over = True
        if execution.ended is None:
            execution.ended = self._clock.now
        self.stages.pop(execution.number, None)
        self.tell(events.StageEnded(self._clock.now, execution.number, value))
