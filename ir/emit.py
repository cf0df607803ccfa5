"""The frozen graph back to a module: the inverse of `ir.read`, up to the offsets of spans and what MLIR keeps beside.

Who changes a graph (a placement, a partition) can so have it verified, printed and sent like any module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.source import Span
from . import _mlir
from .constants import encoded
from .demand.data import demand_data, size_data
from .dialect.types import to_mlir
from .graph import Channel, Graph, GraphPipeline, Handle, HandleName, ModelStep, Operation, Region, Tool
from .read import ARMED


def emit_module(graph: Graph) -> Any:
    """The module's operation, not yet verified."""
    with _mlir.working():
        spans = [part.span for part in (*graph.pipelines, *graph.handles, *graph.tests) if part.span is not None]
        module = _mlir.empty_module(Span(spans[0].path, 0, 0, 1, 1, 1, 1) if spans else None)
        body = _mlir.body(module)
        for made in (
            *(_handle(handle) for handle in graph.handles),
            *(_make("agent.record", {"name": r.name, "fields": _fields(r.fields)}) for r in graph.records),
            *(_make("agent.enum", {"name": e.name, "cases": [_case(c) for c in e.cases]}) for e in graph.enums),
            *(_tool(tool) for tool in graph.tools),
            *(channel_operation(channel) for channel in graph.channels),
            *(step_operation(step) for step in graph.steps),
            *(pipeline_operation(pipeline) for pipeline in graph.pipelines),
            *(_body("agent.test", test, {"name": test.name}) for test in graph.tests),
            *(_make("agent.goal", {"pipeline": name, **given}) for name, given in graph.goals.items()),
            *(_fleet(name, given) for name, given in graph.fleets.items()),
        ):
            body.append(made)
        for name, value in (("passes", graph.passes), ("home", graph.home), ("tier", graph.tier)):
            if value:
                module.attributes[f"agent.{name}"] = _mlir.attribute(value)
        return module


def _make(kind: str, attributes: Mapping[str, object], span: Span | None = None, regions: int = 0) -> Any:
    return _mlir.create(kind, attributes=attributes, regions=regions, place=_mlir.location(span))


def _fields(fields: tuple[tuple[str, Any], ...]) -> list[dict[str, Any]]:
    return [{"name": name, "type": to_mlir(given)} for name, given in fields]


def _case(case: tuple[str, tuple[tuple[str, Any], ...]]) -> dict[str, Any]:
    return {"name": case[0], "payload": _fields(case[1])}


def _handle(handle: Handle) -> Any:
    arguments = {
        name: _mlir.SymbolName(value.name) if isinstance(value, HandleName) else encoded(value)
        for name, value in handle.arguments.items()
    }
    attributes: dict[str, object] = {
        "name": handle.name,
        "keyword": handle.keyword,
        "type": handle.type,
        "entry": handle.entry,
        "arguments": arguments,
    }
    if handle.demand is not None:
        attributes["demand"] = demand_data(handle.demand)
    return _make("agent.handle", attributes, handle.span)


def _tool(tool: Tool) -> Any:
    attributes: dict[str, object] = {
        "name": tool.name,
        "parameters": _fields(tool.parameters),
        "result": to_mlir(tool.result),
        "entry": tool.entry,
        "effects": tool.effects,
    }
    if tool.settings:
        attributes["settings"] = tool.settings
    for name in ("idempotent_by", "server", "doc"):
        if getattr(tool, name) is not None:
            attributes[name] = getattr(tool, name)
    return _make("agent.tool", attributes, tool.span)


def _fleet(name: str, given: Mapping[str, Any]) -> Any:
    made = _make("agent.fleet", {"name": name}, regions=1)
    block = _mlir.block_of(made.regions[0])
    for tier in given["tiers"]:
        block.append(_make("agent.tier", tier))
    for link in given["links"]:
        block.append(_make("agent.link", link))
    return made


