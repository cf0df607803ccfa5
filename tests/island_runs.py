"""Placed modules and islands for tests: a placement, its islands, and a run of them together on virtual time, with the
toy stages of `ir_meaning`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import ir_programs as P
from ir_meaning import Ran, _granted, _Toys

from agentlang.executor.backends import Backend
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.frames import End, Item
from agentlang.executor.islands import open_islands
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph, walk
from agentlang.ir.islands import islands
from agentlang.ir.library import Library
from agentlang.ir.place import placed
from agentlang.ir.tiers import is_leaf


@dataclass(frozen=True)
class Placed:
    """A module at each step of its way to islands."""

    placed: Module
    sent: Module
    partitioned: Module
    islands: Mapping[str, Module]
    notes: tuple[str, ...]

    def graphs(self) -> dict[str, Graph]:
        return {name: module.graph() for name, module in self.islands.items()}


def leaves(module: Module) -> list[str]:
    """The stages that a placement may name."""
    return [o.id for pipeline in module.graph().pipelines for o in walk(pipeline.body) if is_leaf(o)]


def divided(module: Module, placement: Mapping[str, str], home: str = "cpu", library: Library | None = None) -> Placed:
    """The module placed, with transfers, and its islands. Everything is verified, and all laws are checked."""
    library = library or P.SmallLibrary()
    first, notes = placed(module, placement, home=home)
    assert first is not None, [problem.title for problem in notes]
    second, problems = irc.run_passes(first, library, passes=["insert_transfers"])
    assert second is not None, [problem.title for problem in problems]
    third, problems = irc.run_passes(second, library, passes=["partition"])
    assert third is not None, [problem.title for problem in problems]
    made, problems = islands(third)
    assert made, [problem.title for problem in problems]
    return Placed(first, second, third, made, tuple(problem.slug for problem in notes))


def run_islands(
    graphs: Mapping[str, Graph],
    pipeline: str,
    inputs: Mapping[str, object],
    backend: Callable[[Graph], Backend] | None = None,
    loop: str = "asyncio",
    **options: Any,
) -> Ran:
    """One run of all islands; see `ir_meaning.run`."""
    ran = Ran()
    last: list[End] = []

    async def main() -> None:
        backends = {
            tier: backend(graph) if backend else LocalBackend(_Toys(graph, ran)) for tier, graph in graphs.items()
        }
        items: list[object] = []
        with anyio.fail_after(1000.0):
            async with open_islands(graphs, backends) as together:
                async for frame in together.start(pipeline, inputs, approve=_granted, **options):
                    if isinstance(frame, Item):
                        items.append(frame.output)
                    elif isinstance(frame, End):
                        last.append(frame)
        (end,) = last
        outcome = end.outcome
        ran.failed = outcome.status != "done"
        ran.result = (outcome.status, outcome.reason) if ran.failed else (outcome.status, outcome.value, items)
        ran.end = end  # type: ignore[attr-defined]

    if loop == "trio":
        from trio.testing import MockClock

        anyio.run(main, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    else:
        anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})
    return ran
