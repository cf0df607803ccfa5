"""One island in this process: its shell, the ends of its channels, and which run of the whole each of its runs is of.

A run of the whole is a run of each island that has a part in it (`islands`). Whoever holds the whole is known here as a
`Holder`: it is told when this part is through, and tells when all are, so that what a stage holds is let go of only
when no other island can be using it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from random import Random
from typing import Protocol, cast

import anyio

from ..ir.graph import Channel, Graph, Handle
from ..ir.projection import STOPPED
from .backends import Backend, Bound, Call
from .clock import Clock
from .deployment import Deployment
from .frames import End
from .island_problems import stopped_elsewhere
from .kinds import StageFailure
from .links import END, Links, Pipe
from .machine import orders
from .machine.faults import Failure
from .machine.semantics import LINKS
from .observers import Observer
from .running import Approver, Running
from .shell import Shell


class Holder(Protocol):
    """A run of the whole, as a member of it knows it."""

    @property
    def number(self) -> int: ...

    @property
    def over(self) -> anyio.Event:
        """Set when all parts are through."""
        ...

    def ended(self, tier: str, end: End) -> None:
        """The tier's part is through."""
        ...


class Part(Protocol):
    """An island's part of a run."""

    end: End | None

    def cancel(self) -> None: ...


class Asked(Protocol):
    """What a run was started with, as home gets it; other islands get the session alone."""

    @property
    def pipeline(self) -> str: ...

    @property
    def inputs(self) -> Mapping[str, object]: ...

    @property
    def timeout(self) -> float | None: ...

    @property
    def session(self) -> str | None: ...

    @property
    def approve(self) -> Approver | None: ...


class Member(Protocol):
    """An island, here or elsewhere."""

    def takes_part(self, pipeline: str) -> bool: ...

    def start(self, whole: Holder, asked: Asked) -> Part: ...

    def forget(self, whole: Holder) -> None:
        """All of the run is through."""
        ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *failure: object) -> bool | None: ...


Permit = Callable[[Call, int], Awaitable[None]]
"""Called before a call begins, with the number of the run of the whole; returns when it may."""


class LocalMember:
    """An island in this event loop. `permit` is asked before each call that is not immediate."""

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        links: Links,
        observers: tuple[Observer, ...],
        clock: Clock,
        luck: Callable[[], float] | None,
        permit: Permit | None = None,
    ) -> None:
        self.graph: Graph = deployment.graph
        self.tier = cast(str, self.graph.tier)
        self.runs: dict[int, Holder] = {}
        channels = {channel.name: channel for channel in self.graph.channels}
        linked = Linked(backend, links, channels, self.runs, permit)
        self.shell: Shell = _IslandShell(deployment, linked, observers, clock, luck or Random().random, self.runs)

    def takes_part(self, pipeline: str) -> bool:
        return any(known.name == pipeline for known in self.graph.pipelines)

    def start(self, whole: Holder, asked: Asked) -> Running:
        if self.tier == self.graph.home:
            running = self.shell.start(
                asked.pipeline, asked.inputs, asked.timeout, session=asked.session, approve=asked.approve
            )
        else:
            running = self.shell.start(asked.pipeline, {}, session=asked.session)
        # Ends of channels are stages with tasks of their own, which run later than this.
        self.runs[running.number] = whole
        return running

    def forget(self, whole: Holder) -> None:
        for number in [number for number, known in self.runs.items() if known is whole]:
            del self.runs[number]

    async def __aenter__(self) -> LocalMember:
        await self.shell.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.shell.__aexit__(*cast("tuple[None, None, None]", failure))


class OfWhole(Shell):
    """What a stage holds may be in use on another island: it is let go of when the whole run is over. Who derives from
    this sets which tier the shell is of, and which run of the whole each of its runs is of."""

    _tier: str
    _wholes: Mapping[int, Holder]

    def _finished(self, order: orders.FinishRun) -> None:
        running = self._runs[order.run]
        super()._finished(order)
        whole = self._wholes.get(order.run)
        if whole is not None:
            assert running.end is not None
            whole.ended(self._tier, running.end)

    async def _release(self, order: orders.FinishRun, held: list[object]) -> None:
        whole = self._wholes.get(order.run)
        self._finished(order)
        if whole is not None:
            with anyio.CancelScope(shield=True):
                await whole.over.wait()
        await self._let_go(order.run, held)

    def _let_go_early(self, order: orders.LetGo) -> None:
        """Another island may use it."""


class _IslandShell(OfWhole):
    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        observers: tuple[Observer, ...],
        clock: Clock,
        luck: Callable[[], float],
        wholes: Mapping[int, Holder],
    ) -> None:
        super().__init__(deployment, backend, observers, clock, (), luck)
        self._tier = cast(str, deployment.graph.tier)
        self._wholes = wholes


class Linked:
    """An island's backend, with the ends of channels in front of it."""

    def __init__(
        self,
        inner: Backend,
        links: Links,
        channels: Mapping[str, Channel],
        runs: Mapping[int, Holder],
        permit: Permit | None,
    ) -> None:
        self._inner = inner
        self._links = links
        self._channels = channels
        self._runs = runs
        self._permit = permit

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    async def run(self, call: Call) -> object:
        if call.entry not in LINKS:
            if self._permit is not None:
                await self._permit(call, self._runs[call.run].number)
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
    failed: list[StageFailure] = []
    async with anyio.create_task_group() as group:

        async def until_unread() -> None:
            # A reader that goes while nothing is made is heard too.
            try:
                await pipe.unread()
            except StageFailure as failure:
                failed.append(failure)
            group.cancel_scope.cancel()

        group.start_soon(until_unread)
        try:
            async for item in stream:
                if not await pipe.put(item):
                    gone = True
                    break
        except StageFailure as failure:
            failed.append(failure)
        if not gone and not failed:
            pipe.end()
        group.cancel_scope.cancel()
    if failed:
        # As itself, and not in the group that a task group makes of what its tasks raise.
        raise failed[0]


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
