"""What a coordinator puts in front of the islands of its workers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from ...ir.graph import Graph
from ..island_members import Asked, Holder, Part
from .mesh import Mesh
from .peers import RemotePart


class Assigning(Protocol):
    """The coordinator, as its members know it."""

    def assign(self, tier: str, whole: int, pipeline: str, session: str | None) -> RemotePart: ...

    def unassign(self, tier: str, whole: int) -> None: ...


class HomeMesh(Mesh):
    """Home's, which hears first that a run is through."""

    def __init__(self, tier: str, over: Callable[[int], None]) -> None:
        super().__init__(tier)
        self._told = over

    def over(self, run: int) -> None:
        super().over(run)
        self._told(run)


class RemoteMember:
    """A tier whose workers are elsewhere; see `island_members.Member`."""

    def __init__(self, tier: str, graph: Graph, coordinator: Assigning) -> None:
        self._tier = tier
        self._pipelines = {pipeline.name for pipeline in graph.pipelines}
        self._coordinator = coordinator

    def takes_part(self, pipeline: str) -> bool:
        return pipeline in self._pipelines

    def start(self, whole: Holder, asked: Asked) -> Part:
        return self._coordinator.assign(self._tier, whole.number, asked.pipeline, asked.session)

    def forget(self, whole: Holder) -> None:
        self._coordinator.unassign(self._tier, whole.number)

    async def __aenter__(self) -> RemoteMember:
        return self

    async def __aexit__(self, *failure: object) -> None: ...


@contextlib.contextmanager
def heard(signals: Iterable[signal.Signals], act: Callable[[], None]) -> Generator[None]:
    """The first of the signals calls `act`; from then on each does what it did before."""
    loop, listened = asyncio.get_running_loop(), tuple(signals)

    def once() -> None:
        for each in listened:
            loop.remove_signal_handler(each)
        act()

    for each in listened:
        loop.add_signal_handler(each, once)
    try:
        yield
    finally:
        for each in listened:
            loop.remove_signal_handler(each)
