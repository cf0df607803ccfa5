"""Promises beside what a choice makes of them: each a sum of terms, with the limit divided among the stages."""

from __future__ import annotations

from math import inf, log

from ..calibrate import PRIOR_NOISE
from ..figures import Basis, Prediction, Term, predicted, show_value
from ..goals import unit_of
from ..plan import CostPlan, GoalPlan, Share, Tail
from .chosen import Chosen, Path
from .evaluate import FULLEST, SLACK, STEPS, step_of, z_of
from .problem import Promise

_ENDLESS = 1e9
"""Runs a second that are carried where nothing is ever busy."""


def goal_of(chosen: Chosen, promise: Promise, cost: CostPlan, energy: Prediction) -> tuple[GoalPlan, Tail | None]:
    """A promise beside its prediction, and how its tail was found."""
    requirement = next((each for each in chosen.problem.requirements if each.name == promise.name), None)
    shares: tuple[Share, ...] = ()
    tail: Tail | None = None
    percentile: float | None = None
    match promise.kind:
        case "rate":
            prediction = carried(chosen)
            met = all(step_of(load) <= FULLEST for load in chosen.outcome.loads.values())
        case "cost" | "energy":
            prediction = cost.per_run if promise.kind == "cost" else energy
            met = chosen.outcome.reached[promise.name] <= promise.limit * (1 + SLACK)
        case _:
            path = chosen.path(promise.kind, promise)
            prediction, shares = _latency(chosen, promise, path)
            tail = _tail(chosen, promise, path)
            met = chosen.outcome.reached[promise.name] <= promise.limit * (1 + SLACK)
            stated = requirement is None or f" p{promise.percentile:g}" in requirement.text
            percentile = promise.percentile if stated or promise.percentile != 50.0 else None
    goal = GoalPlan(
        requirement=promise.name,
        term=promise.kind,
        percentile=percentile,
        limit=promise.limit,
        unit=unit_of(promise.kind),
        predicted=prediction,
        met=met,
        soft=promise.soft,
        shares=shares,
        place=requirement.place if requirement else "",
    )
    return goal, tail


def moment_of(chosen: Chosen, kind: str) -> Prediction:
    """The median of a moment on an idle fleet."""
    path = chosen.path(kind)
    return predicted(kind, "s", path.terms(), path.error)


def _latency(chosen: Chosen, promise: Promise, path: Path) -> tuple[Prediction | None, tuple[Share, ...]]:
    terms = path.terms()
    slower = sum(part.slow - part.seconds for part in path.parts)
    if slower:
        basis, noise = _noise(chosen, path)
        reason = f"runs differ by {noise:.0%} (log-normal), as if all were slow at once"
        terms.append(Term(f"tail p{promise.percentile:g}", slower, "s", basis, reason))
    waits = {pool: chosen.outcome.waits.get((pool, promise.percentile), 0.0) for pool in chosen.visited(promise.kind)}
    endless = any(wait == inf for wait in waits.values())
    shares = path.shares(promise, {} if endless else waits)
    divided = tuple(Share(name, seconds) for name, seconds in shares.items())
    if endless:
        return None, divided
    for pool, wait in waits.items():
        if wait:
            terms.append(Term(f"waiting p{promise.percentile:g}", wait, "s", Basis.DERIVED, _waiting(chosen, pool)))
    return predicted(promise.kind, "s", terms, path.error), divided


def _waiting(chosen: Chosen, pool: str) -> str:
    load, rate = chosen.outcome.loads[pool], chosen.problem.rate or 0.0
    return (
        f"arrivals at {rate:.3g} per s, {show_value(chosen.served(pool), 's')} each in {pool}: "
        f"{load:.1%} taken, counted as {step_of(load) / STEPS:.0%}"
    )


def _noise(chosen: Chosen, path: Path) -> tuple[Basis, float]:
    """The relative noise of a path, with the basis of that of its largest stage."""
    own = [part for part in path.parts if part.stage and part.edge is None]
    largest = max(own, key=lambda part: part.seconds, default=None)
    whole = sum(part.seconds for part in path.parts)
    fitted = largest is not None and chosen.taken[largest.stage].noise != PRIOR_NOISE
    noise = log(path.at / whole) / path.z if whole and path.z else 0.0
    return Basis.FITTED if fitted else Basis.ASSUMED, noise


def _tail(chosen: Chosen, promise: Promise, path: Path) -> Tail | None:
    """How the percentile follows from the median of the same path."""
    whole = sum(part.seconds for part in path.parts)
    if not z_of(promise.percentile) or not whole:
        return None
    basis, noise = _noise(chosen, path)
    return Tail(promise.kind, promise.percentile, path.at / whole, basis, f"runs differ by {noise:.0%} (log-normal)")


def carried(chosen: Chosen) -> Prediction:
    """The most runs a second: those at which the busiest pool is as full as a line may be."""
    rate, loads = chosen.problem.rate, chosen.outcome.loads
    pool = max(loads, key=lambda name: loads[name], default=None)
    if rate is None or pool is None or not loads[pool]:
        return predicted("rate", "per s", (Term("runs carried", _ENDLESS, "per s", Basis.DERIVED),), 0.0)
    full = FULLEST / STEPS
    slots = chosen.replicas[pool] * chosen.problem.pool(pool).slots
    detail = f"{full:.0%} of {slots} / {show_value(chosen.served(pool), 's')} of {pool}"
    runs = slots * full / chosen.served(pool)
    return predicted("rate", "per s", (Term("runs carried", runs, "per s", Basis.DERIVED, detail),), 0.0)
