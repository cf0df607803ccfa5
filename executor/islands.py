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

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import cast

import anyio

from ..ir.graph import Graph
from .backends import Backend
from .clock import Clock, LoopClock
from .deployment import Deployment
from .frames import End, Frame, ProblemFrame
from .island_members import LocalMember, Member, Part
from .links import Links, MemoryLinks
from .machine.orders import Outcome, Timings
from .observers import Observer
from .running import Approver, Runner, Running


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
        tier: LocalMember(deploy(graph), backends[tier], links, tuple(observers), clock or LoopClock(), luck)
        for tier, graph in graphs.items()
    }
    return Islands(cast(str, home), members, links)


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was started with; see `Shell.start`."""

    pipeline: str
    inputs: Mapping[str, object]
    timeout: float | None = None
    session: str | None = None
    approve: Approver | None = None


class Whole:
    """One run of all islands, an async iterator of its frames: home's, the last of which is `End`."""

    def __init__(self, islands: Islands, number: int) -> None:
        self.number = number
        self.over = anyio.Event()
        self._islands = islands
        self.parts: dict[str, Part] = {}
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
        async for frame in cast(Running, self.parts[self._islands.home]):
            if not isinstance(frame, ProblemFrame | End):
                return frame
        await self.over.wait()
        self._last = self._ending()
        return self._last.pop(0)

    # --- for Islands and its members ---

    def ended(self, tier: str, end: End) -> None:
        """A part is through. The first that failed is the run's outcome, and the others are stopped."""
        if tier in self._ends:
            return
        self._ends[tier] = end
        home = self._islands.home
        if self._failed is None and (end.outcome.status == "failed" or (tier == home and end.outcome.status != "done")):
            self._failed = tier
            self._stop()
        if len(self._ends) == len(self.parts):
            self._islands.forget(self)
            self.over.set()

    def lost(self, tier: str) -> None:
        """Nobody knows what became of a part, and nothing comes of it any more. What waits for it is told so by its
        channels, and does as the program says."""
        self.ended(tier, End(Outcome("cancelled"), {}, Timings(0.0)))

    def _stop(self) -> None:
        for part in self.parts.values():
            part.cancel()

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

    def __init__(self, home: str, members: Mapping[str, Member], links: Links) -> None:
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
                await self._stack.enter_async_context(member)
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
        whole = self.begin()
        request = Request(pipeline, inputs, timeout, session, approve)
        for tier, member in self._members.items():
            if member.takes_part(pipeline):
                whole.parts[tier] = member.start(whole, request)
        self.begun(whole)
        return whole

    def begin(self) -> Whole:
        """A run whose parts are to be begun."""
        self._numbers += 1
        whole = self._wholes[self._numbers] = Whole(self, self._numbers)
        return whole

    def begun(self, whole: Whole) -> None:
        """All parts are there; some may be through already."""
        for tier, part in tuple(whole.parts.items()):
            if part.end is not None:
                whole.ended(tier, part.end)

    def whole(self, number: int) -> Whole | None:
        """The run of that number, while a part of it is under way."""
        return self._wholes.get(number)

    def forget(self, whole: Whole) -> None:
        """For `Whole`: all of it is through."""
        self._links.over(whole.number)
        del self._wholes[whole.number]
        for member in self._members.values():
            member.forget(whole)
