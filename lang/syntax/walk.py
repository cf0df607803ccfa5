"""Visiting a tree without knowing every node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol, cast

from ...base.frozen import names
from ...base.source import Span


class Node(Protocol):
    """What every node of the tree has."""

    @property
    def span(self) -> Span: ...


# What most fields hold that are no node.
_PLAIN = frozenset({str, int, float, bool, type(None)})


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple([name for name in names(kind) if name != "span"])


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside, in the order of the fields (that of the source, except a `doc`, which comes late)."""
    return iter(_inside(node))


def _inside(node: Node) -> list[Node]:
    found: list[Node] = []
    for name in _names(node.__class__):
        value = getattr(node, name)
        if value.__class__ is tuple:
            found += cast("tuple[Node, ...]", value)
        elif value.__class__ not in _PLAIN and hasattr(value, "span"):
            found.append(cast("Node", value))
    return found


def walk(node: Node) -> Iterator[Node]:
    """The node and all inside it, each before its own parts. Not recursive, so depth costs no stack."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += _inside(current)[::-1]
