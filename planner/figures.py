"""Numbers that say where they come from: a figure with its basis, and a prediction as a sum of named terms.

A plan is an argument. Each of its numbers must be traceable to a datasheet, a measurement, a statement of the program
or an assumption that is printed as one, and each total must be the sum of the terms beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import floor, fsum, log10

from ..base.units import BANDWIDTH, BYTESIZE, DURATION, ENERGY, POWER, Quantity, show


class Basis(Enum):
    """Why a number is believed, from the strongest reason to the weakest."""

    FITTED = "fitted"
    """From runs of this program's stages on this machine."""
    MEASURED = "measured"
    """By a probe on this machine, or in the run at hand."""
    TRACE = "trace"
    """Of recorded requests; `source` names the file."""
    GIVEN = "given"
    """The program, its goal or the caller states it."""
    DATASHEET = "datasheet"
    """The maker states it."""
    PUBLISHED = "published"
    """A third party states it; `source` says who."""
    DERIVED = "derived"
    """Worked out from others."""
    ASSUMED = "assumed"
    """Nobody knows yet: a default of ours, to be replaced."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in base units with its unit's text, its basis and its relative error (0.1 is ±10 %)."""

    value: float
    unit: str
    basis: Basis
    source: str = ""
    date: str = ""
    error: float = 0.0

    def __str__(self) -> str:
        return f"{show_value(self.value, self.unit)} ({self.basis.value})"


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a prediction. `stage` is the stage that it belongs to, `detail` its arithmetic."""

    name: str
    value: float
    unit: str
    basis: Basis
    detail: str = ""
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """`value` is the sum of `terms`; the truth is believed to lie in `low..high`."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    terms: tuple[Term, ...]

    @property
    def dominating(self) -> Term | None:
        """The largest term, or None where there is none."""
        return max(self.terms, key=lambda term: term.value, default=None)


def predicted(name: str, unit: str, terms: Iterable[Term], error: float) -> Prediction:
    """A prediction from its terms, with the relative error of their sum."""
    kept = tuple(terms)
    value = fsum(term.value for term in kept)
    return Prediction(name, value, unit, max(0.0, value * (1.0 - error)), value * (1.0 + error), kept)


_DIMENSIONS = {"s": DURATION, "B": BYTESIZE, "B/s": BANDWIDTH, "J": ENERGY, "W": POWER}
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def show_value(value: float, unit: str) -> str:
    """A number with its unit for people, at most four digits (three where prefixes are ours)."""
    if unit in _DIMENSIONS:
        return show(Quantity(value, _DIMENSIONS[unit]))
    if unit in ("FLOP", "FLOP/s"):
        factor, prefix = next(((f, p) for f, p in _PREFIXES if abs(value) >= f), _PREFIXES[-1])
        return f"{value / factor:.3g} {prefix}{unit}"
    if unit in ("$", "$/h"):
        return f"${_money(value)}" + (" per h" if unit == "$/h" else "")
    return f"{value:.4g} {unit}".rstrip()


def _money(value: float) -> str:
    """Three digits, at least two decimals, never an exponent: a run costs parts of a cent."""
    decimals = 2 if value == 0.0 else max(2, 2 - floor(log10(abs(value))))
    return f"{value:,.{decimals}f}"
