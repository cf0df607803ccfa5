"""Which sizes of which placements together serve all runs at the least cost: branch and bound over few cells.

The bound of a branch charges every device its price of scarcity (`bound`), so that what is taken of a tier of which
there is too little counts against a branch before it is found to run out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from ..space.problem import Problem
from .sizes import Placement, Size

MOST = 4
"""Cells of a plan."""

NODES = 20_000
"""Branches that are looked at."""


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
    search.place(0, 0.0, ())
    if not search.best:
        return None
    return Chosen(search.best, search.least, search.looked, search.looked <= NODES)


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
        self.least, self.looked = inf, 0

    def _dense(self, size: Size) -> float:
        """Dollars a second, joules or seconds for a run a second."""
        return self._priced(size) / size.rate + size.run

    def _priced(self, size: Size) -> float:
        return sum(price * count for price, count in zip(self.prices, size.devices, strict=True))

    def place(self, at: int, spent: float, taken: tuple[tuple[int, Size], ...]) -> None:
        """Adds a cell of the placements from `at` on; `spent` is what the cells so far cost, by the prices."""
        served = sum(size.rate for _, size in taken)
        missing = self.rate - served
        for place in range(at, len(self.order)):
            if self.looked > NODES:
                return
            # They are ordered by what a run costs, so that nothing behind is better.
            if spent + missing * self.dense[place] - self.rent >= self.least * self.rate * (1 - 1e-9):
                return
            sizes = self.placements[self.order[place]].sizes
            enough = next((n for n, size in enumerate(sizes) if size.rate >= missing * (1 - 1e-9)), len(sizes))
            if enough < len(sizes):
                self._finish((*taken, (self.order[place], sizes[enough])))
            if len(taken) + 1 >= MOST:
                continue
            for size in reversed(sizes[:enough]):
                self.looked += 1
                if not self._fits(size):
                    continue
                more = spent + self._priced(size) + size.run * size.rate
                if more - self.rent >= self.least * self.rate:
                    continue
                self._take(size, -1)
                self.place(place + 1, more, (*taken, (self.order[place], size)))
                self._take(size, 1)

    def _take(self, size: Size, sign: int) -> None:
        self.left = [left + sign * count for left, count in zip(self.left, size.devices, strict=True)]

    def _fits(self, size: Size) -> bool:
        return all(count <= left for count, left in zip(size.devices, self.left, strict=True))

    def _finish(self, taken: tuple[tuple[int, Size], ...]) -> None:
        self.looked += 1
        if not self._fits(taken[-1][1]):
            return
        parts = shared(self.rate, taken)
        used = [sum(size.devices[number] for _, size in taken) for number in range(len(self.paid))]
        paid = sum(
            own * max(count, tier.low) for own, count, tier in zip(self.paid, used, self.problem.tiers, strict=True)
        )
        objective = (paid + sum(part.size.run * part.rate for part in parts)) / self.rate
        if objective < self.least * (1 - 1e-12):
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