def channel_operation(channel: Channel) -> Any:
    """An `agent.channel`, detached."""
    attributes = {
        "name": channel.name,
        "from": channel.source,
        "to": channel.target,
        "type": to_mlir(channel.type),
        "buffer": channel.buffer,
    }
    return _make("agent.channel", attributes)


def step_operation(step: ModelStep, span: Span | None = None) -> Any:
    """An `agent.step` with its body, detached."""
    attributes = {"name": step.name, "model": step.model, "tensor": step.tensor, "expert": step.expert}
    weights = {"weights": step.weights} if step.weights else {}
    made = _make("agent.step", {**attributes, **weights}, span, 1)
    _region(made.regions[0], step.body, {}, _mlir.location(span))
    return made


def pipeline_operation(pipeline: GraphPipeline) -> Any:
    """An `agent.pipeline` with its body, detached."""
    parameters: list[dict[str, Any]] = []
    for given in pipeline.inputs:
        entry: dict[str, Any] = {"name": given.name, "type": to_mlir(given.type), "required": given.required}
        if not given.required:
            entry["default"] = encoded(given.default)
        parameters.append(entry)
    attributes = {"name": pipeline.name, "parameters": parameters, "result": to_mlir(pipeline.result)}
    return _body("agent.pipeline", pipeline, attributes)


def _body(kind: str, pipeline: GraphPipeline, attributes: Mapping[str, object]) -> Any:
    sizes = {"sizes": [size_data(size) for size in pipeline.sizes]} if pipeline.sizes else {}
    unread = {"unread": pipeline.unread} if pipeline.unread else {}
    made = _make(kind, {**attributes, **sizes, **unread}, pipeline.span, 1)
    _region(made.regions[0], pipeline.body, {}, _mlir.location(pipeline.span))
    return made


def _region(region: Any, given: Region, values: dict[int, Any], place: Any) -> None:
    if not given.operations:
        return
    arguments = [to_mlir(argument.type) for argument in given.arguments]
    block = _mlir.block_of(region, arguments, [place] * len(arguments))
    for argument, made in zip(given.arguments, list(block.arguments), strict=True):
        values[argument.id] = made
    for operation in given.operations:
        block.append(_operation(operation, values))


def _operation(given: Operation, values: dict[int, Any]) -> Any:
    attributes: dict[str, Any] = {"id": given.id, **given.attributes}
    if given.name == "agent.constant":
        attributes["value"] = encoded(attributes["value"])
    cases = attributes.pop("cases", ()) if given.name == "agent.match" else ()
    names = [value.name for value in given.results if value.name is not None]
    if names:
        attributes["binding"] = names[0]
    if given.demand is not None:
        attributes["demand"] = demand_data(given.demand)
    if given.times is not None:
        attributes["times"] = str(given.times)
    place = _mlir.location(given.span)
    for caller in given.callers:
        place = _mlir.call_site(place, _mlir.location(caller))
    made = _mlir.create(
        given.name,
        operands=[values[value.id] for value in given.operands],
        results=[to_mlir(value.type) for value in given.results],
        attributes=attributes,
        regions=1 if given.name in ARMED else len(given.regions),
        place=place,
    )
    if given.name in ARMED:
        _arms(made, given, cases, values, place)
    else:
        for region, inner in zip(made.regions, given.regions, strict=True):
            _region(region, inner, values, place)
    for value, result in zip(given.results, list(made.results), strict=True):
        values[value.id] = result
    return made


def _arms(made: Any, given: Operation, cases: tuple[str, ...], values: dict[int, Any], place: Any) -> None:
    block = _mlir.block_of(made.regions[0])
    for at, inner in enumerate(given.regions):
        attributes: dict[str, Any] = {"case": cases[at]} if cases else {}
        if any(argument.name for argument in inner.arguments):
            attributes["binders"] = [argument.name or "" for argument in inner.arguments]
        arm = _mlir.create("agent.arm", attributes=attributes, regions=1, place=place)
        _region(arm.regions[0], inner, values, place)
        block.append(arm)
