"""What an executor is opened with: the graph and the settings that hold whatever the plan says. Frozen."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.graph import Graph
from .promises import Promises


@dataclass(frozen=True, slots=True)
class Deployment:
    """`call_timeout` is the deadline of a call that has none of its own, in seconds; `buffer` is the bound of a
    stream in items; `at_once` bounds a `for` over a list that does not say its own. `promises` say what runs are to
    take, of each pipeline at most once."""

    graph: Graph
    call_timeout: float = 60.0
    buffer: int = 64
    at_once: int = 16
    promises: tuple[Promises, ...] = ()

    def __post_init__(self) -> None:
        if not self.call_timeout > 0 or self.buffer < 1 or self.at_once < 1:
            raise ValueError("a deployment needs a positive timeout, a buffer of one item and one turn at once")
        if len({each.pipeline for each in self.promises}) < len(self.promises):
            raise ValueError("a pipeline has its promises once")
