"""Streams put behind one another in the program's order: what an `if` gives, the turns of a `for` flattened, and what
leaves a run by `emit` and `return`.

A feed fills one channel from a tree of slots. Slots are taken up in order, whatever order they become ready in, so that
results do not depend on timing. A slot holds one value, or one stream, or is a group of further slots that may still
grow; what is not up yet waits where it is, and a stream that waits holds its producer at the bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..channels import Channel, Reader


class Slot:
    """One place in the order. `through` is called when what it holds has left, `cancel` when nobody wants it any more
    and it is still empty."""

    __slots__ = ("cancel", "children", "done", "feed", "growing", "reader", "through", "value")

    def __init__(self, feed: Feed, growing: bool = False) -> None:
        self.feed = feed
        self.done = False
        self.growing = growing
        self.children: deque[Slot] | None = deque() if growing else None
        self.value: tuple[object, str] | None = None
        self.reader: Reader | None = None
        self.through: Callable[[], None] | None = None
        self.cancel: Callable[[], None] | None = None

    def group(self) -> Slot:
        return self.add(Slot(self.feed, growing=True))

    def leaf(self) -> Slot:
        return self.add(Slot(self.feed))

    def add(self, slot: Slot) -> Slot:
        assert self.children is not None
        self.children.append(slot)
        return slot

    def close(self) -> None:
        """A group that will not grow any more."""
        if self.growing:
            self.growing = False
            self.feed.pump()

    def put(self, value: object, stage: str, through: Callable[[], None]) -> None:
        """Fill a leaf with one item, made by `stage`; `through` is called when it has left."""
        self.value = (value, stage)
        self.through = through
        self.feed.pump()

    def connect(self, channel: Channel, kept: bool, through: Callable[[], None]) -> None:
        """Fill a leaf with a stream (whose hold becomes a reader); `through` is called at its end."""
        self.through = through
        self.reader = channel.open(self.feed, kept)
        self.feed.pump()

    def skip(self) -> None:
        """A leaf that stays empty."""
        self.done = True
        self.feed.pump()

    def finish(self) -> None:
        self.done = True
        self.children = None
        if self.reader is not None:
            self.reader.close()
        if self.through is not None:
            self.through()


class Feed:
    """Fills `target` from the slots under `root`; is its producer, and the sink of the streams in its slots."""

    __slots__ = ("_again", "_pumping", "_unwanted", "dead", "root", "target")

    def __init__(self, target: Channel, unwanted: Callable[[], None]) -> None:
        self.target = target
        self.root = Slot(self, growing=True)
        self.dead = not target.wanted
        self._unwanted = unwanted
        self._pumping = False
        self._again = False
        target.producer = self

    # --- producer and sink ---

    def more(self) -> None:
        self.pump()

    def notify(self) -> None:
        self.pump()

    def unwanted(self) -> None:
        """Nobody reads what this makes: let go of every stream, and of each that still comes."""
        self.dead = True
        self.pump()
        self._unwanted()

    # --- ---

    def pump(self) -> None:
        # Taking an item may free an upstream feed, which pushes to a reader of this one: one loop, never nested.
        if self._pumping:
            self._again = True
            return
        self._pumping = True
        try:
            self._again = True
            while self._again:
                self._again = False
                self._run()
        finally:
            self._pumping = False

    def _run(self) -> None:
        if self.dead:
            self._drain(self.root)
            return
        target = self.target
        while (slot := self._current()) is not None:
            if slot.reader is not None:
                reader = slot.reader
                while reader.ready and target.room() > 0:
                    target.stage = reader.channel.stage
                    target.push(reader.hand_out())
                    reader.confirm()
                if not reader.finished or self.dead:
                    return
            elif slot.value is not None:
                if target.room() <= 0:
                    return
                item, target.stage = slot.value
                target.push(item)
            else:
                return
            slot.finish()
        if self.root.done:
            target.end()

    def _current(self) -> Slot | None:
        """The first leaf that is not through; None if there is none yet, or none any more."""
        path = [self.root]
        while path:
            group = path[-1]
            children = group.children
            if children is None:
                return None
            # What is through is thrown away, so that a stream of a million turns keeps no million slots.
            while children and children[0].done:
                children.popleft()
            if children:
                if children[0].children is None:
                    return children[0]
                path.append(children[0])
            elif group.growing:
                return None
            else:
                group.done = True
                group.children = None
                path.pop()
        return None

    def _drain(self, slot: Slot) -> None:
        if slot.done:
            return
        if slot.children is not None:
            for child in tuple(slot.children):
                self._drain(child)
            slot.children = deque(child for child in slot.children if not child.done)
        elif slot.value is not None or slot.reader is not None:
            slot.finish()
        elif slot.cancel is not None:
            slot.done = True
            slot.cancel()
