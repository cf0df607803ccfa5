"""A program without "whole": its bound, near which the best choice mostly is, and what no better choice takes.

A large program is solved several times (`large`). First its linear relaxation (GLOP, well below a second), whose point
takes a few options of each stage in part. Then the program with only those options, which is small and comes within a
part in a hundred of the best. Then the whole program, without the flags that the relaxation says no better choice has:
two thirds of them, as the choice that is known is near the bound. Without the first two, the solver spent most of its
time on options that are nowhere near the best.

The relaxation is solved in floating point and nothing is believed of it but the sign of its multipliers: any that are
not negative give a bound (weak duality), which is added up again here. So a solver's tolerance moves a bound, and
cannot make it wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from .linear import CONSTANT, Program, Row

SIZE = 1e3
"""What the objective is scaled to, so that tolerances are small parts of it."""

PART = 1e-6
"""An option of which the relaxation takes more than this is taken in part."""

MARGIN = 1e-6
"""Relative: flags go only where they make the bound this much greater than what is known."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """`at` is the point by variable. No point of the program has a smaller objective than `bound`; none where a flag is
    1 has a smaller one than `bound` and that flag's `more`."""

    at: Sequence[float]
    bound: float
    more: Sequence[float]

    def taken(self, flags: Mapping[int, int]) -> tuple[int, ...]:
        """The options that the point takes in part, of a stage's flags by option."""
        return tuple(place for place, flag in flags.items() if self.at[flag] > PART)


def relaxed(program: Program, size: float, seconds: float) -> Relaxed | None:
    """Solve the relaxation; `size` is about what the objective is. None where it has no point, or time was over."""
    from ortools.linear_solver import pywraplp as untyped

    pywraplp: Any = untyped

    terms = {variable: factor for variable, factor in program.objective.items() if variable != CONSTANT and factor}
    if not terms or seconds <= 0.0 or not 0.0 < size < inf:
        return None
    solver = pywraplp.Solver.CreateSolver("GLOP")
    solver.SetTimeLimit(int(seconds * 1000) + 1)
    variables = [solver.NumVar(0.0, variable.high, "") for variable in program.variables]
    rows = [_always(program, row) for row in program.rows]
    scales = [1.0 / max(abs(factor) for factor in row.terms.values()) for row in rows]
    limits: list[Any] = []
    for row, scale in zip(rows, scales, strict=True):
        limit = solver.Constraint(row.most * scale if row.equal else -inf, row.most * scale)
        for variable, factor in row.terms.items():
            limit.SetCoefficient(variables[variable], factor * scale)
        limits.append(limit)
    objective = solver.Objective()
    for variable, factor in terms.items():
        objective.SetCoefficient(variables[variable], factor * SIZE / size)
    objective.SetMinimization()
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        return None
    multipliers = [limit.dual_value() * scale * size / SIZE for limit, scale in zip(limits, scales, strict=True)]
    bound, more = _bound(program, rows, multipliers)
    return Relaxed([variable.solution_value() for variable in variables], bound, more)


def _always(program: Program, row: Row) -> Row:
    """A row that holds only where a flag is 1 as one that always does: it has that much room where the flag is 0."""
    if row.when is None:
        return row
    room = sum(factor * program.variables[v].high for v, factor in row.terms.items() if factor > 0.0) - row.most
    terms = dict(row.terms)
    terms[row.when] = terms.get(row.when, 0.0) + room
    return Row(terms, row.most + room)


def _bound(program: Program, rows: Sequence[Row], multipliers: Sequence[float]) -> tuple[float, list[float]]:
    """What the multipliers prove: a bound, and what each variable adds to it where it is 1."""
    left = [0.0] * len(program.variables)
    bound = program.objective.get(CONSTANT, 0.0)
    for variable, factor in program.objective.items():
        if variable != CONSTANT:
            left[variable] += factor
    for row, multiplier in zip(rows, multipliers, strict=True):
        price = multiplier if row.equal else min(0.0, multiplier)
        if price:
            bound += price * row.most
            for variable, factor in row.terms.items():
                left[variable] -= price * factor
    bound += sum(min(0.0, each) * variable.high for each, variable in zip(left, program.variables, strict=True))
    return bound, [max(0.0, each) for each in left]


def without(program: Program, known: Relaxed, upper: float) -> int:
    """Leave out the flags that no point below `upper` has; how many."""
    limit = upper + MARGIN * abs(upper)
    gone = [
        number
        for number, variable in enumerate(program.variables)
        if variable.whole and variable.high == 1.0 and known.bound + known.more[number] > limit
    ]
    program.rows += [Row({flag: 1.0}, 0.0) for flag in gone]
    return len(gone)
