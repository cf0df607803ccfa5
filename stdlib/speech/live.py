"""A turn that is still being spoken: its sound so far, and more as it comes.

It is an `Audio` that has begun and not ended: it interrupts an answer at its first words, and whoever writes it down
listens meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from ...base.audio import Audio


class LiveTurn:
    """Any number may listen, each from its beginning. `rate` is in samples a second."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._parts: list[bytes] = []
        self._ended = False
        self._changed = anyio.Event()

    @property
    def seconds(self) -> float:
        """How long it is so far."""
        return sum(map(len, self._parts)) / 2 / self.rate

    def add(self, pcm: bytes) -> None:
        self._parts.append(pcm)
        self._tell()

    def end(self) -> None:
        """Nobody speaks any more. Ending again does nothing."""
        self._ended = True
        self._tell()

    async def pieces(self) -> AsyncIterator[bytes]:
        """16-bit samples, as they come."""
        at = 0
        while True:
            while at < len(self._parts):
                yield self._parts[at]
                at += 1
            if self._ended:
                return
            await self._changed.wait()

    async def finished(self) -> Audio:
        """All of it, when nobody speaks any more: what goes to another process."""
        pieces = [piece async for piece in self.pieces()]
        return Audio(b"".join(pieces), self.rate)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
