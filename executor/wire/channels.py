"""The two ends of a channel, as a session keeps them: how much may be sent, and how much was taken."""

from __future__ import annotations

from .frames import Credit
from .problems import WireProblem


class Writing:
    """A channel of ours. Counts are since it was opened; the reader's grant only grows."""

    __slots__ = ("ended", "epoch", "granted_items", "granted_size", "sent_items", "sent_size", "starved")

    def __init__(self, items: int, size: int) -> None:
        self.epoch = 0
        self.granted_items = items
        self.granted_size = size
        self.sent_items = 0
        self.sent_size = 0
        self.ended = False
        self.starved = False
        """Somebody was told that there is no credit, and waits for it."""

    @property
    def may_send(self) -> bool:
        return self.sent_items < self.granted_items and self.sent_size < self.granted_size

    def grant(self, frame: Credit) -> bool:
        """Whether somebody who waits may send now."""
        self.granted_items = max(self.granted_items, frame.items)
        self.granted_size = max(self.granted_size, frame.size)
        if self.starved and self.may_send:
            self.starved = False
            return True
        return False


class Reading:
    """A channel of the other side's."""

    __slots__ = (
        "came_items",
        "came_size",
        "ended",
        "epoch",
        "granted_items",
        "granted_size",
        "left",
        "taken_items",
        "taken_size",
        "window_items",
        "window_size",
    )

    def __init__(self, items: int, size: int) -> None:
        self.epoch = 0
        self.window_items = self.granted_items = items
        self.window_size = self.granted_size = size
        self.came_items = self.came_size = 0
        self.taken_items = self.taken_size = 0
        self.left = False
        self.ended = False

    def came(self, size: int) -> None:
        """An item is here. Raises `WireProblem` for one that there was no credit for."""
        if self.came_items >= self.granted_items or self.came_size >= self.granted_size:
            raise WireProblem("beyond-credit", "the other side sent more than it was allowed")
        self.came_items += 1
        self.came_size += size

    def take(self, items: int, size: int) -> bool:
        """So much was used; whether it is time to say so: when half of what may wait was used."""
        self.taken_items += items
        self.taken_size += size
        if self.taken_items > self.came_items or self.taken_size > self.came_size:
            raise ValueError("more was consumed than came")
        if 2 * (self.taken_items + self.window_items - self.granted_items) < self.window_items and (
            2 * (self.taken_size + self.window_size - self.granted_size) < self.window_size
        ):
            return False
        return self.wants_credit

    @property
    def wants_credit(self) -> bool:
        if self.ended or self.left:
            return False
        items = self.taken_items + self.window_items - self.granted_items
        size = self.taken_size + self.window_size - self.granted_size
        return 2 * items >= self.window_items or 2 * size >= self.window_size

    def credit(self) -> tuple[int, int]:
        """What is granted from now on."""
        self.granted_items = self.taken_items + self.window_items
        self.granted_size = max(self.granted_size, self.taken_size + self.window_size)
        return self.granted_items, self.granted_size
