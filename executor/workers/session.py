"""What a worker does for one coordinator: it opens the island that it is sent, and runs its parts of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from ...base.problems import OutsideError, Problem
from .. import wire
from ..backends import Call
from ..clock import LoopClock
from ..deployment import Deployment
from ..frames import End
from ..island_members import LocalMember, Part
from ..islands import Request
from ..machine.orders import Outcome, Timings
from . import messages as m
from .greeting import HOME, SETTINGS, Arrived, Island, OpenIsland, about, is_other
from .mesh import Mesh
from .parts import Acting, alone
from .places import KeySecret, Secret, dialled
from .shipping import Cellar
from .telling import Telling


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
        self._island: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
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
                await self._close_island()
                for task in tuple(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                if self._mesh is not None:
                    self._mesh.close()
                self._link.close()

    async def _close_island(self) -> None:
        """By the task that opened it, as a shell wants."""
        if self._island is None:
            return
        self._closing.set()
        if self._member is None:
            self._island.cancel()
        await asyncio.gather(self._island, return_exceptions=True)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

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
        if self._island is None:
            self._island = self._start(self._open(contents, self._taken))

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
        async with member:
            self._member = member
            for name, link in self._early.items():
                self._met(name, link)
            self._out.put_nowait(m.Ready(self.address))
            await self._closing.wait()

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
    return End(Outcome("cancelled"), {}, Timings(0.0))
