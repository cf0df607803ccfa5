"""A placed module becomes an island for each of its tiers.

    pipeline answer(question) {                island cpu { channel …
      cpu  best  = search(question)              pipeline answer(question) {
      cpu  sent  = send(best) {to = gpu}           best = search(question)
      gpu  notes = receive(sent) {from = cpu}      send(best) {to = gpu}
      gpu  reply = chat(notes)            =>       reply = receive() {from = gpu}
      gpu  said  = send(reply) {to = cpu}          return reply
      cpu  all   = receive(said) {from = gpu}  } }
      return all                               island gpu { channel …
    }                                            pipeline answer() {
                                                   notes = receive() {from = cpu}
                                                   reply = chat(notes)
                                                   send(reply) {to = cpu}
                                               } }

Home's island has the parameters, the result and what is emitted. An operation with bodies in which several tiers have a
part is in each of their islands (`ir.projection` says how they stay together). Handles, records and fleets stand beside
the islands, for all; tests go, for they look at whole pipelines. `ir.islands` makes a module of each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...base.problems import Problems
from .. import _mlir, place_problems
from ..emit import channel_operation, pipeline_operation
from ..graph import Channel, GraphPipeline, Operation, Region, walk
from ..keeping import kept_uses
from ..library import Library
from ..live import TERMINATORS, live, without_identities
from ..projection import Projection
from ..read import read_graph


def run(module: Any, library: Library) -> Problems:
    del library
    graph = read_graph(module)
    home = graph.home
    unplaced = [
        operation
        for pipeline in graph.pipelines
        for operation in walk(pipeline.body)
        if operation.name not in TERMINATORS and "tier" not in operation.attributes
    ]
    if home is None or unplaced:
        first = unplaced[0] if unplaced else None
        return (place_problems.not_placed(first.id if first else None, first.span if first else None),)
    channels = {channel.name: channel for channel in graph.channels}
    parts: dict[str, list[GraphPipeline]] = {home: []}
    for pipeline in graph.pipelines:
        projection = Projection(_keeping(pipeline), home)
        for tier in projection.tiers:
            parts.setdefault(tier, []).append(projection.on(tier))
        channels |= projection.channels
    body = _mlir.body(module)
    for operation in _mlir.operations(body):
        if operation.name in ("agent.pipeline", "agent.channel", "agent.test"):
            operation.erase()
    for tier, pipelines in parts.items():
        body.append(_island(tier, pipelines, channels))
    return ()


def _keeping(pipeline: GraphPipeline) -> GraphPipeline:
    """Says which uses of a stream must not hold its producer back: what a use waits for may be on another island, where
    only the whole shows it."""
    whole = without_identities(pipeline.body)
    found = kept_uses(whole, live(whole))
    kept: dict[str, tuple[int, ...]] = {}
    for operation in walk(whole):
        places = tuple(place for place in range(len(operation.operands)) if (id(operation), place) in found)
        if places:
            kept[operation.id] = places

    def said(region: Region) -> Region:
        made: list[Operation] = []
        for operation in region.operations:
            attributes = operation.attributes
            if operation.id in kept:
                attributes = {**attributes, "kept": kept[operation.id]}
            regions = tuple(said(inner) for inner in operation.regions)
            made.append(replace(operation, attributes=attributes, regions=regions))
        return Region(region.arguments, tuple(made))

    return replace(pipeline, body=said(pipeline.body)) if kept else pipeline


def _island(tier: str, pipelines: list[GraphPipeline], channels: dict[str, Channel]) -> Any:
    made = _mlir.create("agent.island", attributes={"name": tier, "tier": tier}, regions=1, place=_mlir.location(None))
    block = _mlir.block_of(made.regions[0])
    used = dict.fromkeys(
        str(operation.attributes["channel"])
        for pipeline in pipelines
        for operation in walk(pipeline.body)
        if "channel" in operation.attributes
    )
    for name in used:
        block.append(channel_operation(channels[name]))
    for pipeline in pipelines:
        block.append(pipeline_operation(pipeline))
    return made
