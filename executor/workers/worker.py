"""The worker's side: it is sent an island, opens it, and runs its parts of runs.

    await serve(joining, open_island)              # a process that a launcher started, or that joins from elsewhere
    await offer(address, secret, name, open_island)   # a process that waits at an address for who needs it

It does what its coordinator says and is gone when that is: nothing that it runs outlasts the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from ...base.problems import OutsideError, Problem
from ...base.version import VERSION
from ...ir.graph import Graph
from .. import wire
from ..backends import Backend, Call
from ..clock import LoopClock
from ..deployment import Deployment
from ..frames import End
from ..island_members import LocalMember, Part
from ..islands import Request
from . import messages as m
from . import problems
from .mesh import Mesh
from .parts import Acting, alone
from .places import Joining, KeySecret, Secret, dialled, split
from .shipping import Cellar
from .telling import Telling

HOME = "home"
"""What the coordinator is called among its workers."""
SETTINGS = wire.Settings(heartbeat=0.5, silence=3.0, linger=3.0, tick=0.1, items=64)


@dataclass(frozen=True, slots=True)
class Island:
    """An island that is fit to run."""

    graph: Graph
    backend: Backend


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came: the shipment, its bytes and who stands for them, the module's text, the folder of the program, and
    whether whoever sent it is this user on this machine."""

    contents: m.Shipment
    shipment: bytes
    signature: bytes
    module: bytes
    folder: Path
    same_user: bool


OpenIsland = Callable[[Arrived], Island]
"""Runs in a thread. Raises `OutsideError` for what it will not or cannot run."""


def about(name: str = "") -> bytes:
    """What both sides say of themselves in their hello."""
    return msgspec.msgpack.encode((m.PROTOCOL, VERSION, name))


def is_other(link: wire.Link) -> tuple[str, bool]:
    """The version of the other side, and whether it is another."""
    try:
        protocol, version, _ = msgspec.msgpack.decode(link.about, type=tuple[int, str, str])
    except msgspec.DecodeError:
        return "another version", True
    return version[:40], (protocol, version) != (m.PROTOCOL, VERSION)


_Handler = Callable[[wire.Link], Awaitable[None]]


class OtherVersion(OutsideError):
    """Coordinator and worker are not of one version."""


async def serve(joining: Joining, open_island: OpenIsland, *, peers: str | None = None) -> None:
    """Join, and serve until the coordinator is gone or lets this worker go. `peers` is where other workers may connect
    (`tcp://host:port`; port 0 is any). Raises WireProblem where it cannot be joined, `OtherVersion`."""
    link = await wire.connect(
        joining.wire(), settings=SETTINGS, name=joining.name, about=about(joining.name), timeout=30.0
    )
    version, other = is_other(link)
    if other:
        link.close("other version")
        raise OtherVersion(problems.worker_version(joining.name, VERSION, version))
    session = Session(link, joining.secret, open_island)
    async with _peers_at(joining, peers, session.peer) as session.address:
        await session.work()


async def offer(
    address: str, secret: Secret, name: str, open_island: OpenIsland, ready: Callable[[str], None] | None = None
) -> None:
    """Wait at the address for coordinators, and serve one after the other, until this is cancelled. `ready` is told
    where it listens. OSError where the address cannot be used."""
    busy: list[Session] = []
    shown = address

    async def handler(link: wire.Link) -> None:
        if link.name != HOME or is_other(link)[1]:
            if busy:
                await busy[0].peer(link)
            else:
                link.close("nobody is here")
            return
        if busy:
            link.close("busy")
            return
        session = Session(link, secret, open_island)
        session.address = shown
        busy.append(session)
        try:
            await session.work()
        finally:
            busy.remove(session)

    listener = await wire.listen(accepting(address, secret), handler, settings=SETTINGS, name=name, about=about(name))
    try:
        kind, host, _ = split(address)
        if kind == "tcp":
            shown = f"tcp://{host}:{listener.port}"
        if ready is not None:
            ready(shown)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await listener.close()


def accepting(address: str, secret: Secret) -> wire.Address:
    """The address, to listen at. ValueError, WireProblem `bad-key`."""
    kind, host, port = split(address)
    if kind == "unix":
        return dialled(address, secret)
    if isinstance(secret, KeySecret):
        raise wire.WireProblem("bad-key", "TCP needs a certificate, its key and the authority")
    with secret.files() as files:
        return wire.TcpAddress(host, port, wire.accepting(files))


