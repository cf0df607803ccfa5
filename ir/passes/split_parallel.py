"""A prefill and a decode that several devices share become one step of their model, in shards with their all-reduce.

    kv  = prefill(self, ids) {tensor = 2}      =>   kv  = prefill(self, ids) {tensor = 2, step = "writer.step_2"}
    out = decode(self, kv, …) {tensor = 2}          out = decode(self, kv, …) {tensor = 2, step = "writer.step_2"}

                                                    step writer.step_2(ids, c0, c1) {
                                                      h = enter(ids)
                                                      h, c0, c1 = layers(h, c0, c1) {count = 32} {
                                                        a0, c0 = attention(h, c0) {device = 0}
                                                        a1, c1 = attention(h, c1) {device = 1}
                                                        h  = all_reduce(h, a0, a1)
                                                        f0 = feed_forward(h) {device = 0}
                                                        f1 = feed_forward(h) {device = 1}
                                                        h  = all_reduce(h, f0, f1)
                                                        give h, c0, c1 }
                                                      give leave(h), c0, c1 }

A prefill runs the step once, a decode once for each token but the first. The step stands beside the pipelines: all
calls of a model that are spread alike share it, however many they are. (The paper draws it as its Figure 7.)

Of a model with experts, `expert = E` puts them in `E` groups. With attention on one device, tokens are sent to where
their experts are, and back:

    h = feed_forward …   =>   r = route(h);  h0, h1 = dispatch(h, r);  e0 = experts(h0, r) …;  h = combine(h, e0, e1)

With `tensor = T` the states are on all devices, so each routes for itself and an all-reduce sums what its experts add.

How a stage is spread it says itself (`tensor`, `expert`); the options are for those that do not. What cannot be divided
so is a problem at the call: heads, key-value heads (with more shards than those, several shards hold the same one),
inner width, experts; a model of unknown shape; and a model that is spread in two ways on one tier, whose weights lie in
one way. A model's declaration says how it is spread (`tensor`, `expert`), for whoever opens it, where all its stages
agree; of islands each says its own. Shards are all of one tier, so `insert_transfers` and `partition` see one stage as
before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...base.problems import Problem, Problems
from ...base.source import Span
from .. import _mlir, parallel_problems
from ..demand import parallel as needs
from ..demand.parallel import Layout, obstacle
from ..emit import step_operation
from ..graph import (
    ActivationType,
    Attribute,
    Demand,
    Graph,
    Handle,
    KvShardType,
    ModelStep,
    Operation,
    Region,
    TokensType,
    Value,
    ValueType,
)
from ..library import Library, ModelShape
from ..read import read_graph
from ..spreading import STAGES, model_of, tell_handles
from .annotate_demand import run as annotate_demand


def run(module: Any, library: Library, *, tensor: int = 1, expert: int = 1) -> Problems:
    graph = read_graph(module)
    found: list[Problem] = []
    steps: dict[str, ModelStep] = {}
    placed: dict[tuple[str, str], Layout] = {}
    body = _mlir.body(module)
    for stage in [each for each in _mlir.walk(module) if each.name in STAGES]:
        given = _mlir.attributes_of(stage)
        layout = Layout(given.get("tensor", tensor), given.get("expert", expert))
        model, span = model_of(stage), next(_mlir.spans(stage.location), None)
        before = placed.setdefault((given.get("tier", ""), model), layout)
        if before != layout:
            found.append(parallel_problems.spread_twice(given["id"], model, spread(before), spread(layout), span))
            continue
        if layout == Layout(1) or "step" in given:
            continue
        handle = next((each for each in graph.handles if each.name == model), None)
        shape = library.model_shape(handle) if handle is not None else None
        wrong = _wrong(given["id"], model, handle, shape, layout, span)
        if wrong is not None or shape is None:
            found += [wrong] if wrong is not None else []
            continue
        name = name_of(model, layout)
        if name not in steps and not any(step.name == name for step in graph.steps):
            steps[name] = _Step(model, shape, layout).step
        for key, value in (("tensor", layout.tensor), ("expert", layout.expert), ("step", name)):
            stage.attributes[key] = _mlir.attribute(value)
    if found:
        return tuple(found)
    first = next((each for each in _mlir.operations(body) if each.name in ("agent.pipeline", "agent.test")), None)
    for step in steps.values():
        handle = graph.handle(step.model)
        _mlir.core.InsertionPoint(first).insert(step_operation(step, handle.span))
    tell_handles(module)
    return annotate_demand(module, library) if steps and _annotated(graph) else ()


def _annotated(graph: Graph) -> bool:
    return any(each.times is not None for pipeline in graph.pipelines for each in pipeline.body.operations)


def name_of(model: str, layout: Layout) -> str:
    """The name of a model's step."""
    return f"{model}.step_{spread(layout)}"


