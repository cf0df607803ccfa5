"""A placed pipeline as each of its tiers sees it (endpoint projection, as of choreographies: M. Carbone, F. Montesi,
"Deadlock-freedom-by-design", POPL 2013).

What is on a tier stays there; of a `send` and its `receive` each tier has one. An operation with bodies that several
tiers share is in each of their islands. Its owner decides, and the others *follow*:

- The condition of an `if`, the subject of a `match` and the list of a `for` were sent to them (`insert_transfers`), and
  so are what a filter says of each item and the turns of a `repeat`. With equal ones they enter equal bodies.
- A turn of a loop, and a body that may fail or be stopped (of `try`, `race`, `guard`), is entered when the owner enters
  it (`enter`), and is through for the owner only when it is through for the followers too (`done`). So no more turns
  run at once than the program says, and nothing comes before what it waits for.
- Where a body fails on a follower, `done` carries the failure, and the body fails for the owner, who does what the
  program says. Where the owner's is stopped (it failed, lost a race, is too late), nobody receives `done` any more, and
  the follower's part stops (`watch`).
- What may end before all of it was entered (attempts that are not made, a stream that nobody reads on) tells its
  followers when it is over (`over`), and they stop what they still wait to begin (`halt`).

So the parts of a program on all islands are entered, fail and end as the whole would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from ..lang.types import BOOL, INT, NONE, ListType
from .formula import Formula
from .graph import (
    Attribute,
    Channel,
    FailureType,
    GraphPipeline,
    Operation,
    Region,
    Value,
    ValueType,
    walk,
)
from .live import TERMINATORS, acts
from .shared_bodies import attempts_of, bare, ends_early, nth, synchronised, tier_of, tiers_in, unique

STOPPED = "stopped elsewhere"
"""The reason with which a follower's part ends that the owner has no use for. No program can name it."""

_FOREVER = 3.2e9
"""Seconds. The clock of a call is its owner's; a follower's stages only must not have the one of every call."""


