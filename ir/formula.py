"""Demand formulas: polynomials in named sizes, with the bounds that the program gives those sizes.

A polynomial is enough for every operator so far (attention is quadratic in the prompt), prints readably, adds and
multiplies exactly, and needs no parser of expressions from outside. Variables are size names such as `question.tokens`
or `best.items`; units are those of the field that holds the formula (see `ir.graph.Demand`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Monomial = tuple[str, ...]
_TERM = re.compile(r"\s*([0-9.eE+-]+)((?:\*[^\W\d][\w.]*)*)\s*")


@dataclass(frozen=True, slots=True)
class Formula:
    """A sum of `coefficient * variable * …`; terms are sorted by their variables, none has the coefficient 0."""

    terms: tuple[tuple[Monomial, float], ...] = ()

    def __add__(self, other: Formula | float) -> Formula:
        total = dict(self.terms)
        for variables, coefficient in as_formula(other).terms:
            total[variables] = total.get(variables, 0.0) + coefficient
        return _of(total)

    __radd__ = __add__

    def __mul__(self, other: Formula | float) -> Formula:
        total: dict[Monomial, float] = {}
        for left, a in self.terms:
            for right, b in as_formula(other).terms:
                key = tuple(sorted(left + right))
                total[key] = total.get(key, 0.0) + a * b
        return _of(total)

    __rmul__ = __mul__

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(name for names, _ in self.terms for name in names)

    def value(self, sizes: Mapping[str, float]) -> float:
        """The formula at these sizes. KeyError names a variable without a size."""
        total = 0.0
        for variables, coefficient in self.terms:
            for name in variables:
                coefficient *= sizes[name]
            total += coefficient
        return total

    def __str__(self) -> str:
        return " + ".join("*".join([f"{c:.10g}", *names]) for names, c in self.terms) or "0"


ZERO = Formula()


def constant(value: float) -> Formula:
    return Formula((((), float(value)),)) if value else ZERO


def variable(name: str) -> Formula:
    return Formula((((name,), 1.0),))


def as_formula(value: Formula | float) -> Formula:
    return value if isinstance(value, Formula) else constant(value)


def total(parts: Iterable[Formula]) -> Formula:
    """The sum of any number of formulas, in time that grows with their terms."""
    terms: dict[Monomial, float] = {}
    for part in parts:
        for variables, coefficient in part.terms:
            terms[variables] = terms.get(variables, 0.0) + coefficient
    return _of(terms)


def parse(text: str) -> Formula:
    """The inverse of `str`, to ten digits. ValueError names the text that is no formula."""
    total: dict[Monomial, float] = {}
    for piece in text.split(" + "):
        match = _TERM.fullmatch(piece)
        if match is None:
            raise ValueError(f"not a formula: {text!r}")
        names = tuple(sorted(match[2].split("*")[1:]))
        total[names] = total.get(names, 0.0) + float(match[1])
    return _of(total)


def _of(terms: Mapping[Monomial, float]) -> Formula:
    return Formula(tuple(sorted((names, c) for names, c in terms.items() if c)))
