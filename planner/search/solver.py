"""The constraint solver (OR-Tools' CP-SAT), which counts in integers: programs are scaled and rounded for it here.

Every row is rounded in favour of the choice (left sides down, right sides up), so that the solver never calls a choice
impossible, or dearer, than it is: its bounds and its "infeasible" are sound, and what it accepts by a hair too much is
refused by `evaluate` and cut off. The least part that is told apart is 2^-31 of what matters.

One worker, on the linear relaxation: it gives the same answer each time for a seed (only where time ran out may it
differ with the machine), and it proved large plans sooner than two did that take turns. Probing is off: with it version
9.15 has called a model's best point impossible, and takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import Any, TypeAlias

from ortools.sat.python import cp_model

from .clock import PATIENCE
from .linear import CONSTANT, Program, Row

EXACT = 2.0**30
"""What limits and the objective are scaled to."""

WIDEST = 2.0**50
"""No sum is larger, so that none overflows."""

WORKERS = 1

Heard: TypeAlias = Callable[[Callable[[int], int], float], bool]
"""Is given the value of each variable and the bound so far, and says whether to stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`at` gives the value of a flag or a count, where a point was found. `objective` is the point's and `bound` that
    of all, in natural units. `closed` says that nothing is left to search: the point is best, or there is none.
    `work` are the seconds that the solver counted, which are the same on any machine."""

    at: Callable[[int], int] | None
    objective: float
    bound: float
    closed: bool
    branches: int
    work: float = 0.0


class Solver:
    """A program, handed over once; it can be solved several times, with combinations cut off between."""

    def __init__(self, program: Program, seed: int, upper: float = inf) -> None:
        self.program, self.seed, self.upper = program, seed, upper
        self.model = cp_model.CpModel()
        self.units = [variable.unit for variable in program.variables]
        self.highs = [
            int(variable.high) if variable.whole else int(min(ceil(variable.high / variable.unit) + 1, WIDEST))
            for variable in program.variables
        ]
        self.variables: list[Any] = [
            self.model.new_bool_var("") if high == 1 and program.variables[number].whole else self._new(high)
            for number, high in enumerate(self.highs)
        ]
        self.objective_parts: list[tuple[Any, int, float]] = []
        for row in program.rows:
            self._row(row)
        self.scale, self.constant = self._objective()

    def _new(self, high: int) -> Any:
        return self.model.new_int_var(0, high, "")

    def _sum(self, terms: Mapping[int, int]) -> Any:
        expressions: Any = cp_model.LinearExpr
        return expressions.weighted_sum([self.variables[each] for each in terms], list(terms.values()))

    def _row(self, row: Row) -> None:
        if row.equal:
            whole = {variable: round(factor) for variable, factor in row.terms.items()}
            self.model.add(self._sum(whole) == round(row.most))
            return
        factors = {variable: factor * self.units[variable] for variable, factor in row.terms.items()}
        scale = self._scale(factors, row.most)
        terms = {variable: _floor(factor * scale) for variable, factor in factors.items()}
        most = ceil(row.most * scale)
        limit: Any = self.model.add(self._sum({v: factor for v, factor in terms.items() if factor}) <= most)
        if row.when is not None:
            limit.only_enforce_if(self.variables[row.when])

    def _scale(self, factors: Mapping[int, float], most: float) -> float:
        """What a row is multiplied with: factors of flags become large numbers, those of amounts whole ones."""
        size = sum(abs(factor) * self.highs[variable] for variable, factor in factors.items())
        amounts = [abs(factor) for v, factor in factors.items() if not self.program.variables[v].whole]
        if not amounts:
            if all(factor == int(factor) for factor in factors.values()):
                return 1.0
            return min(EXACT / most, WIDEST / size) if most > 0.0 else EXACT / size
        scale = 1.0 / min(amounts)
        if any(abs(factor * scale - round(factor * scale)) > 1e-12 * factor * scale for factor in amounts):
            scale *= 2.0**20
        return min(scale, WIDEST / size)

    def _objective(self) -> tuple[float, float]:
        terms = self.program.objective
        factors = {v: factor * self.units[v] for v, factor in terms.items() if v != CONSTANT and factor}
        if not factors:
            return 1.0, terms.get(CONSTANT, 0.0)
        size = sum(abs(factor) * self.highs[variable] for variable, factor in factors.items())
        upper = self.upper - terms.get(CONSTANT, 0.0)
        scale = min(EXACT / upper, WIDEST / size) if 0.0 < upper < inf else 2.0**6 * EXACT / size
        whole: dict[int, int] = {}
        for variable, factor in factors.items():
            if self.program.variables[variable].whole:
                whole[variable] = _floor(factor * scale)
                continue
            # An amount has a part of the objective of its own, so that its factor need not be a whole number.
            high = ceil(factor * self.highs[variable] * scale) + 1
            own, finer = self._new(high), min(2.0**20, WIDEST / max(1.0, float(high)))
            left = _floor(factor * scale * finer)
            self.model.add(left * self.variables[variable] <= own * int(finer))
            self.objective_parts.append((own, variable, factor * scale))
            whole[len(self.variables)] = 1
            self.variables.append(own)
        self.model.minimize(self._sum(whole))
        if 0.0 < upper < inf:
            self.model.add(self._sum(whole) <= ceil(upper * scale))
        return scale, terms.get(CONSTANT, 0.0)

    def cut(self, flags: list[int]) -> None:
        """Not all of these flags together."""
        self.model.add_bool_or([self.variables[flag].negated() for flag in flags])

    def solve(
        self,
        seconds: float,
        hint: Mapping[int, float] | None = None,
        found: Heard | None = None,
        bounded: Callable[[float], None] | None = None,
        first: bool = False,
        counted: bool = False,
        work: float = inf,
    ) -> Answer:
        """Looks for the best point, from `hint` on; `found` hears of each better one, with the bound so far, and says
        whether to stop there; `bounded` hears of each better bound. `counted` seconds are those of the solver's own
        count of its work, which `work` bounds in any case."""
        self.model.clear_hints()
        if hint is not None:
            self._hint(hint)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = max(0.01, seconds) * (PATIENCE if counted else 1.0)
        solver.parameters.max_deterministic_time = min(work, max(0.01, seconds)) if counted else work
        solver.parameters.random_seed = self.seed % (1 << 31)
        solver.parameters.num_workers = WORKERS
        solver.parameters.linearization_level = 2
        solver.parameters.cp_model_probing_level = 0
        solver.parameters.stop_after_first_solution = first
        if bounded is not None:
            solver.best_bound_callback = lambda bound: bounded(self.natural(bound))
        status = solver.solve(self.model, _Heard(self, found) if found else None)
        closed = status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
        some = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        bound = inf if status == cp_model.INFEASIBLE else self.natural(solver.best_objective_bound)

        def at(variable: int) -> int:
            return int(solver.value(self.variables[variable]))

        objective = self.natural(solver.objective_value) if some else inf
        # The first point that is found is not known to be the best; that there is none is known either way.
        done = closed and not (first and some)
        work = float(solver.deterministic_time)
        return Answer(at if some else None, objective, bound, done, int(solver.num_branches), work)

    def natural(self, scaled: float) -> float:
        return scaled / self.scale + self.constant

    def _hint(self, hint: Mapping[int, float]) -> None:
        for number, (variable, unit) in enumerate(zip(self.program.variables, self.units, strict=True)):
            value = round(hint[number]) if variable.whole else min(self.highs[number], ceil(hint[number] / unit))
            self.model.add_hint(self.variables[number], value)
        for own, variable, factor in self.objective_parts:
            self.model.add_hint(own, ceil(factor * hint[variable] / self.units[variable]))


def _floor(value: float) -> int:
    """The whole number below, or the one that arithmetic just missed."""
    near = round(value)
    return near if abs(value - near) <= 1e-12 * abs(value) else floor(value)


class _Heard(cp_model.CpSolverSolutionCallback):
    def __init__(self, solver: Solver, found: Heard) -> None:
        super().__init__()
        self._solver, self._found = solver, found

    def on_solution_callback(self) -> None:
        bound = self._solver.natural(self.best_objective_bound)
        if self._found(lambda variable: int(self.value(self._solver.variables[variable])), bound):
            self.stop_search()
