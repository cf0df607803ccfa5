"""Stages that were fused (`agent.fused`), for those who read graphs: what one takes, and a graph without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .graph import Graph, GraphPipeline, Operation, Region, Value, walk

FUSED = "agent.fused"
ENTRY = "agent:fused"
"""What a backend is asked for where one of them is to run."""


def inside(operation: Operation) -> tuple[Operation, ...]:
    """The operations that a fused one does the work of, in order."""
    return operation.regions[0].operations[:-1]


def stages(operation: Operation) -> tuple[Operation, ...]:
    """Those of them that a kind runs."""
    return tuple(each for each in inside(operation) if "entry" in each.attributes)


def given(operation: Operation) -> Value:
    """The value in its body that it gives."""
    return operation.regions[0].operations[-1].operands[0]


def taken(operation: Operation) -> tuple[Value, ...]:
    """The values from outside that are used in it, each once, in the order of their first use."""
    made = {value.id for each in inside(operation) for value in each.results}
    used = {value.id: value for each in operation.regions[0].operations for value in each.operands}
    return tuple(value for number, value in used.items() if number not in made)


def as_leaf(operation: Operation) -> Operation:
    """A fused operation as a leaf, whose operands are what it takes."""
    return replace(operation, operands=taken(operation), regions=())


def unfused(graph: Graph, where: Callable[[Operation], bool]) -> Graph:
    """The graph with what stands in fused operations in their places, for those of which `where` says so."""
    bodies = (*graph.pipelines, *graph.tests)
    if not any(each.name == FUSED and where(each) for body in bodies for each in walk(body.body)):
        return graph
    return replace(
        graph,
        pipelines=tuple(_unfused(each, where) for each in graph.pipelines),
        tests=tuple(_unfused(each, where) for each in graph.tests),
    )


def _unfused(pipeline: GraphPipeline, where: Callable[[Operation], bool]) -> GraphPipeline:
    same: dict[int, Value] = {}

    def opened(region: Region) -> Region:
        made: list[Operation] = []
        for operation in region.operations:
            if operation.name == FUSED and where(operation):
                made += map(kept, inside(operation))
                same[operation.results[0].id] = same.get(given(operation).id, given(operation))
            else:
                made.append(kept(operation))
        return Region(region.arguments, tuple(made))

    def kept(operation: Operation) -> Operation:
        operands = tuple(same.get(value.id, value) for value in operation.operands)
        return replace(operation, operands=operands, regions=tuple(map(opened, operation.regions)))

    return replace(pipeline, body=opened(pipeline.body))
