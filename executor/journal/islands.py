"""Islands whose run outlasts their process: one journal for all of them, in the order in which they were told things.

A journal cut anywhere is a beginning of what happened on all islands, so their machines, each led through its own
records, agree about what went from one to another: nothing was received that was not made. What is not in any record
is what lay in the channels between them. It is made again: a sender that was running sends from its beginning, a
receiver that was running passes over what it had; of a sender that was through, the machine says what it had sent; and
a channel whose reader had gone is one that nobody reads.

What only a process can hold (a KV cache) cannot be sent again by who is through with sending it: a program with such a
channel is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import cast

from ...base.problems import Problem, Problems
from ...ir.graph import (
    ActivationType,
    Graph,
    InTransitType,
    KvShardType,
    KvType,
    SamplerType,
    TokensType,
)
from ...lang.types import HandleType, StreamType
from .. import journal_problems as problems
from ..backends import Backend
from ..clock import Clock, LoopClock
from ..deployment import Deployment
from ..island_members import Asked, Holder, Linked, OfWhole
from ..islands import Islands, Request, Whole
from ..links import MemoryLinks, MemoryPipe
from ..running import Approver
from .course import Course
from .file import Head
from .log import Log
from .opening import course_of, durable_options, new_head
from .records import Of, Record, line, read
from .shell import DurableRunning, DurableShell
from .values import Unreadable

_HELD = (KvType, SamplerType, TokensType, InTransitType, ActivationType, KvShardType, HandleType)


def island_heads(
    graphs: Mapping[str, Graph],
    backends: Mapping[str, Backend],
    pipeline: str,
    run: str,
    agentlang: str,
    *,
    kept: Iterable[str] = (),
    seed: int | None = None,
) -> tuple[dict[str, Head], Problems]:
    """What the journal of a run of these islands begins with, by tier: those that have a part in the pipeline. Problems
    where it could not be resumed."""
    heads: dict[str, Head] = {}
    labels = tuple(kept)
    # Home is told of the run first, so that any beginning of the journal has what it was asked.
    for tier, graph in sorted(graphs.items(), key=lambda each: each[0] != each[1].home):
        for channel in graph.channels:
            type_ = channel.type.element if isinstance(channel.type, StreamType) else channel.type
            if isinstance(type_, _HELD):
                return {}, (problems.islands_hold(channel.name, str(type_)),)
        if any(each.name == pipeline for each in graph.pipelines):
            backend = Linked(backends[tier], MemoryLinks(), {}, {}, None)
            head, found = new_head(Deployment(graph), backend, pipeline, run, agentlang, kept=labels, seed=seed)
            if found:
                return {}, found
            heads[tier] = head
    return heads, ()


def one_head(heads: Mapping[str, Head]) -> Head:
    """What a journal of these islands begins with; home is the first of them."""
    home = next(iter(heads.values()))
    return replace(home, islands={tier: asdict(head) for tier, head in heads.items()})


def read_islands(head: Head, lines: Iterable[str]) -> tuple[dict[str, Head], list[Of]]:
    """The heads of the islands and their records, of a journal. Raises `Unreadable` for one of a single island."""
    records = [read(each, _nothing) for each in lines]
    if not head.islands or not all(isinstance(each, Of) for each in records):
        raise Unreadable("it is not of a run of several islands")
    return {tier: Head.of(data) for tier, data in head.islands.items()}, cast("list[Of]", records)


def _nothing(stage: int) -> object:
    raise Unreadable(f"nothing is lost of stage {stage}")


def open_durable_islands(
    graphs: Mapping[str, Graph],
    backends: Mapping[str, Backend],
    log: Log,
    heads: Mapping[str, Head],
    *,
    records: Iterable[Of] = (),
    given: Mapping[str, object] | None = None,
    clock: Clock | None = None,
) -> DurableIslands:
    """Islands to be used in `async with`, which write to `log`. With `records` (those of a journal that was cut off)
    the run goes on by `resume`, else it is started as that of any islands. Raises `OutsideError` for a journal that is
    damaged, and where `given` lacks an input that it does not tell."""
    (home,) = {graph.home for graph in graphs.values()}
    assert home is not None
    lines: dict[str, list[str]] = {tier: [] for tier in heads}
    for record in records:
        lines[record.tier].append(record.said)
    links, shared = MemoryLinks(), _Shared(log)
    members: dict[str, _Member] = {}
    for tier, head in heads.items():
        course = None
        if lines[tier]:
            course = course_of(graphs[tier], head, lines[tier], given or {} if tier == home else {})
        members[tier] = _Member(
            graphs[tier], backends[tier], links, shared.of(tier), head, course, clock or LoopClock()
        )
    return DurableIslands(home, members, links)


class DurableIslands(Islands):
    """See `open_durable_islands`."""

    def __init__(self, home: str, members: Mapping[str, _Member], links: MemoryLinks) -> None:
        super().__init__(home, members, links)
        self._local = members
        self._pipes = links

    def interrupt(self) -> None:
        """Leave the run to be resumed."""
        for member in self._local.values():
            member.shell.interrupt()

    async def resume(self, streams: Mapping[str, object], approve: Approver | None = None) -> Whole:
        """Go on with the run of the journal; see `DurableShell.resume`."""
        courses = {tier: member.course for tier, member in self._local.items() if member.course is not None}
        request = courses[self.home].request
        assert request is not None
        for member in self._local.values():
            await member.shell.warm()
        whole = self.begin()
        _refill(self._pipes, whole.number, courses.values())
        asked = Request(request.pipeline, {}, None, request.session, approve)
        for tier, member in self._local.items():
            if member.course is None:
                # It had not been told of the run yet.
                whole.parts[tier] = member.start(whole, asked)
            else:
                whole.parts[tier] = member.resume(whole, streams if tier == self.home else {}, approve)
        self.begun(whole)
        return whole

    async def __aexit__(self, *failure: object) -> bool | None:
        self.interrupt()
        return await super().__aexit__(*cast("tuple[None, None, None]", failure))


def _refill(links: MemoryLinks, run: int, courses: Iterable[Course]) -> None:
    """What lay in the channels, and who had left them."""
    every = tuple(courses)
    for course in every:
        for (name, turn), sent in course.sent.items():
            channel = next(each for each in course.machine.deployment.graph.channels if each.name == name)
            pipe = cast(MemoryPipe, links.pipe(run, channel, turn))
            pipe.refill(sent.items, sent.ended)
    for course in every:
        for name, turn in course.left:
            channel = next(each for each in course.machine.deployment.graph.channels if each.name == name)
            links.pipe(run, channel, turn).leave()


class _Member:
    """One of them, in this event loop."""

    def __init__(
        self,
        graph: Graph,
        backend: Backend,
        links: MemoryLinks,
        log: Log,
        head: Head,
        course: Course | None,
        clock: Clock,
    ) -> None:
        self.graph = graph
        self.tier = cast(str, graph.tier)
        self.course = course
        self.runs: dict[int, Holder] = {}
        linked = Linked(backend, links, {each.name: each for each in graph.channels}, self.runs, None)
        deployment, options = durable_options(Deployment(graph), head, course)
        self.shell = _IslandShell(deployment, linked, log, clock, tier=self.tier, wholes=self.runs, **options)

    def takes_part(self, pipeline: str) -> bool:
        return any(known.name == pipeline for known in self.graph.pipelines)

    def start(self, whole: Holder, asked: Asked) -> DurableRunning:
        home = self.tier == self.graph.home
        running = self.shell.start(
            asked.pipeline,
            asked.inputs if home else {},
            asked.timeout if home else None,
            session=asked.session,
            approve=asked.approve if home else None,
        )
        self.runs[running.number] = whole
        return cast(DurableRunning, running)

    def resume(self, whole: Holder, streams: Mapping[str, object], approve: Approver | None) -> DurableRunning:
        running = self.shell.resume(streams, approve)
        self.runs[running.number] = whole
        return cast(DurableRunning, running)

    def forget(self, whole: Holder) -> None:
        for number in [number for number, known in self.runs.items() if known is whole]:
            del self.runs[number]

    async def __aenter__(self) -> _Member:
        await self.shell.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.shell.__aexit__(*cast("tuple[None, None, None]", failure))


class _IslandShell(OfWhole, DurableShell):
    def __init__(self, *parts: object, tier: str, wholes: Mapping[int, Holder], **options: object) -> None:
        super().__init__(*parts, **options)  # pyright: ignore[reportArgumentType]
        self._tier = tier
        self._wholes = wholes


class _Shared:
    """One log for several shells: begun by the first, closed by the last."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.open = 0
        self._hearers: list[Callable[[Problem], None]] = []

    def of(self, tier: str) -> _Tier:
        return _Tier(self, tier)

    def begin(self, on_failure: Callable[[Problem], None]) -> None:
        self._hearers.append(on_failure)
        self.open += 1
        if self.open == 1:
            self.log.begin(self._lost)

    def _lost(self, problem: Problem) -> None:
        for hearer in self._hearers:
            hearer(problem)

    async def close(self) -> None:
        self.open -= 1
        if not self.open:
            await self.log.close()


@dataclass(frozen=True, slots=True)
class _Tier:
    """The log as one of the shells has it."""

    shared: _Shared
    tier: str

    @property
    def failed(self) -> Problem | None:
        return self.shared.log.failed

    def begin(self, on_failure: Callable[[Problem], None]) -> None:
        self.shared.begin(on_failure)

    def append(self, record: Record) -> int:
        return self.shared.log.append(Of(record.at, self.tier, line(record)))

    def is_written(self, number: int) -> bool:
        return self.shared.log.is_written(number)

    async def written(self, number: int) -> None:
        await self.shared.log.written(number)

    async def close(self) -> None:
        await self.shared.close()
