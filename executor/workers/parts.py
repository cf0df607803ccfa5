"""What of an island's part in a run nobody else hears of, and what of it acts on the world."""

from __future__ import annotations

from ...ir.graph import Graph, GraphPipeline, Operation, walk
from ..backends import Call
from ..journal.acting import effects_of, idempotent_tools, tool_of
from ..machine.semantics import LINKS

_STORES = "memory:store"


def is_call(operation: Operation) -> bool:
    """Whether it runs on the tier, and is no end of a channel."""
    return "entry" in operation.attributes and operation.attributes["entry"] not in LINKS


def alone(pipeline: GraphPipeline) -> tuple[frozenset[str], bool]:
    """The calls of an island that stand in no body which another island takes part in: where the island is gone before
    these were through, the run is as if they had failed. And whether it has whole bodies like that, of which nobody can
    tell from outside when they are through."""
    calls: set[str] = set()
    bodies = False
    for operation in pipeline.body.operations:
        if is_call(operation):
            calls.add(operation.id)
        elif operation.regions:
            inside = [each for region in operation.regions for each in walk(region)]
            linked = any("channel" in each.attributes for each in inside)
            bodies |= not linked and any(map(is_call, inside))
    return frozenset(calls), bodies


class Acting:
    """Which calls of a graph act on the world, so that a second time would be another time."""

    def __init__(self, graph: Graph) -> None:
        self._idempotent = idempotent_tools(graph)

    def __call__(self, call: Call) -> bool:
        operation = call.operation
        if call.entry == _STORES:
            return True
        return bool(effects_of(operation)) and tool_of(operation) not in self._idempotent
