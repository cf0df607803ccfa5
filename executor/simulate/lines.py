"""Waiting in line for a slot of a pool: who came first is served first, by whichever slot is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .clock import VirtualClock


class Ticket:
    """One execution in a pool. `busy` seconds of a slot; `begins` hears when it has one."""

    __slots__ = ("begins", "busy", "over", "started")

    def __init__(self, busy: float, begins: Callable[[], None]) -> None:
        self.busy = busy
        self.begins = begins
        self.started: float | None = None
        self.over = False


class Slots:
    """A pool of `slots` in all; none where `slots` is 0: then nobody waits, as at an endpoint."""

    def __init__(self, clock: VirtualClock, slots: int) -> None:
        self._clock = clock
        self._free = slots
        self.slots = slots
        self._line: deque[Ticket] = deque()
        self.busy_seconds = 0.0
        self.served = 0
        self.longest = 0
        """The most that waited at once."""

    def enter(self, busy: float, begins: Callable[[], None]) -> Ticket:
        ticket = Ticket(busy, begins)
        if self._free > 0 or not self.slots:
            self._begin(ticket)
        else:
            self._line.append(ticket)
            self.longest = max(self.longest, len(self._line))
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """It is not wanted any more: out of the line, or of its slot."""
        if ticket.over:
            return
        ticket.over = True
        if ticket.started is not None:
            self.busy_seconds += self._clock.now - ticket.started
            self._next()

    def _begin(self, ticket: Ticket) -> None:
        self._free -= 1
        self.served += 1
        now = ticket.started = self._clock.now
        self._clock.at(now + ticket.busy, lambda: self._done(ticket))
        ticket.begins()

    def _done(self, ticket: Ticket) -> None:
        if not ticket.over:
            ticket.over = True
            self.busy_seconds += ticket.busy
            self._next()

    def _next(self) -> None:
        self._free += 1
        while self._line and self._free > 0:
            ticket = self._line.popleft()
            if not ticket.over:
                self._begin(ticket)
