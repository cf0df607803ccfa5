"""A checked program to a module: one operation for each declaration, in the order handles, shapes, tools, pipelines,
tests, goals, fleets. The module's own location is the file's beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...base.source import Span
from ...base.units import Quantity
from ...lang import program as p
from .. import _mlir
from ..dialect.types import to_mlir
from .agents import lower_agent
from .body import lower_body
from .calls import tool_attributes
from .carrying import Carrying
from .limits import within_limits
from .making import constant
from .names import test_path


def lower_program(program: p.Program, tests: bool) -> Any:
    """The module's operation, not yet verified. `BeyondLimits` for what no operation can hold."""
    with _mlir.working():
        module = _mlir.empty_module(Span(program.source.path, 0, 0, 1, 1, 1, 1))
        body = _mlir.body(module)
        for made in _declarations(program, tests):
            body.append(made)
        return module


def _declarations(program: p.Program, tests: bool) -> Iterable[Any]:
    for handle in _needed_first(program.handles):
        yield _handle(handle)
    for record in program.records.values():
        yield _declare("agent.record", record.span, name=record.name, fields=_fields(record.fields))
    for enum in program.enums.values():
        cases = [{"name": case.name, "payload": _fields(case.payload)} for case in enum.cases]
        yield _declare("agent.enum", enum.span, name=enum.name, cases=cases)
    for tool in program.tools:
        yield _tool(tool)
    answered = frozenset(given.name for test in program.tests for given in test.givens) if tests else frozenset[str]()
    carrying = Carrying(program)
    for pipeline in program.pipelines:
        made = _pipeline(program, pipeline, answered)
        carrying.put(made, pipeline.parameters, pipeline.result_labels)
        yield made
    if tests:
        for test in program.tests:
            made = _test(program, test, answered)
            carrying.put(made)
            yield made
    for goal in program.goals:
        yield _goal(goal)
    for fleet in program.fleets:
        yield _fleet(fleet)


def _declare(kind: str, span: Span, regions: int = 0, **attributes: object) -> Any:
    with within_limits(span):
        return _mlir.create(kind, attributes=attributes, regions=regions, place=_mlir.location(span))


def _fields(fields: tuple[p.Parameter, ...]) -> list[dict[str, Any]]:
    return [{"name": field.name, "type": to_mlir(field.type)} for field in fields]


def _needed_first(handles: tuple[p.HandleDeclaration, ...]) -> list[p.HandleDeclaration]:
    """As written, but a handle stands behind those that its arguments name: a file may declare them in any order."""
    by_name = {handle.name: handle for handle in handles}
    ordered: dict[str, p.HandleDeclaration] = {}

    def place(handle: p.HandleDeclaration, path: tuple[str, ...]) -> None:
        for needed in (argument.value for argument in handle.arguments):
            # A cycle is the checker's to refuse; here it must only end.
            if isinstance(needed, p.HandleReference) and needed.name not in (*ordered, *path):
                place(by_name[needed.name], (*path, needed.name))
        ordered[handle.name] = handle

    for handle in handles:
        if handle.name not in ordered:
            place(handle, (handle.name,))
    return list(ordered.values())


def _handle(handle: p.HandleDeclaration) -> Any:
    return _declare(
        "agent.handle",
        handle.span,
        name=handle.name,
        keyword=handle.keyword,
        type=handle.type.name,
        entry=handle.constructor.entry,
        arguments={argument.name: _argument(argument.value) for argument in handle.arguments},
    )


def _argument(value: p.Expression) -> Any:
    match value:
        case p.Literal(value=stated):
            return constant(stated)
        case p.ListOf(items=items):
            return tuple(_argument(item) for item in items)
        case p.HandleReference(name=name):
            return _mlir.SymbolName(name)
        case _:
            raise TypeError(f"{value.span}: a declaration's argument is no constant")


def _tool(tool: p.StageSignature) -> Any:
    optional = {"idempotent_by": tool.idempotent_by, "server": tool.server, "doc": tool.doc}
    attributes: dict[str, object] = {
        "name": tool.name,
        "parameters": _fields(tuple(field for field in tool.parameters if field.name != "self")),
        "result": to_mlir(tool.result),
        "entry": tool.entry,
        "effects": [],
        **tool_attributes(tool),
        **{name: value for name, value in optional.items() if value is not None},
    }
    return _declare("agent.tool", tool.span, 0, **attributes)


