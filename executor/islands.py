"""The islands of a program, run together: a machine and a shell for each, with channels between them.

    async with open_islands(graphs, backends) as islands:
        async for frame in islands.run("answer", {"question": "…"}):
            ...

`graphs` are those of `ir.islands`, by tier; a run of the whole is a run of each island that has a part in the pipeline,
and looks like one of home's: its items, its result. The machine decides in each island what it decides anywhere; to it
the end of a channel is a stage, and `channel:send`, `channel:receive` and `channel:watch` are what is new here, in
front of each island's backend. A failure that nothing mends in its island is one of the run: the other islands are
stopped, and the run ends when all are gone.

How items get from island to island is for `links` to say (see there).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import cast

import anyio

from ..ir.graph import Channel, Graph, Handle
from ..ir.projection import STOPPED
from .backends import Backend, Bound, Call
from .clock import Clock, LoopClock
from .deployment import Deployment
from .frames import End, Frame, ProblemFrame
from .island_problems import stopped_elsewhere
from .kinds import StageFailure
from .links import END, Links, MemoryLinks, Pipe
from .machine import orders
from .machine.faults import Failure
from .machine.semantics import LINKS
from .observers import Observer
from .running import Approver, Runner, Running
from .shell import Shell


def open_islands(
    graphs: Mapping[str, Graph],
    backends: Mapping[str, Backend],
    *,
    links: Links | None = None,
    observers: Iterable[Observer] = (),
    clock: Clock | None = None,
    luck: Callable[[], float] | None = None,
    deploy: Callable[[Graph], Deployment] = Deployment,
) -> Islands:
    """Islands to be used in `async with`, by tier; each has a backend of its own. `deploy` gives each its settings.
    ValueError for graphs that are no islands of one program."""
    homes = {graph.home for graph in graphs.values()}
    if len(homes) != 1 or not homes <= set(graphs) or any(graph.tier != tier for tier, graph in graphs.items()):
        raise ValueError("these are not the islands of one program")
    (home,) = homes
    links = links or MemoryLinks()
    members = {
        tier: _Member(deploy(graph), backends[tier], links, tuple(observers), clock or LoopClock(), luck)
        for tier, graph in graphs.items()
    }
    return Islands(cast(str, home), members, links)


class _Member:
    """One island: its shell, and which run of the whole each of its runs is of."""

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        links: Links,
        observers: tuple[Observer, ...],
        clock: Clock,
        luck: Callable[[], float] | None,
    ) -> None:
        self.graph = deployment.graph
        self.runs: dict[int, Whole] = {}
        linked = _Linked(backend, links, {channel.name: channel for channel in self.graph.channels}, self.runs)
        self.shell = _IslandShell(deployment, linked, observers, clock, luck or Random().random, self.runs)

    def takes_part(self, pipeline: str) -> bool:
        return any(known.name == pipeline for known in self.graph.pipelines)


class _IslandShell(Shell):
    """What a stage holds may be in use on another island: it is let go of when the whole run is over."""

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        observers: tuple[Observer, ...],
        clock: Clock,
        luck: Callable[[], float],
        wholes: Mapping[int, Whole],
    ) -> None:
        super().__init__(deployment, backend, observers, clock, (), luck)
        self._tier = cast(str, deployment.graph.tier)
        self._wholes = wholes

    def _finished(self, order: orders.FinishRun) -> None:
        super()._finished(order)
        whole = self._wholes.get(order.run)
        if whole is not None:
            whole.ended(self._tier)

    async def _release(self, order: orders.FinishRun, held: list[object]) -> None:
        whole = self._wholes.get(order.run)
        self._finished(order)
        if whole is not None:
            with anyio.CancelScope(shield=True):
                await whole.over.wait()
        await self._let_go(order.run, held)

    def _let_go_early(self, order: orders.LetGo) -> None:
        """Another island may use it."""


class _Linked:
    """An island's backend, with the ends of channels in front of it."""

    def __init__(
        self, inner: Backend, links: Links, channels: Mapping[str, Channel], runs: Mapping[int, Whole]
    ) -> None:
        self._inner = inner
        self._links = links
        self._channels = channels
        self._runs = runs

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    async def run(self, call: Call) -> object:
        if call.entry not in LINKS:
            return await self._inner.run(call)
        channel = self._channels[cast(str, call.operation.attributes["channel"])]
        pipe = self._links.pipe(self._runs[call.run].number, channel, call.index)
        match call.entry:
            case "channel:send":
                return await _send(call, pipe)
            case "channel:receive":
                return await _receive(call, pipe)
            case _:
                await pipe.unread()
                raise StageFailure(STOPPED, stopped_elsewhere(call.operation.id, call.operation.span))

    def immediate(self, entry: str) -> bool:
        return entry not in LINKS and self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def close(self) -> None:
        await self._inner.close()


