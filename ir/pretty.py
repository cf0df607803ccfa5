"""The readable form of a module, for people: source lines in the margin, stage ids at the end, constants and handles
where they are used. It cannot be read back; the generic form can.

     7 | return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
       |   %1: Text = template ["Greet ", %name, " in one short sentence."]                      ; hello.chat.prompt
       |   %7: tokens<writer> = tokenize(self: @writer, prompt: %1, system: "")                ; hello.chat.tokenize
       |   %8: kv<writer> = prefill(self: @writer, tokens: %7)                                  ; hello.chat.prefill
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ..base.source import Source, Span
from .demand.data import demand_data
from .formula import Formula, constant
from .graph import (
    Attribute,
    Demand,
    Graph,
    GraphPipeline,
    Handle,
    HandleName,
    ModelStep,
    Operation,
    Region,
    Value,
    walk,
)
from .live import ACTING

_MARGIN = 5
_WIDTH = 110
_INLINE = ("agent.constant", "agent.open")
# What the bodies of an operation are called that differ in what they take.
_BODIES = {"agent.agent": ("step", "use", "last")}
_BETWEEN = {"agent.map": "where", "agent.if": "otherwise", "agent.try": "otherwise", "agent.race": "beside"}


def pretty(graph: Graph, sources: Mapping[str, Source] | None = None) -> str:
    """The whole module, ending in a newline."""
    page = _Page(sources or {})
    done = ", ".join(graph.passes) or "no pass"
    lines = [f"module {graph.digest[:12]} after {done}", ""]
    for handle in graph.handles:
        lines += page.handle(handle)
    for record in graph.records:
        fields = ", ".join(f"{name}: {given}" for name, given in record.fields)
        lines.append(f"type {record.name} {{ {fields} }}")
    for enum in graph.enums:
        cases = ", ".join(_case(name, payload) for name, payload in enum.cases)
        lines.append(f"enum {enum.name} {{ {cases} }}")
    for tool in graph.tools:
        inputs = ", ".join(f"{name}: {given}" for name, given in tool.parameters)
        effects = show(tool.effects)
        lines.append(f"tool {tool.name}({inputs}) -> {tool.result} = {tool.entry}({show(tool.settings)}) {effects}")
    for step in graph.steps:
        lines += ["", *page.step(step)]
    for pipeline in graph.pipelines:
        inputs = ", ".join(
            f"{i.name}: {i.type}" + ("" if i.required else f" = {show(i.default)}") for i in pipeline.inputs
        )
        lines += ["", f"pipeline {pipeline.name}({inputs}) -> {pipeline.result}", *page.body(pipeline)]
    for test in graph.tests:
        lines += ["", f"test {show(test.name)}", *page.body(test)]
    for name, goal in graph.goals.items():
        lines += ["", f"goal {name}", *(f"  {key}: {show(item)}" for key, item in _entries(goal))]
    for name, fleet in graph.fleets.items():
        lines += ["", f"fleet {name}", *(f"  {key}: {show(item)}" for key, item in _entries(fleet))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def show(value: Attribute | HandleName) -> str:
    """Plain data as a person would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case HandleName(name):
            return f"@{name}"
        case Mapping():
            return "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
        case _:
            return "[" + ", ".join(show(item) for item in value) + "]"


def _case(name: str, payload: Sequence[tuple[str, object]]) -> str:
    return name + (f"({', '.join(f'{field}: {given}' for field, given in payload)})" if payload else "")


def _entries(data: Mapping[str, Attribute]) -> Iterator[tuple[str, Attribute]]:
    for key, items in data.items():
        for item in items if isinstance(items, tuple) else (items,):
            yield key.removesuffix("s"), item


