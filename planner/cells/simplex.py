"""A linear program by the simplex method, for the few dozen rows that the bound of a division has.

Plain tableau, least subscripts against cycling. Whoever uses the prices that come out of it adds them up again
(`bound`), so that rounding here makes a bound weaker and never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_TINY = 1e-9
_PIVOTS = 5_000


@dataclass(frozen=True, slots=True)
class Solved:
    """Of `min c x, A x = b, x >= 0`: whether there is an x, the best one, and the price of each row. Where there is
    none, the prices are those that say so: with them, every column costs at least nothing and the right side more."""

    feasible: bool
    values: tuple[float, ...]
    prices: tuple[float, ...]


def minimise(costs: Sequence[float], rows: Sequence[Sequence[float]], right: Sequence[float]) -> Solved:
    """The right side is at least 0. Every row gets a column of its own to start with; what is left of those at the end
    says that nothing fits."""
    wide, high = len(costs), len(rows)
    table = [
        [*row, *(1.0 if n == m else 0.0 for m in range(high)), b] for n, (row, b) in enumerate(_pairs(rows, right))
    ]
    basis = list(range(wide, wide + high))
    first = _reduced(table, basis, [0.0] * wide + [1.0] * high)
    _run(table, basis, first, wide + high)
    left = sum(table[n][-1] for n, column in enumerate(basis) if column >= wide)
    feasible = left <= _TINY * max(1.0, sum(right))
    if not feasible:
        return Solved(False, _values(table, basis, wide), tuple(1.0 - first[wide + n] for n in range(high)))
    second = _reduced(table, basis, [*costs, *[0.0] * high])
    _run(table, basis, second, wide)
    return Solved(True, _values(table, basis, wide), tuple(-second[wide + n] for n in range(high)))


def _pairs(rows: Sequence[Sequence[float]], right: Sequence[float]) -> list[tuple[Sequence[float], float]]:
    return list(zip(rows, right, strict=True))


def _values(table: list[list[float]], basis: list[int], wide: int) -> tuple[float, ...]:
    found = [0.0] * wide
    for row, column in zip(table, basis, strict=True):
        if column < wide:
            found[column] = row[-1]
    return tuple(found)


def _reduced(table: list[list[float]], basis: list[int], costs: Sequence[float]) -> list[float]:
    """What one more of each column costs, the basis making room for it."""
    found = [*costs, 0.0]
    for row, column in zip(table, basis, strict=True):
        if costs[column]:
            factor = costs[column]
            found = [value - factor * each for value, each in zip(found, row, strict=True)]
    return found


def _run(table: list[list[float]], basis: list[int], reduced: list[float], columns: int) -> None:
    """Pivots until no column below `columns` makes the sum less. The tableau and the costs are changed in place."""
    for turn in range(_PIVOTS):
        some = [column for column in range(columns) if reduced[column] < -_TINY]
        if not some:
            return
        # The steepest first; after many turns the least subscript, which cannot go round in circles.
        entering = min(some, key=lambda column: reduced[column]) if turn < _PIVOTS // 10 else some[0]
        ratios = [
            (row[-1] / row[entering], basis[number], number)
            for number, row in enumerate(table)
            if row[entering] > _TINY
        ]
        if not ratios:
            return  # without end: costs below nothing, which no problem has
        _, _, leaving = min(ratios)
        pivot = table[leaving][entering]
        chosen = table[leaving] = [each / pivot for each in table[leaving]]
        for number, row in enumerate(table):
            if number != leaving and row[entering]:
                factor = row[entering]
                table[number] = [each - factor * own for each, own in zip(row, chosen, strict=True)]
        factor = reduced[entering]
        reduced[:] = [each - factor * own for each, own in zip(reduced, chosen, strict=True)]
        basis[leaving] = entering
