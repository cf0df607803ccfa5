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

A channel may drop its oldest items instead (`drops`): then nobody holds the producer back, and a use that is slower
misses items. And an item may carry an `Epoch`: what was made in a region that a newer input has interrupted is dropped
wherever it waits, and wherever it would go on to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
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

    def withdraw(self, places: tuple[int, ...]) -> None:
        """Forget what was handed out and not confirmed, at these places of it. Only a sink that confirms later than it
        is handed an item is ever asked."""
        ...


class Epoch:
    """One execution of an interruptible region, as the items carry it that come of it. An epoch may come of others (a
    region inside a region, an item made of an item): it is stale as soon as one of them is."""

    __slots__ = ("_channels", "_children", "stale")

    def __init__(self, *parents: Epoch) -> None:
        self.stale = any(parent.stale for parent in parents)
        self._channels: dict[Channel, None] = {}
        self._children: list[Epoch] = []
        for parent in parents:
            parent._children.append(self)

    def lies_in(self, channel: Channel) -> None:
        self._channels[channel] = None

    @property
    def waits(self) -> bool:
        """Whether anything of it lies anywhere and was not taken."""
        return any(channel.holds_of(self) for channel in self._channels)

    def interrupt(self) -> None:
        """Make it stale, and drop its items everywhere."""
        channels: dict[Channel, None] = {}
        self._mark(channels)
        for channel in channels:
            channel.drop_stale()

    def _mark(self, channels: dict[Channel, None]) -> None:
        if not self.stale:
            self.stale = True
            channels.update(self._channels)
            self._channels.clear()
            for child in self._children:
                child._mark(channels)


class _Tagged:
    """An item with its epoch, as it waits in a channel."""

    __slots__ = ("epoch", "item")

    def __init__(self, item: object, epoch: Epoch) -> None:
        self.item = item
        self.epoch = epoch


class Reader:
    """One use of a stream. `position` is the next item to hand out, `taken` counts what the user has really taken;
    `epoch` is that of the item handed out last. `given` are the epochs of what was handed out and not taken, from the
    first that had one on."""

    __slots__ = ("channel", "closed", "epoch", "given", "kept", "position", "sink", "taken")

    def __init__(self, channel: Channel, sink: Sink, kept: bool) -> None:
        self.channel = channel
        self.sink = sink
        self.kept = kept
        self.position = 0
        self.taken = 0
        self.closed = False
        self.epoch: Epoch | None = None
        self.given: deque[Epoch | None] | None = None

    @property
    def ready(self) -> bool:
        return self.position < self.channel.made and not self.closed

    @property
    def finished(self) -> bool:
        return self.channel.ended and self.position == self.channel.made

    def lying(self) -> list[object]:
        """What it has still to hand out, for who looks on."""
        items = islice(self.channel.items, max(0, self.position - self.channel.base), None)
        return [item.item if isinstance(item, _Tagged) else item for item in items]

    def hand_out(self) -> object:
        """The next item; it counts as taken only after `confirm`. That may let a producer go on at once, which
        notifies this reader again: whoever confirms has dealt with the item."""
        channel = self.channel
        item = channel.items[self.position - channel.base]
        self.position += 1
        if channel.tagged:
            item = self._untagged(item)
        channel.trim()
        return item

    @property
    def behind(self) -> int:
        """How many items it could hand out."""
        return 0 if self.closed else self.channel.made - self.position

    def hand_out_several(self, most: int) -> tuple[object, ...]:
        """The next items, at most so many; as `hand_out`."""
        channel = self.channel
        if channel.tagged:
            return (self.hand_out(),)
        start = self.position - channel.base
        stop = min(start + most, len(channel.items))
        if start == 0 and stop == len(channel.items):
            items = tuple(channel.items)
        else:
            items = tuple(islice(channel.items, start, stop))
        self.position += len(items)
        channel.trim()
        return items

    def confirm(self, count: int = 1) -> None:
        self.taken += count
        if self.given is not None:
            for _ in range(count):
                self.epoch = self.given.popleft()
        self.channel.freed()

    def skip(self, count: int) -> None:
        """Pass over items that were not handed out."""
        self.position += count
        self.taken += count

    def withdraw(self, places: tuple[int, ...]) -> None:
        """What was handed out and not taken, at these places of it, counts as taken; the sink takes it back."""
        if self.given is not None:
            self.given = deque(epoch for place, epoch in enumerate(self.given) if place not in places)
        self.taken += len(places)
        self.sink.withdraw(places)

    def _untagged(self, item: object) -> object:
        epoch: Epoch | None = None
        if isinstance(item, _Tagged):
            item, epoch = item.item, item.epoch
        if self.given is None:
            self.given = deque([None] * (self.position - 1 - self.taken))
        self.given.append(epoch)
        self.epoch = epoch
        return item

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.channel.drop(self)


