"""What an agent's model is told: its tools, the types they take and give, and the form of a reply."""

from __future__ import annotations

from collections.abc import Iterable

from ..program import Parameter
from ..types import EnumType, ListType, MapType, OptionType, RecordType, Type, dimension_of
from .context import Context

# How quantities are written in JSON.
_BASE = {
    "Duration": "seconds",
    "Money": "dollars",
    "Bytesize": "bytes",
    "Bandwidth": "bytes per second",
    "Rate": "per second",
    "Energy": "joules",
    "Power": "watts",
    "Tokens": "tokens",
}


class Tool:
    """One tool as the model sees it: `case` is its name in a reply."""

    __slots__ = ("case", "doc", "parameters", "result")

    def __init__(self, case: str, parameters: tuple[Parameter, ...], result: Type, doc: str | None) -> None:
        self.case = case
        self.parameters = parameters
        self.result = result
        self.doc = doc


def instructions(context: Context, tools: Iterable[Tool], result: Type) -> str:
    """The part of the system message that describes tools and replies, one line for each tool and type."""
    tools = tuple(tools)
    lines = ["Tools, as they are called:"]
    for tool in tools:
        doc = " ".join((tool.doc or "").split())
        lines.append(f"- {_call(tool)} gives {form(tool.result)}.{f' {doc}' if doc else ''}")
    named = _named(context, [result, *(t.result for t in tools), *(p.type for t in tools for p in t.parameters)])
    if named:
        lines.append("Types:")
        lines += [f"- {line}" for line in named]
    lines += [
        "Reply with JSON alone, in one of two forms.",
        'To use tools, several at once if you like: {"Use": {"calls": [' + _call(tools[0]) + "]}}",
        'To answer: {"Answer": {"answer": ' + form(result) + "}}",
    ]
    return "\n".join(lines)


def form(type: Type) -> str:
    """A type as the model reads it: the JSON it stands for."""
    match type:
        case ListType():
            return f"[{form(type.element)}, …]"
        case MapType():
            return f'{{"…": {form(type.element)}}}'
        case OptionType():
            return f"{form(type.element)} or null"
        case _ if str(type) in _BASE:
            return f"Float ({_BASE[str(type)]})"
        case _:
            return str(type)


def _call(tool: Tool) -> str:
    return _case(tool.case, tool.parameters)


def _case(name: str, payload: tuple[Parameter, ...]) -> str:
    """A case of an enum as JSON: without payload its name alone."""
    return f'{{"{name}": {_fields(payload)}}}' if payload else f'"{name}"'


def _fields(parts: tuple[Parameter, ...]) -> str:
    return "{" + ", ".join(f'"{part.name}": {form(part.type)}' for part in parts) + "}"


def _named(context: Context, types: list[Type]) -> list[str]:
    """A line for each record and enum that a reply or a result may hold, those that others hold after them."""
    lines: dict[str, str] = {}
    waiting = types[::-1]
    while waiting:
        type = waiting.pop()
        match type:
            case ListType() | MapType() | OptionType():
                waiting.append(type.element)
            case RecordType(name) if name not in lines:
                fields = context.records[name].fields
                lines[name] = f"{name} is {_fields(fields)}"
                waiting += [field.type for field in reversed(fields)]
            case EnumType(name) if name not in lines:
                cases = context.enums[name].cases
                lines[name] = f"{name} is one of {', '.join(_case(case.name, case.payload) for case in cases)}"
                waiting += [field.type for case in reversed(cases) for field in reversed(case.payload)]
            case _:
                pass
    return list(lines.values())


def is_plain(type: Type) -> bool:
    """Whether a value goes into a message as it is, rather than as JSON."""
    return str(type) in ("Text", "Bool") or dimension_of(type) is not None
