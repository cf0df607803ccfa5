"""What is known of a program beside its problem: the graph that the machine walks, the sizes of runs, and for pools
that serve a model, how its steps go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...ir.graph import Graph, GraphPipeline, Operation, Value, walk
from ...ir.sizes import resolve
from ...planner.traces import Named, named
from ..scheduler import Settings
from .steps import StepTimes

PASSES_ON = frozenset(
    {"agent.detokenize", "agent.collect", "agent.buffered", "agent.return", "agent.yield", "agent.emit"}
)
"""What takes the items of a stream together as well as one by one."""


@dataclass(frozen=True, slots=True)
class Served:
    """How a pool serves a model: its scheduler's settings and its steps."""

    settings: Settings
    times: StepTimes


@dataclass(frozen=True)
class Program:
    """`assumed` are sizes that are stated (by the goal), `served` the pools whose prefill and decode go through the
    scheduler."""

    graph: Graph
    name: str
    assumed: Mapping[str, float] = field(default_factory=dict[str, float])
    served: Mapping[str, Served] = field(default_factory=dict[str, Served])

    @cached_property
    def pipeline(self) -> GraphPipeline:
        return self.graph.pipeline(self.name)

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        return {operation.id: operation for operation in walk(self.pipeline.body)}

    @cached_property
    def base(self) -> Mapping[str, float]:
        """The sizes that the plan reckons with."""
        return self.sizes({})

    def sizes(self, own: Mapping[str, float]) -> Mapping[str, float]:
        """Those of a run with these of its own."""
        resolved, _ = resolve(self.pipeline.sizes, {**self.assumed, **own})
        return {size.name: size.value for size in resolved}

    @cached_property
    def named(self) -> Named:
        """The sizes that a trace's prompts and replies are."""
        return named(self.pipeline)

    @cached_property
    def together(self) -> frozenset[str]:
        """Stages whose stream may come in two pieces, its first item and the rest: nobody who takes it can tell."""
        users: dict[int, list[Operation]] = {}
        around: dict[int, Operation] = {}
        for operation in walk(self.pipeline.body):
            for operand in operation.operands:
                users.setdefault(operand.id, []).append(operation)
            for region in operation.regions:
                for inner in region.operations:
                    around[id(inner)] = operation
        idle = any(operation.attributes.get("idle") for operation in walk(self.pipeline.body))
        known: dict[int, bool] = {}

        def plain(value: Value) -> bool:
            if value.id not in known:
                known[value.id] = True
                known[value.id] = all(passes(user) for user in users.get(value.id, ()))
            return known[value.id]

        def passes(user: Operation) -> bool:
            if user.name not in PASSES_ON:
                return False
            if user.name == "agent.yield" and id(user) in around:
                return all(plain(result) for result in around[id(user)].results)
            return all(plain(result) for result in user.results)

        found = (each for each in walk(self.pipeline.body) if each.demand is not None)
        return frozenset(each.id for each in found if not idle and all(plain(result) for result in each.results))

    @cached_property
    def streams_of(self) -> Mapping[str, str]:
        """For a stage that reads a stream, the stage that counts its items: the nearest before it that says so."""
        makers: dict[int, Operation] = {}
        out: dict[str, str] = {}
        for operation in walk(self.pipeline.body):
            makers |= {result.id: operation for result in operation.results}
        for operation in makers.values():
            seen: Operation | None = operation
            while seen is not None:
                if seen.demand is not None and seen.demand.tokens_out.value(self.base) > 0:
                    out[operation.id] = seen.id
                    break
                seen = next((makers[value.id] for value in seen.operands if value.id in makers), None)
        return out
