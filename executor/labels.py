"""The labels of what an operation is called with and of what it answers, for those who write values down.

`@untrusted` says where a value comes from, not that it is nobody's business, so it is left out here.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import Graph, Operation
from ..ir.labels import Held
from ..ir.labels import labels_of as held_by
from .machine.semantics import leaf

Labels = tuple[str, ...]
_UNTRUSTED = "untrusted"
_NOTHING = Held((), frozenset())


def labels_of(graph: Graph) -> Callable[[Operation, str | None], Labels]:
    """Looks up an operation of the graph that a kind runs: the labels of its argument by name, or of its answer
    (None)."""
    found = held_by(graph)

    def find(operation: Operation, name: str | None) -> Labels:
        held = found.get(operation.id, _NOTHING)
        if name is None:
            return _masking(held.result)
        return _masking(dict(zip(leaf(operation)[1], held.operands, strict=False)).get(name, frozenset()))

    return find


def _masking(labels: frozenset[str]) -> Labels:
    return tuple(sorted(labels - {_UNTRUSTED}))
