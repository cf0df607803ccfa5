"""The workers of a tier as their coordinator wants them, one as it knows it, and the part of each run that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ir.graph import Graph
from .. import wire
from ..frames import End
from . import messages as m
from .places import Launched, Place
from .shipping import Parcel


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that one tier is to have: the island as it is sent and as a graph, how many, what each may take, and
    `addresses` where workers wait already, in place of processes that are begun."""

    graph: Graph
    parcel: Parcel
    count: int = 1
    cores: float | None = None
    memory: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    addresses: tuple[str, ...] = ()
    joins: bool = False
    """They come by themselves, from other hosts."""

    def place(self, tier: str, instance: int) -> Place:
        return Place(tier, instance, self.cores, self.memory, self.environment)


@dataclass
class RemotePart:
    """The part of a run that a worker has; see `island_members.Part`."""

    run: int
    peer: Peer | None
    end: End | None = None

    def cancel(self) -> None:
        if self.peer is not None and self.end is None:
            self.peer.say(m.Cancel(self.run))


@dataclass
class Peer:
    """A worker from its launch on. `link` is there when it has said hello."""

    name: str
    place: Place
    index: int
    parcel: Parcel
    launched: Launched | None = None
    link: wire.Link | None = None
    address: str = ""
    joined: bool = False
    """Whether runs may use it."""
    over: bool = False
    parts: dict[int, RemotePart] = field(default_factory=dict[int, RemotePart])
    through: dict[int, set[str]] = field(default_factory=dict[int, "set[str]"])
    """The calls of each run that are known to be through."""
    waiting: dict[str, asyncio.Future[str | None]] = field(default_factory=dict[str, "asyncio.Future[str | None]"])
    """What it was told to meet."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    out: asyncio.Queue[m.Message] = field(default_factory=lambda: asyncio.Queue[m.Message]())

    def say(self, message: m.Message) -> None:
        self.out.put_nowait(message)

    async def speak(self) -> None:
        """Send what there is to say, until the session is over."""
        assert self.link is not None
        try:
            channel = await self.link.open(m.CONTROL)
            while True:
                await channel.send(m.said(await self.out.get()), form=m.MESSAGE)
        except wire.WireProblem:
            return

    def give(self, hashes: tuple[str, ...]) -> None:
        """Send files that it lacks. What the parcel does not have, it is not sent."""
        for hash in hashes:
            data = self.parcel.files.get(hash)
            if data is None:
                continue
            for at in range(0, len(data), m.PIECE) or (0,):
                piece = data[at : at + m.PIECE]
                self.say(m.Piece(hash, piece, at + m.PIECE >= len(data)))

    async def meet(self, other: Peer) -> str | None:
        """Have it connect to another; why it could not."""
        answer = self.waiting[other.name] = asyncio.get_running_loop().create_future()
        self.say(m.Meet(other.name, other.address))
        try:
            return await answer
        finally:
            del self.waiting[other.name]

    def gone(self) -> None:
        self.over = True
        self.ready.set()
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_result("it is gone")
        if self.link is not None:
            self.link.close()
