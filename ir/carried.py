"""Labels of values where the values are used: what no operation's own `labels` can say.

A parameter, or what a case holds, is made by no operation, so its label stands at each operation that uses it:

    "agent.stage"(%mail) {carried = {"0" = ["pii"]}, …}          operand 0 carries @pii
    "agent.stage"(%id) {carried = {result = ["pii"]}, …}         its result has parts that carry @pii

An operation that takes a whole value carries the labels of the parts of its type too. Inlining moves what stands at a
call to the uses inside, so labels need no operation of their own. `labels.py` reads them from the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from . import _mlir
from .labels import RESULT

__all__ = ["RESULT", "carried", "carry", "declare", "label", "put"]

# Through these a label that is declared of a result goes on to what it is made of.
_THROUGH = ("agent.collect", "agent.buffered")
_BODIES = ("agent.if", "agent.match", "agent.map", "agent.guard", "agent.try", "agent.race", "agent.interruptible")


def carried(operation: Any, place: int | str) -> frozenset[str]:
    """The labels that stand at an operand or at the result."""
    if "carried" not in operation.attributes:
        return frozenset()
    return frozenset(_mlir.plain(operation.attributes["carried"]).get(str(place), ()))


def put(operation: Any, place: int | str, labels: Iterable[str]) -> None:
    """Add labels to an operand or to the result."""
    known: dict[str, tuple[str, ...]] = {}
    if "carried" in operation.attributes:
        known = _mlir.plain(operation.attributes["carried"])
    together = sorted({*known.get(str(place), ()), *labels})
    if together:
        operation.attributes["carried"] = _mlir.attribute({**known, str(place): together})


def carry(value: Any, labels: Iterable[str]) -> None:
    """Add labels to a value wherever it is used."""
    given = tuple(labels)
    for use in list(value.uses) if given else ():
        put(use.owner.operation, use.operand_number, given)


def label(operation: Any, labels: Iterable[str]) -> None:
    """Add labels to what an operation gives."""
    known: tuple[str, ...] = ()
    if "labels" in operation.attributes:
        known = _mlir.plain(operation.attributes["labels"])
    together = sorted({*known, *labels})
    if together:
        operation.attributes["labels"] = _mlir.attribute(together)


def declare(user: Any, labels: Iterable[str]) -> None:
    """What an operation hands out (its first operand) is declared to carry labels: so does what it is made of, for it
    is the same data."""
    given = tuple(labels)
    if not given or not len(user.operands):
        return
    value = user.operands[0]
    made = _mlir.owner(value)
    if made is None:
        put(user, 0, given)
        return
    label(made, given)
    if made.name in _THROUGH:
        declare(made, given)
    elif made.name == "agent.agent":
        # Its answer is that of a step, or what its last body hands out.
        put(made, RESULT, given)
        declare(made.regions[2].blocks[0].operations[-1].operation, given)
    elif made.name in _BODIES:
        for last in _ends(made):
            declare(last, given)


def _ends(made: Any) -> Iterator[Any]:
    """The terminators of the bodies whose values an operation gives: not that of a loop's filter."""
    for region in list(made.regions)[: 1 if made.name == "agent.map" else None]:
        for block in region.blocks:
            inner = _mlir.operations(block)
            if inner and inner[-1].name == "agent.arm":
                for arm in inner:
                    yield from _ends(arm)
            elif inner:
                yield inner[-1]