def _pipeline(program: p.Program, pipeline: p.Pipeline, answered: frozenset[str]) -> Any:
    parameters: list[dict[str, Any]] = []
    for parameter in pipeline.parameters:
        entry: dict[str, Any] = {
            "name": parameter.name,
            "type": to_mlir(parameter.type),
            "required": parameter.default is None,
        }
        if parameter.default is not None:
            entry["default"] = constant(parameter.default.value)
        parameters.append(entry)
    made = _declare(
        "agent.pipeline",
        pipeline.span,
        1,
        name=pipeline.name,
        parameters=parameters,
        result=to_mlir(pipeline.result),
    )
    places = [_mlir.location(parameter.span) for parameter in pipeline.parameters]
    block = _mlir.block_of(made.regions[0], [entry["type"] for entry in parameters], places)
    names = {parameter.name: block.arguments[i] for i, parameter in enumerate(pipeline.parameters)}
    lower = lower_body if pipeline.agent is None else lower_agent
    lower(program, pipeline.name, block, pipeline.body, names, answered=answered)
    return made


def _test(program: p.Program, test: p.Test, answered: frozenset[str]) -> Any:
    made = _declare("agent.test", test.span, 1, name=test.name)
    block = _mlir.block_of(made.regions[0])
    lower_body(program, test_path(test.name), block, test.body, {}, test.givens, answered)
    return made


def _goal(goal: p.Goal) -> Any:
    terms: list[dict[str, Any]] = []
    for term in goal.terms:
        entry: dict[str, Any] = {"kind": term.kind}
        if term.percentile is not None:
            entry["percentile"] = float(term.percentile)
        if term.limit is not None:
            entry |= {"limit": term.limit.value, "unit": str(term.limit.dimension)}
        if term.word is not None:
            entry["word"] = term.word
        if term.tiers:
            entry["tiers"] = term.tiers
        terms.append(entry)
    assume = [_assumption(assumption) for assumption in goal.assumptions]
    return _declare("agent.goal", goal.span, pipeline=goal.pipeline, terms=terms, assume=assume)


def _assumption(assumption: p.Assumption) -> Mapping[str, Any]:
    entry: dict[str, Any] = {"name": assumption.name, **_quantity(assumption.quantity)}
    if assumption.case is not None:
        entry["case"] = assumption.case
    if assumption.output:
        entry["output"] = True
    return entry


def _quantity(given: Quantity) -> Mapping[str, Any]:
    return {"value": given.value, "unit": str(given.dimension)}


def _fleet(fleet: p.Fleet) -> Any:
    made = _declare("agent.fleet", fleet.span, 1, name=fleet.name)
    block = _mlir.block_of(made.regions[0])
    for tier in fleet.tiers:
        least, most = tier.count
        given: dict[str, object] = {"name": tier.name, "device": tier.device, "least": least, "most": most}
        if tier.endpoint is not None:
            given["endpoint"] = _endpoint(tier.endpoint)
        if tier.settings:
            given["settings"] = {name: setting.value for name, setting in tier.settings.items()}
        block.append(_declare("agent.tier", tier.span, 0, **given))
    for link in fleet.links:
        block.append(
            _declare(
                "agent.link",
                link.span,
                left=link.left,
                right=link.right,
                both_ways=link.both_ways,
                bandwidth=float(link.bandwidth.value),
                latency=float(link.latency.value),
            )
        )
    return made


def _endpoint(endpoint: p.Endpoint) -> Mapping[str, Any]:
    """In base units; what is not stated is not there."""
    quantities = {"price": endpoint.price, "first_token": endpoint.first_token, "rate": endpoint.rate}
    stated = {name: quantity.value for name, quantity in quantities.items() if quantity is not None}
    where = {"url": endpoint.url, "secret": endpoint.secret}
    return {"serves": endpoint.serves, **stated, **{name: value for name, value in where.items() if value is not None}}
