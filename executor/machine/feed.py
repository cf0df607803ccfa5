"""Streams put behind one another in the program's order: what an `if` gives, the turns of a `for` flattened, and what
leaves a run by `emit` and `return`.

A feed fills one channel from a tree of slots. Slots are taken up in order, whatever order they become ready in, so that
results do not depend on timing. A slot holds one value, or one stream, or is a group of further slots that may still
grow; what is not up yet waits where it is, and a stream that waits holds its producer at the bound.

A group may be *choosing*: of the attempts under it (the branches of a `race`, a call and its hedge) the one goes on
whose first item can leave first. Its `begins` is called then, before the item leaves, and whoever made the group kills
the others. Killing a slot takes it out of the order with all that it holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..channels import Channel, Epoch, Reader


class Slot:
    """One place in the order. `through` is called when what it holds has left, `cancel` when nobody wants it any more
    and it is still empty (for a group: when nobody wants what will be in it), `begins` before the first item under it
    leaves (for a leaf also before its end, where that comes first). `epoch` is carried by what leaves from under it.
    Nothing leaves from under a `frozen` one."""

    __slots__ = (
        *("begins", "begun", "cancel", "children", "choosing", "done", "epoch", "feed", "frozen", "growing", "parent"),
        *("reader", "tag", "through", "value"),
    )

    def __init__(self, feed: Feed, parent: Slot | None = None, growing: bool = False, choosing: bool = False) -> None:
        self.feed = feed
        self.parent = parent
        self.done = False
        self.begun = False
        self.frozen = False
        self.growing = growing
        self.choosing = choosing
        self.children: deque[Slot] | None = deque() if growing else None
        self.value: tuple[object, str] | None = None
        self.reader: Reader | None = None
        self.through: Callable[[], None] | None = None
        self.cancel: Callable[[], None] | None = None
        self.begins: Callable[[], None] | None = None
        self.epoch: Epoch | None = None
        self.tag: Epoch | None = None  # those of all slots around it, from when it begins

    def group(self, choosing: bool = False) -> Slot:
        return self._add(Slot(self.feed, self, growing=True, choosing=choosing))

    def leaf(self) -> Slot:
        return self._add(Slot(self.feed, self))

    def _add(self, slot: Slot) -> Slot:
        if self.children is not None:
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

    def kill(self) -> None:
        """Take it out of the order, with what is under it and has not left. Nobody is told."""
        self._kill()
        self.feed.pump()

    def drain(self) -> None:
        """Nobody wants what it holds and will hold: those who fill it are told that it is through."""
        self.feed.drain(self)
        self.feed.pump()

    def _kill(self) -> None:
        if self.done:
            return
        self.done = True
        self.growing = False
        children, self.children = self.children, None
        for child in children or ():
            child._kill()
        self.value = None
        if self.reader is not None:
            self.reader.close()

    @property
    def movable(self) -> bool:
        """Whether something leaves from this leaf, or its end is here."""
        return self.value is not None or (self.reader is not None and (self.reader.ready or self.reader.finished))


class Watcher(Protocol):
    """Who wants to know when items leave."""

    def pushed(self, item: object) -> None: ...

    def held(self) -> None:
        """An item is here, and there is no room for it. It has room again when the next is `pushed`."""
        ...


class Feed:
    """Fills `target` from the slots under `root`; is its producer, and the sink of the streams in its slots."""

    __slots__ = ("_again", "_last", "_pumping", "_unwanted", "dead", "root", "target", "watcher")

    def __init__(self, target: Channel, unwanted: Callable[[], None]) -> None:
        self.target = target
        self.root = Slot(self, growing=True)
        self.dead = not target.wanted
        self.watcher: Watcher | None = None
        self._unwanted = unwanted
        self._pumping = False
        self._again = False
        self._last: tuple[Epoch | None, Epoch, Epoch | None] | None = None
        target.producer = self

    # --- producer and sink ---

    def more(self) -> None:
        self.pump()

    def notify(self) -> None:
        self.pump()

    def withdraw(self, places: tuple[int, ...]) -> None:
        """What is handed out here has left at once."""

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
            self.drain(self.root)
            return
        while (slot := self._up(self.root)) is not None:
            if slot.reader is not None:
                if not self._from_reader(slot, slot.reader):
                    return
            elif slot.value is not None:
                if self.target.room() <= 0:
                    self._held()
                    return
                if not slot.begun:
                    self._begin(slot)
                    continue
                item, self.target.stage = slot.value
                self._push(item, slot.tag)
            else:
                return
            if not slot.done:
                slot.finish()
        if self.root.done and not self.dead:
            self.target.end()

    def _from_reader(self, slot: Slot, reader: Reader) -> bool:
        """Whether all of the slot's stream has left."""
        target = self.target
        while reader.ready and not slot.done:
            if target.room() <= 0:
                self._held()
                return False
            if not slot.begun:
                self._begin(slot)
                continue
            target.stage = reader.channel.stage
            if reader.behind > 1 and self._plain(slot, reader):
                items = reader.hand_out_several(target.room())
                target.push_several(items)
                reader.confirm(len(items))
                continue
            item = reader.hand_out()
            self._push(item, slot.tag if reader.epoch is None else self._joined(slot.tag, reader.epoch))
            reader.confirm()
        if not reader.finished or self.dead or slot.done:
            return slot.done and not self.dead
        if not slot.begun and slot.begins is not None:
            slot.begun = True
            begins, slot.begins = slot.begins, None
            begins()
        return True

    def _plain(self, slot: Slot, reader: Reader) -> bool:
        """Whether nobody asks about single items of its stream."""
        return self.watcher is None and slot.tag is None and not reader.channel.tagged and not self.target.drops

    def _begin(self, slot: Slot) -> None:
        """The first item is about to leave: all around it hear of it. They may kill any slot but this."""
        slot.begun = True
        around: Slot | None = slot
        while around is not None:
            if around.epoch is not None:
                slot.tag = joined(slot.tag, around.epoch)
            if around.begins is not None:
                begins, around.begins = around.begins, None
                begins()
            around = around.parent

    def _joined(self, one: Epoch | None, other: Epoch) -> Epoch | None:
        # Many items in a row have the same.
        if self._last is None or self._last[0] is not one or self._last[1] is not other:
            self._last = (one, other, joined(one, other))
        return self._last[2]

    def _push(self, item: object, epoch: Epoch | None) -> None:
        if epoch is None:
            self.target.push(item)
        elif not epoch.stale:
            self.target.push(item, epoch)
        if self.watcher is not None:
            self.watcher.pushed(item)

    def _held(self) -> None:
        if self.watcher is not None:
            self.watcher.held()

    def _up(self, slot: Slot) -> Slot | None:
        """The leaf under this slot whose turn it is; None if there is none yet, or none any more."""
        children = slot.children
        if slot.frozen:
            return None
        if children is None:
            return None if slot.done else slot
        if slot.choosing:
            for child in tuple(children):
                leaf = None if child.done else self._up(child)
                if leaf is not None and leaf.movable:
                    return leaf
            if all(child.done for child in children):
                children.clear()
        else:
            # What is through is thrown away, so that a stream of a million turns keeps no million slots.
            while children:
                child = children[0]
                leaf = None if child.done else self._up(child)
                if leaf is not None or not child.done:
                    return leaf
                children.popleft()
        if not slot.growing and not children:
            slot.done = True
            slot.children = None
        return None

    def drain(self, slot: Slot) -> None:
        """For slots: take out what is under this one."""
        if slot.done:
            return
        if slot.children is not None:
            children = tuple(slot.children)
            for child in children:
                self.drain(child)
            slot.children = deque(child for child in children if not child.done)
            if slot.cancel is not None:
                cancel, slot.cancel = slot.cancel, None
                cancel()
        elif slot.value is not None or slot.reader is not None:
            slot.finish()
        elif slot.cancel is not None:
            slot.done = True
            slot.cancel()


def joined(one: Epoch | None, other: Epoch | None) -> Epoch | None:
    """The epoch of what comes of both."""
    if one is None or one is other:
        return other
    return one if other is None else Epoch(one, other)