def spread(layout: Layout) -> str:
    return f"{layout.tensor}x{layout.expert}" if layout.expert > 1 else str(layout.tensor)


def _wrong(
    stage: str, model: str, handle: Handle | None, shape: ModelShape | None, layout: Layout, span: Span | None
) -> Problem | None:
    if shape is None:
        return parallel_problems.shape_unknown(stage, model, handle is not None, span)
    why = obstacle(shape, layout)
    return None if why is None else parallel_problems.cannot_spread(stage, shape.name, why, divisors(shape), span)


def divisors(shape: ModelShape) -> tuple[int, ...]:
    """Into how many shards the model's layers can be divided."""
    return tuple(count for count in range(2, needs.MOST_DEVICES + 1) if obstacle(shape, Layout(count)) is None)


class _Step:
    """Builds the step of a model that is spread in one way."""

    def __init__(self, model: str, shape: ModelShape, layout: Layout) -> None:
        self._model, self._shape, self._layout = model, shape, layout
        self._name = name_of(model, layout)
        self._values = 0
        self._work = needs.step(shape)
        tokens, caches = self._value(TokensType(model)), self._caches()
        body = Region((tokens, *caches), tuple(self._whole(tokens, caches)))
        self.step = ModelStep(self._name, model, layout.tensor, layout.expert, body, needs.weight_bytes(shape, layout))

    def _value(self, given: ValueType) -> Value:
        self._values += 1
        return Value(self._values, given)

    def _caches(self) -> tuple[Value, ...]:
        count = self._layout.tensor
        return tuple(self._value(KvShardType(self._model, shard, count)) for shard in range(count))

    def _of(self, word: str) -> Value:
        return self._value(ActivationType(word, self._model))

    def _make(
        self,
        word: str,
        name: str,
        operands: tuple[Value, ...],
        results: tuple[Value, ...],
        demand: Demand | None = None,
        regions: tuple[Region, ...] = (),
        **attributes: Attribute,
    ) -> Operation:
        return Operation(f"{self._name}.{name}", f"agent.{word}", operands, results, attributes, regions, demand)

    def _whole(self, tokens: Value, caches: tuple[Value, ...]) -> Iterator[Operation]:
        shape, layout, work = self._shape, self._layout, self._work
        entered, left, logits = self._of("hidden"), self._of("hidden"), self._of("logits")
        filled = self._caches()
        yield self._make("enter", "enter", (tokens,), (entered,), needs.enter(shape, layout, work), device=0)
        given = (self._of("hidden"), *self._caches())
        body = Region(given, tuple(self._layer(given[0], given[1:])))
        yield self._make(
            "layers", "layers", (entered, *caches), (left, *filled), None, (body,), count=self._shape.layers
        )
        yield self._make("leave", "leave", (left,), (logits,), needs.leave(shape, work), device=0)
        yield self._make("give", "end", (logits, *filled), ())

    def _layer(self, hidden: Value, caches: tuple[Value, ...]) -> Iterator[Operation]:
        shape, layout = self._shape, self._layout
        demand = needs.once(shape, needs.attention(shape, layout, self._work))
        heads, kv_heads = shape.heads // layout.tensor, int(needs.kv_heads(shape, layout))
        filled, added = self._caches(), tuple(self._of("partial") for _ in caches)
        for shard, cache in enumerate(caches):
            results = (added[shard], filled[shard])
            name = f"attention.{shard}"
            yield self._make(
                "attention", name, (hidden, cache), results, demand, device=shard, heads=heads, kv_heads=kv_heads
            )
        attended = self._of("hidden")
        yield self._all_reduce("attention.sum", hidden, added, attended)
        last = self._of("hidden")
        if shape.experts and layout.dispatches:
            yield from self._apart(attended, last)
        elif shape.experts:
            yield from self._together(attended, last)
        else:
            yield from self._block(attended, last)
        yield self._make("give", "layer_end", (last, *filled), ())

    def _all_reduce(self, name: str, hidden: Value, added: tuple[Value, ...], result: Value) -> Operation:
        demand = needs.once(self._shape, needs.all_reduce(self._shape, len(added), self._work))
        group = tuple(range(len(added)))
        return self._make("all_reduce", name, (hidden, *added), (result,), demand, group=group)

    def _block(self, hidden: Value, last: Value) -> Iterator[Operation]:
        """The feed-forward block, by its inner width."""
        shape, count = self._shape, self._layout.devices
        demand = needs.once(shape, needs.feed_forward(shape, self._layout, self._work))
        added = tuple(self._of("partial") for _ in range(count))
        for shard, mine in enumerate(added):
            width = shape.ffn // count
            name = f"feed_forward.{shard}"
            place = {"device": shard, "shard": shard, "shards": count, "width": width}
            yield self._make("feed_forward", name, (hidden,), (mine,), demand, (), **place)
        yield self._all_reduce("feed_forward.sum", hidden, added, last)

    def _route(self, name: str, hidden: Value, device: int) -> tuple[Operation, Value]:
        shape, routing = self._shape, self._of("routing")
        chosen = {"device": device, "experts": shape.experts, "active": shape.active_experts}
        demand = needs.once(shape, needs.route(shape, self._work))
        return self._make("route", name, (hidden,), (routing,), demand, (), **chosen), routing

    def _experts(self, device: int, hidden: Value, routing: Value, added: Value) -> Operation:
        shape, layout = self._shape, self._layout
        group, piece = divmod(device, layout.slices)
        count = shape.experts // layout.expert
        held = {"first": group * count, "count": count, "width": shape.ffn // layout.slices}
        place = {"device": device, "shard": piece, "shards": layout.slices}
        demand = needs.once(shape, needs.experts(shape, layout, self._work))
        return self._make("experts", f"experts.{device}", (hidden, routing), (added,), demand, (), **place, **held)

    def _together(self, hidden: Value, last: Value) -> Iterator[Operation]:
        """Experts where the hidden states are on all devices."""
        added = tuple(self._of("partial") for _ in range(self._layout.devices))
        for device, mine in enumerate(added):
            route, routing = self._route(f"route.{device}", hidden, device)
            yield route
            yield self._experts(device, hidden, routing, mine)
        yield self._all_reduce("experts.sum", hidden, added, last)

    def _apart(self, hidden: Value, last: Value) -> Iterator[Operation]:
        """Experts that tokens are sent to."""
        shape, count = self._shape, self._layout.devices
        away = needs.once(shape, needs.dispatch(shape, self._layout, self._work))
        group = tuple(range(count))
        route, routing = self._route("route", hidden, 0)
        yield route
        sent = tuple(self._of("hidden") for _ in group)
        yield self._make("dispatch", "dispatch", (hidden, routing), sent, away, device=0, group=group)
        added = tuple(self._of("partial") for _ in group)
        for device in group:
            yield self._experts(device, sent[device], routing, added[device])
        yield self._make("combine", "combine", (hidden, *added), (last,), away, device=0, group=group)
