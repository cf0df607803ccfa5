"""Questions to a search, each asked once.

A choice that held for one question often holds for the next, which looking at it settles in a fraction of the time that
a search takes; and what cannot be without some requirements cannot be with them either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Protocol

from ..search.pruning import refused
from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Problem

INFEASIBLE = "infeasible"
PROVEN = ("only choice", "proven optimal")
EACH = 3.0
"""Seconds that one question may take."""

_KEPT = 48


class Answer(Protocol):
    """What a search gives: choices, the best first, and how it knows."""

    @property
    def choices(self) -> Sequence[Choice]: ...
    @property
    def status(self) -> str: ...


class Search(Protocol):
    """A search for the best choice, or for any that holds."""

    def __call__(self, problem: Problem, *, without: Iterable[str] = (), seconds: float = 10.0) -> Answer: ...


class Asked:
    """A search with its memory. `proven` says whether every answer so far was sure; what was not found in time counts
    as possible."""

    def __init__(
        self, search: Search, feasible: Search | None, seconds: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self.search = search
        self.feasible = feasible or search
        self.clock = clock
        self.end = clock() + seconds
        self.proven = True
        self.questions = 0
        self._known: list[Choice] = []
        self._impossible: list[tuple[Problem, frozenset[str]]] = []

    def holding(self, problem: Problem, without: Iterable[str] = ()) -> Choice | None:
        """A choice that holds, or None where none does or none was found."""
        return self.ask(problem, without)[0]

    def impossible(self, problem: Problem, without: Iterable[str] = ()) -> bool:
        """Whether it is sure that nothing holds."""
        choice, sure = self.ask(problem, without)
        return choice is None and sure

    def ask(self, problem: Problem, without: Iterable[str] = ()) -> tuple[Choice | None, bool]:
        """A choice that holds, if any, and whether that is sure."""
        dropped = frozenset(without)
        for place in range(len(self._known) - 1, -1, -1):
            if looked(problem, self._known[place], dropped) is not None:
                self._known.append(self._known.pop(place))
                return self._known[-1], True
        if any(given is problem and dropped <= other for given, other in self._impossible):
            return None, True
        if refused(problem, dropped):
            self._impossible.append((problem, dropped))
            return None, True
        return self._put(self.feasible, problem, dropped)

    def best(self, problem: Problem, without: Iterable[str] = ()) -> tuple[Choice | None, bool]:
        """The best choice, and whether that is proven."""
        return self._put(self.search, problem, frozenset(without))

    def remember(self, choice: Choice) -> None:
        if choice not in self._known:
            self._known = [*self._known[1 - _KEPT :], choice]

    @property
    def left(self) -> float:
        return self.end - self.clock()

    def _put(self, search: Search, problem: Problem, dropped: frozenset[str]) -> tuple[Choice | None, bool]:
        # Whether there is a plan at all decides everything: that may take half of the time.
        seconds = min(EACH if self.questions else max(EACH, self.left / 2), self.left)
        if seconds <= 0:
            self.proven = False
            return None, False
        self.questions += 1
        found = search(problem, without=tuple(sorted(dropped)), seconds=seconds)
        for choice in found.choices:
            if looked(problem, choice, dropped) is not None:
                self.remember(choice)
                return choice, found.status in PROVEN
        sure = found.status == INFEASIBLE
        if sure:
            self._impossible.append((problem, dropped))
        else:
            self.proven = False
        return None, sure


def looked(problem: Problem, choice: Choice, without: Iterable[str] = ()) -> Outcome | None:
    """What a choice comes to, where it holds. A choice of another problem may have no meaning in this one."""
    try:
        outcome = evaluate(problem, choice, without)
    except (ValueError, IndexError):
        return None
    return outcome if outcome.holds else None
