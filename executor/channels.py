"""Bounded channels with credits: how a stream flows from its one producer to each of its uses. Pure.

The producer may have made `allowed()` items in all: what its slowest reader has taken, plus the bound. It is told when
that number rises (`Producer.more`), so back-pressure is a number that travels upstream and nobody blocks in here.

A use of a stream is first a *hold* (the operation that will read has not fired yet), then a *reader*. Holds count: a
producer that runs ahead of a use that is still to come waits at the bound, and no use misses an item. When the last
hold and the last reader are gone, the producer is told that it is `unwanted`.

Some uses are *kept*: a use that can start only after (part of) the stream has ended, or one that happens again for each
item of a `for`. Counting those would be a deadlock: the producer would wait for a reader that waits for the producer.
The channel keeps the items for them instead, as the value that they wait for does; they hold nobody back, and what is
delivered to them and not yet taken is still bounded.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Producer(Protocol):
    """What fills a channel."""

    def more(self) -> None:
        """`allowed()` may have risen."""
        ...

    def unwanted(self) -> None:
        """Nobody will read any more."""
        ...


class Sink(Protocol):
    """What stands behind a reader."""

    def notify(self) -> None:
        """The reader is `ready` or `finished`. Called again for every item; may do nothing."""
        ...


class Reader:
    """One use of a stream. `position` is the next item to hand out, `taken` counts what the user has really taken."""

    __slots__ = ("channel", "closed", "kept", "position", "sink", "taken")

    def __init__(self, channel: Channel, sink: Sink, kept: bool) -> None:
        self.channel = channel
        self.sink = sink
        self.kept = kept
        self.position = 0
        self.taken = 0
        self.closed = False

    @property
    def ready(self) -> bool:
        return self.position < self.channel.made and not self.closed

    @property
    def finished(self) -> bool:
        return self.channel.ended and self.position == self.channel.made

    def hand_out(self) -> object:
        """The next item; it counts as taken only after `confirm`. That may let a producer go on at once, which
        notifies this reader again: whoever confirms has dealt with the item."""
        item = self.channel.item(self.position)
        self.position += 1
        self.channel.trim()
        return item

    def confirm(self, count: int = 1) -> None:
        self.taken += count
        self.channel.freed()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.channel.drop(self)


class Channel:
    """One stream while it runs. `stage` names who makes the items, for frames and blame."""

    __slots__ = (
        *("base", "bound", "ended", "holds", "items", "kept_holds", "made", "producer", "readers", "stage"),
        "abandoned",
    )

    def __init__(self, bound: int, stage: str) -> None:
        if bound < 1:
            raise ValueError("a channel needs room for one item")
        self.bound = bound
        self.stage = stage
        self.items: deque[object] = deque()
        self.base = 0  # the number of the first item that is still in `items`
        self.made = 0
        self.ended = False
        self.abandoned = False
        self.holds = 0
        self.kept_holds = 0
        self.readers: list[Reader] = []
        self.producer: Producer | None = None

    # --- the producer's side ---

    def allowed(self) -> int:
        """How many items may have been made in all."""
        if self.holds:
            return self.bound
        lowest = self.made
        for reader in self.readers:
            if not reader.kept and reader.taken < lowest:
                lowest = reader.taken
        return lowest + self.bound

    def room(self) -> int:
        return self.allowed() - self.made

    def push(self, item: object) -> None:
        """Add an item. The caller has made sure that there is room."""
        if self.ended or self.abandoned:
            return
        self.made += 1
        self.items.append(item)
        readers = self.readers
        if len(readers) == 1:
            readers[0].sink.notify()
        else:
            for reader in tuple(readers):
                reader.sink.notify()
        if not self.holds and all(reader.kept for reader in readers) and self.producer is not None:
            self.producer.more()

    def end(self) -> None:
        if not self.ended and not self.abandoned:
            self.ended = True
            for reader in tuple(self.readers):
                reader.sink.notify()

    # --- the users' side ---

    @property
    def wanted(self) -> bool:
        """Whether anybody reads it, or will."""
        return bool(self.readers or self.holds or self.kept_holds)

    def hold(self, kept: bool) -> None:
        if kept:
            self.kept_holds += 1
        else:
            self.holds += 1

    def release(self, kept: bool) -> None:
        """A hold that will never become a reader."""
        if kept:
            self.kept_holds -= 1
        else:
            self.holds -= 1
        self._fewer()

    def open(self, sink: Sink, kept: bool) -> Reader:
        """Turn a hold into a reader; the caller then calls `sink.notify()`."""
        reader = Reader(self, sink, kept)
        self.readers.append(reader)
        if kept:
            self.kept_holds -= 1
        else:
            self.holds -= 1
        return reader

    def drop(self, reader: Reader) -> None:
        self.readers.remove(reader)
        self._fewer()

    def item(self, number: int) -> object:
        return self.items[number - self.base]

    def trim(self) -> None:
        """Forget what every use has got. While a use is still to come, nothing is forgotten."""
        if self.holds or self.kept_holds:
            return
        lowest = self.made
        for reader in self.readers:
            if reader.position < lowest:
                lowest = reader.position
        while self.base < lowest:
            self.items.popleft()
            self.base += 1

    def freed(self) -> None:
        if self.producer is not None and not self.ended:
            self.producer.more()

    def _fewer(self) -> None:
        if self.wanted:
            self.trim()
            self.freed()
        elif not self.abandoned:
            self.abandoned = True
            self.items.clear()
            self.base = self.made
            if self.producer is not None and not self.ended:
                self.producer.unwanted()
