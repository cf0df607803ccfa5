"""A chain or tree of cheap stages becomes one.

    words = split(text)                        note = fused {
    first = first(words)                         words = split(text)
    low   = lower(first)                =>       first = first(words)
    note  = template "about {low}"               low   = lower(first)
    reply = chat(model, note)                    yield template "about {low}"
                                               }
                                               reply = chat(model, note)

What is fused only computes, and at once: pure operations, and stages of which the library says that they are harmless
(`Library.harmless`). They are of one body, so of one tier and one region of failure; all but the last are used in the
group alone, and all lead to the last, which could not be there before all that the group takes is there. So nothing
comes later than it did.

A failure must not come later either, for it may stop what acts on the world. An operation that can fail is fused with
others only where all that they take is there when it would have failed: it uses all of that itself, but for what is
known when the body begins. Of two that can fail, one must use what the other gives, so that the same of them fails.

What is inside keeps its id, names, labels and place. Constants that only the group uses go in with it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ...base.problems import Problems
from .. import _mlir
from ..dialect.fused import FUSIBLE, is_value
from ..dialect.types import from_mlir
from ..library import Library
from .facts import PURE, acting, bodies, can_fail, harmless, keep_acting

FUSED = "agent.fused"
MOST = 256
"""Operations in one fused stage: others get their turn between two."""

_CONSTANT = "agent.constant"


def run(module: Any, library: Library) -> Problems:
    for body in bodies(module):
        before = acting(body)
        _Fusing(library).block(body.regions[0].blocks[0])
        keep_acting(body, before)
    return ()


def unfuse(module: Any) -> dict[str, tuple[str, ...]]:
    """Undo it: what is in fused operations stands in their places again. For each its id, and the ids of the leaves
    that were in it."""
    found: dict[str, tuple[str, ...]] = {}
    for operation in list(_mlir.walk(module)):
        if operation.name != FUSED:
            continue
        *inner, last = _mlir.operations(operation.regions[0].blocks[0])
        found[_id(operation)] = tuple(_id(each) for each in inner if "entry" in each.attributes)
        for each in inner:
            each.move_before(operation)
            if "tier" in operation.attributes and "tier" not in each.attributes:
                each.attributes["tier"] = operation.attributes["tier"]
        operation.results[0].replace_all_uses_with(last.operands[0])
        operation.erase()
    return found


class _Fusing:
    def __init__(self, library: Library) -> None:
        self._library = library

    def block(self, block: Any) -> None:
        inside = _mlir.operations(block)
        groups: list[list[Any]] = []
        free: dict[Any, int] = {}  # what may be fused, and is in no group yet, with its place in the block
        for place, operation in enumerate(inside):
            if operation.name != FUSED:
                for region in operation.regions:
                    for inner in region.blocks:
                        self.block(inner)
            if self._fusible(operation):
                free[operation] = place
        for root in reversed(inside):
            if root not in free:
                continue
            group = _group(root, free)
            if group is None:
                continue
            for each in group:
                del free[each]
            groups.append(group)
        for group in groups:
            _fuse(group)

    def _fusible(self, operation: Any) -> bool:
        name = operation.name
        if name not in FUSIBLE or not (name in PURE or harmless(operation, self._library)):
            return False
        if not all(is_value(from_mlir(value.type)) for value in (*operation.operands, *operation.results)):
            return False
        # What is built in steps stays together.
        return "extends" not in operation.attributes and not any(
            "extends" in use.owner.operation.attributes for value in operation.results for use in value.uses
        )


def _group(root: Any, free: dict[Any, int]) -> list[Any] | None:
    """The operations that are fused with the one that gives their value, in order; None where that is it alone."""
    if root.name == _CONSTANT:
        return None
    apart: set[Any] = set()
    while True:
        group = _grown(root, free, apart)
        if sum(each.name != _CONSTANT for each in group) < 2:
            return None
        wrong = _untimely(group)
        if not wrong:
            return group
        apart |= wrong


def _grown(root: Any, free: dict[Any, int], apart: set[Any]) -> list[Any]:
    """The root, and what members of the group alone use. An operation comes in when its last user has."""
    group = {root}
    waiting: dict[Any, int] = {}
    new = [root]
    while new and len(group) < MOST:
        member = new.pop()
        for value in member.operands:
            made = _mlir.owner(value)
            if made is None or made not in free or made in apart or made in group:
                continue
            if made not in waiting:
                waiting[made] = sum(1 for _ in made.results[0].uses)
            waiting[made] -= 1
            if not waiting[made] and made.block == root.block and len(group) < MOST:
                group.add(made)
                new.append(made)
    return sorted(group, key=free.__getitem__)


def _untimely(group: list[Any]) -> set[Any]:
    """Those that can fail, and would fail later in the group than alone, or not before another."""
    fallible = [each for each in group if each.name in PURE and can_fail(each)]
    if not fallible or (len(fallible) == 1 and fallible[0] == group[-1]):
        return set()
    needs: dict[Any, frozenset[Any]] = {}  # by member: the values from outside and the members before that it stands on
    for each in group:
        found: set[Any] = set()
        for value in each.operands:
            made = _mlir.owner(value)
            if made is not None and made in needs:
                found |= {made, *needs[made]}
            elif not _known(value):
                found.add(value)
        needs[each] = frozenset(found)
    late = frozenset(value for each in group for value in needs[each] if value not in needs)
    wrong = {each for each in fallible if not late <= needs[each]}
    kept = [each for each in fallible if each not in wrong]
    return wrong | {one for one, other in pairwise(kept) if one not in needs[other]}


def _known(value: Any) -> bool:
    """Whether a value is there when the body begins that uses it: an argument of a body, or a constant."""
    made = _mlir.owner(value)
    return made is None or made.name == _CONSTANT


def _fuse(group: list[Any]) -> None:
    root = group[-1]
    given = root.results[0]
    attributes: dict[str, object] = {"id": f"{_id(root)}.fused"}
    made = _mlir.create(FUSED, results=[given.type], attributes=attributes, regions=1, place=root.location)
    if "binding" in root.attributes:
        made.attributes["binding"] = root.attributes["binding"]
    _mlir.core.InsertionPoint(root).insert(made)
    given.replace_all_uses_with(made.results[0])
    body = _mlir.block_of(made.regions[0])
    for each in group:
        body.append(each)
    last = _mlir.create(
        "agent.yield", operands=[given], attributes={"id": f"{attributes['id']}.yield"}, place=root.location
    )
    body.append(last)


def _id(operation: Any) -> str:
    return operation.attributes["id"].value
