"""The search itself: enumeration where there is little, else a first choice by hand and the solver for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Problem
from .branching import branched
from .exhaustive import MOST, combinations, enumerated
from .found import FEASIBLE, GAP, INFEASIBLE, OPTIMAL, UNKNOWN, Found
from .greedy import Trial, improved
from .pruning import prune
from .reading import Reading
from .replicas import best as best_replicas

if TYPE_CHECKING:
    from .model import Model

CLOSE = 1e-6
"""Relative: objectives that are no further apart are the same."""

LARGE = 100
"""Options of all stages together; with fewer, the solver is done sooner than a longer search by hand."""

DEEPEST = 9
"""Stages; with more, branch and bound by hand mostly ends in too many branches."""

NARROWING = 0.2
"""The part of the time that each step before a large model may take."""

Progress = Callable[[float, float, float], None]
"""Hears of each better choice: seconds since the start, its objective, and the bound so far."""


class SolverMissingError(Exception):
    """There is too much to try one by one, and OR-Tools is not installed."""

    hint = "pip install 'agentlang-toolchain[plan]'"


def search(
    problem: Problem,
    *,
    without: Iterable[str] = (),
    seed: int = 0,
    seconds: float = 10.0,
    top: int = 1,
    progress: Progress | None = None,
) -> Found:
    """The best choices, `top` of them that differ in what takes devices, requirements in `without` left out. It ends
    when they are proven, or after about `seconds`. Pools that no stage is in have no replicas. The same each time for a
    seed, if time does not run out. SolverMissingError where a solver is needed and missing."""
    return _Search(problem, without, seed, seconds, top, progress).run()


def feasible(problem: Problem, *, without: Iterable[str] = (), seed: int = 0, seconds: float = 5.0) -> Found:
    """The first choice that holds, with status `feasible`; `infeasible` if that is proven."""
    return _Search(problem, without, seed, seconds, 1, None, first=True).run()


class _Search:
    def __init__(
        self,
        problem: Problem,
        without: Iterable[str],
        seed: int,
        seconds: float,
        top: int,
        progress: Progress | None,
        first: bool = False,
    ) -> None:
        self.problem, self.seed, self.top, self.progress, self.first = problem, seed, max(1, top), progress, first
        self.began = monotonic()
        self.until = self.began + seconds
        self.reading = Reading(problem, without)
        prune(self.reading)
        self.kept: list[tuple[Choice, Outcome]] = []
        self.bound = 0.0  # dollars, seconds and joules are not less
        self.considered = 0

    def run(self) -> Found:
        if not all(self.reading.allowed):
            return Found((), (), INFEASIBLE, bound=inf)
        if combinations(self.reading) <= MOST:
            found = enumerated(self.reading, top=self.top, first=self.first)
            if found is not None:
                return found
        self._by_hand()
        if self.first and self.kept:
            return self._found(FEASIBLE)
        return self._branched() or self._solved()

    def _branched(self) -> Found | None:
        """What branch and bound by hand proves, or None where the branches are too many: for few stages with many
        options each, which the solver would have to be told one by one."""
        if len(self.reading.allowed) > DEEPEST:
            return None

        def below() -> tuple[float, float]:
            full = len(self.kept) >= self.top
            return (self.kept[-1][1].objective, self.kept[-1][1].dollars) if full else (inf, inf)

        def keep(choice: Choice, outcome: Outcome) -> tuple[float, float]:
            face = self.reading.face(choice.options)
            alike = [each for each in self.kept if self.reading.face(each[0].options) == face]
            if any((o.objective, o.dollars) <= (outcome.objective, outcome.dollars) for _, o in alike):
                return below()
            others = [each for each in self.kept if each not in alike]
            ordered = sorted([*others, (choice, outcome)], key=lambda each: (each[1].objective, each[1].dollars))
            self.kept = ordered[: self.top]
            self._tell()
            return below()

        part = 3 if self._large() else 30
        found = branched(self.reading, below(), keep, monotonic() + self._left() / part)
        self.considered += found.looked
        if not found.complete:
            return None
        return self._found(OPTIMAL if self.kept else INFEASIBLE)

    def _left(self) -> float:
        return self.until - monotonic()

    def _tell(self) -> None:
        if self.progress is not None and self.kept:
            self.progress(monotonic() - self.began, self.kept[0][1].objective, self.bound)

    def _keep(self, choice: Choice) -> bool:
        """Whether a choice holds; it is kept with the best replicas for its options."""
        outcome = evaluate(self.problem, choice, self.reading.dropped)
        fixed = self.reading.fixed(choice.options)
        if fixed is not None:
            below = (outcome.objective, outcome.dollars) if outcome.holds else (inf, inf)
            better = best_replicas(self.reading, fixed, below, budget=2_000).choice
            if better is not None:
                improved_outcome = evaluate(self.problem, better, self.reading.dropped)
                if improved_outcome.holds:
                    choice, outcome = better, improved_outcome
        if not outcome.holds:
            return False
        face = self.reading.face(choice.options)
        known = [each for each in self.kept if self.reading.face(each[0].options) == face]
        others = [each for each in self.kept if each not in known]
        if not known or outcome.objective < known[0][1].objective:
            known = [(choice, outcome)]
        before = self.kept[:1]
        self.kept = sorted(others + known, key=lambda each: (each[1].objective, each[1].dollars))[: self.top]
        if self.kept[:1] != before:
            self._tell()
        return True

    def _by_hand(self) -> None:
        share = min(1.0, (0.1 if self._large() else 0.02) * (self.until - self.began))
        found: Trial | None = improved(self.reading, self.seed, self.began + share, stop_at_first=True, patient=True)
        if found is not None and found.score[0] == 0.0:
            self._keep(found.choice)
            if not self.first:
                found = improved(self.reading, self.seed, monotonic() + share)
                if found is not None and found.score[0] == 0.0:
                    self._keep(found.choice)

    def _large(self) -> bool:
        return sum(len(allowed) for allowed in self.reading.allowed) > LARGE

    def _solved(self) -> Found:
        try:
            from .solver import Solver
        except ImportError as error:
            raise SolverMissingError from error
        from .model import Model

        model = Model(self.reading)
        if self._large() and not self.first and self.kept:
            self._narrowed(model)
        upper = self.kept[0][1].objective if self.kept and self.top == 1 else inf
        solver = Solver(model.program, self.seed, upper * (1 + CLOSE))
        proven = False
        excluded: set[tuple[int, ...]] = set()
        while self._left() > 0:
            hint = model.point(self.kept[0][0]) if self.kept and not excluded else None

            def heard(at: Callable[[int], int], bound: float) -> None:
                if not excluded:
                    self.bound = max(self.bound, bound)
                self._keep(model.choice(at))

            def bounded(bound: float) -> None:
                if not excluded:
                    self.bound = max(self.bound, bound)
                    self._tell()

            told = (heard, bounded) if self.progress else (None, None)
            answer = solver.solve(self._left(), hint, *told, self.first)
            self.considered += answer.branches
            if not excluded:
                self.bound = max(self.bound, min(answer.bound, self.kept[0][1].objective if self.kept else inf))
            if answer.at is None:
                proven = answer.closed
                break
            choice = model.choice(answer.at)
            held = self._keep(choice)
            if self.first and held:
                return self._found(FEASIBLE)
            if not answer.closed and not self.first:
                break
            if held and self.top == 1 and self._same(answer.objective):
                proven = True
                break
            # Refused by a hair, or the next best is asked for.
            excluded.add(choice.options)
            if self._complete(excluded, answer.objective):
                proven = True
                break
            solver.cut([model.flags[stage][place] for stage, place in enumerate(choice.options)])
        if not self.kept:
            return self._found(INFEASIBLE if proven else UNKNOWN)
        return self._found(OPTIMAL if proven or self._same(self.bound) else GAP)

    def _narrowed(self, model: Model) -> None:
        """Before a large model is solved: a choice near the best of its relaxation, and no flags that only worse ones
        have. Where several choices are asked for, worse ones are wanted too."""
        from .model import Model
        from .relaxed import relaxed, without
        from .solver import Solver

        known = relaxed(model.program, self.kept[0][1].objective, NARROWING * self._left())
        if known is None:
            return
        self.bound = max(self.bound, min(known.bound, self.kept[0][1].objective))
        self._tell()
        near = copy(self.reading)
        near.allowed = tuple(known.taken(flags) for flags in model.flags)
        if all(near.allowed):
            part = Model(near)
            solver = Solver(part.program, self.seed, self.kept[0][1].objective * (1 + CLOSE))
            answer = solver.solve(NARROWING * self._left(), found=lambda at, _: self._heard(part, at))
            self.considered += answer.branches
            if answer.at is not None:
                self._heard(part, answer.at)
        if self.top == 1:
            without(model.program, known, self.kept[0][1].objective)

    def _heard(self, model: Model, at: Callable[[int], int]) -> None:
        self._keep(model.choice(at))

    def _same(self, objective: float) -> bool:
        best = self.kept[0][1].objective
        return best - objective <= CLOSE * max(abs(best), 1e-12)

    def _complete(self, excluded: set[tuple[int, ...]], objective: float) -> bool:
        """Whether what is kept cannot become better: all of it was found by the solver, which goes from best to
        worse."""
        if len(self.kept) < self.top:
            return False
        worst = self.kept[-1][1].objective
        return worst - objective <= CLOSE * max(abs(worst), 1e-12) and len(excluded) >= self.top

    def _found(self, status: str) -> Found:
        if not self.kept:
            return Found((), (), status, bound=inf if status == INFEASIBLE else self.bound, considered=self.considered)
        best = self.kept[0][1].objective
        bound = best if status == OPTIMAL else min(self.bound, best)
        gap = 0.0 if status == OPTIMAL else (best - bound) / abs(best) if best else inf
        return Found(
            choices=tuple(choice for choice, _ in self.kept),
            outcomes=tuple(outcome for _, outcome in self.kept),
            status=status,
            gap=gap,
            bound=bound,
            considered=self.considered,
        )
