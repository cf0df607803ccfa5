"""A linear program with integers, in natural units: what a model says, before any solver's arithmetic.

Every variable is at least 0. A row says that a sum is at most a number, always or where a flag is 1. Rows are written
so that leaving a little room never cuts a choice off: a solver of integers may round each in favour of the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Terms = dict[int, float]
"""Factors by variable; of `CONSTANT` the number that is added."""

CONSTANT = -1


@dataclass(frozen=True, slots=True)
class Variable:
    """From 0 to `high`, a flag or a count where `whole`. `unit` is how finely it has to be told apart otherwise.
    `hint` is its value for some choice, given what the model keeps of that choice."""

    high: float
    whole: bool
    unit: float
    hint: Callable[[Mapping[int, float]], float] | None


@dataclass(frozen=True, slots=True)
class Row:
    """The sum is at most `most` (exactly, where `equal`: of flags with whole factors alone), where `when` is 1."""

    terms: Mapping[int, float]
    most: float
    when: int | None = None
    equal: bool = False


@dataclass(slots=True)
class Program:
    """See the module. `objective` is minimised. `branch` are the variables that decide all others."""

    variables: list[Variable] = field(default_factory=list[Variable])
    rows: list[Row] = field(default_factory=list[Row])
    objective: Terms = field(default_factory=dict[int, float])
    branch: list[int] = field(default_factory=list[int])

    def flag(self) -> int:
        self.variables.append(Variable(1.0, True, 1.0, None))
        return len(self.variables) - 1

    def count(self, high: int, hint: Callable[[Mapping[int, float]], float]) -> int:
        self.variables.append(Variable(float(high), True, 1.0, hint))
        return len(self.variables) - 1

    def amount(self, high: float, unit: float, hint: Callable[[Mapping[int, float]], float]) -> int:
        """A number that is not whole, told apart by `unit`."""
        self.variables.append(Variable(high, False, unit, hint))
        return len(self.variables) - 1

    def at_most(self, terms: Mapping[int, float], most: float, when: int | None = None) -> None:
        kept = {variable: factor for variable, factor in terms.items() if factor and variable != CONSTANT}
        most -= terms.get(CONSTANT, 0.0)
        if sum(factor * self.variables[variable].high for variable, factor in kept.items() if factor > 0) > most:
            self.rows.append(Row(kept, most, when))

    def one_of(self, flags: Iterable[int], of: Mapping[int, float]) -> None:
        """As many of the flags are 1 as `of` comes to, which is a sum of flags."""
        terms: Terms = dict.fromkeys(flags, 1.0)
        self.rows.append(Row(*_moved(plus(terms, of, -1.0)), equal=True))


def _moved(terms: Terms) -> tuple[Terms, float]:
    most = -terms.pop(CONSTANT, 0.0)
    return {variable: factor for variable, factor in terms.items() if factor}, most


def plus(left: Mapping[int, float], right: Mapping[int, float], factor: float = 1.0) -> Terms:
    """The first and `factor` times the second."""
    found = dict(left)
    for variable, value in right.items():
        found[variable] = found.get(variable, 0.0) + value * factor
    return found


def value(terms: Mapping[int, float], at: Mapping[int, float]) -> float:
    """What a sum comes to."""
    return sum(factor * (1.0 if variable == CONSTANT else at[variable]) for variable, factor in terms.items())
