"""Stages are given their tiers: `placed(module, {stage id: tier})`.

A placement comes from a plan (`placement_of`) or from a person. It may not contradict the program: what stands under
`with place on gpu` is on `gpu`, and what carries a label that the goal keeps on some tiers is on one of those. What a
placement does not name follows (`ir.tiers`). The module says afterwards of every operation where it runs (`tier`) and
which tier is home; the passes `insert_transfers` and `partition` read nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, cast

from ..base.problems import Problem, Problems, has_errors
from . import _mlir, place_problems
from .compile import Module
from .fused import FUSED
from .graph import Graph, GraphPipeline, Operation, Region, walk
from .labels import Held, labels_of
from .live import gathers, live, only_live
from .passes.fuse_stages import unfuse
from .passes.overlap_streams import wait
from .tiers import is_leaf, tiers_of
from .verify import verify


class Placed(Protocol):
    """A stage of a plan."""

    @property
    def id(self) -> str: ...

    @property
    def tier(self) -> str: ...


class Planned(Protocol):
    """What is asked of a plan."""

    @property
    def stages(self) -> Iterable[Placed]: ...


def placement_of(plan: Planned) -> Mapping[str, str]:
    """A plan's tiers, by stage id."""
    return {stage.id: stage.tier for stage in plan.stages}


def placed(
    module: Module, placement: Mapping[str, str], *, home: str | None = None, fleet: str | None = None
) -> tuple[Module | None, Problems]:
    """The module with a `tier` on every operation that runs on one. `home` is where the caller is; without it the
    module's `agent.home`, or the first tier of its only fleet. `fleet` says which of several is meant. None where the
    placement cannot be."""
    module, placement = _unfused(module, placement)
    graph = module.graph()
    tiers = tiers_declared(graph, fleet)
    chosen, found = (home, ()) if home is not None else home_of(graph, fleet)
    found += tuple(_wrong(graph, placement, tiers))
    if home is not None and tiers and home not in tiers:
        found += (place_problems.no_such_tier("home", home, tiers, None),)
    if has_errors(found):
        return None, found
    given, moved = _given(graph, placement, chosen)
    found += (*moved, *_labels_broken(graph, given, fleet))
    if has_errors(found):
        return None, found
    operation = module.operation.clone().operation
    with _mlir.working():
        operation.attributes["agent.home"] = _mlir.attribute(chosen)
        for inner in _mlir.walk(operation):
            stage = inner.attributes["id"].value if "id" in inner.attributes else None
            if stage in given:
                inner.attributes["tier"] = _mlir.attribute(given[stage])
    found += verify(operation, module.passes)
    return (None if has_errors(found) else Module(operation, module.sources, module.passes)), found


def _unfused(module: Module, placement: Mapping[str, str]) -> tuple[Module, Mapping[str, str]]:
    """The module with each stage for itself, and where each runs: those of a fused one where that does. A loop
    that gives a list has one before it: who follows its turns need not know of a stream."""
    if not any(each.name == FUSED or gathers(each) for p in module.graph().pipelines for each in walk(p.body)):
        return module, placement
    operation = module.operation.clone().operation
    with _mlir.working():
        wait(operation)
        inside = unfuse(operation)
    given = dict(placement)
    for stage, leaves in inside.items():
        if stage in given:
            tier = given.pop(stage)
            given |= {leaf: tier for leaf in leaves if leaf not in placement}
    return Module(operation, module.sources, module.passes), given


def tiers_declared(graph: Graph, fleet: str | None = None) -> tuple[str, ...]:
    """The tiers of the fleet, or of all fleets; none where the module declares none."""
    fleets = [given for name, given in graph.fleets.items() if fleet in (None, name)]
    names = (str(_map(tier)["name"]) for given in fleets for tier in cast("tuple[object, ...]", given["tiers"]))
    return tuple(dict.fromkeys(names))


