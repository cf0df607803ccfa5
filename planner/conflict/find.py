"""The way in: is there a plan, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass

from ..space.problem import Choice, Problem
from .asked import Asked, Search
from .bounds import least
from .core import core, kind_of, requirements_of
from .give import Give, give
from .ways import Relaxation, Sizes, ways
from .words import alone, because, help_text, place_of

_CHAIN = (
    *("first_token", "first_item", "token_gap", "item_gap", "finish", "energy", "cost"),
    *("keep", "memory", "link", "links", "rate", "count"),
)
"""What the program wants, what that is held against, and how much of it there is."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A requirement of a conflict, in a sentence. `place` is `path:line:column`, or empty. `reached` is what it would
    come to beside the others (None where that has no number)."""

    requirement: str
    kind: str
    text: str
    place: str
    reached: float | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Requirements that cannot hold together, of which none can be left out; empty where the program has no choice that
    means anything. `reasons` are in the order in which they are told. Relaxations come nearest first, each with a
    choice that holds. `sure` says that there is no plan by proof, and that the set alone forbids one; `proven` that it
    is a smallest set as well: each "no" that it rests on was proven, so that with any one left out there is a plan."""

    requirements: tuple[str, ...]
    reasons: tuple[Reason, ...]
    relaxations: tuple[Relaxation, ...]
    helps: tuple[str, ...]
    proven: bool
    sure: bool = True

    @property
    def missing(self) -> tuple[tuple[str, ...], Choice] | None:
        """The promises that a plan would miss that keeps everything else, and its choice: the nearest, if there is one
        that only promises stand against."""
        hard = ("count", "memory", "link", "links", "keep", "size")
        for each in self.relaxations:
            if all(one.kind not in hard for one in each.gives):
                return tuple(one.requirement for one in each.gives), each.choice
        return None


def conflict(
    problem: Problem,
    search: Search,
    feasible: Search | None = None,
    seconds: float = 10.0,
    sizes: Sizes | None = None,
) -> Conflict | None:
    """Why a problem has no plan, or None if it has one. `feasible` may stop at the first choice that holds; `seconds`
    bounds the whole, and what was not found by then is said to be not found, never to be impossible. With `sizes`,
    smaller ones are among what would help."""
    asked = Asked(search, feasible, seconds)
    choice, sure = asked.ask(problem)
    if choice is not None:
        return None
    names = requirements_of(problem)
    beyond = _beyond(problem)
    members = beyond or (core(asked, problem, names) if sure else _suspects(asked, problem, names))
    proven, sure = bool(beyond) or asked.proven, bool(beyond) or sure
    without = frozenset(names) - set(members)
    gives: dict[str, Give | None] = {
        name: give(asked, problem, name, without) if len(members) > 1 else None for name in members
    }
    order = {kind: place for place, kind in enumerate(_CHAIN)}
    told = sorted(members, key=lambda name: order[kind_of(problem, name)])
    found = ways(asked, problem, members, sizes)
    if len(members) == 1 and kind_of(problem, members[0]) == "cost":
        # What it costs at least is what would help.
        helping = (each for way in found for each in way.gives if each.requirement == members[0])
        gives[members[0]] = next(helping, None)
    reasons = tuple(_reason(problem, name, members, gives[name]) for name in told)
    helps = tuple(" and ".join(help_text(problem, each) for each in way.gives) for way in found)
    return Conflict(members, reasons, found, helps, proven, sure)


def _beyond(problem: Problem) -> tuple[str, ...]:
    """A promise that no choice can keep, whatever else is given up."""
    for name in requirements_of(problem):
        promise = next((each for each in problem.promises if each.name == name), None)
        if promise is not None and least(problem, promise) > promise.limit * (1 + 1e-9):
            return (name,)
    return ()


def _suspects(asked: Asked, problem: Problem, names: tuple[str, ...]) -> tuple[str, ...]:
    """Where it is not sure that there is no plan: each requirement without which one was found, else all promises."""
    found = tuple(name for name in names if asked.left > 0.0 and asked.holding(problem, (name,)) is not None)
    return found or tuple(each.name for each in problem.promises if each.soft is None)


def _reason(problem: Problem, name: str, members: tuple[str, ...], given: Give | None) -> Reason:
    kind = kind_of(problem, name)
    single = len(members) == 1 and kind in ("first_token", "first_item", "token_gap", "item_gap", "finish", "energy")
    text = alone(problem, name) if single else because(problem, name, members, given)
    return Reason(name, kind, text, place_of(problem, name), given.reached if given else None)
