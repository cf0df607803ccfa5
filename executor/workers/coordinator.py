"""Runs the islands of a program: home's here, the others in workers.

    async with Coordinator(home, parcels, launcher) as placed:
        async for frame in placed.run("answer", {"question": "…"}):
            ...

It acts on what `supervising` decides. `staff` has workers begun and connected; here is what becomes of runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

import anyio

from ...base.problems import Problem
from ...ir.graph import Graph
from .. import wire
from ..backends import Call
from ..clock import LoopClock
from ..deployment import Deployment
from ..frames import End
from ..island_members import LocalMember, Member
from ..islands import Islands, Request
from ..machine.orders import Outcome, Timings
from ..observers import Observer
from ..running import Approver, Runner
from . import messages as m
from . import problems
from . import supervision as sv
from .greeting import HOME, Island
from .members import HomeMesh, RemoteMember, heard
from .parts import Acting, alone
from .peers import Crew, Peer, RemotePart
from .runs import PlacedRun
from .staff import Staff
from .supervising import Chooser, Supervisor
from .telling import Retelling


class Coordinator(Runner):
    """To be used in `async with`. `staff` has the workers; `tell` hears what goes wrong with them. `choose` says which
    of a tier's workers gets a run. The first of `signals` interrupts every run."""

    def __init__(
        self,
        home: Island,
        crews: Mapping[str, Crew],
        staff: Staff,
        *,
        observers: Iterable[Observer] = (),
        choose: Chooser | None = None,
        tell: Callable[[Problem], None] | None = None,
        signals: Iterable[signal.Signals] = (),
        deploy: Callable[[Graph], Deployment] = Deployment,
    ) -> None:
        self.crews = dict(crews)
        self._observers = tuple(observers)
        self._supervisor = Supervisor(choose)
        self._staff = staff
        self._tell = tell or _unheard
        self._signals = tuple(signals)
        self._clock = LoopClock()
        self._mesh = HomeMesh(str(home.graph.tier), self._whole_over)
        self._acting = Acting(home.graph)
        self._home = LocalMember(
            deploy(home.graph), home.backend, self._mesh, self._observers, self._clock, None, self._permit
        )
        members: dict[str, Member] = {str(home.graph.tier): self._home}
        members |= {tier: RemoteMember(tier, crew.graph, self) for tier, crew in self.crews.items()}
        self._islands = Islands(str(home.graph.tier), members, self._mesh)
        self._runs: dict[int, PlacedRun] = {}
        self._numbers = 0
        self._of_whole: dict[int, int] = {}
        self._assigned: Mapping[str, str] = {}
        self.came = Counter[str]()
        """How many runs have had a part on each tier since the start."""
        self._why: dict[str, Problem] = {}
        """Why a tier's workers are not there, where that is known."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = contextlib.AsyncExitStack()
        self._closing = False
        self._retelling = Retelling(self._observers, self._home_run, self._through, self._clock.now)
        self.changed = asyncio.Event()
        """Set, and replaced, whenever a worker has come or gone."""

    async def __aenter__(self) -> Coordinator:
        await self._stack.__aenter__()
        try:
            await self._staff.open(self)
            self._stack.push_async_callback(self._staff.close)
            await self._stack.enter_async_context(self._islands)
            if self._signals:
                self._stack.enter_context(heard(self._signals, self.interrupt))
            for tier, crew in self.crews.items():
                self.handle(sv.Wanted(self._clock.now(), tier, len(crew.addresses) or crew.count))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._closing = True
        with anyio.CancelScope(shield=True):
            for run in tuple(self._runs.values()):
                run.cancel()
            for run in tuple(self._runs.values()):
                await run.over.wait()
        for task in tuple(self._tasks):
            task.cancel()
        return await self._stack.__aexit__(kind, error, trace)

    # --- for callers ---

    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> PlacedRun:
        """Start a run as soon as a worker of each of its tiers is ready; see `Shell.start`."""
        if self._closing:
            raise RuntimeError("the coordinator is not open")
        if not self._home.takes_part(pipeline):
            raise KeyError(pipeline)
        self._numbers += 1
        request = Request(pipeline, inputs, timeout, session, approve)
        run = self._runs[self._numbers] = PlacedRun(self._numbers, request, self, self._clock.now)
        self._begin(run)
        return run

    def interrupt(self) -> None:
        """Stop every run; each ends with the outcome `interrupted`."""
        for run in tuple(self._runs.values()):
            if run.whole is None:
                run.cancel()
        self._home.shell.interrupt()

    def workers(self, tier: str) -> Mapping[int, str]:
        """The names of a tier's workers that are ready, by instance."""
        return self._supervisor.instances(tier)

    def running(self, tier: str) -> int:
        """How many runs have a part on a tier now."""
        return sum(len(peer.parts) for peer in self._staff.peers.values() if peer.place.tier == tier)

    @property
    def address(self) -> str:
        """Where workers join."""
        return self._staff.address

    def process(self, name: str) -> int | None:
        """The id of the process of a worker that was begun here."""
        peer = self._staff.peers.get(name)
        found = getattr(None if peer is None else peer.launched, "process", None)
        return found if isinstance(found, int) else None

    async def drain(self, tier: str, instance: int) -> None:
        """Let an instance go when its runs are through; returns when it has gone."""
        name = self.workers(tier).get(instance)
        self.handle(sv.Drain(self._clock.now(), tier, instance))
        await self._until(lambda: name is None or name not in self._staff.peers)

    async def replace(self, tier: str, instance: int) -> None:
        """Have another worker take the place of an instance; returns when the old one has gone, its runs through."""
        name = self.workers(tier).get(instance)
        self.handle(sv.Replace(self._clock.now(), tier, instance))
        await self._until(lambda: name is None or name not in self._staff.peers)

    async def resize(self, tier: str, count: int) -> None:
        """Have so many instances; returns when those that are new are ready and those that were too many have gone."""
        self.handle(sv.Wanted(self._clock.now(), tier, count))
        await self._until(lambda: sum(peer.place.tier == tier for peer in self._staff.peers.values()) == count)
        await self._until(lambda: len(self.workers(tier)) == count or tier in self._why)

    async def ready(self) -> None:
        """Returns when every tier has a worker, or will have none."""
        await self._until(lambda: all(self.workers(tier) or tier in self._why for tier in self.crews))

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self.changed.wait()

    # --- the supervisor's events and orders ---

    def handle(self, event: sv.Event) -> None:
        for order in self._supervisor.handle(event):
            self._perform(order)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def _perform(self, order: sv.Order) -> None:
        match order:
            case sv.Launch():
                crew = self.crews[order.tier]
                self._staff.begin(order.name, crew.place(order.tier, order.instance), crew)
            case sv.Stop():
                self._staff.let_go(order.name)
            case sv.StartRun():
                self._start(order)
            case sv.Redo():
                self._runs[order.run].abandon()
            case sv.Lose():
                self._lose(self._runs[order.run], order.tier)
            case sv.GivenUp():
                why = self._why.setdefault(order.tier, problems.no_worker(order.tier, "it was tried several times"))
                self._tell(why)
            case sv.SetTimer():
                asyncio.get_running_loop().call_at(order.at, self._fired)
            case sv.Went():
                pass

    def _fired(self) -> None:
        if not self._closing:
            self.handle(sv.Fired(self._clock.now()))

    def joined(self, peer: Peer) -> None:
        """For the staff: a worker is ready."""
        self._why.pop(peer.place.tier, None)
        self.handle(sv.Joined(self._clock.now(), peer.name))

    def gone(self, peer: Peer, why: Problem, forever: bool) -> None:
        """For the staff: a worker is gone. Its runs are decided about before any of them hears of it."""
        if not self._closing:
            self._tell(why)
            if forever:
                self._why[peer.place.tier] = why
        parts = tuple(peer.parts.values())
        if not self._closing:
            self.handle(sv.Gone(self._clock.now(), peer.name, forever))
        for part in parts:
            whole = self._islands.whole(part.run)
            if whole is not None:
                whole.lost(peer.place.tier)
        self._mesh.lost(peer.name)

    def heard(self, peer: Peer, message: m.FROM_WORKER) -> None:
        """For the staff: what a worker says of runs."""
        match message:
            case m.Ended():
                part = peer.parts.get(message.run)
                whole = self._islands.whole(message.run)
                if part is not None and whole is not None:
                    part.end = m.end_heard(message.end)
                    whole.ended(peer.place.tier, part.end)
            case m.Acts():
                run = self._runs.get(self._of_whole.get(message.run, 0))
                whole = self._islands.whole(message.run)
                granted = run is not None and whole is not None and run.whole is whole and not run.is_abandoned
                if granted and run is not None:
                    self.handle(sv.Acted(self._clock.now(), run.number))
                peer.say(m.May(message.run, message.call, granted))
            case m.Saw():
                try:
                    self._retelling.tell(peer.index, message.events)
                except (ValueError, TypeError):
                    peer.gone()
            case _:
                pass

    def met(self, peer: Peer, link: wire.Link) -> None:
        """For the staff: a worker is connected."""
        self._mesh.meet(peer.name, link)

    def took(self, peer: Peer, incoming: wire.Incoming) -> bool:
        return self._mesh.took(peer.name, incoming)

    # --- runs ---

    def _begin(self, run: PlacedRun) -> None:
        tiers = tuple(
            tier
            for tier, crew in self.crews.items()
            if any(p.name == run.request.pipeline for p in crew.graph.pipelines)
        )
        replayable = not any(hasattr(value, "__aiter__") for value in run.request.inputs.values())
        self.handle(sv.Begun(self._clock.now(), run.number, tiers, replayable))

    def _start(self, order: sv.StartRun) -> None:
        run = self._runs[order.run]
        request = run.request
        self._assigned = order.workers
        whole = self._islands.start(
            request.pipeline, request.inputs, request.timeout, session=request.session, approve=request.approve
        )
        self._of_whole[whole.number] = run.number
        run.began(whole)
        for tier in order.without:
            self._lose(run, tier)
        if whole.over.is_set():
            self._whole_over(whole.number)

    def assign(self, tier: str, whole: int, pipeline: str, session: str | None) -> RemotePart:
        """For a tier's member: begin its part of a run."""
        self._mesh.mates(whole, self._assigned)
        peer = self._staff.peers.get(self._assigned.get(tier, ""))
        part = RemotePart(whole, peer)
        if peer is not None:
            peer.parts[whole] = part
            self.came[tier] += 1
            mates = {each: name for each, name in self._assigned.items() if each != tier}
            mates[self._islands.home] = HOME
            peer.say(m.Start(whole, pipeline, session, bool(self._retelling), mates))
        return part

    def unassign(self, tier: str, whole: int) -> None:
        """For a tier's member: the run is through."""
        for peer in self._staff.peers.values():
            if peer.place.tier == tier and peer.parts.pop(whole, None) is not None:
                peer.through.pop(whole, None)
                peer.say(m.Over(whole))

    def _lose(self, run: PlacedRun, tier: str) -> None:
        """What of the part nobody else would miss has failed; the rest is for the channels to tell."""
        whole = run.whole
        assert whole is not None
        name = self._assigned_in(whole.number, tier)
        through = self._staff.peers[name].through.get(whole.number, set()) if name else set[str]()
        graph = self.crews[tier].graph
        calls, bodies = alone(graph.pipeline(run.request.pipeline))
        missed = sorted(calls - through)
        if missed or bodies:
            why = self._why.get(tier) or problems.worker_gone(tier, "it ended before its part of the run was through")
            outcome = Outcome("failed", None, "unreachable", why, missed[0] if missed else None)
            whole.ended(tier, End(outcome, {}, Timings(0.0)))
        else:
            whole.lost(tier)

    def _assigned_in(self, whole: int, tier: str) -> str | None:
        for peer in self._staff.peers.values():
            if peer.place.tier == tier and whole in peer.parts:
                return peer.name
        return None

    def _whole_over(self, whole: int) -> None:
        number = self._of_whole.pop(whole, None)
        run = self._runs.get(number or 0)
        if run is None or number is None:
            return
        if run.is_abandoned and not self._closing and not run.cancelled:
            run.waits()
            asyncio.get_running_loop().call_soon(self._begin_again, run)
        else:
            self._ended(run)

    def _begin_again(self, run: PlacedRun) -> None:
        if run.number in self._runs and run.whole is None and not run.over.is_set():
            self._begin(run)

    def _ended(self, run: PlacedRun) -> None:
        self._runs.pop(run.number, None)
        self.handle(sv.RunOver(self._clock.now(), run.number))
        run.over.set()

    def given(self, run: int) -> None:
        """For a run: something has left to its caller."""
        if run in self._runs:
            self.handle(sv.Given(self._clock.now(), run))

    def abandoned(self, run: int) -> None:
        """For a run: it is not wanted any more, and no attempt is under way."""
        if run in self._runs:
            self._ended(self._runs[run])

    # --- what members and observers ask ---

    def _home_run(self, whole: int) -> int | None:
        return next((number for number, holder in self._home.runs.items() if holder.number == whole), None)

    def _through(self, whole: int, stage: str) -> None:
        for peer in self._staff.peers.values():
            if whole in peer.parts:
                peer.through.setdefault(whole, set()).add(stage)

    async def _permit(self, call: Call, whole: int) -> None:
        if not self._acting(call):
            return
        run = self._runs.get(self._of_whole.get(whole, 0))
        if run is None or run.is_abandoned:
            await anyio.sleep_forever()
        else:
            self.handle(sv.Acted(self._clock.now(), run.number))


def _unheard(problem: Problem) -> None:
    del problem
