"""The channels of an island whose others are in other processes: for each of them a link, straight to it.

Where the other end of a channel is gone, what it would have read is read by nobody, and what it would have sent is a
failure, `unreachable`, of who waits for it: the program says what becomes of that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from ...ir.graph import Channel
from ..island_problems import tier_gone
from ..kinds import StageFailure
from ..links import Pipe, Turn
from ..wire import Incoming, Link
from ..wire.pipes import PIPE, WireLinks

_MOST_OVER = 4096


class Mesh:
    """The `Links` of the member on `tier`. `meet` gives it a link by the name of the other member, `mates` says which
    of them have the other tiers' parts in a run."""

    def __init__(self, tier: str) -> None:
        self._tier = tier
        self._links: dict[str, WireLinks] = {}
        self._lost: set[str] = set()
        self._met: dict[str, asyncio.Event] = {}
        self._mates: dict[int, Mapping[str, str]] = {}
        self._over: set[int] = set()
        self._order: deque[int] = deque()

    def meet(self, name: str, link: Link) -> None:
        self._links[name] = WireLinks(link, link, take=False)
        self._met.setdefault(name, asyncio.Event()).set()
        if name in self._lost:
            self._links[name].lost(link.why())

    async def met(self, name: str) -> None:
        """Returns when there is a link to it, or never will be."""
        if name not in self._links and name not in self._lost:
            await self._met.setdefault(name, asyncio.Event()).wait()

    def lost(self, name: str) -> None:
        """Nothing comes from it any more; a link to it is closed."""
        self._lost.add(name)
        links = self._links.get(name)
        if links is not None:
            links.writing.close()
            links.lost(links.writing.why())
        self._met.setdefault(name, asyncio.Event()).set()

    def took(self, name: str, incoming: Incoming) -> bool:
        """A channel that the other member has opened; False for one that is none of the program's."""
        if incoming.name != PIPE or name not in self._links:
            return False
        self._links[name].took(incoming, self._over)
        return True

    def mates(self, run: int, mates: Mapping[str, str]) -> None:
        self._mates[run] = mates

    def pipe(self, run: int, channel: Channel, turn: Turn) -> Pipe:
        other = channel.target if channel.source == self._tier else channel.source
        name = self._mates.get(run, {}).get(other, "")
        links = self._links.get(name)
        if links is None:
            return _Nowhere(channel.name)
        return _Perhaps(links.pipe(run, channel, turn), lambda: name in self._lost or links.writing.over)

    def over(self, run: int) -> None:
        self._mates.pop(run, None)
        self._over.add(run)
        self._order.append(run)
        if len(self._order) > _MOST_OVER:
            self._over.discard(self._order.popleft())
        for links in self._links.values():
            links.over(run)

    def close(self) -> None:
        for links in self._links.values():
            links.close()
            links.writing.close()


class _Perhaps:
    """A pipe to a member that may be gone."""

    def __init__(self, inner: Pipe, gone: Callable[[], bool]) -> None:
        self._inner = inner
        self._gone = gone

    async def put(self, item: object) -> bool:
        try:
            return await self._inner.put(item)
        except StageFailure:
            if self._gone():
                return False
            raise

    def end(self) -> None:
        if not self._gone():
            self._inner.end()

    async def unread(self) -> None:
        try:
            await self._inner.unread()
        except StageFailure:
            if not self._gone():
                raise

    async def get(self) -> object:
        return await self._inner.get()

    def leave(self) -> None:
        self._inner.leave()


class _Nowhere:
    """A pipe to a tier that nobody is on."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    async def put(self, item: object) -> bool:
        del item
        return False

    def end(self) -> None: ...

    async def unread(self) -> None: ...

    async def get(self) -> object:
        raise StageFailure("unreachable", tier_gone(self._channel, "no worker of its tier is there"))

    def leave(self) -> None: ...
