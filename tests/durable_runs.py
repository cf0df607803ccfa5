"""Durable runs in process, cut off after any record of their journal and resumed.

What is written is a beginning of the journal whenever a process dies, so a journal cut after a record is all that a
killed process leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentlang.api import Compiled
from agentlang.executor.backends import Backend, Bound, Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Frame, Item
from agentlang.executor.journal.acting import effects_of, tool_of
from agentlang.executor.journal.file import Head
from agentlang.executor.journal.log import MemoryLog
from agentlang.executor.journal.opening import course_of, new_head, open_durable, wanted_streams
from agentlang.executor.promises import Promises
from agentlang.executor.running import Approver
from agentlang.executor.values import bind, to_json
from agentlang.ir.graph import Handle
from agentlang.lang.types import StreamType

SECONDS = 30.0


@dataclass
class Acts:
    """Which tools acted, in order."""

    tools: list[str] = field(default_factory=list[str])


class ActingBackend:
    """Counts what acts on the world before it does."""

    def __init__(self, inner: Backend, acts: Acts) -> None:
        self._inner = inner
        self._acts = acts

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    async def run(self, call: Call) -> object:
        if effects_of(call.operation):
            self._acts.tools.append(tool_of(call.operation))
        return await self._inner.run(call)

    def immediate(self, entry: str) -> bool:
        return self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def close(self) -> None:
        await self._inner.close()


@dataclass(frozen=True)
class Durable:
    """One durable run: what it gave, what it wrote, and what it did to the world."""

    frames: tuple[Frame, ...]
    head: Head
    lines: tuple[str, ...]
    acts: tuple[str, ...]

    @property
    def end(self) -> End:
        last = self.frames[-1]
        assert isinstance(last, End)
        return last

    @property
    def items(self) -> list[tuple[int, Any]]:
        return [(frame.seq, to_json(frame.output)) for frame in self.frames if isinstance(frame, Item)]

    @property
    def shown(self) -> Any:
        outcome = self.end.outcome
        if outcome.problem is not None:
            return {"failed": [outcome.reason, outcome.problem.slug]}
        return [item for _, item in self.items] if outcome.value is None and self.items else to_json(outcome.value)


MakeBackend = Callable[[], Backend]


def local(compiled: Compiled) -> MakeBackend:
    return lambda: LocalBackend(compiled.library)


def durable(
    compiled: Compiled,
    pipeline: str,
    inputs: Mapping[str, object],
    *,
    backend: MakeBackend | None = None,
    approve: Approver | None = None,
    kept: Sequence[str] = (),
    timeout: float | None = None,
    loop: dict[str, Any] | None = None,
    promises: Promises | None = None,
) -> Durable:
    """A run from its beginning to its end."""
    make = backend or local(compiled)

    async def main() -> Durable:
        acts, log = Acts(), MemoryLog()
        deployment = Deployment(compiled.graph, promises=() if promises is None else (promises,))
        inner = ActingBackend(make(), acts)
        head, found = new_head(deployment, inner, pipeline, "test", "0", kept=kept, seed=7)
        assert not found, found
        values, streams = _inputs(compiled, pipeline, inputs)
        frames: list[Frame] = []
        with anyio.fail_after(SECONDS):
            async with open_durable(deployment, inner, log, head) as shell:
                async for frame in shell.start(pipeline, {**values, **streams}, timeout, approve=approve):
                    frames.append(frame)
        return Durable(tuple(frames), head, tuple(log.lines), tuple(acts.tools))

    return anyio.run(main, backend_options=loop)


def resumed(
    compiled: Compiled,
    before: Durable,
    cut: int,
    inputs: Mapping[str, object],
    *,
    backend: MakeBackend | None = None,
    approve: Approver | None = None,
    loop: dict[str, Any] | None = None,
) -> tuple[Durable, tuple[Frame, ...]]:
    """The run as it goes on from its first `cut` records; and what its caller had read by then."""
    make, head = backend or local(compiled), before.head

    async def main() -> tuple[Durable, tuple[Frame, ...]]:
        acts, log = Acts(), MemoryLog()
        log.lines = list(before.lines[:cut])
        values, streams = _inputs(compiled, head.pipeline, inputs)
        course = course_of(compiled.graph, head, log.lines, values)
        assert set(wanted_streams(course)) <= set(streams)
        had = tuple(course.handed)
        frames: list[Frame] = []
        inner = ActingBackend(make(), acts)
        with anyio.fail_after(SECONDS):
            async with open_durable(Deployment(compiled.graph), inner, log, head, course=course) as shell:
                await shell.warm()
                async for frame in shell.resume(streams, approve):
                    frames.append(frame)
        return Durable(tuple(frames), head, tuple(log.lines), tuple(acts.tools)), had

    return anyio.run(main, backend_options=loop)


def _inputs(
    compiled: Compiled, pipeline: str, inputs: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    graph = compiled.graph
    types = {parameter.name: parameter.type for parameter in graph.pipeline(pipeline).inputs}
    given = {n: _stream(v) if isinstance(types.get(n), StreamType) else v for n, v in inputs.items()}
    values, wrong = bind(graph, graph.pipeline(pipeline), given)
    assert not wrong, wrong
    streams = {name: values.pop(name) for name in tuple(values) if isinstance(types[name], StreamType)}
    return values, streams


async def _stream(items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item
