"""Calls that a model computes cheaper together become one call for a list.

    for text in texts {                               vectors = embed_all(encoder, texts)
      vector = embed(encoder, text)            =>     for text.at in positions(texts) {
      Note(text, vector)                                Note(texts[text.at], vectors[text.at])
    }                                                 }

    a = embed(encoder, first)                         both = embed_all(encoder, [first, second])
    b = embed(encoder, second)                 =>     a = both[0]
                                                      b = both[1]

Which stage does for a list what another does for an item the library says (`Library.batched`). Every weight of the
model is then read once for many items. A chat is no such call: an engine puts the decode steps of all chats that run at
the same time together by itself, and goes on doing so while some begin and others end.

Of a `for` over a list: calls that stand in its body itself, and so are made in every turn, whose item is made of the
turn's item by what cannot fail. The filter goes first (`where`, if all that it does is computing), then the one call,
then the rest of each turn, as many at once as before. A `for` over a stream (or all of one) takes each item as soon as
it is there, one that gives a stream or emits hands each turn's results on at once: they stay.

Of neighbours in one body: calls that differ in their item alone, and whose items wait for the same calls and carry the
same labels. So none waits for another's.

What fails a call fails the batch, in the same region; that no item does so alone the library promises. A batch may last
as long as its calls may together, one of no items is not made, and on a cassette stand the calls (`backends.calls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ...base.problems import Problems
from ...lang.types import INT, ListType
from .. import _mlir
from ..carried import carried, put
from ..dialect.spec import MOST_OPERANDS
from ..dialect.types import from_mlir, to_mlir
from ..labels import Held, labels_of
from ..library import Library
from ..read import read_graph
from .batching import Single, Writer, is_free, list_of, single
from .facts import CALLS, acting, bodies, deed, keep_acting, stand_for, text

Places: TypeAlias = dict[Any, int]
"""The operations of a block, and where each stands."""


def run(module: Any, library: Library) -> Problems:
    labels = _Labels(module)
    for body in bodies(module):
        if any(_may(operation, library) for operation in _mlir.walk(body)):
            before = acting(body)
            _Batching(body, library, labels).block(body.regions[0].blocks[0])
            keep_acting(body, before)
    return ()


def _may(operation: Any, library: Library) -> bool:
    return operation.name in CALLS and library.batched(text(operation, "entry") or "") is not None


class _Labels:
    """The labels of what calls take, found when they are first asked for."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._found: Mapping[str, Held] | None = None

    def of(self, one: Single) -> frozenset[str]:
        if self._found is None:
            self._found = labels_of(read_graph(self._module))
        return self._found[text(one.call, "id") or ""].operands[one.position]


