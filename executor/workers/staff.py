"""The workers of a coordinator, from their launch to their end: who is begun, who may join, who is let go.

Whoever says hello is taken only under a name that was given out, with the version that the coordinator has. It is sent
its island, then connected with the workers of the other tiers, one newcomer at a time, and only then do runs use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Protocol

import anyio

from ...base.problems import OutsideError, Problem
from ...base.version import VERSION
from .. import wire
from . import messages as m
from . import problems
from .greeting import HOME, SETTINGS, about, accepting, is_other
from .peers import Peer
from .places import Joining, KeySecret, Launcher, Papers, Place, Secret, dialled, split
from .shipping import Parcel

GRACE = 2.0
"""Seconds that a worker has to end when it is asked to."""
JOINING = 60.0
"""Seconds from a worker's launch to its hello."""
_PREFIX = "agentlang-run-"


class Holder(Protocol):
    """The coordinator, as its staff knows it."""

    def joined(self, peer: Peer) -> None: ...

    def gone(self, peer: Peer, why: Problem, forever: bool) -> None: ...

    def heard(self, peer: Peer, message: m.FROM_WORKER) -> None: ...

    def met(self, peer: Peer, link: wire.Link) -> None: ...

    def took(self, peer: Peer, incoming: wire.Incoming) -> bool: ...


class Wanted(Protocol):
    """How a tier's workers are had."""

    @property
    def parcel(self) -> Parcel: ...

    @property
    def addresses(self) -> tuple[str, ...]: ...

    @property
    def joins(self) -> bool: ...


