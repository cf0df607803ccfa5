"""Any pipeline, cut off after any record of its journal and resumed: what its caller gets is what it would have got."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio
from graphs import show
from hypothesis import HealthCheck, given, note, reject, settings
from hypothesis import strategies as st
from meaning import TooMuch, meaning
from random_graphs import graphs
from world import END, STAGES, Broken, Work

from agentlang.base.problems import Problem
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Frame, Item
from agentlang.executor.journal.file import Head
from agentlang.executor.journal.log import MemoryLog
from agentlang.executor.journal.opening import course_of, new_head, open_durable
from agentlang.executor.journal.replay import Replayed
from agentlang.executor.kinds import Context, Kind, Opener, StageFailure
from agentlang.ir.graph import Graph
from agentlang.lang.types import StreamType

QUESTION = {"question": "how1?"}
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


class Worlds:
    """The stages of the world as kinds."""

    def kind(self, entry: str) -> Kind:
        work = STAGES[entry]

        def run(context: Context, arguments: Mapping[str, object]) -> Any:
            made = work(**arguments)
            return _stream(made) if isinstance(context.result, StreamType) else _value(made)

        return run

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)


async def _value(work: Work) -> object:
    request, answer = _next(work, None), None
    while request is not None:
        answer = await _answer(request)
        request = _next(work, answer)
    return _RESULTS.pop(id(work))


async def _stream(work: Work) -> AsyncIterator[object]:
    request = _next(work, None)
    while request is not None:
        if request[0] == "make":
            yield request[1]
            request = _next(work, None)
        else:
            request = _next(work, await _answer(request))
    _RESULTS.pop(id(work))


_RESULTS: dict[int, object] = {}


def _next(work: Work, answer: object) -> tuple[str, object] | None:
    """What the stage asks for; None at its end."""
    try:
        return work.send(answer)
    except StopIteration as end:
        _RESULTS[id(work)] = end.value
        return None
    except Broken:
        raise StageFailure("tool_error", Problem("it-broke", "it broke")) from None


async def _answer(request: tuple[str, object]) -> object:
    what, stream = request
    if what == "close":
        return await cast(Any, stream).aclose()
    return await anext(cast("AsyncIterator[object]", stream), END)


@dataclass(frozen=True)
class Told:
    """What a caller got, and what was written."""

    frames: list[Frame]
    head: Head
    lines: list[str]

    @property
    def outputs(self) -> list[tuple[int, object]]:
        return [(frame.seq, frame.output) for frame in self.frames if isinstance(frame, Item)]

    @property
    def end(self) -> End:
        last = self.frames[-1]
        assert isinstance(last, End)
        return last


def run(main: Any) -> Any:
    return anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})


def durable(graph: Graph) -> Told:
    async def main() -> Told:
        log, deployment = MemoryLog(), Deployment(graph, buffer=2)
        backend = LocalBackend(Worlds())
        head, found = new_head(deployment, backend, graph.pipelines[0].name, "law", "0", seed=3)
        assert not found
        async with open_durable(deployment, backend, log, head) as shell:
            frames = [frame async for frame in shell.start(graph.pipelines[0].name, QUESTION)]
        return Told(frames, head, log.lines)

    return run(main)


def resumed(graph: Graph, told: Told, cut: int) -> tuple[list[Frame], Told]:
    """What the caller had read when the journal was cut off, and what it got then."""

    async def main() -> tuple[list[Frame], Told]:
        log = MemoryLog()
        log.lines = told.lines[:cut]
        course = course_of(graph, told.head, log.lines, {})
        had = list(course.handed)
        shell = open_durable(course.machine.deployment, LocalBackend(Worlds()), log, told.head, course=course)
        async with shell:
            frames = [frame async for frame in shell.resume({})]
        return had, Told(frames, told.head, log.lines)

    return run(main)


def expect(graph: Graph) -> object:
    note(show(graph.pipelines[0].body))
    try:
        return meaning(graph, QUESTION)
    except TooMuch:
        reject()


@FEW
@given(graphs(), st.data())
def test_a_run_that_is_cut_off_anywhere_gives_what_it_would_have_given(graph: Graph, data: st.DataObject) -> None:
    """Items that were read are not given again, those that were not are, and the end is the same; also where the run
    that goes on is cut off once more."""
    expected = expect(graph)
    whole = durable(graph)
    assert whole.end.outcome.status == "done"
    assert ([output for _, output in whole.outputs] or whole.end.outcome.value or []) == (expected or [])
    told, before = whole, list[tuple[int, object]]()
    for _ in range(2):
        cut = data.draw(st.integers(1, len(told.lines)))
        had, told = resumed(graph, told, cut)
        before = [(frame.seq, frame.output) for frame in had if isinstance(frame, Item)]
        assert before + told.outputs == whole.outputs
        assert told.end.outcome == whole.end.outcome


@FEW
@given(graphs())
def test_a_journal_replays_to_the_frames_that_were_given(graph: Graph) -> None:
    expect(graph)
    whole = durable(graph)
    replayed = Replayed(graph, whole.head, tuple(whole.lines))
    assert list(replayed.frames()) == whole.frames
    # Backwards as forwards, wherever one stands.
    forwards = [replayed.at(number) for number in range(0, len(replayed) + 1, 7)]
    assert [replayed.at(state.number) for state in reversed(forwards)] == forwards[::-1]