class _Batching:
    def __init__(self, body: Any, library: Library, labels: _Labels) -> None:
        self._library = library
        self._labels = labels
        self._writer = Writer(body)
        self._constants = {
            operation.results[0]: _mlir.plain(operation.attributes["value"])
            for operation in _mlir.walk(body)
            if operation.name == "agent.constant"
        }
        # What of other pipelines' a value carries is only known when they are no calls any more.
        self._whole = not any(operation.name == "agent.call" for operation in _mlir.walk(body))

    def block(self, block: Any) -> None:
        for operation in _mlir.operations(block):
            if operation.name == "agent.map" and self._loop(operation):
                continue
            for region in operation.regions:
                for inner in region.blocks:
                    self.block(inner)
        if self._whole:
            self._neighbours(block)

    # --- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, loop: Any) -> bool:
        """Take the calls out of a loop; whether it is gone then."""
        over = loop.operands[0]
        gives = [from_mlir(value.type) for value in loop.results]
        if not isinstance(from_mlir(over.type), ListType) or not all(isinstance(each, ListType) for each in gives):
            return False
        if (
            _better_apart(over)
            or any(inner.name == "agent.emit" for inner in _mlir.walk(loop))
            or "tier" in loop.attributes
        ):
            return False
        if not all(self._plain(operation) for operation in _filter(loop)):
            return False
        block = loop.regions[0].blocks[0]
        inside = _places(block)
        found = [one for each in inside if (one := self._in_turn(each, block, inside)) is not None]
        return bool(found) and self._split(loop, found)

    def _plain(self, operation: Any) -> bool:
        return operation.name == "agent.yield" or is_free(operation, self._library)

    def _free(self, operation: Any) -> bool:
        """Whether an item may be made by it wherever the item is needed. What may go into a batch itself stays."""
        return is_free(operation, self._library) and not _may(operation, self._library)

    def _in_turn(self, operation: Any, block: Any, inside: Places) -> Single | None:
        """The call, if every turn makes it, with nothing of the turn but an item that can be known before."""
        one = single(operation, self._library, self._constants)
        if one is None:
            return None
        for position, value in enumerate(operation.operands):
            if position != one.position and _is_inside(value, block, inside):
                return None
        made = self._slice(one.item, block, inside)
        return one if made is not None and block.arguments[0] in _leaves(one.item, made) else None

    def _slice(self, value: Any, block: Any, inside: Places) -> list[Any] | None:
        """The operations of a block that a value is made by, in order; None if one of them must stay where it is."""
        wanted, waiting = set[Any](), [value]
        while waiting:
            made = _mlir.owner(waiting.pop())
            if made is None or made in wanted or made.block != block:
                continue
            if not self._free(made):
                return None
            wanted.add(made)
            waiting += made.operands
        return sorted(wanted, key=inside.__getitem__)

    def _split(self, loop: Any, found: list[Single]) -> bool:
        """The filter, the calls, and what is left of the turns; whether that is nothing."""
        block = loop.regions[0].blocks[0]
        argument, at = block.arguments[0], _mlir.core.InsertionPoint(loop)
        path, variable = (text(found[0].call, "id") or "").rpartition(".")[0], text(loop, "variable") or ""
        labels = carried(loop, 0)
        over, named = loop.operands[0], False
        if _filter(loop):
            kept = self._writer.loop(over, loop, f"{path}.kept", argument.type, labels, filtered=True)
            at.insert(kept)
            first = kept.regions[0].blocks[0]
            self._writer.hand_out(first, first.arguments[0], f"{path}.kept", loop.location)
            over, named, labels = kept.results[0], True, frozenset[str]()
        inside = _places(block)
        batches: list[tuple[Single, Any]] = []
        for one in found:
            items, prepared = over, one.item != argument
            if prepared:
                items = self._prepared(loop, one, over, labels, inside)
            batch = self._writer.batch(one, items, None if named or prepared else variable)
            if not prepared:
                put(batch, one.position, labels)
            at.insert(batch)
            named = True
            batches.append((one, batch))
        return self._rest(loop, over, labels, batches)

    def _prepared(self, loop: Any, one: Single, over: Any, labels: frozenset[str], inside: Places) -> Any:
        """The items of all turns, each made of the turn's item as its turn makes it."""
        call, block = one.call, loop.regions[0].blocks[0]
        path = f"{text(call, 'id')}.{one.batch.items}"
        made = self._writer.loop(over, loop, path, one.item.type, labels)
        _mlir.core.InsertionPoint(loop).insert(made)
        target = made.regions[0].blocks[0]
        copies = {block.arguments[0]: target.arguments[0]}
        for operation in self._slice(one.item, block, inside) or ():
            copy = operation.clone().operation
            word = (text(operation, "id") or "").rpartition(".")[2]
            copy.attributes["id"] = _mlir.attribute(self._writer.fresh(f"{path}.{word}"))
            for position, value in enumerate(operation.operands):
                if value in copies:
                    copy.operands[position] = copies[value]
            target.append(copy)
            copies[operation.results[0]] = copy.results[0]
        self._writer.hand_out(target, copies[one.item], path, call.location)
        return made.results[0]

    def _rest(self, loop: Any, over: Any, labels: frozenset[str], batches: list[tuple[Single, Any]]) -> bool:
        """The turns without their calls: over the positions of the list. No turns at all, if the answers are all that
        they give."""
        block = loop.regions[0].blocks[0]
        argument, given, place = block.arguments[0], block.arguments[0].type, loop.location
        path, variable = (text(batches[0][0].call, "id") or "").rpartition(".")[0], text(loop, "variable")
        named = any(name in one.call.attributes for one, _ in batches for name in ("binding", "also"))
        for one, batch in batches:
            answer = self._writer.answer(one.call, batch.results[0], argument, f"{text(one.call, 'id')}.answer")
            _mlir.core.InsertionPoint(one.call).insert(answer)
            one.call.results[0].replace_all_uses_with(answer.results[0])
        for one, _ in batches:
            made = self._slice(one.item, block, _places(block)) or ()
            one.call.erase()
            for operation in reversed(made):
                if not _used(operation.results[0]):
                    operation.erase()
        if len(batches) == 1 and not named and _gives_answers(loop, batches[0][1]):
            stand_for(batches[0][1], loop)
            loop.erase()
            return True
        positions = self._writer.make("agent.positions", f"{path}.positions", [over], to_mlir(ListType(INT)), {}, place)
        put(positions, 0, labels)
        _mlir.core.InsertionPoint(loop).insert(positions)
        answers = {batch.results[0] for _, batch in batches}
        uses = [
            (use.owner.operation, use.operand_number)
            for use in argument.uses
            if not (use.owner.name == "agent.index" and use.operand_number == 1 and use.owner.operands[0] in answers)
        ]
        argument.set_type(to_mlir(INT))
        loop.operands[0] = positions.results[0]
        loop.attributes["variable"] = _mlir.attribute(f"{variable}.at")
        if uses:
            own = {"binding": variable}
            item = self._writer.make("agent.index", f"{path}.item", [over, argument], given, own, place)
            put(item, 0, labels)
            _mlir.core.InsertionPoint.at_block_begin(block).insert(item)
            for user, position in uses:
                user.operands[position] = item.results[0]
        return False

    # --- neighbours --------------------------------------------------------------------------------------------------

    def _neighbours(self, block: Any) -> None:
        inside = _mlir.operations(block)
        groups: dict[Any, list[Single]] = {}
        for operation in inside:
            one = single(operation, self._library, self._constants)
            if one is not None:
                groups.setdefault((*self._alike(one), self._sources(one.item)), []).append(one)
        for group in groups.values():
            labelled: dict[Any, list[Single]] = {}
            for one in group if len(group) > 1 else ():
                labelled.setdefault(self._labels.of(one), []).append(one)
            for alike in labelled.values():
                for start in range(0, len(alike), MOST_OPERANDS):
                    if len(alike) - start > 1:
                        self._together(alike[start : start + MOST_OPERANDS], block)

    def _alike(self, one: Single) -> tuple[Any, ...]:
        """All that calls of one batch have in common: what they do, and what they take beside their item."""
        beside = [self._same(value) for position, value in enumerate(one.call.operands) if position != one.position]
        return (*deed(one.call), None, *beside, None, one.item.type, one.call.results[0].type)

    def _same(self, value: Any) -> Any:
        """What values have in common that are the same."""
        made = _mlir.owner(value)
        if made is not None and made.name == "agent.constant":
            return (made.attributes["value"], value.type)
        if made is not None and made.name == "agent.open":
            return (text(made, "name"), value.type)
        return value

    def _sources(self, value: Any) -> frozenset[Any]:
        """What a value waits for: what is not computed at once from what is there when the body begins. A value of a
        body around may come later, so it is waited for too."""
        found, seen, waiting = set[Any](), set[Any](), [value]
        while waiting:
            each = waiting.pop()
            made = _mlir.owner(each)
            if each in seen or made is None:
                continue
            seen.add(each)
            if not self._free(made):
                found.add(each)
            else:
                waiting += made.operands
        return frozenset(found)

    def _together(self, group: list[Single], block: Any) -> None:
        """One call in place of the first, and what the items of the others are made by before it."""
        group = [one.now() for one in group]
        first = group[0]
        inside = _places(block)
        moved: set[Any] = set()
        for one in group[1:]:
            for operation in self._slice_after(one.item, block, inside):
                if inside[operation] > inside[first.call] and operation not in moved:
                    operation.move_before(first.call)
                    moved.add(operation)
        path, place = text(first.call, "id") or "", first.call.location
        listed = list_of(first.item.type)
        at = _mlir.core.InsertionPoint(first.call)
        items = self._writer.make(
            "agent.list", f"{path}.{first.batch.items}", [one.item for one in group], listed, {}, place
        )
        batch = self._writer.batch(first, items.results[0], None)
        at.insert(items)
        at.insert(batch)
        for number, one in enumerate(group):
            where = self._writer.make(
                "agent.constant", f"{text(one.call, 'id')}.at", [], to_mlir(INT), {"value": number}, one.call.location
            )
            answer = self._writer.answer(one.call, batch.results[0], where.results[0], f"{text(one.call, 'id')}.answer")
            own = _mlir.core.InsertionPoint(one.call)
            own.insert(where)
            own.insert(answer)
            one.call.results[0].replace_all_uses_with(answer.results[0])
            one.call.erase()

    def _slice_after(self, value: Any, block: Any, inside: Places) -> list[Any]:
        """What a value is made by in the block, as far as it is computed at once from what it waits for."""
        wanted, waiting = set[Any](), [value]
        while waiting:
            made = _mlir.owner(waiting.pop())
            if made is not None and made not in wanted and made.block == block and self._free(made):
                wanted.add(made)
                waiting += made.operands
        return sorted(wanted, key=inside.__getitem__)