async def _send(call: Call, pipe: Pipe) -> None:
    value = call.arguments["value"]
    if not hasattr(value, "__anext__"):
        await pipe.put(value)
        return
    stream = cast("AsyncIterator[object]", value)
    gone = False
    async with anyio.create_task_group() as group:

        async def until_unread() -> None:
            # A reader that goes while nothing is made is heard too.
            await pipe.unread()
            group.cancel_scope.cancel()

        group.start_soon(until_unread)
        async for item in stream:
            if not await pipe.put(item):
                gone = True
                break
        if not gone:
            pipe.end()
        group.cancel_scope.cancel()


async def _receive(call: Call, pipe: Pipe) -> object:
    try:
        while True:
            if call.streams:
                await call.ready()
            item = await pipe.get()
            if isinstance(item, Failure):
                raise StageFailure(item.reason, item.problem, item.stage)
            if not call.streams:
                return item
            if item is END:
                return None
            call.send(item)
    finally:
        pipe.leave()


class Whole:
    """One run of all islands, an async iterator of its frames: home's, the last of which is `End`."""

    def __init__(self, islands: Islands, number: int) -> None:
        self.number = number
        self.over = anyio.Event()
        self._islands = islands
        self.parts: dict[str, Running] = {}
        self._ends: dict[str, End] = {}
        self._failed: str | None = None
        self._cancelled = False
        self._last: list[Frame] | None = None

    def cancel(self) -> None:
        """Stop it; `End` comes when all islands are through."""
        self._cancelled = True
        self._stop()

    async def result(self) -> End:
        """Run to the end, throwing away what was not read."""
        last: Frame | None = None
        async for frame in self:
            last = frame
        assert isinstance(last, End)
        return last

    def __aiter__(self) -> Whole:
        return self

    async def __anext__(self) -> Frame:
        if self._last is not None:
            if not self._last:
                raise StopAsyncIteration
            return self._last.pop(0)
        async for frame in self.parts[self._islands.home]:
            if not isinstance(frame, ProblemFrame | End):
                return frame
        await self.over.wait()
        self._last = self._ending()
        return self._last.pop(0)

    # --- for Islands ---

    def ended(self, tier: str) -> None:
        """A part is through. The first that failed is the run's outcome, and the others are stopped."""
        end = self.parts[tier].end
        assert end is not None
        self._ends[tier] = end
        home = self._islands.home
        if self._failed is None and (end.outcome.status == "failed" or (tier == home and end.outcome.status != "done")):
            self._failed = tier
            self._stop()
        if len(self._ends) == len(self.parts):
            self._islands.forget(self)
            self.over.set()

    def _stop(self) -> None:
        for running in self.parts.values():
            running.cancel()

    def _ending(self) -> list[Frame]:
        home = self._islands.home
        end = self._ends[home]
        outcome = end.outcome
        if self._failed is not None and not self._cancelled:
            outcome = self._ends[self._failed].outcome
        usage: dict[str, float] = {}
        for part in self._ends.values():
            for unit, amount in part.usage.items():
                usage[unit] = usage.get(unit, 0.0) + amount
        stages = tuple(stage for part in self._ends.values() for stage in part.timings.stages)
        frames: list[Frame] = [] if outcome.problem is None else [ProblemFrame(outcome.problem)]
        return [*frames, End(outcome, usage, replace(end.timings, stages=stages))]


class Islands(Runner):
    """See `open_islands`."""

    def __init__(self, home: str, members: Mapping[str, _Member], links: Links) -> None:
        self.home = home
        self._members = members
        self._links = links
        self._numbers = 0
        self._wholes: dict[int, Whole] = {}
        self._stack = AsyncExitStack()
        self._open = False

    async def __aenter__(self) -> Islands:
        await self._stack.__aenter__()
        try:
            for member in self._members.values():
                await self._stack.enter_async_context(member.shell)
        except BaseException:
            await self._stack.aclose()
            raise
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._open = False
        for whole in tuple(self._wholes.values()):
            whole.cancel()
        with anyio.CancelScope(shield=True):
            for whole in tuple(self._wholes.values()):
                await whole.over.wait()
        return await self._stack.__aexit__(kind, error, trace)

    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> Whole:
        """Start a run on every island that has a part in the pipeline; see `Shell.start`. KeyError for an unknown
        pipeline."""
        if not self._open:
            raise RuntimeError("the islands are not open")
        if not self._members[self.home].takes_part(pipeline):
            raise KeyError(pipeline)
        self._numbers += 1
        whole = self._wholes[self._numbers] = Whole(self, self._numbers)
        for tier, member in self._members.items():
            if not member.takes_part(pipeline):
                continue
            if tier == self.home:
                running = member.shell.start(pipeline, inputs, timeout, session=session, approve=approve)
            else:
                running = member.shell.start(pipeline, {}, session=session)
            # Ends of channels are stages with tasks of their own, which run later than this.
            member.runs[running.number] = whole
            whole.parts[tier] = running
        for tier, running in tuple(whole.parts.items()):
            if running.end is not None:
                whole.ended(tier)
        return whole

    def forget(self, whole: Whole) -> None:
        """For `Whole`: all of it is through."""
        self._links.over(whole.number)
        del self._wholes[whole.number]
        for member in self._members.values():
            for number in [number for number, known in member.runs.items() if known is whole]:
                del member.runs[number]
