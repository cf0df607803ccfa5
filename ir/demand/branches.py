"""Bodies: how often a run executes what is in them, and how big the value is that comes out.

Every share and every number of turns is a size with a name, so that a goal can state it: `label.then` of an `if`,
`intent.Refund` of a `match` over `intent` (for any number of matches over it), `talk.turns` of a `repeat`,
`reply.failed` of an `otherwise`. What is not stated: both branches alike, all cases alike, as many turns as are
allowed, no failure. The branches of a race all run; what a policy might repeat is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Protocol, cast

from ...lang.types import EnumType, ListType, OptionType, StreamType
from ..formula import ZERO, Formula, constant, total
from ..fused import stages
from ..graph import Demand, Graph, Operation, Region, Value, emits
from ..graph import walk as every
from ..library import Sized
from .sizing import ASSUMED, BRANCH_SHARE, Sizes, blended, part_of


class Walk(Protocol):
    """What these need of the walk through a pipeline."""

    graph: Graph
    sizes: Sizes
    values: dict[int, Sized]
    times: dict[str, Formula]
    demands: dict[str, Demand]

    def region(self, region: Region, times: Formula) -> Sized: ...
    def size(self, value: Value) -> Sized: ...
    def path(self, operation: Operation) -> str: ...


def _name(walk: Walk, operation: Operation) -> str:
    return next((value.name for value in operation.results if value.name), None) or walk.path(operation)


def _map(walk: Walk, operation: Operation, times: Formula) -> Sized:
    over = walk.size(operation.operands[0])
    if "whole" in operation.attributes:
        over = _whole(walk, operation, over)
    body, where = operation.regions
    variable = str(operation.attributes["variable"])
    count = over.items if over.items is not None else constant(1.0)
    for region in (body, where):
        for argument in region.arguments:
            walk.values[argument.id] = walk.sizes.named(argument.type, over.element or Sized(), variable)
    if where.operations:
        walk.region(where, times * count)
        count = count * walk.sizes.name(f"{variable}.where", constant(1.0), constant(1.0), ASSUMED)
    item = walk.region(body, times * count)
    result = operation.results[0].type if operation.results else None
    if isinstance(result, StreamType):
        tokens = item.tokens * count if item.tokens is not None else None
        flattened = isinstance(body.operations[-1].operands[0].type, StreamType)
        if flattened and item.items is not None:
            return Sized(tokens=tokens, items=item.items * count, element=item.element)
        return Sized(tokens=tokens, items=count, element=item)
    return Sized(items=count, element=item, bound=over.bound if isinstance(result, ListType) else None)


def _whole(walk: Walk, operation: Operation, over: Sized) -> Sized:
    """The items of a stream, by the name of the list that they would be."""
    stream = operation.operands[0].type
    assert isinstance(stream, StreamType)
    known = Sized(tokens=over.tokens, items=over.items, element=over.element, bound=over.bound)
    return walk.sizes.named(ListType(stream.element), known, str(operation.attributes["whole"]))


def _if(walk: Walk, operation: Operation, times: Formula) -> Sized:
    share = walk.sizes.name(f"{_name(walk, operation)}.then", constant(BRANCH_SHARE), constant(1.0), ASSUMED)
    rest = share * -1.0 + 1.0
    then = walk.region(operation.regions[0], times * share)
    otherwise = walk.region(operation.regions[1], times * rest)
    return blended([(share, then), (rest, otherwise)])


def _match(walk: Walk, operation: Operation, times: Formula) -> Sized:
    subject = operation.operands[0]
    sized = walk.size(subject)
    cases = _cases(walk.graph, subject)
    whole = subject.name or walk.path(operation)
    alike = constant(1.0 / len(cases))
    shares = {case: walk.sizes.name(f"{whole}.{case}", alike, constant(1.0), ASSUMED, group=whole) for case in cases}
    covered = cast("tuple[str, ...]", operation.attributes["cases"])
    named = frozenset(covered)
    parts: list[tuple[Formula, Sized]] = []
    for case, region in zip(covered, operation.regions, strict=True):
        left = (share for name, share in shares.items() if name not in named)
        share = total(left) if case == "_" else shares[case]
        for at, argument in enumerate(region.arguments):
            # The payload is told of the whole, of which it is a part; what an option holds is the whole.
            known = sized if isinstance(subject.type, OptionType) else part_of(sized, len(region.arguments))
            name = argument.name or f"{walk.path(operation)}.{case}.{at}"
            walk.values[argument.id] = walk.sizes.named(argument.type, known, name)
        parts.append((share, walk.region(region, times * share)))
    return blended(parts)


def _cases(graph: Graph, subject: Value) -> tuple[str, ...]:
    if isinstance(subject.type, EnumType):
        return next(tuple(name for name, _ in e.cases) for e in graph.enums if e.name == subject.type.name)
    return ("none", "some")


def _repeat(walk: Walk, operation: Operation, times: Formula) -> Sized:
    variable = str(operation.attributes["variable"])
    most = constant(float(cast(int, operation.attributes["at_most"])))
    turns = walk.sizes.name(f"{variable}.turns", most, most, ASSUMED)
    (body,) = operation.regions
    for argument in body.arguments:
        first = walk.size(operation.operands[0])
        # The state of later turns may be longer than the first: no bound is known of it.
        known = Sized(tokens=first.tokens, items=first.items, element=first.element, fields=first.fields)
        walk.values[argument.id] = walk.sizes.named(argument.type, known, variable)
    return walk.region(body, times * turns)


def _race(walk: Walk, operation: Operation, times: Formula) -> Sized:
    alike = constant(1.0 / len(operation.regions))
    return blended([(alike, walk.region(region, times)) for region in operation.regions])


def _try(walk: Walk, operation: Operation, times: Formula) -> Sized:
    failed = walk.sizes.name(f"{_name(walk, operation)}.failed", ZERO, constant(1.0), ASSUMED)
    value, fallback = operation.regions
    tried = walk.region(value, times)
    return blended([(failed * -1.0 + 1.0, tried), (failed, walk.region(fallback, times * failed))])


def _generator(walk: Walk, operation: Operation, times: Formula) -> Sized:
    """What it gives is as often as it is emitted in one execution, so the body is followed for one first."""
    (body,) = operation.regions
    yielded = walk.region(body, constant(1.0))
    parts = [(walk.times[emit.id], _sent(walk, emit.operands[0])) for emit in emits(body)]
    if body.operations[-1].operands:
        parts.append((constant(1.0), yielded))
    for inner in every(body):
        walk.times[inner.id] = walk.times[inner.id] * times
    return blended(parts)


def _sent(walk: Walk, value: Value) -> Sized:
    """A stream, or one item as a stream of it."""
    sized = walk.size(value)
    return sized if isinstance(value.type, StreamType) else Sized(sized.tokens, constant(1.0), sized)


def _around(walk: Walk, operation: Operation, times: Formula) -> Sized:
    return walk.region(operation.regions[0], times)


def _fused(walk: Walk, operation: Operation, times: Formula) -> Sized:
    """One stage, which needs what all in it need, and holds as much as all of it together. What each needs is told too,
    for when they are apart again; who counts counts the whole."""
    sized = walk.region(operation.regions[0], times)
    needs = [walk.demands[each.id] for each in stages(operation)]
    if needs:
        walk.demands[operation.id] = Demand(*(total(getattr(n, f.name) for n in needs) for f in fields(Demand)))
    return sized


BODIES: Mapping[str, Callable[[Walk, Operation, Formula], Sized]] = {
    "agent.map": _map,
    "agent.if": _if,
    "agent.match": _match,
    "agent.repeat": _repeat,
    "agent.race": _race,
    "agent.try": _try,
    "agent.generator": _generator,
    "agent.fused": _fused,
    "agent.guard": _around,
    "agent.interruptible": _around,
}