class _Page:
    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._written: dict[int, str] = {}
        self._place: tuple[Span, ...] = ()

    def handle(self, handle: Handle) -> list[str]:
        arguments = ", ".join(f"{name}: {show(value)}" for name, value in handle.arguments.items())
        head = f"{handle.keyword} @{handle.name}: {handle.type} = {handle.entry}({arguments})"
        return [head, *_demand(handle.demand, None, "  ")]

    def step(self, step: ModelStep) -> list[str]:
        inputs = ", ".join(f"%{value.id}: {value.type}" for value in step.body.arguments)
        held = f", weights {show(step.weights)} B" if step.weights else ""
        head = f"step {step.name}({inputs}) of @{step.model}: tensor {step.tensor}, expert {step.expert}{held}"
        return [head, *self.body(step)]

    def body(self, pipeline: GraphPipeline | ModelStep) -> list[str]:
        self._place = ()
        self._written = {v.id: f"%{v.name or v.id}" for v in pipeline.body.arguments}
        for operation in walk(pipeline.body):
            for value in operation.results:
                self._written[value.id] = self._value(operation, value)
            for region in operation.regions:
                self._written |= {v.id: f"%{v.name or v.id}" for v in region.arguments}
        named = pipeline.sizes if isinstance(pipeline, GraphPipeline) else ()
        sizes = [f"{'':{_MARGIN}} | size {size}" for size in map(_size, named)]
        return [*sizes, *self._region(pipeline.body, "")]

    def _value(self, operation: Operation, value: Value) -> str:
        if operation.name == "agent.constant" and value.name is None:
            return show(operation.attributes["value"])
        if operation.name == "agent.open":
            return f"@{operation.attributes['name']}"
        return f"%{value.name or value.id}"

    def _region(self, region: Region, indent: str) -> Iterator[str]:
        for operation in region.operations:
            if operation.name in _INLINE and not any(value.name for value in operation.results):
                continue
            yield from self._margin(operation, indent)
            yield from self._operation(operation, indent)

    def _margin(self, operation: Operation, indent: str) -> Iterator[str]:
        """The source line, where it is another than that of the operation before."""
        lines: tuple[Span, ...] = (operation.span, *operation.callers) if operation.span is not None else ()
        if [(s.path, s.line) for s in lines] == [(s.path, s.line) for s in self._place] or not lines:
            return
        self._place = lines
        source = self._sources.get(lines[0].path)
        known = source is not None and lines[0].line <= len(source.line_starts)
        text = source.line(lines[0].line).strip() if source is not None and known else str(lines[0])
        through = "".join(f" (called from line {s.line})" for s in lines[1:])
        yield f"{lines[0].line:>{_MARGIN}} | {indent}{text}{through}"

    def _operation(self, operation: Operation, indent: str) -> Iterator[str]:
        blank = f"{'':{_MARGIN}} | {indent}  "
        labels = "".join(f" @{label}" for label in cast("tuple[str, ...]", operation.attributes.get("labels", ())))
        given = ", ".join(f"{self._written[value.id]}: {value.type}{labels}" for value in operation.results)
        results = f"{given} = " if given else ""
        where = f" on {operation.attributes['tier']}" if "tier" in operation.attributes else ""
        name = operation.name.removeprefix("agent.") + (" ahead" if "ahead" in operation.attributes else "")
        head = f"{blank}{results}{name}{self._what(operation)}{where}"
        tail = " {" if operation.regions else ""
        yield f"{head}{tail}".ljust(_WIDTH) + f" ; {operation.id}"
        yield from _demand(operation.demand, operation.times, f"{blank}    ")
        regions = [region for region in operation.regions if region.operations]
        cases = cast("tuple[str, ...]", operation.attributes.get("cases", _BODIES.get(operation.name, ())))
        for number, region in enumerate(regions):
            if cases:
                payload = ", ".join(f"{self._written[v.id]}: {v.type}" for v in region.arguments)
                yield f"{blank}{cases[number]}{f'({payload})' if payload else ''} =>"
            elif number:
                yield f"{blank}}} {_BETWEEN[operation.name]} {{"
            yield from self._region(region, indent + "    ")
        if regions:
            yield f"{blank}}}"

    def _what(self, operation: Operation) -> str:
        """Operands and attributes, as the operation reads best."""
        operands = [self._written[value.id] for value in operation.operands]
        given = operation.attributes
        match operation.name:
            case "agent.template":
                parts = cast("tuple[str | int, ...]", given["parts"])
                return f" [{', '.join(show(part) if isinstance(part, str) else operands[part] for part in parts)}]"
            case "agent.map":
                return f" {given['variable']} in {operands[0]}, at most {given['at_most']} at once"
            case "agent.agent":
                tools = ", ".join(cast("tuple[str, ...]", given["tools"]))
                asked = f"model @{given['model']}, tools [{tools}], at most {given['at_most']} steps"
                return f" {given['name']}({operands[0]}), {asked}"
            case "agent.repeat":
                return f" {given['variable']} = {operands[0]}, at most {given['at_most']} times"
            case "agent.match":
                return f" {operands[0]}"
            case "agent.turn":
                return f" {'stop' if given['stop'] else 'next'} {operands[0]}"
            case "agent.try":
                reasons = cast("tuple[str, ...]", given["reasons"])
                return f" on {', '.join(reasons)}" if reasons else ""
            case "agent.guard":
                asked = [f"approve {operands[0]}"] if operands else []
                policies = [f"{name} {show(value)}" for name, value in given.items() if name not in _QUIET]
                return f" {', '.join([*asked, *policies])}"
            case "agent.index":
                return f" {operands[0]}[{operands[1]}]"
            case "agent.table":
                keys = tuple(show(key) for key in cast("tuple[str, ...]", given["keys"]))
                return f" {{{_parts(given, keys, operands)}}}"
            case "agent.case":
                fields = cast("tuple[str, ...]", given["fields"])
                return f" {given['enum']}.{given['case']}" + (f"({_parts(given, fields, operands)})" if fields else "")
            case "agent.binary":
                return f" {operands[0]} {given['operator']} {operands[1]}"
            case "agent.field":
                return f" {operands[0]}.{given['name']}"
            case "agent.build":
                fields = cast("tuple[str, ...]", given["fields"])
                return f" {given['record']}({_parts(given, fields, operands)})"
            case "agent.constant":
                return f" {show(given['value'])}"
            case "agent.given":
                *stated, answer = operands
                named = _arguments(cast("tuple[str, ...]", given["parameters"]), stated)
                return f" {given['name']}({named}) = {answer}"
            case _ if "parameters" in given:
                named = _arguments(cast("tuple[str, ...]", given["parameters"]), operands)
                who = given.get("callee") or (given["entry"] if operation.name in ACTING else "")
                more = "".join(f" {name} {show(given[name])}" for name in _BESIDE if name in given) + _schema(given)
                by = f" by {show(given['functions'])}" if "functions" in given else ""
                return f"{' ' if who else ''}{who}({named}){more}{by}"
            case _:
                rest = {name: value for name, value in given.items() if name not in _QUIET}
                words = [", ".join(operands), show(rest) if rest else ""]
                return "".join(f" {word}" for word in words if word) + _schema(given)


# What a call says beside its arguments.
_BESIDE = ("tool", "effects", "settings", "needs", "tensor", "expert", "step")

# What is written elsewhere: labels behind the type, the schema as it is, whether a person is asked by the question.
_QUIET = ("output", "labels", "carried", "schema", "approve", "tier", "kept", "acts", "copies", "ahead")


def _schema(given: Mapping[str, Attribute]) -> str:
    return f" schema {given['schema']}" if "schema" in given else ""


def _parts(given: Mapping[str, Attribute], names: tuple[str, ...], operands: list[str]) -> str:
    """What is put together, after what it extends."""
    return _arguments(("extends", *names) if given.get("extends") else names, operands)


def _arguments(names: tuple[str, ...], operands: list[str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in zip(names, operands, strict=True))


def _size(size: Any) -> str:
    bound = f", at most {size.bound}" if size.bound is not None else ""
    return f"{size.name} = {size.default}{bound} ({size.basis})"


def _demand(demand: Demand | None, times: Formula | None, blank: str) -> Iterator[str]:
    if demand is None:
        return
    if times is not None and times != constant(1.0):
        yield f"{blank}times {times}"
    for name, formula in demand_data(demand).items():
        yield f"{blank}{name} {formula}"
