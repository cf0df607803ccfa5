"""Cost, latency and energy against each other: the choices that no other beats in all three.

By epsilon constraints: one of the three is minimised while another has a limit, which moves from where it is least to
where it does not bind. The goal stays as it is written, so that every point is a plan that keeps it. Only where nothing
keeps it are its limits on these three lifted: what they cost is the question then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..conflict.asked import Asked, Search, looked
from ..conflict.change import aimed
from ..conflict.words import term
from ..figures import show_value
from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Problem, Promise
from ..tables import table
from .variants import promised, seen

STEPS = 6
"""Limits between the least and where it no longer binds."""

_AXIS = "latency of the frontier"
_LIMIT = "limit of the frontier"
_MOMENTS = ("first_token", "first_item", "token_gap", "item_gap", "finish")


@dataclass(frozen=True, slots=True)
class Point:
    """A choice that is on the frontier: dollars a run, seconds of the frontier's latency, joules a run. `keeps` says
    whether it keeps the goal as it is written."""

    choice: Choice
    dollars: float
    seconds: float
    joules: float
    keeps: bool


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points from the cheapest on. `latency` is the axis, a term of the goal without its limit (`finish p95`). All
    keep the goal, or none does, as nothing that was found keeps it."""

    latency: str
    points: tuple[Point, ...]
    proven: bool


def frontier(problem: Problem, search: Search, steps: int = STEPS, seconds: float = 30.0) -> Frontier:
    """The frontier of a problem; without points where nothing holds even when the goal's limits on these three are
    lifted."""
    asked = Asked(search, None, seconds)
    axis = _axis(problem)
    base = seen(_opened(problem), axis)
    found: list[Choice] = []
    proven = True

    def best(question: Problem) -> Outcome | None:
        nonlocal proven
        choice, sure = asked.best(question)
        proven = proven and (sure or choice is None)
        if choice is None:
            return None
        found.append(choice)
        return evaluate(base, choice)

    cheapest = best(replace(base, objective="cheapest"))
    if cheapest is None:
        base = seen(_opened(problem, "cost", "energy", axis.kind), axis)
        cheapest = best(replace(base, objective="cheapest"))
    if cheapest is None:
        return Frontier(_name(axis), (), asked.proven)
    quickest = best(aimed(base, _AXIS))
    greenest = best(replace(base, objective="greenest"))
    if quickest is not None:
        for limit in _between(quickest.reached[_AXIS], cheapest.reached[_AXIS], steps):
            question = promised(base, replace(axis, name=_LIMIT, limit=limit))
            best(replace(question, objective="cheapest"))
            best(replace(question, objective="greenest"))
    if greenest is not None:
        for limit in _between(greenest.joules, cheapest.joules, steps):
            best(promised(replace(base, objective="cheapest"), Promise(_LIMIT, "energy", limit)))
    points = [_point(problem, base, choice) for choice in dict.fromkeys(found)]
    return Frontier(_name(axis), tuple(sorted(unbeaten(points), key=lambda each: each.dollars)), proven)


def unbeaten(points: Sequence[Point]) -> list[Point]:
    """Those that no other is as good as in all three and better in one; of equal ones the first."""
    kept: list[Point] = []
    for point in points:
        ours = (point.dollars, point.seconds, point.joules)
        if any(_beats((other.dollars, other.seconds, other.joules), ours) for other in points):
            continue
        if all((other.dollars, other.seconds, other.joules) != ours for other in kept):
            kept.append(point)
    return kept


def _beats(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return left != right and all(a <= b for a, b in zip(left, right, strict=True))


def _axis(problem: Problem) -> Promise:
    """The first latency that the goal speaks of, else the median finish."""
    given = next((each for each in problem.promises if each.kind in _MOMENTS), None)
    return replace(given, name=_AXIS, limit=0.0) if given else Promise(_AXIS, "finish", 0.0)


def _name(axis: Promise) -> str:
    return term(axis, 1.0).partition(" <=")[0]


def _opened(problem: Problem, *free: str) -> Problem:
    """Without soft limits, and without those of these kinds."""
    kept = tuple(each for each in problem.promises if each.kind not in free and each.soft is None)
    return replace(problem, promises=kept)


def _between(least: float, most: float, steps: int) -> list[float]:
    """Limits in equal ratios, both ends left out: those are known."""
    if least <= 0.0 or most <= least * 1.001:
        return []
    ratio = (most / least) ** (1 / (steps + 1))
    return [least * ratio**step for step in range(1, steps + 1)]


def _point(problem: Problem, base: Problem, choice: Choice) -> Point:
    outcome = evaluate(base, choice)
    keeps = looked(problem, choice) is not None
    return Point(choice, outcome.dollars, outcome.reached[_AXIS], outcome.joules, keeps)


def frontier_text(frontier: Frontier) -> str:
    """A table, the cheapest first, and whether its plans keep the goal."""
    rows = [("", "per 1000 runs", frontier.latency, "energy a run")]
    for number, point in enumerate(frontier.points, 1):
        values = (f"${point.dollars * 1000:.4g}", show_value(point.seconds, "s"), show_value(point.joules, "J"))
        rows.append((str(number), *values))
    lines = table(rows)
    if any(point.keeps for point in frontier.points):
        lines.append("each keeps the goal; what misses it is left out")
    else:
        lines.append("no plan was found that keeps the goal: these miss its limits on cost, energy or this latency")
    if not frontier.proven:
        lines.append("some searches ran out of time: there may be better points")
    return "\n".join(lines)


def frontier_json(frontier: Frontier) -> dict[str, object]:
    """The same as plain data."""
    return {
        "latency": frontier.latency,
        "proven": frontier.proven,
        "points": [
            {"dollars": each.dollars, "seconds": each.seconds, "joules": each.joules, "keeps_goal": each.keeps}
            for each in frontier.points
        ],
    }
