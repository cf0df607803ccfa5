"""Which sizes of which placements together serve all runs at the least cost: branch and bound over few cells.

The bound of a branch charges every device its price of scarcity (`bound`), so that what is taken of a tier of which
there is too little counts against a branch before it is found to run out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from ..space.evaluate import SLACK
from ..space.problem import Problem
from .sizes import Placement, Size

MOST = 4
"""Cells of a plan."""

NODES = 10_000
"""Branches that are looked at, for each number of cells."""


@dataclass(frozen=True, slots=True)
class Part:
    """A placement at a size, and the runs a second that it is given."""

    placement: int
    size: Size
    rate: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """`objective` is of a run, over all parts. `looked` counts branches; `complete` says that all were looked at."""

    parts: tuple[Part, ...]
    objective: float
    looked: int
    complete: bool


def choose(problem: Problem, placements: Sequence[Placement], prices: Mapping[str, float]) -> Chosen | None:
    """The best of at most `MOST` placements, each at one of its sizes; None where they do not come to the rate."""
    search = _Search(problem, placements, prices)
    # Few cells are soon looked through, and what they come to cuts the branches of more.
    looked, complete = 0, True
    for most in range(2, MOST + 1):
        search.most, search.looked = most, 0
        search.place(0, 0.0, ())
        looked, complete = looked + search.looked, search.looked <= NODES
    return Chosen(search.best, search.least, looked, complete) if search.best else None


class _Search:
    def __init__(self, problem: Problem, placements: Sequence[Placement], prices: Mapping[str, float]) -> None:
        assert problem.rate is not None
        self.problem, self.placements, self.rate = problem, placements, problem.rate
        cheapest = problem.objective == "cheapest"
        self.paid = [tier.dollars.value if cheapest else 0.0 for tier in problem.tiers]
        self.prices = [
            max(prices[tier.name], own) if cheapest else 0.0 for tier, own in zip(problem.tiers, self.paid, strict=True)
        ]
        self.left = [tier.high for tier in problem.tiers]
        self.rent = sum(
            (price - own) * tier.high
            for price, own, tier in zip(self.prices, self.paid, problem.tiers, strict=True)
            if price > own
        )
        dense = {number: min(map(self._dense, each.sizes)) for number, each in enumerate(placements) if each.sizes}
        self.order = sorted(dense, key=lambda number: (dense[number], number))
        self.dense = [dense[number] for number in self.order]
        self.best: tuple[Part, ...] = ()
        self.least, self.looked, self.most = inf, 0, MOST

    def _dense(self, size: Size) -> float:
        """Dollars a second, joules or seconds for a run a second."""
        return self._priced(size) / size.rate + size.run

    def _priced(self, size: Size) -> float:
        return sum(price * count for price, count in zip(self.prices, size.devices, strict=True))

    def place(self, at: int, spent: float, taken: tuple[tuple[int, Size], ...]) -> None:
        """Adds cells: one of any placement that serves all that is missing, or one of those from `at` on that serves a
        part, and then more. `spent` is what the cells so far cost, by the prices."""
        missing = self.rate - sum(size.rate for _, size in taken)
        known = {number for number, _ in taken}
        for number, dense in zip(self.order, self.dense, strict=True):
            # They are ordered by what a run costs, so that nothing behind is better.
            if self._dear(spent + missing * dense):
                break
            if number not in known:
                self._finish(taken, number, missing)
        if len(taken) + 1 >= self.most:
            return
        for place in range(at, len(self.order)):
            number = self.order[place]
            for size in reversed(self.placements[number].sizes):
                if self.looked > NODES or self._dear(spent + missing * self.dense[0]):
                    return
                if size.rate >= missing * (1 - SLACK):
                    continue
                self.looked += 1
                more = spent + self._priced(size) + size.run * size.rate
                if not self._fits(size) or self._dear(more + (missing - size.rate) * self.dense[0]):
                    continue
                self._take(size, -1)
                self.place(place + 1, more, (*taken, (number, size)))
                self._take(size, 1)

    def _dear(self, spent: float) -> bool:
        """Whether what costs this by the prices is no better than the best, all devices' rent given back."""
        return spent - self.rent >= self.least * self.rate * (1 - SLACK)

    def _take(self, size: Size, sign: int) -> None:
        self.left = [left + sign * count for left, count in zip(self.left, size.devices, strict=True)]

    def _fits(self, size: Size) -> bool:
        return all(count <= left for count, left in zip(size.devices, self.left, strict=True))

    def _finish(self, taken: tuple[tuple[int, Size], ...], number: int, missing: float) -> None:
        """Completes the cells with the least size of a placement that serves what is missing."""
        self.looked += 1
        sizes = self.placements[number].sizes
        enough = bisect_left(sizes, missing * (1 - SLACK), key=lambda size: size.rate)
        if enough == len(sizes) or not self._fits(sizes[enough]):
            return
        taken = (*taken, (number, sizes[enough]))
        parts = shared(self.rate, taken)
        used = [sum(size.devices[place] for _, size in taken) for place in range(len(self.paid))]
        paid = sum(
            own * max(count, tier.low) for own, count, tier in zip(self.paid, used, self.problem.tiers, strict=True)
        )
        objective = (paid + sum(part.size.run * part.rate for part in parts)) / self.rate
        if objective < self.least * (1 - SLACK):
            self.best, self.least = parts, objective


def shared(rate: float, taken: Sequence[tuple[int, Size]]) -> tuple[Part, ...]:
    """Who serves how many runs, where there is room for more: all by the same part less than they can; where a run
    costs more in some than in others, those first in which it costs least."""
    runs = [size.run for _, size in taken]
    if max(runs) - min(runs) <= 1e-9 * max(map(abs, runs), default=0.0):
        whole = sum(size.rate for _, size in taken)
        even = [rate * size.rate / whole for _, size in taken]
        # In few digits for people to read, as far as every one is still carried.
        for digits in (3, 4, 5, 6):
            rates = [float(f"{each:.{digits}g}") for each in even[:-1]]
            rates.append(round(rate - sum(rates), 12))
            if all(0.0 < each <= size.rate for each, (_, size) in zip(rates, taken, strict=True)):
                even = rates
                break
        return tuple(Part(number, size, part) for (number, size), part in zip(taken, even, strict=True))
    left, given = rate, [0.0] * len(taken)
    for number in sorted(range(len(taken)), key=lambda number: (runs[number], number)):
        given[number] = min(left, taken[number][1].rate)
        left -= given[number]
    return tuple(Part(n, size, part) for (n, size), part in zip(taken, given, strict=True) if part > 0.0)
