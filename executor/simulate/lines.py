"""Waiting in line for a slot of a pool: who came first is served first, by whichever slot is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .clock import VirtualClock

Lasts = Callable[[float, float], float]
"""When something is over that begins at a time and takes so many seconds by itself."""


class Ticket:
    """One execution in a pool. `busy` seconds of a slot; `begins` hears when it has one. `instance` is whose it is;
    `lasts` says when its seconds are over, where something slows it down."""

    __slots__ = ("begins", "busy", "instance", "lasts", "over", "started")

    def __init__(self, busy: float, begins: Callable[[], None], lasts: Lasts | None = None) -> None:
        self.busy = busy
        self.begins = begins
        self.lasts = lasts
        self.started: float | None = None
        self.instance: int | None = None
        self.over = False


@dataclass(slots=True)
class _Instance:
    """`open`: it takes who comes. One that is not open may still have some, which it finishes."""

    free: int
    open: bool = True
    inside: dict[Ticket, None] = field(default_factory=dict[Ticket, None])


class Slots:
    """A pool of `instances`, each of so many `slots`; where `slots` is 0 nobody waits, as at an endpoint."""

    def __init__(self, clock: VirtualClock, slots: int, instances: int = 1) -> None:
        self._clock = clock
        self.slots = slots
        self._instances = [_Instance(slots) for _ in range(instances)]
        self._free = deque[int]()
        """By free slot, the instance that it is of."""
        self._spread()
        self._line: deque[Ticket] = deque()
        self.busy_seconds = 0.0
        self.served = 0
        self.longest = 0
        """The most that waited at once."""

    def enter(self, busy: float, begins: Callable[[], None], lasts: Lasts | None = None) -> Ticket:
        ticket = Ticket(busy, begins, lasts)
        if self._free or not self.slots:
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
            self._end(ticket)

    @property
    def waiting(self) -> int:
        return sum(not ticket.over for ticket in self._line)

    @property
    def busy(self) -> int:
        """Slots that are in use."""
        return sum(len(each.inside) for each in self._instances)

    # --- instances that go and come ---

    def emptiest(self) -> int | None:
        """The instance with the most room that takes who comes; None where none does."""
        places = [number for number, each in enumerate(self._instances) if each.open]
        return max(places, key=lambda number: self._instances[number].free, default=None)

    def close(self, instance: int) -> None:
        """It takes nobody any more, and finishes what it has."""
        self._instances[instance].open = False
        self._spread()

    def lose(self, instance: int) -> None:
        """It is gone with all that it has, of which nothing more is heard."""
        each = self._instances[instance]
        for ticket in each.inside:
            ticket.over = True
            self.busy_seconds += self._clock.now - (ticket.started or 0.0)
        each.inside.clear()
        each.free = self.slots
        self.close(instance)

    def open(self, instance: int) -> None:
        """It takes who comes: one that was closed, or the next new one."""
        if instance == len(self._instances):
            self._instances.append(_Instance(self.slots, open=False))
        self._instances[instance].open = True
        self._spread()
        self._serve()

    def idle(self, instance: int) -> bool:
        """Whether it has nothing to finish."""
        return not self._instances[instance].inside

    # --- slots ---

    def _begin(self, ticket: Ticket) -> None:
        number = self._free.popleft() if self.slots else 0
        instance = self._instances[number]
        ticket.instance = number
        instance.free -= 1
        instance.inside[ticket] = None
        self.served += 1
        now = ticket.started = self._clock.now
        over = now + ticket.busy if ticket.lasts is None else ticket.lasts(now, ticket.busy)
        self._clock.at(over, lambda: self._done(ticket))
        ticket.begins()

    def _done(self, ticket: Ticket) -> None:
        if not ticket.over:
            ticket.over = True
            self._end(ticket)

    def _end(self, ticket: Ticket) -> None:
        self.busy_seconds += self._clock.now - (ticket.started or 0.0)
        number = ticket.instance or 0
        instance = self._instances[number]
        del instance.inside[ticket]
        instance.free += 1
        if instance.open and self.slots:
            self._free.append(number)
            self._serve()

    def _spread(self) -> None:
        """Free slots anew, one of each instance in turn."""
        rooms = [(number, each.free) for number, each in enumerate(self._instances) if each.open]
        most = max((room for _, room in rooms), default=0)
        self._free = deque(number for turn in range(most) for number, room in rooms if room > turn)

    def _serve(self) -> None:
        while self._line and self._free:
            ticket = self._line.popleft()
            if not ticket.over:
                self._begin(ticket)
