"""The search itself: enumeration where there is little, else a first choice by hand and the solver for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING

from ..space.evaluate import Outcome
from ..space.problem import Choice, Problem
from .branching import branched
from .clock import Counted, wall
from .exhaustive import MOST, combinations, enumerated
from .found import FEASIBLE, GAP, INFEASIBLE, OPTIMAL, UNKNOWN, Found
from .greedy import Trial, improved
from .known import CLOSE, Known, Progress
from .pruning import prune
from .reading import Reading

if TYPE_CHECKING:
    from .large import Large
    from .model import Model
    from .solver import Answer, Solver

LARGE = 100
"""Options of all stages together; with fewer, the solver is done sooner than a longer search by hand."""

DEEPEST = 9
"""Stages; with more, branch and bound by hand mostly ends in too many branches."""


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
    steady: bool = False,
) -> Found:
    """The best choices, `top` of them that differ in what takes devices, requirements in `without` left out. It ends
    when they are proven, or after about `seconds`. Pools that no stage is in have no replicas. The same each time for a
    seed, if time does not run out; where it is `steady`, also then, as the time is counted by what is done.
    SolverMissingError where a solver is needed and missing."""
    return _Search(problem, without, seed, seconds, top, progress, steady=steady).run()


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
        steady: bool = False,
    ) -> None:
        self.seed, self.first, self.seconds = seed, first, seconds
        clock = Counted() if steady else wall
        self.reading = Reading(problem, without)
        self.known = Known(self.reading, max(1, top), clock, seconds, progress)
        prune(self.reading)

    def run(self) -> Found:
        if not all(self.reading.allowed):
            return Found((), (), INFEASIBLE, bound=inf)
        if combinations(self.reading) <= MOST:
            found = enumerated(self.reading, top=self.known.top, first=self.first)
            if found is not None:
                return found
        self._by_hand()
        if self.first and self.known.kept:
            return self.known.found(FEASIBLE)
        return self._branched() or self._solved()

    def _branched(self) -> Found | None:
        """What branch and bound by hand proves, or None where the branches are too many: for few stages with many
        options each, which the solver would have to be told one by one."""
        if len(self.reading.allowed) > DEEPEST:
            return None
        known = self.known

        def keep(choice: Choice, outcome: Outcome) -> tuple[float, float]:
            known.add(choice, outcome)
            return known.below

        part = 3 if self._large() else 30
        found = branched(self.reading, known.below, keep, known.clock(0.0) + known.left / part, clock=known.clock)
        known.considered += found.looked
        if not found.complete:
            return None
        return known.found(OPTIMAL if known.kept else INFEASIBLE)

    def _by_hand(self) -> None:
        known, share = self.known, min(1.0, (0.1 if self._large() else 0.02) * self.seconds)
        found: Trial | None = improved(self.reading, self.seed, known.began + share, True, True, known.clock)
        if found is not None and found.score[0] == 0.0:
            known.keep(found.choice)
            if not self.first:
                found = improved(self.reading, self.seed, known.clock(0.0) + share, clock=known.clock)
                if found is not None and found.score[0] == 0.0:
                    known.keep(found.choice)

    def _large(self) -> bool:
        return sum(len(allowed) for allowed in self.reading.allowed) > LARGE

    def _solved(self) -> Found:
        try:
            from .large import Large
            from .solver import Solver
        except ImportError as error:
            raise SolverMissingError from error
        from .model import Model

        large = Large(self.known, self.seed) if self._large() and not self.first else None
        if large is not None and self.known.kept:
            return self._proved(Solver, large.prepared(), large)
        return self._proved(Solver, Model(self.reading))

    def _proved(self, solvers: type[Solver], model: Model, large: Large | None = None) -> Found:
        """What the solver finds, from best to worse, until the time is over or nothing is left."""
        known, excluded, proven = self.known, set[tuple[int, ...]](), False
        solver = solvers(model.program, self.seed, self._upper())
        while known.left > 0:
            answer = self._answered(solver, model, large, fresh=not excluded)
            if large is not None and large.stale:
                model = large.again()
                solver = solvers(model.program, self.seed, self._upper())
                continue
            if answer.at is None:
                proven = answer.closed
                break
            choice = model.choice(answer.at)
            held = known.keep(choice).holds
            if self.first and held:
                return known.found(FEASIBLE)
            if not answer.closed and not self.first:
                break
            if held and known.top == 1 and known.same(answer.objective):
                proven = True
                break
            # Refused by a hair, or the next best is asked for.
            excluded.add(choice.options)
            if self._complete(excluded, answer.objective):
                proven = True
                break
            solver.cut([model.flags[stage][place] for stage, place in enumerate(choice.options)])
        if not known.kept:
            return known.found(INFEASIBLE if proven else UNKNOWN)
        return known.found(OPTIMAL if proven or known.same(known.bound) else GAP)

    def _upper(self) -> float:
        """What is of use to the solver is not dearer."""
        return (self.known.best if self.known.top == 1 else inf) * (1 + CLOSE)

    def _answered(self, solver: Solver, model: Model, large: Large | None, fresh: bool) -> Answer:
        """Solve once. Bounds are those of all choices only while none was excluded (`fresh`)."""
        known = self.known

        def bounded(bound: float) -> None:
            if fresh:
                known.proven(bound)

        def heard(at: Callable[[int], int], bound: float) -> bool:
            bounded(bound)
            if large is None:
                known.keep(model.choice(at))
                return False
            large.keep(model, at)
            return large.stale

        hint = model.point(known.kept[0][0]) if known.kept and fresh else None
        listens = known.progress is not None or large is not None
        told = (heard, bounded) if listens else (None, None)
        answer = solver.solve(known.left, hint, *told, self.first, known.counted)
        known.looked(answer.branches, answer.work)
        bounded(answer.bound)
        return answer

    def _complete(self, excluded: set[tuple[int, ...]], objective: float) -> bool:
        """Whether what is kept cannot become better: all of it was found by the solver, which goes from best to
        worse."""
        if len(self.known.kept) < self.known.top:
            return False
        worst = self.known.kept[-1][1].objective
        return worst - objective <= CLOSE * max(abs(worst), 1e-12) and len(excluded) >= self.known.top
