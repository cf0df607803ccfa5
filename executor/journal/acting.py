"""Which stages act on the world, so that a second time would be another time."""

from __future__ import annotations

from typing import cast

from ...ir.graph import Graph, Operation

_DANGEROUS = ("writes", "spends", "process")


def effects_of(operation: Operation) -> tuple[str, ...]:
    """What a stage does to the world that stays done: of a tool's effects those that are dangerous."""
    said = cast("tuple[str, ...]", operation.attributes.get("effects") or ())
    return tuple(effect for effect in said if effect.partition(" ")[0] in _DANGEROUS)


def idempotent_tools(graph: Graph) -> frozenset[str]:
    """The tools that say that a second call with equal arguments does nothing more."""
    return frozenset(tool.name for tool in graph.tools if tool.idempotent_by is not None)


def tool_of(operation: Operation) -> str:
    return cast(str, operation.attributes.get("tool") or operation.attributes.get("part_of") or operation.id)
