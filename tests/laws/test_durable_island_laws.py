"""Programs at random with their stages on tiers at random, durable: killed after any record of their one journal and
resumed, islands give in all what they give at once, and what acts on the world does so as often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ir_meaning import Ran, _granted, _Toys, arguments
from ir_random import programs
from island_runs import divided
from test_island_laws import _size, ready, somewhere

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.frames import End, Item
from agentlang.executor.journal.file import Head
from agentlang.executor.journal.islands import island_heads, open_durable_islands
from agentlang.executor.journal.log import MemoryLog
from agentlang.executor.journal.records import Of, read
from agentlang.ir.graph import Graph, walk
from agentlang.lang import program as p


@dataclass(frozen=True)
class Told:
    """What the caller got, how it ended, and the journal."""

    items: list[tuple[int, object]]
    end: tuple[object, ...]
    lines: list[str]


def _ended(end: End) -> tuple[object, ...]:
    outcome = end.outcome
    return (outcome.status, outcome.reason if outcome.status != "done" else outcome.value)


def life(
    graphs: Mapping[str, Graph],
    heads: Mapping[str, Head],
    pipeline: str,
    inputs: Mapping[str, object],
    lines: list[str],
) -> Told:
    """A life of a run: from its beginning, or from what was written."""

    async def main() -> Told:
        log = MemoryLog()
        log.lines = list(lines)
        records = [read(each, lambda _: None) for each in lines]
        backends = {tier: LocalBackend(_Toys(graph, Ran())) for tier, graph in graphs.items()}
        islands = open_durable_islands(
            graphs, backends, log, heads, records=[each for each in records if isinstance(each, Of)], given=inputs
        )
        items: list[tuple[int, object]] = []
        last: Any = None
        with anyio.fail_after(1000.0):
            async with islands as together:
                whole = (
                    await together.resume({}, _granted) if lines else together.start(pipeline, inputs, approve=_granted)
                )
                async for last in whole:
                    if isinstance(last, Item):
                        items.append((last.seq, last.output))
        assert isinstance(last, End)
        return Told(items, _ended(last), log.lines)

    return anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})


def check(program: p.Program, data: st.DataObject) -> int:
    """How many cuts were looked at."""
    module = ready(program)
    graphs = divided(module, somewhere(module, data)).graphs()
    cuts = 0
    for pipeline in module.graph().pipelines:
        if any(operation.name == "agent.race" and len(operation.regions) > 1 for operation in walk(pipeline.body)):
            continue  # which branch wins is a matter of time
        if _size(pipeline.body) > 300:
            continue
        inputs = arguments(pipeline)
        backends = {tier: LocalBackend(_Toys(graph, Ran())) for tier, graph in graphs.items()}
        heads, refused = island_heads(graphs, backends, pipeline.name, "law", "0", seed=3)
        if refused:
            assert refused[0].slug in ("islands-not-durable", "journal-masks")
            continue
        whole = life(graphs, heads, pipeline.name, inputs, [])
        at = data.draw(st.lists(st.integers(1, len(whole.lines)), min_size=2, max_size=4))
        for cut in at:
            again = life(graphs, heads, pipeline.name, inputs, whole.lines[:cut])
            assert again.end == whole.end, (pipeline.name, cut)
            if whole.end[0] == "done":
                # At most the item that was under way is given once more; nothing is left out.
                both = {**dict(whole.items[: len(whole.items) - len(again.items)]), **dict(again.items)}
                assert sorted(both.items()) == whole.items
            cuts += 1
    return cuts


lawful = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@lawful
@given(programs(), st.data())
def test_islands_that_are_killed_anywhere_go_on(program: p.Program, data: st.DataObject) -> None:
    assume(check(program, data))