class Channel:
    """One stream while it runs. `stage` names who makes the items, for frames and blame."""

    __slots__ = (
        *("base", "bound", "ended", "holds", "items", "kept_holds", "made", "producer", "readers", "stage"),
        *("abandoned", "drops", "tagged"),
    )

    def __init__(self, bound: int, stage: str, drops: bool = False) -> None:
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
        self.drops = drops
        self.tagged = False  # whether an item with an epoch was ever in it

    # --- the producer's side ---

    def allowed(self) -> int:
        """How many items may have been made in all."""
        if self.drops:
            return self.made + self.bound
        if self.holds:
            return self.base + self.bound
        lowest = self.made
        for reader in self.readers:
            if not reader.kept and reader.taken < lowest:
                lowest = reader.taken
        return lowest + self.bound

    def room(self) -> int:
        return self.allowed() - self.made

    def push(self, item: object, epoch: Epoch | None = None) -> None:
        """Add an item. The caller has made sure that there is room, and that the epoch is not stale."""
        if self.ended or self.abandoned:
            return
        self.made += 1
        if epoch is None:
            self.items.append(item)
        else:
            self.tagged = True
            epoch.lies_in(self)
            self.items.append(_Tagged(item, epoch))
        if self.drops:
            self._drop_oldest()
        readers = self.readers
        if len(readers) == 1:
            readers[0].sink.notify()
        else:
            for reader in tuple(readers):
                reader.sink.notify()
        if not self.holds and self.producer is not None and (self.drops or all(reader.kept for reader in readers)):
            self.producer.more()

    def push_several(self, items: Sequence[object]) -> None:
        """As `push` of each, without epochs. No channel that drops its oldest takes several."""
        if self.ended or self.abandoned:
            return
        self.made += len(items)
        self.items.extend(items)
        for reader in tuple(self.readers):
            reader.sink.notify()
        if not self.holds and self.producer is not None and all(reader.kept for reader in self.readers):
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
        reader.position = reader.taken = self.base
        self.readers.append(reader)
        if kept:
            self.kept_holds -= 1
        else:
            self.holds -= 1
        return reader

    def drop(self, reader: Reader) -> None:
        self.readers.remove(reader)
        self._fewer()

    def holds_of(self, epoch: Epoch) -> bool:
        """Whether an item of that epoch waits for a use, or lies at one and was not taken."""
        for reader in self.readers:
            if any(given is epoch for given in reader.given or ()):
                return True
        if not self.readers and not (self.holds or self.kept_holds):
            return False
        lowest = min((reader.position for reader in self.readers), default=self.base) - self.base
        return any(
            isinstance(item, _Tagged) and item.epoch is epoch for item in islice(self.items, max(lowest, 0), None)
        )

    def drop_stale(self) -> None:
        """Take out the items whose epoch has become stale, those too that were handed out and not taken."""
        for reader in tuple(self.readers):
            places = tuple(at for at, epoch in enumerate(reader.given or ()) if epoch is not None and epoch.stale)
            if places:
                reader.withdraw(places)
        stale = [isinstance(item, _Tagged) and item.epoch.stale for item in self.items]
        for reader in self.readers:
            # Positions are kept as seen from the end, so that `made` and the credits given for it stay as they are.
            reader.skip(sum(stale[reader.position - self.base :]))
        self.items = deque(item for item, gone in zip(self.items, stale, strict=True) if not gone)
        self.base += sum(stale)
        for reader in tuple(self.readers):
            reader.sink.notify()
        self.freed()

    def trim(self) -> None:
        """Forget what every use has got. While a use is still to come, nothing is forgotten."""
        if self.holds or self.kept_holds:
            return
        lowest = self.made
        for reader in self.readers:
            if reader.position < lowest:
                lowest = reader.position
        if lowest == self.made:
            self.items.clear()
            self.base = lowest
        while self.base < lowest:
            self.items.popleft()
            self.base += 1

    def _drop_oldest(self) -> None:
        for reader in self.readers:
            excess = self.made - reader.taken - self.bound
            if excess > 0:
                out = min(excess, reader.position - reader.taken)
                if out:
                    reader.withdraw(tuple(range(out)))
                if excess > out:
                    reader.skip(excess - out)
        while self.made - self.base > self.bound and all(r.position > self.base for r in self.readers):
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
