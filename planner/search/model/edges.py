"""What passes between stages: where it cannot, how long it takes, what it costs, and how much a link carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ...space.evaluate import transfer
from ...space.problem import Edge, Link
from ..linear import CONSTANT, Terms, plus, value
from ..reading import Reading
from .seconds import Seconds

NEGLIGIBLE = 0.005
"""What the least edges of a link may take of it together, not to be counted."""

Place: TypeAlias = tuple[str, int]
"""Where a stage is, as far as an edge cares: its tier, or its pool where values move within the tier."""


class Edges(Seconds):
    """`traffic` is, for pairs of tiers whose link may be too narrow, bytes a run. `money` is dollars a run beside
    devices."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.traffic: dict[tuple[int, int], Terms] = {}
        self.money: Terms = {}
        self._edges()

    def _place(self, stage: int, option: int, other: int) -> Place:
        """Within a tier that values move in, a pool is a place of its own where both ends may be in it."""
        pool = self.reading.pool_of(stage, option)
        tier = self.reading.tier_of[pool]
        apart = (tier, tier) in self.reading.links and pool in self.pools_of[stage] & self.pools_of[other]
        return ("pool", pool) if apart else ("tier", tier)

    def _tier(self, place: Place) -> int:
        return place[1] if place[0] == "tier" else self.reading.tier_of[place[1]]

    def _places(self, stage: int, other: int) -> dict[Place, Terms]:
        found: dict[Place, Terms] = {}
        for option, flag in self.flags[stage].items():
            found.setdefault(self._place(stage, option, other), {})[flag] = 1.0
        return found

    def _inseparable(self, stage: int, other: int) -> bool:
        """Whether two stages are always in one pool."""
        for one, two in ((stage, other), (other, stage)):
            name = self.problem.stages[two].name
            if all(name in self.reading.option(one, place).together for place in self.flags[one]):
                return True
        return stage == other

    def _edges(self) -> None:
        narrow = self._narrow()
        for number, edge in enumerate(self.problem.edges):
            source, target = self.reading.stage_at[edge.source], self.reading.stage_at[edge.target]
            if self._inseparable(source, target):
                continue
            left, right = self._places(source, target), self._places(target, source)
            ways: dict[tuple[Place, Place], Link | None] = {}
            for here in left:
                for there in right:
                    tiers = self._tier(here), self._tier(there)
                    link = None if here == there else self.reading.links.get(tiers)
                    if link is not None or tiers[0] == tiers[1] or not self.reading.linked:
                        ways[here, there] = link
            for here, terms in left.items():
                # Where one end is, some places are out of reach of the other.
                beyond = [there for there in right if (here, there) not in ways]
                if beyond:
                    total = dict(terms)
                    for there in beyond:
                        total = plus(total, right[there])
                    self.program.at_most(total, 1.0)
            self._delay(number, edge, left, right, ways)
            for (here, there), link in ways.items():
                tiers = self._tier(here), self._tier(there)
                if link is None or not (link.dollars or number in narrow.get(tiers, ())):
                    continue
                flag = self._both(left[here], right[there])
                moved = edge.bytes * edge.moves
                if link.dollars:
                    self.money[flag] = moved * link.dollars
                row = self.traffic.setdefault(tiers, {})
                row[flag] = row.get(flag, 0.0) + moved

    def _narrow(self) -> dict[tuple[int, int], set[int]]:
        """Pairs of tiers that may need more than one pair of devices for what passes between them, each with the edges
        that count. Those that hardly do are left out, in favour of the choice: `evaluate` counts them."""
        loads: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for number, edge in enumerate(self.problem.edges):
            source, target = self.reading.stage_at[edge.source], self.reading.stage_at[edge.target]
            tiers = {
                (self._tier(a), self._tier(b))
                for a in self._places(source, target)
                for b in self._places(target, source)
            }
            for pair in tiers:
                link = self.reading.links.get(pair)
                if link is not None and self.problem.rate is not None and self.reading.binding(link.carries):
                    load = edge.bytes * edge.moves * self.problem.rate / link.bandwidth
                    loads.setdefault(pair, []).append((load, number))
        found: dict[tuple[int, int], set[int]] = {}
        for pair, each in loads.items():
            if sum(load for load, _ in each) > 1.0:
                little, counted = 0.0, set[int]()
                for load, number in sorted(each):
                    little += load
                    if little > NEGLIGIBLE:
                        counted.add(number)
                found[pair] = counted
        return found

    def _both(self, left: Terms, right: Terms) -> int:
        """A flag that is 1 where both ends are so."""
        found = self.program.count(1, lambda at: min(value(left, at), value(right, at)))
        self.program.at_most(plus(plus(left, right), {found: -1.0}), 1.0)
        return found

    def _delay(
        self,
        number: int,
        edge: Edge,
        left: Mapping[Place, Terms],
        right: Mapping[Place, Terms],
        ways: Mapping[tuple[Place, Place], Link | None],
    ) -> None:
        """Seconds of a transfer: for each place of one end, at least what the place of the other makes it."""
        rows: list[Terms] = []
        for near, far, turned in ((left, right, False), (right, left, True)):
            for here, terms in near.items():
                takes = {
                    there: transfer(edge, link)
                    for there in far
                    if (link := ways.get((there, here) if turned else (here, there))) is not None
                }
                longest = max(takes.values(), default=0.0)
                if longest:
                    row = plus({CONSTANT: -longest}, terms, longest)
                    for there, seconds in takes.items():
                        row = plus(row, far[there], seconds)
                    rows.append(row)
        if rows:
            longest = max(transfer(edge, link) for link in ways.values() if link is not None)
            seconds = self.program.amount(longest, self.unit, lambda at: max(0.0, *(value(row, at) for row in rows)))
            for row in rows:
                self.program.at_most(plus(row, {seconds: -1.0}), 0.0)
            self.moves[number] = {seconds: 1.0}
