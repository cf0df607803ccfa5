"""pydantic-graph: steps joined by edges, and a map over a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise

from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

Run = Callable[[], Awaitable[object]]
Context = StepContext[None, None, int]


async def add(context: Context) -> int:
    return context.inputs + 1


def chain(stages: int) -> Run:
    builder = GraphBuilder(state_type=type(None), input_type=int, output_type=int)
    steps = [builder.step(add, node_id=f"add{number}") for number in range(stages)]
    edges = [builder.edge_from(builder.start_node).to(steps[0])]
    edges += [builder.edge_from(left).to(right) for left, right in pairwise(steps)]
    builder.add(*edges, builder.edge_from(steps[-1]).to(builder.end_node))
    graph = builder.build()

    async def run() -> object:
        return await graph.run(inputs=0)

    return run


def fan(branches: int) -> Run:
    builder = GraphBuilder(state_type=type(None), input_type=int, output_type=list[int])

    async def spread(context: Context) -> list[int]:
        del context
        return list(range(branches))

    source = builder.step(spread, node_id="source")
    work = builder.step(add, node_id="add")
    gather = builder.join(reduce_list_append, initial_factory=list[int])
    builder.add(
        builder.edge_from(builder.start_node).to(source),
        builder.edge_from(source).map().to(work),
        builder.edge_from(work).to(gather),
        builder.edge_from(gather).to(builder.end_node),
    )
    graph = builder.build()

    async def run() -> object:
        # The order in which branches end is the order of its list.
        return sorted(await graph.run(inputs=0))

    return run
