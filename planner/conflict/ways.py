"""The nearest problems that have a plan: one requirement gives, or, where several conflicts stand beside each other,
one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..space.problem import Choice, Problem
from .asked import Asked
from .change import dropped
from .core import core, kind_of, requirements_of
from .give import Give, give

MOST = 5
_FIRST = ("first_token", "first_item", "token_gap", "item_gap", "finish", "cost", "energy")
_LAST = ("count", "memory", "link", "links", "keep", "rate")


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What is asked otherwise, and a choice that holds then: `problem` has all the changes."""

    gives: tuple[Give, ...]
    problem: Problem
    choice: Choice

    @property
    def distance(self) -> float:
        return sum(each.distance for each in self.gives)

    @property
    def proven(self) -> bool:
        """Whether nothing nearer of the same kind holds."""
        return all(each.proven for each in self.gives)


def ways(asked: Asked, problem: Problem, members: Sequence[str]) -> tuple[Relaxation, ...]:
    """The nearest first; only what is in a conflict can help against it."""
    found: list[Relaxation] = []
    for name in members:
        if asked.holding(problem, (name,)) is not None:
            given = give(asked, problem, name)
            if given is not None:
                found.append(Relaxation((given,), given.problem, given.choice))
    if not found:
        orders = ((*_FIRST, *_LAST), (*_LAST[:-1], *_FIRST, "rate"))
        several = [_several(asked, problem, order) for order in orders]
        found = list({each.gives: each for each in several if each is not None}.values())
    return tuple(sorted(found, key=lambda each: each.distance)[:MOST])


def _several(asked: Asked, problem: Problem, order: Sequence[str]) -> Relaxation | None:
    """One member of each conflict gives, of the kind that stands first in `order`."""
    names = requirements_of(problem)
    rank = {kind: place for place, kind in enumerate(order)}
    out: list[str] = []
    while asked.holding(problem, out) is None:
        members = core(asked, problem, [name for name in names if name not in out], frozenset(out))
        if not members:
            return None
        out.append(min(members, key=lambda name: rank[kind_of(problem, name)]))
    for name in tuple(out):
        # What a later one made up for need not give.
        rest = [other for other in out if other != name]
        if asked.holding(problem, rest) is not None:
            out = rest
    gives: list[Give] = []
    for place, name in enumerate(out):
        given = give(asked, problem, name, frozenset(out[place + 1 :])) or _left_out(asked, problem, name, out[place:])
        if given is None:
            return None
        gives.append(given)
        problem = given.problem
    choice = asked.holding(problem)
    return Relaxation(tuple(gives), problem, choice) if choice else None


def _left_out(asked: Asked, problem: Problem, name: str, out: Sequence[str]) -> Give | None:
    """A promise is given up where no limit of it was found."""
    promise = next((each for each in problem.promises if each.name == name), None)
    if promise is None:
        return None
    relaxed = dropped(problem, name)
    choice = asked.holding(relaxed, [other for other in out if other != name])
    return Give(name, "dropped", promise.limit, 0.0, 0.0, relaxed, choice, False) if choice else None