@contextlib.asynccontextmanager
async def _peers_at(
    joining: Joining, peers: str | None, handler: Callable[[wire.Link], Awaitable[None]]
) -> AsyncGenerator[str]:
    """Where other workers may connect: a socket of its own, or a port of this machine as the coordinator sees it."""

    kind, host, port = split(joining.address)
    if kind == "unix":
        # Beside that of the coordinator, whose folder it is: this process may end without tidying up.
        given = f"unix:{Path(host).with_name(joining.name.rpartition('.')[2])}"
    else:
        given = peers or f"tcp://{_seen_as(host, port)}:0"
    listener = await wire.listen(
        accepting(given, joining.secret), handler, settings=SETTINGS, name=joining.name, about=about()
    )
    try:
        yield given if kind == "unix" else f"tcp://{split(given)[1]}:{listener.port}"
    finally:
        with anyio.CancelScope(shield=True):
            await listener.close()


def _seen_as(host: str, port: int) -> str:
    """The address of this machine on its way to the host."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        return str(probe.getsockname()[0])


@dataclass
class _Run:
    """A run of the whole, as this worker knows it."""

    number: int
    session: Session
    over: anyio.Event = field(default_factory=anyio.Event)
    part: Part | None = None
    cancelled: bool = False

    def ended(self, tier: str, end: End) -> None:
        del tier
        self.session.part_ended(self.number, end)


class Session:
    """What a worker does for one coordinator."""

    def __init__(self, link: wire.Link, secret: Secret, open_island: OpenIsland) -> None:
        self.address = ""
        self._link = link
        self._secret = secret
        self._open_island = open_island
        self._cellar = Cellar()
        self._mesh: Mesh | None = None
        self._member: LocalMember | None = None
        self._acting: Acting | None = None
        self._alone: dict[str, frozenset[str]] = {}
        self._runs: dict[int, _Run] = {}
        self._asked: dict[int, asyncio.Future[bool]] = {}
        self._calls = 0
        self._out: asyncio.Queue[m.Message] = asyncio.Queue()
        self._early: dict[str, wire.Link] = {}
        self._taken: m.Take | None = None
        self._leaving = False
        self._starting: int | None = None
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()
        self._telling = Telling(lambda events: self._out.put_nowait(m.Saw(events)), self._of_whole)

    async def work(self) -> None:
        """Until the session is over, or the coordinator has let this worker go and its runs are through."""
        self._start(self._say())
        self._start(self._listen())
        self._start(self._end())
        try:
            await self._done.wait()
        finally:
            with anyio.CancelScope(shield=True):
                for run in tuple(self._runs.values()):
                    self._over(run.number)
                await self._stack.aclose()
                for task in tuple(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                if self._mesh is not None:
                    self._mesh.close()
                self._link.close()

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A peer that breaks the rules, or a bug of ours: nothing here goes on from that.
            self._link.close("broken")
            self._done.set()
            raise task.exception() or AssertionError

    async def _end(self) -> None:
        await self._link.closed()
        self._done.set()

    async def _say(self) -> None:
        out = await self._link.open(m.CONTROL)
        while True:
            message = await self._out.get()
            try:
                await out.send(m.said(message), form=m.MESSAGE)
            except wire.WireProblem:
                return

    async def _listen(self) -> None:
        while (incoming := await self._link.accept()) is not None:
            if incoming.name == m.CONTROL:
                self._start(self._hear(incoming))
            elif self._mesh is None or not self._mesh.took(HOME, incoming):
                incoming.leave("nobody takes this")

    async def _hear(self, incoming: wire.Incoming) -> None:
        try:
            async for item in incoming:
                await self._heard(m.heard_by_worker(item.body))
        except wire.WireProblem:
            self._done.set()

    async def _heard(self, message: m.FROM_COORDINATOR) -> None:
        match message:
            case m.Start():
                run = self._runs.setdefault(message.run, _Run(message.run, self))
                self._start(self._begin(message, run))
            case m.Cancel():
                self._cancel(message.run)
            case m.Over():
                self._over(message.run)
            case m.May():
                waiting = self._asked.pop(message.call, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message.granted)
            case m.Lost():
                if self._mesh is not None:
                    self._mesh.lost(message.name)
            case m.Meet():
                self._start(self._meet(message))
            case m.Take():
                self._taken = message
                await self._look()
            case m.Piece():
                try:
                    whole = self._cellar.piece(message.hash, message.data, message.last)
                except OutsideError as error:
                    self._refuse(error.problem)
                    return
                if whole:
                    await self._look()
            case m.Leave():
                self._leaving = True
                self._perhaps_leave()

    # --- the island ---

    async def _look(self) -> None:
        """Open the island, if all is here."""
        assert self._taken is not None
        contents = m.shipment(self._taken.shipment)
        lacks = self._cellar.lacks((contents.module, *(file.hash for file in contents.files)))
        if lacks:
            self._out.put_nowait(m.Lacks(lacks))
            return
        if self._member is None:
            self._start(self._open(contents, self._taken))

    async def _open(self, contents: m.Shipment, taken: m.Take) -> None:
        same_user = isinstance(self._secret, KeySecret)

        def opened() -> Island:
            module = self._cellar.get(contents.module)
            assert module is not None
            if contents.folder is not None and same_user:
                folder = Path(contents.folder)
            else:
                folder = self._cellar.lay_out(contents)
            return self._open_island(Arrived(contents, taken.shipment, taken.signature, module, folder, same_user))

        try:
            island = await anyio.to_thread.run_sync(opened)
        except OutsideError as error:
            self._refuse(error.problem)
            return
        graph = island.graph
        self._mesh = Mesh(contents.tier)
        self._mesh.meet(HOME, self._link)
        self._acting = Acting(graph)
        self._alone = {pipeline.name: alone(pipeline)[0] for pipeline in graph.pipelines}
        member = LocalMember(
            Deployment(graph), island.backend, self._mesh, (self._telling,), LoopClock(), None, self._permit
        )
        await self._stack.enter_async_context(member)
        self._member = member
        for name, link in self._early.items():
            self._met(name, link)
        self._out.put_nowait(m.Ready(self.address))

    def _refuse(self, problem: Problem) -> None:
        self._out.put_nowait(m.Refuses(m.failure("unreachable", problem)))

    # --- other workers ---

    async def peer(self, link: wire.Link) -> None:
        """Another worker has connected."""
        if is_other(link)[1]:
            link.close("other version")
        elif self._mesh is None:
            self._early[link.name] = link
        else:
            self._met(link.name, link)

    async def _meet(self, message: m.Meet) -> None:
        try:
            link = await wire.connect(
                dialled(message.address, self._secret), settings=SETTINGS, name=self._link_name, about=about()
            )
        except (wire.WireProblem, ValueError) as problem:
            self._out.put_nowait(m.Met(message.name, str(problem)))
            return
        self._met(message.name, link)
        self._out.put_nowait(m.Met(message.name, None))

    @property
    def _link_name(self) -> str:
        return self._taken.name if self._taken is not None else ""

    def _met(self, name: str, link: wire.Link) -> None:
        assert self._mesh is not None
        self._mesh.meet(name, link)
        self._start(self._from_peer(name, link))

    async def _from_peer(self, name: str, link: wire.Link) -> None:
        assert self._mesh is not None
        while (incoming := await link.accept()) is not None:
            if not self._mesh.took(name, incoming):
                incoming.leave("nobody takes this")
        self._mesh.lost(name)

    # --- runs ---

    async def _begin(self, message: m.Start, run: _Run) -> None:
        assert self._mesh is not None and self._member is not None
        mates = {**message.mates}
        for name in mates.values():
            await self._mesh.met(name)
        if run.over.is_set() or run.cancelled:
            self.part_ended(run.number, _nothing())
            return
        self._mesh.mates(message.run, mates)
        self._telling.observe(message.run, message.observed, self._alone.get(message.pipeline, frozenset()))
        self._starting = message.run
        run.part = self._member.start(run, Request(message.pipeline, {}, None, message.session))
        self._starting = None
        if run.part.end is not None:
            self.part_ended(run.number, run.part.end)

    def part_ended(self, number: int, end: End) -> None:
        self._telling.flush()
        self._out.put_nowait(m.Ended(number, m.end_said(end)))

    def _cancel(self, number: int) -> None:
        run = self._runs.setdefault(number, _Run(number, self))
        run.cancelled = True
        if run.part is not None:
            run.part.cancel()

    def _over(self, number: int) -> None:
        run = self._runs.pop(number, None)
        if run is None:
            return
        if run.part is not None and run.part.end is None:
            run.part.cancel()
        run.over.set()
        self._telling.forget(number)
        if self._mesh is not None:
            self._mesh.over(number)
        if self._member is not None:
            self._member.forget(run)
        self._perhaps_leave()

    def _perhaps_leave(self) -> None:
        if self._leaving and not self._runs:
            self._done.set()

    def _of_whole(self, run: int) -> int | None:
        """The number of the whole that a run of this island is of."""
        holder = None if self._member is None else self._member.runs.get(run)
        return self._starting if holder is None else holder.number

    async def _permit(self, call: Call, number: int) -> None:
        """What acts on the world does not begin before the coordinator knows of it."""
        assert self._acting is not None
        if not self._acting(call):
            return
        self._calls += 1
        answer = self._asked[self._calls] = asyncio.get_running_loop().create_future()
        self._out.put_nowait(m.Acts(number, self._calls))
        if not await answer:
            # The run is being stopped, and so is this.
            await anyio.sleep_forever()


def _nothing() -> End:
    from ..machine.orders import Outcome, Timings

    return End(Outcome("cancelled"), {}, Timings(0.0))
