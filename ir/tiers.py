"""Where each operation of a placed pipeline runs, from where its leaves do.

A leaf says its tier (`tier`), or the `with place on …` around it does; what says nothing is at home. The rest follows:

- An operation with bodies is owned by one tier. Where all that is anchored in it (leaves, what emits, who asks a
  person) is on one tier, that owns it, and no other has to know of it. Otherwise home owns it, and it is *shared*: each
  tier with something inside has a part in it, and follows what the owner decides. Home also owns what goes on when a
  tier cannot be reached (`otherwise on unreachable`): it could not, if that tier owned it.
- What is prefilled ahead is where the first is that goes on from it.
- What is plain (a template, a field, a comparison) goes where its users are; where they are on several tiers, to the
  owner of the body that it stands in.

What a newer input interrupts is decided at home, and stops there what is interrupted: on other tiers it stops as any
body does whose owner's was stopped. A cache cannot be shared, for it must see all that its answer depends on: what is
anchored in such a call goes home with it, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from ..base.problems import Problem
from . import place_problems as problems
from .graph import GraphPipeline, Operation, Region, walk
from .live import TERMINATORS

_HOMELY = ("agent.emit", "agent.expect", "agent.given")


@dataclass(slots=True)
class Tiers:
    """By the ids of operations: `of` the tier of each (its owner's, if it has bodies), `parts` the tiers that have
    something inside of one with bodies, its owner among them. `notes` say what was moved home."""

    home: str
    of: dict[str, str] = field(default_factory=dict[str, str])
    parts: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    notes: list[Problem] = field(default_factory=list[Problem])

    def users(self, operation: Operation) -> frozenset[str]:
        """The tiers on which an operation takes its operands: all with a part in it, where they decide what of it is
        entered, and how often."""
        if operation.name in ("agent.if", "agent.match", "agent.map", "agent.repeat"):
            return self.parts[operation.id]
        return frozenset({self.of[operation.id]})

    def shared(self, operation: Operation) -> frozenset[str]:
        """The tiers that follow the owner of an operation with bodies."""
        return self.parts.get(operation.id, frozenset()) - {self.of[operation.id]}

    def ends_on(self, operation: Operation, number: int) -> frozenset[str]:
        """The tiers that need what the terminator of a body hands out: all with a part in it, where it decides whether
        and how often they run."""
        if operation.name == "agent.repeat" or (operation.name == "agent.map" and number == 1):
            return self.parts[operation.id]
        return frozenset({self.of[operation.id]})


def is_leaf(operation: Operation) -> bool:
    return "entry" in operation.attributes or operation.name == "agent.chat"


def tiers_of(pipeline: GraphPipeline, home: str) -> Tiers:
    """The tiers of a pipeline in which nothing is left that does not run."""
    found = Tiers(home)
    _leaves(pipeline.body, None, found)
    _ahead(pipeline.body, found)
    _move_home(pipeline.body, found)
    for operation in pipeline.body.operations:
        _anchor(operation, home, found)
    _float(pipeline.body, {}, home, found)
    for operation in pipeline.body.operations:
        _parts(operation, found)
    return found


def _leaves(region: Region, place: str | None, found: Tiers) -> None:
    for operation in region.operations:
        if is_leaf(operation):
            found.of[operation.id] = str(operation.attributes.get("tier") or place or found.home)
        inner = operation.attributes.get("place") if operation.name == "agent.guard" else None
        for each in operation.regions:
            _leaves(each, str(inner) if inner else place, found)


def _ahead(body: Region, found: Tiers) -> None:
    """What is prefilled ahead is where the first is that uses it, unless something else is said."""
    users: dict[int, str] = {}
    # Last first: what uses it may be done ahead too.
    for operation in reversed(list(walk(body))):
        if "ahead" in operation.attributes and "tier" not in operation.attributes and operation.results:
            found.of[operation.id] = users.get(operation.results[0].id, found.of[operation.id])
        for operand in operation.operands if operation.id in found.of else ():
            users[operand.id] = found.of[operation.id]


# --- what cannot be shared -------------------------------------------------------------------------------------------


def _move_home(region: Region, found: Tiers) -> None:
    for operation in region.operations:
        leaves = [each for inner in operation.regions for each in walk(inner) if is_leaf(each)]
        tiers = {found.of[leaf.id] for leaf in leaves}
        why = _whole(operation, tiers, found.home)
        if why is not None:
            for leaf in leaves:
                found.of[leaf.id] = found.home
            away = tuple(sorted(tiers - {found.home}))
            found.notes.append(problems.kept_at_home(operation.id, why, away, found.home, operation.span))
        for inner in operation.regions:
            _move_home(inner, found)


def _whole(operation: Operation, tiers: set[str], home: str) -> str | None:
    """Why all of an operation must be at home, if it must and is not."""
    if (
        operation.name == "agent.guard"
        and operation.attributes.get("cache")
        and len(tiers | _asks(operation, home)) > 1
    ):
        return "its answer is cached"
    return None


def _asks(operation: Operation, home: str) -> set[str]:
    """A person is asked at home."""
    return {home} if operation.attributes.get("approve") else set()


# --- owners ----------------------------------------------------------------------------------------------------------


def _anchor(operation: Operation, emits: str, found: Tiers) -> set[str]:
    """The tiers of what is anchored in an operation; sets the owners of those with bodies. `emits` is where the stream
    is that an `emit` here sends into."""
    if operation.name in _HOMELY or operation.name == "agent.return":
        found.of[operation.id] = emits if operation.name == "agent.emit" else found.home
        return {found.of[operation.id]}
    if not operation.regions:
        return {found.of[operation.id]} if operation.id in found.of else set()
    if operation.name == "agent.generator":
        inside = {found.of[each.id] for region in operation.regions for each in walk(region) if is_leaf(each)}
        emits = inside.pop() if len(inside) == 1 else found.home
    anchored: set[str] = _asks(operation, found.home)
    if operation.name == "agent.interruptible":
        anchored.add(found.home)
    for region in operation.regions:
        for inner in region.operations:
            anchored |= _anchor(inner, emits, found)
    if anchored - {found.home} and outlives(operation):
        anchored.add(found.home)
    if anchored:
        found.of[operation.id] = next(iter(anchored)) if len(anchored) == 1 else found.home
    return anchored


def outlives(operation: Operation) -> bool:
    """Whether it goes on where a tier in it is gone: then no other tier may decide that."""
    reasons = cast("tuple[str, ...]", operation.attributes.get("reasons", ()))
    return operation.name == "agent.try" and (not reasons or "unreachable" in reasons)


# --- what is plain ---------------------------------------------------------------------------------------------------


def _float(region: Region, needed: dict[int, set[str]], owner: str, found: Tiers) -> None:
    """Place what is not anchored, last first, so that the users of each value are known. `needed` has them, by value;
    `owner` is that of the body."""
    for operation in reversed(region.operations):
        if operation.name not in TERMINATORS and operation.id not in found.of:
            users = {tier for result in operation.results for tier in needed.get(result.id, ())}
            found.of[operation.id] = users.pop() if len(users) == 1 else owner
        elif operation.name in TERMINATORS:
            found.of.setdefault(operation.id, owner)
        if operation.regions:
            own = found.of[operation.id]
            inside = frozenset({own}.union(*(_tiers_in(each, found) for each in operation.regions)))
            found.parts[operation.id] = inside
            for number, inner in enumerate(operation.regions):
                for operand in inner.operations[-1].operands if inner.operations else ():
                    needed.setdefault(operand.id, set()).update(found.ends_on(operation, number))
                _float(inner, needed, own, found)
        if operation.name not in TERMINATORS or operation.name == "agent.return":
            for operand in operation.operands:
                needed.setdefault(operand.id, set()).update(found.users(operation))


def _tiers_in(region: Region, found: Tiers) -> Iterator[str]:
    """The tiers of what is anchored in a body."""
    for operation in walk(region):
        if not operation.regions and operation.name not in TERMINATORS and operation.id in found.of:
            yield found.of[operation.id]


def _parts(operation: Operation, found: Tiers) -> None:
    """Who has a part in an operation with bodies, now that everything has its place."""
    for region in operation.regions:
        for inner in region.operations:
            _parts(inner, found)
    if operation.regions:
        inside = {tier for region in operation.regions for tier in _tiers_in(region, found)}
        found.parts[operation.id] = frozenset({found.of[operation.id], *inside})
