"""Visiting a tree without knowing every node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any, Protocol, cast

from ...base.source import Span


class Node(Protocol):
    """What every node of the tree has."""

    @property
    def span(self) -> Span: ...


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(part.name for part in fields(kind) if part.name != "span")


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside, in the order of the fields (that of the source, except a `doc`, which comes late)."""
    for name in _names(type(node)):
        value = getattr(node, name)
        if isinstance(value, tuple):
            yield from cast("tuple[Node, ...]", value)
        elif hasattr(value, "span"):
            yield cast("Node", value)


def walk(node: Node) -> Iterator[Node]:
    """The node and all inside it, each before its own parts. Not recursive, so depth costs no stack."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))
