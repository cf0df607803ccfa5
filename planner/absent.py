"""A graph as it runs where some of its models cannot: what is tried with them gives way to its fallback.

```text
remote.chat(q) otherwise local.chat(q)   ⇒   local.chat(q)      where `remote` is absent
```

A model that nothing stands in for stays, so that the plan can say what is missing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..ir.formula import constant
from ..ir.graph import Graph, GraphPipeline, Operation, Region, walk


def without(graph: Graph, absent: frozenset[str]) -> Graph:
    """`graph` for a machine on which the handles `absent` do not open. The digest stays that of the program."""
    if not absent:
        return graph
    return replace(graph, pipelines=tuple(_pipeline(pipeline, absent) for pipeline in graph.pipelines))


def needed(graph: Graph, pipeline: str, absent: frozenset[str]) -> tuple[Operation, ...]:
    """The operations that open handles of `absent` all the same: nothing stands in for what uses them."""
    body = graph.pipeline(pipeline).body
    return tuple(o for o in walk(body) if o.name == "agent.open" and o.attributes.get("name") in absent)


def _pipeline(pipeline: GraphPipeline, absent: frozenset[str]) -> GraphPipeline:
    opened = {o.results[0].id for o in walk(pipeline.body) if o.name == "agent.open" and o.attributes["name"] in absent}
    body = _region(pipeline.body, frozenset(opened))
    used = {value.id for operation in walk(body) for value in operation.operands}
    # What is tried in vain fails each time.
    failing = {f"{o.id.removeprefix(f'{pipeline.name}.')}.failed" for o in walk(pipeline.body) if _fails(o, opened)}
    sizes = tuple(
        replace(size, default=constant(1.0), basis="program") if size.name in failing else size
        for size in pipeline.sizes
    )
    return replace(pipeline, body=_without(body, frozenset(opened - used)), sizes=sizes)


def _region(region: Region, opened: frozenset[int]) -> Region:
    return replace(region, operations=tuple(_operation(operation, opened) for operation in region.operations))


def _operation(operation: Operation, opened: frozenset[int]) -> Operation:
    regions = tuple(_region(region, opened) for region in operation.regions)
    if _fails(operation, opened):
        regions = (regions[1], regions[1])
    return replace(operation, regions=regions)


def _fails(operation: Operation, opened: Collection[int]) -> bool:
    """Whether what a `try` tries uses one of the values `opened`."""
    if operation.name != "agent.try":
        return False
    return any(value.id in opened for inner in walk(operation.regions[0]) for value in inner.operands)


def _without(region: Region, values: frozenset[int]) -> Region:
    kept = (o for o in region.operations if not (o.name == "agent.open" and o.results[0].id in values))
    return replace(
        region,
        operations=tuple(replace(o, regions=tuple(_without(inner, values) for inner in o.regions)) for o in kept),
    )