def home_of(graph: Graph, fleet: str | None = None) -> tuple[str, Problems]:
    """The tier of the caller: what the module says, or the first tier of its only fleet."""
    if graph.home is not None:
        return graph.home, ()
    tiers = tiers_declared(graph, fleet)
    if tiers and (fleet is not None or len(graph.fleets) == 1):
        return tiers[0], ()
    return "", (place_problems.which_home(tiers),)


def _given(graph: Graph, placement: Mapping[str, str], home: str) -> tuple[dict[str, str], Problems]:
    """The tier of every operation but terminators, and what was moved home."""
    given: dict[str, str] = {}
    notes: list[Problem] = []
    for pipeline in graph.pipelines:
        body = _with(only_live(pipeline.body, live(pipeline.body)), placement)
        tiers = tiers_of(replace(pipeline, body=body), home)
        ends = {operation.id for operation in walk(body) if operation.name in ("agent.yield", "agent.return")}
        given |= {stage: tier for stage, tier in tiers.of.items() if stage not in ends}
        notes += tiers.notes
    return given, tuple(notes)


def _with(region: Region, placement: Mapping[str, str]) -> Region:
    made: list[Operation] = []
    for operation in region.operations:
        if operation.id in placement:
            operation = replace(operation, attributes={**operation.attributes, "tier": placement[operation.id]})
        made.append(replace(operation, regions=tuple(_with(inner, placement) for inner in operation.regions)))
    return Region(region.arguments, tuple(made))


# --- what a placement may not say ------------------------------------------------------------------------------------


def _wrong(graph: Graph, placement: Mapping[str, str], tiers: tuple[str, ...]) -> Iterator[Problem]:
    leaves = {leaf.id: leaf for pipeline in graph.pipelines for leaf in walk(pipeline.body) if is_leaf(leaf)}
    for stage, tier in placement.items():
        span = leaves[stage].span if stage in leaves else None
        if stage not in leaves:
            yield place_problems.no_such_stage(stage, tuple(leaves))
        elif tiers and tier not in tiers:
            yield place_problems.no_such_tier(stage, tier, tiers, span)
    for pipeline in graph.pipelines:
        yield from _policies(pipeline, pipeline.body, None, placement, tiers)


def _policies(
    pipeline: GraphPipeline,
    region: Region,
    stated: Operation | None,
    placement: Mapping[str, str],
    tiers: tuple[str, ...],
) -> Iterator[Problem]:
    """What stands under `with place on`, the innermost of them, is there."""
    for operation in region.operations:
        within = stated
        if operation.name == "agent.guard" and operation.attributes.get("place"):
            within = operation
            wanted = str(operation.attributes["place"])
            if tiers and wanted not in tiers:
                yield place_problems.no_such_tier(operation.id, wanted, tiers, operation.span)
        for inner in operation.regions:
            yield from _policies(pipeline, inner, within, placement, tiers)
        if stated is not None and operation.id in placement and is_leaf(operation):
            wanted, tier = str(stated.attributes["place"]), placement[operation.id]
            if tier != wanted:
                yield place_problems.placed_elsewhere(operation.id, tier, wanted, operation.span, stated.span)


def _labels_broken(graph: Graph, given: Mapping[str, str], fleet: str | None) -> Iterator[Problem]:
    """What carries a label that a goal keeps on some tiers is on none of the others."""
    del fleet
    held: Mapping[str, Held] | None = None
    for pipeline in graph.pipelines:
        for label, allowed in _kept(graph, pipeline.name):
            held = held if held is not None else labels_of(graph)
            for operation in walk(pipeline.body):
                tier = given.get(operation.id)
                if tier is None or tier in allowed or operation.id not in held:
                    continue
                if label in held[operation.id].result.union(*held[operation.id].operands):
                    yield place_problems.label_leaves(operation.id, label, tier, allowed, operation.span)


def _kept(graph: Graph, pipeline: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    terms = cast("tuple[object, ...]", graph.goals.get(pipeline, {}).get("terms", ()))
    for term in map(_map, terms):
        if term["kind"] == "keep":
            yield str(term["word"]), cast("tuple[str, ...]", term["tiers"])


def _map(given: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", given)
