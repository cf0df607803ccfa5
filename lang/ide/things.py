"""What things are called and look like: the line that hover, completion and signature help show of each."""

from __future__ import annotations

from collections.abc import Iterable

from ...base.units import Quantity, show
from ..checker.facts import Named
from ..checker.symbols import (
    ConstantSymbol,
    EnumSymbol,
    HandleSymbol,
    HandleTypeSymbol,
    Local,
    ModuleSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    ToolSymbol,
    UncheckedSymbol,
)
from ..program import (
    NO_LABELS,
    CaseValue,
    Constant,
    EnumCase,
    Labels,
    Parameter,
    RecordValue,
    StageSignature,
    TableValue,
)
from ..types import Type

Thing = Symbol | Local | Parameter | StageSignature | EnumCase | Named

# Declarations longer than this stand on several lines.
_WIDE = 90
# What is shown of a constant.
_LONG = 300
_LOCALS = {
    "binding": "binding",
    "parameter": "parameter",
    "loop variable": "loop variable",
    "state of a `repeat`": "state",
    "name bound by an arm": "binder",
}


def kind_of(thing: Thing) -> str:
    """One word or two for what a thing is: `pipeline`, `binding`, `enum` …"""
    match thing:
        case Local():
            return _LOCALS.get(thing.kind, thing.kind)
        case Parameter():
            return "parameter"
        case StageSignature():
            return thing.keyword if thing.name.count(".") < 2 else "method"
        case EnumCase():
            return "case"
        case Named():
            return thing.kind
        case ModuleSymbol():
            return "module"
        case PipelineSymbol():
            return "agent" if thing.agent is not None else "pipeline"
        case RecordSymbol():
            return "record"
        case EnumSymbol():
            return "enum"
        case HandleTypeSymbol():
            return "opaque type"
        case HandleSymbol():
            return thing.keyword
        case ConstantSymbol():
            return "constant"
        case ToolSymbol():
            return "tool"
        case StageSymbol():
            return "stage"
        case UncheckedSymbol():
            return thing.declared_as
        case _:
            return "name"


def declared(thing: Thing) -> str:
    """A thing as its declaration says it, types as they are seen from the file."""
    match thing:
        case Local():
            return f"{thing.name}: {typed(thing.type, thing.labels)}"
        case Parameter():
            return parameter(thing)
        case StageSignature():
            return f"{thing.keyword} {called(thing)}"
        case EnumCase():
            return case(thing)
        case Named():
            return f"{thing.kind} {thing.name}"
        case ModuleSymbol():
            module = thing.interface.module if thing.interface is not None else thing.name
            path = f"std/{module}" if thing.interface and thing.interface.source.path.startswith("std/") else module
            return f"use {path}"
        case PipelineSymbol():
            word = "agent" if thing.agent is not None else "pipeline"
            return f"{word} {function(thing.name, thing.parameters, thing.result, thing.result_labels)}"
        case RecordSymbol():
            fields = [parameter(field) for field in thing.declaration.fields]
            return _block(f"type {thing.name}", fields)
        case EnumSymbol():
            return _block(f"enum {thing.name}", [case(c) for c in thing.declaration.cases])
        case HandleTypeSymbol():
            return f"type {thing.type.name}"
        case HandleSymbol():
            return f"{thing.keyword} {thing.name}: {thing.type}"
        case ConstantSymbol():
            literal = thing.literal
            if literal is None:
                return f"let {thing.name}"
            return f"let {thing.name}: {literal.type} = {constant(literal.value)}"
        case ToolSymbol():
            return f"tool {thing.name}" if thing.signature is None else f"tool {called(thing.signature)}"
        case StageSymbol():
            return "\n".join(f"stage {called(signature)}" for signature in thing.signatures)
        case _:
            return thing.name


def detail(thing: Thing) -> str:
    """The short form behind a name in a list: its type, or what it takes and gives."""
    match thing:
        case Local():
            return typed(thing.type, thing.labels)
        case Parameter():
            return typed(thing.type, thing.labels)
        case StageSignature():
            return f"({', '.join(map(parameter, own_parameters(thing)))}) -> {typed(thing.result, thing.result_labels)}"
        case PipelineSymbol():
            taken = ", ".join(map(parameter, thing.parameters))
            return f"({taken}) -> {typed(thing.result, thing.result_labels)}"
        case ToolSymbol():
            return "" if thing.signature is None else detail(thing.signature)
        case StageSymbol():
            return detail(thing.signature)
        case HandleSymbol():
            return str(thing.type)
        case ConstantSymbol():
            return "" if thing.literal is None else str(thing.literal.type)
        case EnumCase():
            return f"({', '.join(map(parameter, thing.payload))})" if thing.payload else ""
        case _:
            return ""


def type_of(thing: Thing) -> Type | None:
    """The type of the value that a name stands for, if it stands for one."""
    match thing:
        case Local() | Parameter() | HandleSymbol():
            return thing.type
        case ConstantSymbol():
            return None if thing.literal is None else thing.literal.type
        case _:
            return None


# --- parts -----------------------------------------------------------------------------------------------------------


def own_parameters(stage: StageSignature) -> tuple[Parameter, ...]:
    """Those that a call gives: all but the receiver of a method and the server of a tool."""
    return tuple(p for i, p in enumerate(stage.parameters) if i or p.name != "self")


def called(stage: StageSignature) -> str:
    parameters = own_parameters(stage)
    name = stage.name if len(parameters) == len(stage.parameters) else stage.name.rpartition("llm.")[2] or stage.name
    return function(name, parameters, stage.result, stage.result_labels)


def function(name: str, parameters: Iterable[Parameter], result: Type, labels: Labels = NO_LABELS) -> str:
    parts = [parameter(p) for p in parameters]
    gives = typed(result, labels)
    line = f"{name}({', '.join(parts)}) -> {gives}"
    if len(line) <= _WIDE or len(parts) < 2:
        return line
    return f"{name}(\n" + "".join(f"  {part},\n" for part in parts) + f") -> {gives}"


def parameter(found: Parameter) -> str:
    default = "" if found.default is None else f" = {constant(found.default.value)}"
    return f"{found.name}: {typed(found.type, found.labels)}{default}"


def case(found: EnumCase) -> str:
    return f"{found.name}({', '.join(map(parameter, found.payload))})" if found.payload else found.name


def typed(type: Type, labels: Labels = NO_LABELS) -> str:
    return " ".join([str(type), *(f"@{label}" for label in sorted(labels))])


def constant(value: Constant) -> str:
    """A constant as a program may write it; of a long one its beginning."""
    text = _constant(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _constant(value: Constant) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Quantity():
            return show(value)
        case str():
            text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            text = text.replace("{", "{{").replace("}", "}}")
            return f'"{text if len(text) <= _WIDE else text[:_WIDE] + "…"}"'
        case tuple():
            return f"[{', '.join(map(_constant, value))}]"
        case RecordValue():
            return f"{value.record}({_named(value.fields)})"
        case CaseValue():
            return f"{value.case}({_named(value.payload)})" if value.payload else value.case
        case TableValue():
            return f"{{{', '.join(f'{_constant(key)}: {_constant(part)}' for key, part in value.entries)}}}"
        case _:
            return str(value)


def _named(parts: tuple[tuple[str, Constant], ...]) -> str:
    return ", ".join(f"{name}: {_constant(part)}" for name, part in parts)


def _block(head: str, parts: list[str]) -> str:
    line = f"{head} {{ {', '.join(parts)} }}"
    if len(line) <= _WIDE:
        return line
    return f"{head} {{\n" + "".join(f"  {part}\n" for part in parts) + "}"