class Staff:
    """`launcher` starts workers. `listen` (`tcp://host:port`) and `papers` are for workers of other hosts; without them
    there is a Unix socket, with a key of this run's. `seen_as` is the host by which others reach this one."""

    def __init__(
        self, launcher: Launcher, *, listen: str | None = None, papers: Papers | None = None, seen_as: str = "localhost"
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self.address = ""
        self._launcher = launcher
        self._listen = listen
        self._papers = papers
        self._seen_as = seen_as
        self._secret: Secret = KeySecret(b"")
        self._holder: Holder | None = None
        self._listener: wire.Listener | None = None
        self._folder: str | None = None
        self._index = 0
        self._expected: dict[str, list[Peer]] = {}
        """Workers of other hosts that are waited for, by tier."""
        self._early: dict[str, list[wire.Link]] = {}
        """Those that came before they were wanted."""
        self._meeting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        """Workers on their way out, which are seen to their end whatever happens."""
        self._closing = False

    async def open(self, holder: Holder) -> None:
        self._holder = holder
        if self._papers is not None:
            self._secret = self._papers
            given = self._listen or f"tcp://{self._seen_as}:0"
        else:
            _sweep()
            self._folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
            self._secret = KeySecret(os.urandom(32))
            given = f"unix:{self._folder}/home"
        self._listener = await wire.listen(
            accepting(given, self._secret), self._came, settings=SETTINGS, name=HOME, about=about()
        )
        self.address = given if self._papers is None else f"tcp://{split(given)[1]}:{self._listener.port}"

    async def close(self) -> None:
        """Let all go; when this returns no worker that was begun here is left."""
        self._closing = True
        with anyio.CancelScope(shield=True):
            peers = tuple(self.peers.values())
            for peer in peers:
                peer.say(m.Leave())
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*(self._stopped(peer) for peer in peers), *self._stopping, return_exceptions=True)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._listener is not None:
                await self._listener.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    async def _stopped(self, peer: Peer) -> None:
        peer.gone()
        if peer.launched is not None:
            await peer.launched.stop(GRACE)

    # --- coming ---

    def begin(self, name: str, place: Place, wanted: Wanted) -> None:
        """Have a worker of that name, which then joins or is gone."""
        self._index += 1
        peer = self.peers[name] = Peer(name, place, self._index, wanted.parcel)
        if wanted.joins:
            early = self._early.get(place.tier)
            if early:
                self._start(self._serve(peer, early.pop(0)))
            else:
                self._expected.setdefault(place.tier, []).append(peer)
        elif wanted.addresses:
            self._start(self._dial(peer, wanted.addresses[place.instance % len(wanted.addresses)]))
        else:
            self._start(self._launch(peer))

    async def _dial(self, peer: Peer, address: str) -> None:
        try:
            link = await wire.connect(
                dialled(address, self._secret), settings=SETTINGS, name=HOME, about=about(peer.name)
            )
        except (wire.WireProblem, ValueError) as problem:
            self._lost(peer, problems.worker_unreachable(peer.place.tier, address, str(problem)), False)
            return
        await self._serve(peer, link)

    async def _launch(self, peer: Peer) -> None:
        try:
            peer.launched = await self._launcher.launch(peer.place, Joining(self.address, peer.name, self._secret))
        except OutsideError as error:
            self._lost(peer, error.problem, True)
            return
        if peer.over:
            await peer.launched.stop(GRACE)
            return
        joining = asyncio.get_running_loop().call_later(JOINING, self._not_joined, peer)
        why = await peer.launched.ended()
        joining.cancel()
        self._lost(peer, problems.worker_gone(peer.place.tier, why), False)

    def _not_joined(self, peer: Peer) -> None:
        if peer.link is None:
            self._lost(peer, problems.no_worker(peer.place.tier, f"it has not joined within {JOINING:g} s"), False)

    async def _came(self, link: wire.Link) -> None:
        """Somebody who knows the secret says hello."""
        version, other = is_other(link)
        peer = self.peers.get(link.name)
        if peer is None and link.name in self._expected:
            waiting = self._expected[link.name]
            peer = waiting.pop(0) if waiting and not other else None
            if peer is None and not other:
                self._early.setdefault(link.name, []).append(link)
                return
        if peer is None or peer.link is not None or peer.over:
            link.close("not expected")
        elif other:
            link.close("other version")
            self._lost(peer, problems.worker_version(peer.name, version, VERSION), True)
        else:
            await self._serve(peer, link)

    async def _serve(self, peer: Peer, link: wire.Link) -> None:
        version, other = is_other(link)
        if other:
            link.close("other version")
            self._lost(peer, problems.worker_version(peer.name, version, VERSION), True)
            return
        assert self._holder is not None
        peer.link = link
        self._holder.met(peer, link)
        self._start(peer.speak())
        self._start(self._introduce(peer))
        peer.say(m.Take(peer.name, peer.parcel.shipment, peer.parcel.signature))
        while (incoming := await link.accept()) is not None:
            if incoming.name == m.CONTROL:
                self._start(self._hear(peer, incoming))
            elif not self._holder.took(peer, incoming):
                incoming.leave("nobody takes this")
        why = await link.closed()
        self._lost(peer, problems.worker_gone(peer.place.tier, "it is silent" if why else "it left"), False)

    async def _hear(self, peer: Peer, incoming: wire.Incoming) -> None:
        assert self._holder is not None
        try:
            async for item in incoming:
                message = m.heard_by_coordinator(item.body)
                match message:
                    case m.Lacks():
                        peer.give(message.hashes)
                    case m.Ready():
                        peer.address = message.address
                        peer.ready.set()
                    case m.Met():
                        waiting = peer.waiting.get(message.name)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(message.failed)
                    case m.Refuses():
                        self._lost(peer, m.failed(message.failure).problem, True)
                    case _:
                        self._holder.heard(peer, message)
        except wire.WireProblem as problem:
            if problem.name == "malformed":
                self._lost(peer, problems.worker_gone(peer.place.tier, str(problem)), True)

    async def _introduce(self, peer: Peer) -> None:
        """Have it meet the workers of the other tiers, then use it."""
        await peer.ready.wait()
        async with self._meeting:
            for other in tuple(self.peers.values()):
                if peer.over:
                    return
                if other.joined and not other.over and other.place.tier != peer.place.tier:
                    why = await peer.meet(other)
                    if why is not None and not other.over and not peer.over:
                        self._lost(
                            peer, problems.no_worker(peer.place.tier, f"it does not reach another: {why}"), False
                        )
                        return
            if not peer.over:
                assert self._holder is not None
                peer.joined = True
                self._holder.joined(peer)

    # --- going ---

    def let_go(self, name: str) -> None:
        """It has no runs: ask it to end, and see to it."""
        peer = self.peers.pop(name, None)
        if peer is not None:
            peer.say(m.Leave())
            self._start(self._leaving(peer), self._stopping)

    async def _leaving(self, peer: Peer) -> None:
        peer.over = True
        if peer.link is not None:
            with anyio.move_on_after(GRACE):
                await peer.link.closed()
        await self._stopped(peer)
        self._tell_others(peer)

    def _lost(self, peer: Peer, why: Problem, forever: bool) -> None:
        if peer.over or self._closing:
            return
        assert self._holder is not None
        peer.over = True
        self._holder.gone(peer, why, forever)
        self.peers.pop(peer.name, None)
        with contextlib.suppress(ValueError):
            self._expected.get(peer.place.tier, []).remove(peer)
        self._tell_others(peer)
        self._start(self._stopped(peer), self._stopping)

    def _tell_others(self, peer: Peer) -> None:
        for other in self.peers.values():
            other.say(m.Lost(peer.name))

    def _start(self, work: Coroutine[object, object, None], among: set[asyncio.Task[None]] | None = None) -> None:
        among = self._tasks if among is None else among
        task = asyncio.ensure_future(work)
        among.add(task)
        task.add_done_callback(among.discard)


def _sweep() -> None:
    """Folders of coordinators that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name[len(_PREFIX) :].partition("-")[0]
        with contextlib.suppress(OSError, ValueError):
            if folder.lstat().st_uid != os.getuid():
                continue
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