def _places(block: Any) -> Places:
    return {operation: number for number, operation in enumerate(_mlir.operations(block))}


def _filter(loop: Any) -> list[Any]:
    return [operation for block in loop.regions[1].blocks for operation in _mlir.operations(block)]


def _better_apart(over: Any) -> bool:
    """Whether a list is known to have one item, or none; or is all of a stream, whose items come one after the other
    (see `overlap_streams`)."""
    made = _mlir.owner(over)
    if made is None:
        return False
    if made.name == "agent.collect":
        return True
    if made.name == "agent.constant":
        return len(_mlir.plain(made.attributes["value"])) < 2
    return made.name == "agent.list" and len(made.operands) < 2


def _is_inside(value: Any, block: Any, inside: Places) -> bool:
    made = _mlir.owner(value)
    return value == block.arguments[0] if made is None else made in inside


def _leaves(value: Any, made: list[Any]) -> list[Any]:
    return [value, *(operand for operation in made for operand in operation.operands)]


def _used(value: Any) -> bool:
    return next(iter(value.uses), None) is not None


def _gives_answers(loop: Any, batch: Any) -> bool:
    """Whether all that a loop does is to give the answers of a batch."""
    inside = _mlir.operations(loop.regions[0].blocks[0])
    if len(inside) != 2 or not len(loop.results) or loop.results[0].type != batch.results[0].type:
        return False
    answer, last = inside
    return answer.operands[0] == batch.results[0] and last.operands[0] == answer.results[0]
