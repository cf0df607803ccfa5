"""Memory that both ends of a link see: without a name, so that it is gone with the last process that has it open,
however that ends.

The sender makes segments (`memfd`, sealed against being shortened), passes the descriptor once beside an item on the
socket, and keeps the segment for other items once the receiver has let go of it. The receiver maps it once. Sizes are
powers of two, so that a few segments serve tensors of many sizes, and memory that was touched before is written again,
which is most of the speed: fresh pages cost more than the copy.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

from .problems import WireProblem

SMALLEST = 1 << 16
"""Bytes from which on shared memory is worth it."""
MOST_SHARED = 1 << 30
"""Bytes of one link's segments, on each side."""

AVAILABLE = sys.platform == "linux" and hasattr(os, "memfd_create")
_SHRINK = 0x0002  # F_SEAL_SHRINK; the module fcntl has it from 3.9 on Linux alone


class Segment:
    """One piece of shared memory, in the process that made it."""

    __slots__ = ("descriptor", "known", "map", "number", "size")

    def __init__(self, number: int, size: int) -> None:
        import fcntl

        self.number, self.size = number, size
        self.known = False
        """Whether the other side was given it."""
        self.descriptor = os.memfd_create("agentlang-wire", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, size)
            # Nobody can shorten what the other one reads, which would end that process.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self.map = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise


class Pool:
    """The sender's segments of one link."""

    def __init__(self, most: int = MOST_SHARED) -> None:
        self._most = most
        self._made: dict[int, Segment] = {}
        self._free: dict[int, list[Segment]] = {}
        self._numbers = 0
        self.size = 0

    def take(self, size: int) -> Segment | None:
        """A segment of at least `size` bytes; None where there is no memory for it now."""
        rounded = max(SMALLEST, 1 << (size - 1).bit_length())
        free = self._free.get(rounded)
        if free:
            return free.pop()
        if self.size + rounded > self._most:
            return None
        self._numbers += 1
        try:
            made = Segment(self._numbers, rounded)
        except OSError:
            return None
        self._made[made.number] = made
        self.size += rounded
        return made

    def give(self, numbers: tuple[int, ...]) -> None:
        """The other side has let go of these."""
        for number in numbers:
            segment = self._made.get(number)
            if segment is not None:
                free = self._free.setdefault(segment.size, [])
                if segment not in free:
                    free.append(segment)

    def close(self) -> None:
        for segment in self._made.values():
            os.close(segment.descriptor)
        # The mappings go with the last view of them.
        self._made.clear()
        self._free.clear()
        self.size = 0


class Mapped:
    """The receiver's side of the segments of one link."""

    def __init__(self, freed: Callable[[int], None], most: int = MOST_SHARED) -> None:
        self._freed = freed
        self._most = most
        self._maps: dict[int, tuple[mmap.mmap, Any]] = {}
        self._out: dict[int, None] = {}
        self.size = 0

    def add(self, number: int, descriptor: int) -> None:
        """A new segment; the descriptor is closed here. WireProblem `bad-tensor` for what might end this process."""
        import fcntl

        try:
            size = os.fstat(descriptor).st_size
            try:
                sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SHRINK
            except OSError:
                sealed = 0
            if not sealed or number in self._maps or not 0 < size <= self._most - self.size:
                raise WireProblem("bad-tensor", "shared memory came that cannot be used here")
            try:
                made = mmap.mmap(descriptor, size)
            except OSError as error:
                raise WireProblem("no-memory", f"shared memory cannot be mapped: {error.strerror}") from None
        finally:
            os.close(descriptor)
        self._maps[number] = made, ctypes.c_char * size
        self.size += size

    def view(self, number: int, size: int) -> memoryview:
        """The first `size` bytes, read only. When the last view of them is gone, `freed` is called with the number, in
        whichever thread that is. WireProblem `bad-tensor` for a segment that is not known, not as large, or in use."""
        known = self._maps.get(number)
        if known is None or size > len(known[0]) or number in self._out:
            raise WireProblem("bad-tensor", "a tensor lies in shared memory that is not there")
        # An object that every view keeps alive, and that tells when it goes.
        held: Any = known[1].from_buffer(known[0])
        self._out[number] = None
        weakref.finalize(held, self._done, number).atexit = False
        return memoryview(held).cast("B")[:size].toreadonly()

    def let_go(self, number: int) -> None:
        """What came in it is not wanted."""
        if number in self._maps and number not in self._out:
            self._freed(number)

    def _done(self, number: int) -> None:
        self._out.pop(number, None)
        self._freed(number)

    def close(self) -> None:
        self._maps.clear()
        self.size = 0
