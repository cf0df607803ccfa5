"""The nearest problems that have a plan: one requirement gives, or, where several conflicts stand beside each other,
one of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from ..figures import Figure
from ..space.problem import Choice, Problem
from .asked import Asked
from .change import dropped
from .core import core, kind_of, requirements_of
from .give import Give, give

MOST = 5
_SIZES = 2
_DIGITS = 100
"""A size is found to a part of this."""
FARTHEST = 2.5
"""More devices than a dozen times as many help nobody who has another way."""

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


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a run that the program leaves open, and how to make the problem again with some of them given: None
    where that cannot be."""

    figures: tuple[tuple[str, Figure], ...]
    rebuilt: Callable[[Mapping[str, float]], Problem | None]


def ways(asked: Asked, problem: Problem, members: Sequence[str], sizes: Sizes | None = None) -> tuple[Relaxation, ...]:
    """The nearest first; only what is in a conflict can help against it, or smaller `sizes`."""
    found: list[Relaxation] = []
    for name in members:
        if asked.holding(problem, (name,)) is not None:
            given = give(asked, problem, name)
            if given is not None:
                found.append(Relaxation((given,), given.problem, given.choice))
    if sizes is not None:
        smaller = (_smaller(asked, sizes, name, figure.value) for name, figure in sizes.figures[:_SIZES])
        found += [Relaxation((given,), given.problem, given.choice) for given in smaller if given is not None]
    if not found:
        orders = ((*_FIRST, *_LAST), (*_LAST[:-1], *_FIRST, "rate"))
        several = [_several(asked, problem, order) for order in orders]
        found = list({each.gives: each for each in several if each is not None}.values())
    ordered = sorted(found, key=lambda each: each.distance)[:MOST]
    return tuple(each for place, each in enumerate(ordered) if place == 0 or not _hopeless(each))


def _hopeless(way: Relaxation) -> bool:
    return any(each.kind == "count" and each.distance > FARTHEST for each in way.gives)


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


def _smaller(asked: Asked, sizes: Sizes, name: str, now: float) -> Give | None:
    """The greatest whole size below what it is now at which there is a plan."""
    found: tuple[Problem, Choice] | None = None
    low, high = 0.0, now
    middle = 1.0
    while asked.left > 0.0:
        problem = sizes.rebuilt({name: middle})
        choice = asked.holding(problem) if problem is not None else None
        if problem is not None and choice is not None:
            low, found = middle, (problem, choice)
        else:
            high = middle
        if found is None or high - low <= max(1.0, low / _DIGITS):
            break
        middle = float(floor((low + high) / 2))
    if found is None:
        return None
    return Give(name, "size", now, low, low, found[0], found[1], False)
