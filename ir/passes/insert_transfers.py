"""What crosses from one tier to another is sent and received.

    cpu   best  = search(question)                    cpu   best  = search(question)
    gpu   reply = chat(best)               =>         cpu   sent  = send(best) {channel, to = gpu}
                                                      gpu   best' = receive(sent) {channel, from = cpu}
                                                      gpu   reply = chat(best')

One send for each value and tier that uses it, however many uses there are; a stream is sent as a stream. Between two
tiers a transfer of a KV cache becomes the send of it, with its demand, and says how the cache lies in memory. A
constant, and what opens a model, is made on each tier that uses it. What an operation with bodies hands to them (the
items of a `for`) is there on all tiers that have a part in it, so they are sent what it takes.

The tiers are those that the leaves say (`tier`), the rest follows (`ir.tiers`). What never runs is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...base.problems import Problem, Problems, has_errors
from ...lang.types import StreamType
from .. import _mlir
from .. import place_problems as problems
from ..demand.stages import annotate
from ..dialect.placed import crosses
from ..emit import channel_operation, pipeline_operation
from ..formula import Formula
from ..graph import (
    Attribute,
    Channel,
    Graph,
    GraphPipeline,
    InTransitType,
    KvType,
    Operation,
    Region,
    Value,
    walk,
)
from ..labels import Held, labels_of
from ..library import Library
from ..live import live, only_live
from ..place import home_of
from ..read import read_graph
from ..tiers import Tiers, tiers_of

STREAM_BUFFER = 16
"""Items of a stream that may be under way between two tiers."""

COPIED = ("agent.constant", "agent.open")
"""What is made where it is used."""

_DTYPES = {4.0: "f32", 2.0: "bf16", 1.0: "i8"}
KV_LAYOUT = "keys [layers, kv_heads, head_dim, positions], values [layers, kv_heads, positions, head_dim]"
"""As every engine of ours holds a cache."""


def run(module: Any, library: Library) -> Problems:
    graph = read_graph(module)
    home, found = home_of(graph)
    if has_errors(found):
        return found
    module.attributes["agent.home"] = _mlir.attribute(home)
    graph = replace(graph, home=home)
    held = labels_of(graph)
    said: list[Problem] = []
    channels: list[Channel] = []
    body = _mlir.body(module)
    for operation in _mlir.operations(body):
        if operation.name != "agent.pipeline":
            continue
        pipeline = graph.pipeline(operation.attributes["name"].value)
        made = _Inserting(graph, pipeline, held, library)
        said += made.problems
        if has_errors(said):
            continue
        channels += made.channels
        _mlir.core.InsertionPoint(operation).insert(pipeline_operation(made.pipeline))
        operation.erase()
    first = next((operation for operation in _mlir.operations(body) if operation.name == "agent.pipeline"), None)
    for channel in channels:
        _mlir.core.InsertionPoint(first).insert(channel_operation(channel))
    return (*found, *said)


class _Inserting:
    """One pipeline: what becomes of it, and its channels."""

    def __init__(self, graph: Graph, pipeline: GraphPipeline, held: Mapping[str, Held], library: Library) -> None:
        body = only_live(pipeline.body, live(pipeline.body))
        self._home = home = str(graph.home)
        self._next = 1 + max((value.id for value in _values(body)), default=0)
        self.tiers: Tiers = tiers_of(replace(pipeline, body=body), home)
        self._moved: dict[int, Operation] = {}  # a KV cache, and the transfer that was to move it
        self._instead: dict[int, Value] = {}
        body = self._without_transfers(body)
        self.tiers = tiers_of(replace(pipeline, body=body), home)
        self._ids = {operation.id for operation in walk(body)}
        self.problems: list[Problem] = list(self.tiers.notes)
        self.channels: list[Channel] = []
        self._held = held
        self._labels: dict[int, set[str]] = {}
        self._needed: dict[int, list[str]] = {}
        self._at: dict[tuple[int, str], Value] = {}  # a value, on a tier that it was made or sent to
        self._graph = graph
        self._pipeline = pipeline
        self._library = library
        self._needs(body)
        body = self._region(body, home, self._times(body))
        self.pipeline = self._annotated(replace(pipeline, body=body))

    # --- what is needed where ----------------------------------------------------------------------------------------

    def _without_transfers(self, region: Region) -> Region:
        """Transfers of KV caches between tiers go: sending is what moves the cache."""
        users = {
            operand.id: self.tiers.of[operation.id] for operation in walk(region) for operand in operation.operands
        }

        def clean(inner: Region) -> Region:
            kept: list[Operation] = []
            for operation in inner.operations:
                if operation.attributes.get("entry") == "llm:transfer":
                    cache, moved = operation.operands[0], operation.results[0]
                    source, target = self._tier_of(cache, region), users.get(moved.id, self._home)
                    if source is not None and source != target:
                        self._moved[cache.id] = operation
                        self._instead[moved.id] = cache
                        continue
                    operation = replace(operation, attributes={**operation.attributes, "tier": target})
                operands = tuple(self._instead.get(value.id, value) for value in operation.operands)
                regions = tuple(clean(each) for each in operation.regions)
                kept.append(replace(operation, operands=operands, regions=regions))
            return Region(inner.arguments, tuple(kept))

        return clean(region)

    def _tier_of(self, value: Value, region: Region) -> str | None:
        made = (operation for operation in walk(region) if value in operation.results)
        return next((self.tiers.of[operation.id] for operation in made), None)

    def _needs(self, region: Region) -> None:
        """The tiers on which each value is used."""
        for operation in region.operations:
            for place, operand in enumerate(operation.operands):
                if operation.name != "agent.yield":
                    self._need(operand, self.tiers.users(operation))
                if operation.id in self._held:
                    self._labels.setdefault(operand.id, set()).update(self._held[operation.id].operands[place])
            for number, inner in enumerate(operation.regions):
                for operand in inner.operations[-1].operands if inner.operations else ():
                    self._need(operand, self.tiers.ends_on(operation, number))
                self._needs(inner)

    def _need(self, value: Value, tiers: frozenset[str]) -> None:
        known = self._needed.setdefault(value.id, [])
        known += [tier for tier in sorted(tiers) if tier not in known]

    # --- what is written ---------------------------------------------------------------------------------------------

    def _region(self, region: Region, here: str, times: Formula | None) -> Region:
        """A body, with what crosses; `here` is where its arguments are, if they are at one place only."""
        made: list[Operation] = []
        for argument in region.arguments:
            made += self._sent(argument, here, None, times) if here else ()
        for operation in region.operations:
            made += self._operation(operation, times)
        return Region(region.arguments, tuple(made))

    def _operation(self, operation: Operation, times: Formula | None) -> Iterator[Operation]:
        if operation.name in COPIED:
            yield from self._copied(operation)
            return
        tier = self.tiers.of[operation.id]
        operands = tuple(self._at.get((value.id, tier), value) for value in operation.operands)
        # The arguments of a body are on all tiers with a part in it.
        regions = tuple(self._region(inner, "", self._times(inner)) for inner in operation.regions)
        attributes = operation.attributes
        if operation.name not in ("agent.yield", "agent.return"):
            attributes = {**attributes, "tier": tier}
        yield replace(operation, operands=operands, attributes=attributes, regions=regions)
        for value in operation.results:
            yield from self._sent(value, tier, operation, times)

    def _copied(self, operation: Operation) -> Iterator[Operation]:
        (value,) = operation.results
        for number, tier in enumerate(self._needed.get(value.id, [self._home])):
            named = replace(operation, attributes={**operation.attributes, "tier": tier})
            if number:
                copy = Value(self._number(), value.type, value.name)
                attributes = {**named.attributes, "copies": operation.id}
                named = replace(named, id=self._id(f"{operation.id}.on.{tier}"), results=(copy,), attributes=attributes)
                self._at[value.id, tier] = copy
            yield named

    def _sent(self, value: Value, tier: str, made: Operation | None, times: Formula | None) -> Iterator[Operation]:
        for target in self._needed.get(value.id, ()):
            if target == tier:
                continue
            if not crosses(value.type):
                what = made.id if made is not None else value.name or "a parameter"
                span = made.span if made is not None else None
                self.problems.append(problems.cannot_cross(what, str(value.type), tier, target, span))
                continue
            yield from self._pair(value, tier, target, made, times)

    def _pair(
        self, value: Value, tier: str, target: str, made: Operation | None, times: Formula | None
    ) -> Iterator[Operation]:
        moved = self._moved.get(value.id)
        word = (
            moved.id
            if moved is not None
            else f"{made.id if made is not None else f'{self._pipeline.name}.{value.name}'}.to.{target}"
        )
        channel = self._id(word)
        stream = isinstance(value.type, StreamType)
        self.channels.append(Channel(channel, tier, target, value.type, self._buffer(made) if stream else 1))
        span = made.span if made is not None else None
        callers = made.callers if made is not None else ()
        sent = Value(self._number(), InTransitType(value.type))
        there = self._at[value.id, target] = Value(self._number(), value.type, value.name)
        sending = {"channel": channel, "to": target, "tier": tier, **self._kv(value)}
        demand = moved.demand if moved is not None else None
        yield Operation(channel, "agent.send", (value,), (sent,), sending, (), demand, span, times, callers)
        receiving: dict[str, Attribute] = {"channel": channel, "from": tier, "tier": target}
        if self._labels.get(value.id):
            # On an island nothing else says what is known of it.
            receiving["labels"] = tuple(sorted(self._labels[value.id]))
        arrived = self._id(f"{channel}.here")
        yield Operation(arrived, "agent.receive", (sent,), (there,), receiving, (), None, span, times, callers)

    def _buffer(self, made: Operation | None) -> int:
        drops = made is not None and made.name == "agent.guard" and made.attributes.get("drop") == "oldest"
        return 1 if drops else STREAM_BUFFER

    def _kv(self, value: Value) -> dict[str, str]:
        if not isinstance(value.type, KvType):
            return {}
        handles = [handle for handle in self._graph.handles if handle.name == value.type.model]
        shape = self._library.model_shape(handles[0]) if handles else None
        return {"layout": KV_LAYOUT, "dtype": _DTYPES.get(shape.cache_bytes if shape else 4.0, "f32")}

    # --- names, times, demands ---------------------------------------------------------------------------------------

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _id(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._ids:
            number += 1
            name = f"{wanted}_{number}"
        self._ids.add(name)
        return name

    def _times(self, region: Region) -> Formula | None:
        return region.operations[-1].times if region.operations else None

    def _annotated(self, pipeline: GraphPipeline) -> GraphPipeline:
        """What sending needs, where the module says what the other stages do."""
        if self._times(pipeline.body) is None:
            return pipeline
        demands = annotate(self._graph, pipeline, pipeline.name, self._library).demands

        def told(region: Region) -> Region:
            made: list[Operation] = []
            for operation in region.operations:
                if operation.name == "agent.send" and operation.demand is None:
                    operation = replace(operation, demand=demands[operation.id])
                made.append(replace(operation, regions=tuple(told(inner) for inner in operation.regions)))
            return Region(region.arguments, tuple(made))

        return replace(pipeline, body=told(pipeline.body))


def _values(region: Region) -> Iterator[Value]:
    yield from region.arguments
    for operation in region.operations:
        yield from operation.results
        for inner in operation.regions:
            yield from _values(inner)
