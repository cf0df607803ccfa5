"""Amounts that are known up to the length of lists: `2 + 3 × len(documents)`.

A bound is a sum of terms, each a number times lengths that only a run knows. Lengths are never negative and neither is
a coefficient, so that the larger of two bounds, taken term by term, is a bound of both: it may say more than the worst
case, and never less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, isfinite
from typing import cast

from ...base.frozen import EMPTY, frozen

_NO_TERMS: Mapping[tuple[str, ...], float] = cast("Mapping[tuple[str, ...], float]", EMPTY)
# A product of many sums has more terms than anybody reads, or than there is memory for.
_MOST_TERMS = 64
_TOO_MANY = "a product of too many lengths to write out"


@frozen
class Bound:
    """`terms` gives the coefficient of each product of lengths; the empty product is the plain number."""

    terms: Mapping[tuple[str, ...], float] = _NO_TERMS

    @property
    def number(self) -> float | None:
        """The amount, where it depends on nothing."""
        return self.terms.get((), 0.0) if all(not lengths for lengths in self.terms) else None

    @property
    def plain(self) -> float:
        """The part that depends on nothing."""
        return self.terms.get((), 0.0)

    @property
    def lengths(self) -> tuple[str, ...]:
        """What it depends on, each once."""
        return tuple(dict.fromkeys(name for lengths in self.terms for name in lengths))

    def __add__(self, other: Bound) -> Bound:
        if not other.terms or not self.terms:
            return self if not other.terms else other
        out = dict(self.terms)
        for lengths, coefficient in other.terms.items():
            out[lengths] = out.get(lengths, 0.0) + coefficient
        return Bound(out)

    def __mul__(self, other: Bound | float) -> Bound:
        if not isinstance(other, Bound):
            return Bound({k: v * other for k, v in self.terms.items()}) if other else ZERO
        out: dict[tuple[str, ...], float] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                key = tuple(sorted((*left, *right)))
                out[key] = out.get(key, 0.0) + a * b
            if len(out) > _MOST_TERMS:
                return Bound({(_TOO_MANY,): 1.0})
        return Bound(out)

    def __or__(self, other: Bound) -> Bound:
        """A bound of both."""
        out = dict(self.terms)
        for lengths, coefficient in other.terms.items():
            out[lengths] = max(out.get(lengths, 0.0), coefficient)
        return Bound(out)

    def covers(self, other: Bound) -> bool:
        """Whether it is at least the other, whatever the lengths are."""
        return all(self.terms.get(k, 0.0) >= v - 1e-9 for k, v in other.terms.items())

    def turns(self, at_once: int) -> Bound:
        """How many rounds so many take, some at once: rounded up, which costs at most one round."""
        number = self.number
        if number is not None:
            return amount(ceil(number / at_once) if isfinite(number) else number)
        return self if at_once == 1 else self * (1 / at_once) + amount(1)

    def replaced(self, lengths: Callable[[str], Bound]) -> Bound:
        """With other bounds in the place of its lengths."""
        out = ZERO
        for names, coefficient in self.terms.items():
            term = amount(coefficient)
            for name in names:
                term = term * lengths(name)
            out = out + term
        return out

    def show(self, number: Callable[[float], str] | None = None) -> str:
        """For people; `number` writes a coefficient with its unit."""
        write: Callable[[float], str] = number or "{:g}".format
        parts: list[str] = []
        for lengths, coefficient in sorted(self.terms.items(), key=lambda item: (len(item[0]), item[0])):
            if coefficient:
                one = number is None and coefficient == 1 and lengths
                parts.append(" × ".join([*([] if one else [write(coefficient)]), *lengths]))
        return " + ".join(parts) or write(0)


def amount(number: float) -> Bound:
    return Bound({(): float(number)}) if number else ZERO


def length(name: str) -> Bound:
    """One length that only a run knows."""
    return Bound({(name,): 1.0})


ZERO = Bound()
