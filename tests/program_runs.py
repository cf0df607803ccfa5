"""Running a checked program in process: its value, the items that it sends, or why it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from agentlang.api import Compiled, check, compile, read, run
from agentlang.base.problems import has_errors
from agentlang.executor.frames import End, Item
from agentlang.executor.running import Approver
from agentlang.executor.values import bind, to_json
from agentlang.lang.types import StreamType
from agentlang.stdlib.library import Library

SECONDS = 30.0


@dataclass(frozen=True)
class Ran:
    """What a run gave. `items` is what a stream sent; else `value` is the result. `failed` is (reason, slug)."""

    value: Any
    items: list[Any]
    failed: tuple[str, str] | None

    @property
    def shown(self) -> Any:
        if self.failed is not None:
            return {"failed": list(self.failed)}
        return self.items if self.value is None and self.items else self.value


def compiled(path: Path) -> Compiled:
    """The program of a file, with nothing wrong in it."""
    source, found = read(path)
    assert source is not None, found
    checked = check(source)
    assert not checked.problems, [(p.slug, p.title, p.span) for p in checked.problems]
    assert checked.program is not None
    done, found = compile(checked.program, Library(path.parent))
    assert done is not None, found
    assert not has_errors(found)
    return done


def ran(done: Compiled, pipeline: str, inputs: Mapping[str, object], approve: Approver | None = None) -> Ran:
    """One run with JSON inputs, in JSON; what a stream is to give is a list."""
    types = {parameter.name: parameter.type for parameter in done.graph.pipeline(pipeline).inputs}

    async def main() -> Ran:
        given = {n: _stream(v) if isinstance(types.get(n), StreamType) else v for n, v in inputs.items()}
        values, wrong = bind(done.graph, done.graph.pipeline(pipeline), given)
        assert not wrong, wrong
        items: list[Any] = []
        with anyio.fail_after(SECONDS):
            async with run(done, pipeline, values, approve=approve) as frames:
                last: Any = None
                async for last in frames:
                    if isinstance(last, Item):
                        items.append(to_json(last.output))
        assert isinstance(last, End)
        outcome = last.outcome
        failed = None
        if outcome.problem is not None:
            failed = str(outcome.reason), outcome.problem.slug
        return Ran(to_json(outcome.value), items, failed)

    return anyio.run(main)


async def _stream(items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item
