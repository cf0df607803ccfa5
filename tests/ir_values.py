"""Values at random, the same for the same seed: what a schema allows, as a model would say it, and what a type has."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast

from agentlang.base.source import Span
from agentlang.ir.graph import Graph, ValueType
from agentlang.ir.schema import json_schema
from agentlang.lang import program as p
from agentlang.lang.types import Type

_NOWHERE = Span("x.agent", 0, 0, 1, 1, 1, 1)
_DEEP = 4


def some(given: ValueType, graph: Graph, seed: str) -> Any:
    """Some value of a type of data, as it is at run time."""
    records = {each.name: p.RecordDeclaration(each.name, _fields(each.fields), _NOWHERE) for each in graph.records}
    enums = {
        each.name: p.EnumDeclaration(
            each.name, tuple(p.EnumCase(case, _fields(payload), _NOWHERE) for case, payload in each.cases), _NOWHERE
        )
        for each in graph.enums
    }
    return frozen(document(json_schema(cast(Type, given), records, enums), seed))


def document(schema: Mapping[str, Any], seed: str) -> Any:
    """Some JSON that the schema allows. Texts say the seed, so that nothing that differs is taken for the same."""
    return _document(schema, schema.get("$defs", {}), random.Random(seed), 0)


def _document(schema: Mapping[str, Any], definitions: Mapping[str, Any], chance: random.Random, depth: int) -> Any:
    def inner(part: Mapping[str, Any]) -> Any:
        return _document(part, definitions, chance, depth + 1)

    match schema:
        case {"$ref": name}:
            return inner(definitions[name.rpartition("/")[2]])
        case {"enum": cases}:
            return chance.choice(cases)
        case {"anyOf": choices}:
            return inner(choices[0] if depth > _DEEP else chance.choice(choices))
        case {"type": "object", "properties": properties}:
            return {name: inner(part) for name, part in properties.items()}
        case {"type": "object", "additionalProperties": part}:
            return {f"key{at}": inner(part) for at in range(chance.randrange(3))}
        case {"type": "array", "items": part}:
            return [inner(part) for _ in range(0 if depth > 2 * _DEEP else chance.randrange(3))]
        case {"type": "integer"}:
            return chance.randrange(7)
        case {"type": "number"}:
            return chance.randrange(7) + 0.5
        case {"type": "boolean"}:
            return chance.random() < 0.5
        case {"type": "null"}:
            return None
        case _:
            return f"t{chance.randrange(1_000_000)}"


def _fields(fields: tuple[tuple[str, Type], ...]) -> tuple[p.Parameter, ...]:
    return tuple(p.Parameter(name, given, _NOWHERE) for name, given in fields)


def frozen(value: Any) -> Any:
    """JSON as it is at run time: lists are tuples."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return {name: frozen(item) for name, item in cast("dict[str, Any]", value).items()}
    return value
