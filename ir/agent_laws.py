"""What is true of every agent before it becomes a loop, and that none is left afterwards: laws for the table in
`laws`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ..lang.types import EnumType, ListType, OptionType, Type
from . import _mlir
from .dialect.agents import SAID
from .dialect.types import from_mlir

if TYPE_CHECKING:
    from .laws import Held

Broken = Iterator[tuple[Any, str]]
_MODEL = "llm.Model"


def agents_fit(module: Held) -> Broken:
    """An agent's model is declared; its replies, its calls and its turns are of declared types that fit each other."""
    agents = module.inside.get("agent.agent", ())
    if not agents:
        return
    declared = {
        (operation.name, given["name"]): given
        for operation in module.declarations
        if "name" in (given := _mlir.attributes_of(operation))
    }
    for operation in agents:
        given = _mlir.attributes_of(operation)
        model = declared.get(("agent.handle", given["model"]))
        if model is None or model["type"] != _MODEL:
            yield operation, f"{given['model']!r} is no declared {_MODEL}"
        result = _type(operation.results[0])
        step, use = (region.blocks[0] for region in list(operation.regions)[:2])
        reply = _type(_mlir.operations(step)[-1].operands[0])
        call = _type(use.arguments[0])
        wanted = {"Use": (("calls", ListType(call)),), "Answer": (("answer", result),)}
        if not isinstance(reply, EnumType) or _cases(declared, reply) != wanted:
            yield (
                operation,
                f"a reply is Use(calls: {ListType(call)}) or Answer(answer: {result}), which {reply} is not",
            )
        if not isinstance(call, EnumType) or tuple(_cases(declared, call)) != given["tools"]:
            yield operation, f"the cases of {call} are not its tools {', '.join(given['tools'])}"
        turn = declared.get(("agent.record", given["record"]), {"fields": ()})
        maybe = result if isinstance(result, OptionType) else OptionType(result)
        if _shape(turn["fields"]) != (("said", SAID), ("answer", maybe)):
            yield operation, f"{given['record']!r} is no record of said: {SAID}, answer: {maybe}"


def _type(value: Any) -> Type:
    """Of a value that is one of the language."""
    return cast(Type, from_mlir(value.type))


def _cases(declared: dict[tuple[str, str], dict[str, Any]], enum: EnumType) -> dict[str, tuple[tuple[str, Any], ...]]:
    given = declared.get(("agent.enum", enum.name), {"cases": ()})
    return {case["name"]: _shape(case["payload"]) for case in given["cases"]}


def _shape(fields: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((field["name"], from_mlir(field["type"])) for field in fields)


def no_agents(module: Held) -> Broken:
    """After the split no agent is left."""
    for operation in module.inside.get("agent.agent", ()):
        yield operation, "an agent is left after the split"


AGENTS: tuple[tuple[str, Callable[[Held], Broken], str | None], ...] = (
    ("agents fit", agents_fit, None),
    ("no agents", no_agents, "split_agent"),
)
