"""The labels of what an operation is called with and of what it answers, for those who write values down.

`@untrusted` says where a value comes from, not that it is nobody's business, so it is left out here.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import Graph, Operation, walk
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


def unlabelled_prompts(graph: Graph) -> frozenset[str]:
    """The prefills of a graph that are given nothing with a label, and whose replies have none."""
    found = held_by(graph)
    users: dict[int, list[Operation]] = {}
    prefills: list[Operation] = []
    for pipeline in (*graph.pipelines, *graph.tests):
        for operation in walk(pipeline.body):
            if operation.name == "agent.prefill":
                prefills.append(operation)
            for operand in operation.operands:
                users.setdefault(operand.id, []).append(operation)

    def labelled(operation: Operation) -> bool:
        held = found.get(operation.id)
        if held is None or _masking(held.result.union(*held.operands)):
            return True
        behind = (user for value in operation.results for user in users.get(value.id, ()))
        return any(user.name in _ON_ITS_WAY and labelled(user) for user in behind)

    return frozenset(prefill.id for prefill in prefills if not labelled(prefill))


_ON_ITS_WAY = frozenset({"agent.transfer", "agent.decode"})


def _masking(labels: frozenset[str]) -> Labels:
    return tuple(sorted(labels - {_UNTRUSTED}))