@dataclass(slots=True)
class Projection:
    """One pipeline after `insert_transfers`; `channels` are those that following needs."""

    pipeline: GraphPipeline
    home: str
    channels: dict[str, Channel] = field(default_factory=dict[str, Channel])
    _ids: set[str] = field(default_factory=set[str])
    _taken: set[str] = field(default_factory=set[str])
    _names: dict[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    _next: int = 0
    _origin: dict[int, Value] = field(default_factory=dict[int, Value])
    _there: dict[tuple[int, str], Value] = field(default_factory=dict[tuple[int, str], Value])

    def __post_init__(self) -> None:
        sent: dict[int, Operation] = {}
        made: dict[object, Value] = {}
        for operation in walk(self.pipeline.body):
            self._ids.add(operation.id)
            values = (*operation.results, *(a for region in operation.regions for a in region.arguments))
            self._next = max([self._next, *(value.id for value in values)])
            made.update((operation.id, value) for value in operation.results)
            if "copies" in operation.attributes:
                self._is_there(made[operation.attributes["copies"]], operation)
            if "channel" in operation.attributes:
                self._taken.add(cast(str, operation.attributes["channel"]))
            if operation.name == "agent.send":
                sent[operation.results[0].id] = operation
            elif operation.name == "agent.receive":
                (value,) = sent[operation.operands[0].id].operands
                self._is_there(value, operation)
        self._next = max([self._next, *(value.id for value in self.pipeline.body.arguments)])

    def _is_there(self, value: Value, operation: Operation) -> None:
        (there,) = operation.results
        self._origin[there.id] = value
        self._there[value.id, tier_of(operation)] = there

    @property
    def tiers(self) -> tuple[str, ...]:
        """Home, then the others in the order in which they occur."""
        found = (tier_of(each) for each in walk(self.pipeline.body) if each.name not in TERMINATORS)
        return tuple(dict.fromkeys((self.home, *found)))

    def on(self, tier: str) -> GraphPipeline:
        """The pipeline's part on a tier. Parameters and the result are home's."""
        body = self.pipeline.body
        last = body.operations[-1]
        inner = tuple(self._inside(body, tier))
        if tier == self.home:
            return replace(self.pipeline, body=Region(body.arguments, (*inner, last)))
        closing = replace(last, operands=())
        return replace(self.pipeline, inputs=(), result=NONE, body=Region((), (*inner, closing)))

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _inside(self, region: Region, tier: str) -> Iterator[Operation]:
        """What of a body is on the tier, without its terminator."""
        for operation in region.operations:
            if operation.name in TERMINATORS:
                continue
            if operation.regions:
                yield from self._with_bodies(operation, tier)
            elif tier_of(operation) == tier:
                match operation.name:
                    case "agent.send":
                        yield replace(operation, results=())
                    case "agent.receive":
                        yield replace(operation, operands=())
                    case _:
                        yield operation

    def _with_bodies(self, operation: Operation, tier: str) -> Iterator[Operation]:
        followers = self._followers(operation)
        if tier == tier_of(operation):
            yield from self._owned(operation, tier, followers)
        elif tier in followers:
            following = tuple(self._following(operation, tier))
            yield from self._until_over(operation, tier, following) if ends_early(operation) else following

    def _followers(self, operation: Operation) -> tuple[str, ...]:
        inside = (tier for region in operation.regions for tier in tiers_in(region))
        return tuple(sorted({*inside} - {tier_of(operation)}))

    def _owned(self, operation: Operation, tier: str, followers: tuple[str, ...]) -> Iterator[Operation]:
        regions = tuple(self._own_body(operation, at, tier) for at in range(len(operation.regions)))
        attributes = dict(operation.attributes)
        made = replace(operation, regions=regions)
        if acts(operation) and not acts(made):
            attributes["acts"] = True
        if followers and attempts_of(operation) > 1:
            attributes["numbered"] = True
        yield replace(made, attributes=attributes)
        if followers and ends_early(operation):
            times = operation.times
            over = self._made(operation, "over", "agent.over", (), BOOL, {"of": operation.id, "tier": tier}, times)
            yield over
            for follower in followers:
                yield self._send(operation, ("over",), over.results[0], tier, follower, times)

    def _own_body(self, operation: Operation, at: int, tier: str) -> Region:
        region = operation.regions[at]
        if not region.operations:
            return region
        times = region.operations[-1].times
        begin: list[Operation] = []
        end: list[Operation] = []
        for follower in sorted(set(tiers_in(region)) - {tier}) if synchronised(operation, at) else ():
            entered = self._made(
                operation, f"entered{nth(at)}", "agent.constant", (), BOOL, {"value": True, "tier": tier}, times
            )
            begin += [
                entered,
                self._send(operation, (f"enter{nth(at)}",), entered.results[0], tier, follower, times),
            ]
            end.append(self._receive(operation, (f"done{nth(at)}",), BOOL, follower, tier, times, follower))
        return Region(region.arguments, (*begin, *self._inside(region, tier), *end, region.operations[-1]))

    # --- following ---------------------------------------------------------------------------------------------------

    def _following(self, operation: Operation, tier: str) -> Iterator[Operation]:
        # It gives nothing here, and all of it is wanted as long as the owner's is.
        attributes = {**operation.attributes, "tier": tier, "acts": True}
        operands = tuple(self._at(value, tier) for value in operation.operands)
        match operation.name:
            case "agent.generator":
                yield from self._inside(operation.regions[0], tier)
            case "agent.if" | "agent.match":
                regions = tuple(
                    Region(region.arguments, (*self._inside(region, tier), bare(region)))
                    for region in operation.regions
                )
                yield replace(operation, operands=operands, results=(), attributes=attributes, regions=regions)
            case "agent.map":
                body, where = operation.regions
                regions = (
                    Region(body.arguments, (*self._entered(operation, 0, tier, self._inside(body, tier)), bare(body))),
                    self._same_end(where, tuple(self._inside(where, tier)), tier),
                )
                yield replace(operation, operands=operands, results=(), attributes=attributes, regions=regions)
            case "agent.repeat":
                (body,) = operation.regions
                turn = self._at(body.operations[-1].operands[0], tier)
                inner = tuple(self._inside(body, tier))
                # How the turn ends is no part of it: it is known when all of it is through.
                ends = tuple(each for each in inner if turn in each.results)
                rest = tuple(each for each in inner if turn not in each.results)
                entered = tuple(self._entered(operation, 0, tier, rest))
                region = self._same_end(body, (*entered, *ends), tier)
                yield replace(operation, operands=operands, attributes=attributes, regions=(region,))
            case _:
                yield from self._attempts(operation, tier)

    def _same_end(self, region: Region, inner: tuple[Operation, ...], tier: str) -> Region:
        """A body that hands out what the owner's does."""
        if not region.operations:
            return region
        last = region.operations[-1]
        operands = tuple(self._at(value, tier) for value in last.operands)
        return Region(region.arguments, (*inner, replace(last, operands=operands)))

    def _entered(
        self, operation: Operation, at: int, tier: str, inside: Iterator[Operation] | tuple[Operation, ...]
    ) -> Iterator[Operation]:
        """A follower's part of a body: begins when the owner enters it, and says when all of it is through."""
        owner = tier_of(operation)
        region = operation.regions[at]
        times = region.operations[-1].times
        inner = tuple(inside)
        if not set(tiers_in(region)) & {tier}:
            return
        enter = self._receive(operation, (f"enter{nth(at)}",), BOOL, owner, tier, times, tier)
        yield enter
        policies: dict[str, Attribute] = {"approve": False, "tier": tier}
        if operation.name == "agent.guard" and operation.attributes.get("timeout") is not None:
            policies["timeout"] = _FOREVER
        closing = self._end(operation, f"part{nth(at)}.{tier}", (enter.results[0],), times)
        body = Region((), (*inner, closing))
        part = self._made(operation, f"part{nth(at)}.{tier}", "agent.guard", (), BOOL, policies, times, (body,))
        yield part
        yield self._send(operation, (f"done{nth(at)}",), part.results[0], tier, owner, times, tier)

    def _attempts(self, operation: Operation, tier: str) -> Iterator[Operation]:
        """A follower's part of bodies that may fail, be stopped, or never be entered."""
        many = attempts_of(operation)
        for at, region in enumerate(operation.regions):
            if tier not in set(tiers_in(region)):
                continue
            attempt = self._attempt(operation, at, tier)
            if many == 1:
                yield attempt
                continue
            times = region.operations[-1].times
            numbers = {"value": tuple(range(many)), "tier": tier}
            each = self._made(operation, f"attempts.{tier}", "agent.constant", (), ListType(INT), numbers, times)
            yield each
            number = Value(self._number(), INT, f"{operation.id}.attempt")
            closing = self._end(operation, f"attempts.{tier}.each", (), times)
            body = Region((number,), (attempt, closing))
            attributes = {"variable": f"{operation.id}.attempt", "at_most": many, "tier": tier}
            yield self._made(
                operation,
                f"attempts.{tier}.all",
                "agent.map",
                (each.results[0],),
                None,
                attributes,
                times,
                (body, Region((), ())),
            )

    def _attempt(self, operation: Operation, at: int, tier: str) -> Operation:
        owner = tier_of(operation)
        region = operation.regions[at]
        times = region.operations[-1].times
        done = self._channel(operation, (f"done{nth(at)}", tier), BOOL, tier, owner)
        word = f"follow{nth(at)}.{tier}"
        watching: dict[str, Attribute] = {"channel": done, "to": owner, "tier": tier}
        tried = Region(
            (),
            (
                *self._entered(operation, at, tier, self._inside(region, tier)),
                self._made(operation, f"{word}.watch", "agent.watch", (), None, watching, times),
                self._end(operation, f"{word}.through", (), times),
            ),
        )
        failure = Value(self._number(), FailureType())
        failed = Region(
            (failure,),
            (
                self._made(operation, f"{word}.failed", "agent.send", (failure,), None, watching, times),
                self._end(operation, f"{word}.told", (), times),
            ),
        )
        attributes: dict[str, Attribute] = {"reasons": (), "tier": tier}
        return self._made(operation, word, "agent.try", (), None, attributes, times, (tried, failed))

    def _until_over(self, operation: Operation, tier: str, following: tuple[Operation, ...]) -> Iterator[Operation]:
        times = operation.times
        over = self._receive(operation, ("over",), BOOL, tier_of(operation), tier, times, tier)
        yield over
        halt = self._made(operation, f"halt.{tier}", "agent.halt", (over.results[0],), None, {"tier": tier}, times)
        tried = Region((), (*following, halt, self._end(operation, f"until_over.{tier}.halted", (), times)))
        ended = Region((), (self._end(operation, f"until_over.{tier}.ended", (), times),))
        attributes: dict[str, Attribute] = {"reasons": (STOPPED,), "tier": tier}
        yield self._made(operation, f"until_over.{tier}", "agent.try", (), None, attributes, times, (tried, ended))

    # --- pieces ------------------------------------------------------------------------------------------------------

    def _at(self, value: Value, tier: str) -> Value:
        """A value as the tier has it: what was sent there, or what is there anyway (the item of a loop)."""
        origin = self._origin.get(value.id, value)
        return self._there.get((origin.id, tier), origin)

    def _send(
        self,
        operation: Operation,
        words: tuple[str, ...],
        value: Value,
        source: str,
        target: str,
        times: Formula | None,
        follower: str | None = None,
    ) -> Operation:
        channel = self._channel(operation, (*words, follower or target), value.type, source, target)
        attributes: dict[str, Attribute] = {"channel": channel, "to": target, "tier": source}
        return self._made(
            operation, f"{words[0]}.{follower or target}", "agent.send", (value,), None, attributes, times
        )

    def _receive(
        self,
        operation: Operation,
        words: tuple[str, ...],
        type_: ValueType,
        source: str,
        target: str,
        times: Formula | None,
        follower: str,
    ) -> Operation:
        channel = self._channel(operation, (*words, follower), type_, source, target)
        attributes: dict[str, Attribute] = {"channel": channel, "from": source, "tier": target}
        return self._made(operation, f"{words[0]}.{follower}.here", "agent.receive", (), type_, attributes, times)

    def _channel(self, operation: Operation, words: tuple[str, ...], type_: ValueType, source: str, target: str) -> str:
        key = (operation.id, *words)
        if key not in self._names:
            self._names[key] = unique(".".join(key), self._taken)
            self.channels[self._names[key]] = Channel(self._names[key], source, target, type_, 1)
        return self._names[key]

    def _end(self, operation: Operation, word: str, operands: tuple[Value, ...], times: Formula | None) -> Operation:
        name = self._id(f"{operation.id}.{word}.yield")
        return Operation(name, "agent.yield", operands, (), {}, (), None, operation.span, times, operation.callers)

    def _made(
        self,
        operation: Operation,
        word: str,
        name: str,
        operands: tuple[Value, ...],
        result: ValueType | None,
        attributes: Mapping[str, Attribute],
        times: Formula | None,
        regions: Sequence[Region] = (),
    ) -> Operation:
        results = () if result is None else (Value(self._number(), result),)
        if regions:
            attributes = {**attributes, "acts": True}
        return Operation(
            self._id(f"{operation.id}.{word}"),
            name,
            operands,
            results,
            attributes,
            tuple(regions),
            None,
            operation.span,
            times,
            operation.callers,
        )

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _id(self, wanted: str) -> str:
        return unique(wanted, self._ids)
