"""What a search knows so far: the best choices that it met, and a bound that none is below.

Every choice goes through `evaluate` and gets the replicas that make it best, so nothing is kept that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice
from .clock import Clock, Counted
from .found import INFEASIBLE, OPTIMAL, Found
from .reading import Reading
from .replicas import best as best_replicas

CLOSE = 1e-6
"""Relative: objectives that are no further apart are the same."""

Progress = Callable[[float, float, float], None]
"""Hears of each better choice: seconds since the start, its objective, and the bound so far."""

Ranked = tuple[Choice, Outcome]


class Known:
    """`kept` are up to `top` choices that differ in what takes devices, best first. `bound`: objectives are not less.
    `considered` counts what was looked at. The search is to end when `clock` comes to `until`."""

    def __init__(self, reading: Reading, top: int, clock: Clock, seconds: float, progress: Progress | None) -> None:
        self.reading, self.top, self.progress, self.clock = reading, top, progress, clock
        self.began = clock(0.0)
        self.until = self.began + seconds
        self.kept: list[Ranked] = []
        self.bound = 0.0
        self.considered = 0

    @property
    def best(self) -> float:
        """The least objective; infinite where nothing is known."""
        return self.kept[0][1].objective if self.kept else inf

    @property
    def below(self) -> tuple[float, float]:
        """What a choice must be better than to be kept: objective and dollars."""
        return _rank(self.kept[-1]) if len(self.kept) >= self.top else (inf, inf)

    @property
    def gap(self) -> float:
        """Which part of the best objective may still be saved."""
        if not self.kept or not self.best:
            return inf
        return (self.best - min(self.bound, self.best)) / abs(self.best)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - self.clock(0.0)

    @property
    def counted(self) -> bool:
        """Whether seconds are those of work, not of the wall."""
        return isinstance(self.clock, Counted)

    def looked(self, branches: int, work: float) -> None:
        """What a solver looked at, and the seconds that it counted."""
        self.considered += branches
        if isinstance(self.clock, Counted):
            self.clock.spend(work)

    def proven(self, bound: float) -> None:
        """No objective is below `bound`."""
        if min(bound, self.best) > self.bound:
            self.bound = min(bound, self.best)
            self.tell()

    def tell(self) -> None:
        if self.progress is not None and self.kept:
            self.progress(self.clock(0.0) - self.began, self.best, self.bound)

    def add(self, choice: Choice, outcome: Outcome) -> None:
        """Keep a choice that holds, where it is among the best, and the best of those that look alike."""
        face = self.reading.face(choice.options)
        alike = [each for each in self.kept if self.reading.face(each[0].options) == face]
        if any(_rank(each) <= (outcome.objective, outcome.dollars) for each in alike):
            return
        others = [each for each in self.kept if each not in alike]
        before = self.kept[:1]
        self.kept = sorted([*others, (choice, outcome)], key=_rank)[: self.top]
        if self.kept[:1] != before:
            self.tell()

    def keep(self, choice: Choice) -> Outcome:
        """Keep a choice, if it holds, with the best replicas for its options; what it comes to."""
        problem, dropped = self.reading.problem, self.reading.dropped
        outcome = evaluate(problem, choice, dropped)
        fixed = self.reading.fixed(choice.options)
        if fixed is not None:
            below = (outcome.objective, outcome.dollars) if outcome.holds else (inf, inf)
            better = best_replicas(self.reading, fixed, below, budget=2_000).choice
            if better is not None:
                improved = evaluate(problem, better, dropped)
                if improved.holds:
                    choice, outcome = better, improved
        if outcome.holds:
            self.add(choice, outcome)
        return outcome

    def same(self, objective: float) -> bool:
        """Whether the best is no better than this."""
        return self.best - objective <= CLOSE * max(abs(self.best), 1e-12)

    def found(self, status: str) -> Found:
        if not self.kept:
            return Found((), (), status, bound=inf if status == INFEASIBLE else self.bound, considered=self.considered)
        bound = self.best if status == OPTIMAL else min(self.bound, self.best)
        return Found(
            choices=tuple(choice for choice, _ in self.kept),
            outcomes=tuple(outcome for _, outcome in self.kept),
            status=status,
            gap=0.0 if status == OPTIMAL else self.gap,
            bound=bound,
            considered=self.considered,
        )


def _rank(each: Ranked) -> tuple[float, float]:
    return each[1].objective, each[1].dollars
