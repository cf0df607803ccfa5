"""What each replica has of which prompts: believed, and bounded.

Of each block there is one entry with a bit for each replica, so a prompt is looked up once for all of them. Of each
replica there is a list of its blocks by their last use, as its own cache has, so that about the same falls out of both:
what was used longest ago, ends before beginnings. Where a replica turns out not to have what it should, it has lost all
that was used before that as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from .blocks import Block


class Prefixes:
    """Replicas are numbers from 0 on."""

    def __init__(self) -> None:
        self._holders: dict[Block, int] = {}
        self._used: dict[int, OrderedDict[Block, None]] = {}
        """By replica, its blocks, that used longest ago first."""
        self._room: dict[int, int] = {}

    @property
    def size(self) -> int:
        """Entries, over all replicas."""
        return sum(map(len, self._used.values()))

    def held(self, replica: int) -> int:
        return len(self._used.get(replica, ()))

    def join(self, replica: int, room: int) -> None:
        """A replica with an empty cache of so many blocks."""
        self.leave(replica)
        self._used[replica], self._room[replica] = OrderedDict(), max(0, room)

    def leave(self, replica: int) -> None:
        self.forget(replica, tuple(self._used.pop(replica, ())))
        self._room.pop(replica, None)

    def found(self, blocks: Sequence[Block]) -> dict[int, int]:
        """How many of the blocks, from the first on, each replica has that has any."""
        out: dict[int, int] = {}
        left = -1
        for depth, block in enumerate(blocks):
            still = left & self._holders.get(block, 0)
            if depth:
                _note(out, left & ~still, depth)
            left = still
            if not left:
                return out
        if blocks:
            _note(out, left, len(blocks))
        return out

    def add(self, replica: int, blocks: Sequence[Block]) -> None:
        """The replica has them now, all used at this moment."""
        used = self._used.get(replica)
        if used is None:
            return
        # Of one prompt, the beginning stays longest.
        kept = blocks[: self._room[replica]]
        bit = 1 << replica
        for block in reversed(kept):
            if block in used:
                used.move_to_end(block)
            else:
                used[block] = None
                self._holders[block] = self._holders.get(block, 0) | bit
        while len(used) > self._room[replica]:
            self._clear(replica, used.popitem(last=False)[0])

    def forget(self, replica: int, blocks: Iterable[Block]) -> None:
        used = self._used.get(replica, OrderedDict[Block, None]())
        for block in blocks:
            used.pop(block, None)
            self._clear(replica, block)

    def missed(self, replica: int, block: Block) -> None:
        """The replica was believed to have a block, and has not: nor does it have what was used before that."""
        used = self._used.get(replica)
        if used is None or block not in used:
            return
        while used:
            oldest = used.popitem(last=False)[0]
            self._clear(replica, oldest)
            if oldest == block:
                return

    def _clear(self, replica: int, block: Block) -> None:
        holders = self._holders.get(block, 0) & ~(1 << replica)
        if holders:
            self._holders[block] = holders
        else:
            self._holders.pop(block, None)


def _note(out: dict[int, int], bits: int, depth: int) -> None:
    while bits:
        lowest = bits & -bits
        out[lowest.bit_length() - 1] = depth
        bits ^= lowest
