"""Making a batch: what `batch_calls` writes, whichever calls it puts together. And what it asks of a call: whether the
library has a batch for it, and what its item is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ...lang.types import ListType, Type
from .. import _mlir
from ..carried import put
from ..dialect.types import from_mlir, to_mlir
from ..library import Batch, Library
from .facts import CALLS, PURE, can_fail, harmless, is_stream, repeatable, text

_OWN = ("binding", "also", "output")
"""What a call says of its own answer, which no answer to several calls is."""


@dataclass(frozen=True, slots=True)
class Single:
    """A call that a batch could make. `item` is what differs from call to call, `position` where it stands."""

    call: Any
    batch: Batch
    item: Any
    position: int

    def now(self) -> Single:
        """The same, where its item may have become another value."""
        return replace(self, item=self.call.operands[self.position])


class Writer:
    """Creates operations of one pipeline or test, with ids that nothing in it has."""

    def __init__(self, body: Any) -> None:
        self._ids = {text(operation, "id") for operation in _mlir.walk(body)}

    def fresh(self, wanted: str) -> str:
        found, number = wanted, 1
        while found in self._ids:
            number += 1
            found = f"{wanted}_{number}"
        self._ids.add(found)
        return found

    def make(
        self, name: str, given: str, operands: Iterable[Any], result: Any, attributes: Mapping[str, Any], place: Any
    ) -> Any:
        """A new operation with one result; `given` is the id that it has if nothing else has it."""
        own = {"id": self.fresh(given), **attributes}
        return _mlir.create(name, operands=list(operands), results=[result], attributes=own, place=place)

    def loop(self, over: Any, like: Any, given: str, item: Any, labels: Iterable[str], filtered: bool = False) -> Any:
        """A `for` over a list with the variable and bound of another, with an empty body that is to give `item`s."""
        own = {name: like.attributes[name] for name in ("variable", "at_most")}
        made = _mlir.create(
            "agent.map",
            operands=[over],
            results=[list_of(item)],
            attributes={"id": self.fresh(given), **own},
            regions=2,
            place=like.location,
        )
        put(made, 0, labels)
        element = to_mlir(_element(over))
        _mlir.block_of(made.regions[0], [element], [like.location])
        if filtered:
            like.regions[1].blocks[0].append_to(made.regions[1])
        return made

    def hand_out(self, block: Any, value: Any, path: str, place: Any) -> None:
        own = {"id": self.fresh(f"{path}.yield")}
        block.append(_mlir.create("agent.yield", operands=[value], attributes=own, place=place))

    def batch(self, single: Single, items: Any, variable: str | None) -> Any:
        """The one call: the first of them, with a list where that had an item. `variable` is the program's name for an
        item, if nothing else has it."""
        call, batch = single.call, single.batch
        operands = list(call.operands)
        operands[single.position] = items
        names = list(_mlir.plain(call.attributes["parameters"]))
        names[single.position] = batch.items
        kept = {name: value for name, value in call.attributes.items() if name not in _OWN}
        own = {"entry": batch.entry, "parameters": names}
        of = {"entry": text(call, "entry"), "parameter": batch.parameter, "items": batch.items}
        more = {} if variable is None else {"variable": variable}
        return _mlir.create(
            call.name,
            operands=operands,
            results=[list_of(call.results[0].type)],
            attributes={**kept, **own, "batch": of, **more},
            place=call.location,
        )

    def answer(self, call: Any, batch: Any, at: Any, given: str) -> Any:
        """One answer out of those of a batch: it has the names that the call had. A batch has as many as it was given,
        so it is there."""
        known = {name: call.attributes[name] for name in (*_OWN, "labels") if name in call.attributes}
        return self.make("agent.index", given, [batch, at], call.results[0].type, known, call.location)


def single(operation: Any, library: Library, constants: dict[Any, Any]) -> Single | None:
    """The call, if a batch could make it: one that gives a value, is the same each time, and acts on nothing."""
    if operation.name not in CALLS or "batch" in operation.attributes or "entry" not in operation.attributes:
        return None
    if "tier" in operation.attributes or "needs" in operation.attributes:
        return None
    batch = library.batched(text(operation, "entry") or "")
    names = _mlir.plain(operation.attributes["parameters"])
    if batch is None or batch.parameter not in names or not repeatable(operation, library, constants):
        return None
    if any(map(is_stream, (*operation.operands, *operation.results))) or not len(operation.results):
        return None
    position = names.index(batch.parameter)
    return Single(operation, batch, operation.operands[position], position)


def is_free(operation: Any, library: Library) -> bool:
    """Whether it may be computed elsewhere too, as soon as what it depends on is known."""
    if len(operation.regions) or not len(operation.results):
        return False
    if operation.name in PURE:
        return operation.name != "agent.turn" and not can_fail(operation)
    return operation.name in CALLS and not is_stream(operation.results[0]) and harmless(operation, library)


def list_of(item: Any) -> Any:
    """The type of a list, by that of its items."""
    return to_mlir(ListType(cast(Type, from_mlir(item))))


def _element(over: Any) -> Any:
    given = from_mlir(over.type)
    assert isinstance(given, ListType)
    return given.element
