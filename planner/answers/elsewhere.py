"""Why a stage is on its tier and on no other: the best plan that has it elsewhere, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..conflict import conflict
from ..conflict.asked import PROVEN, Search
from ..conflict.bounds import too_slow
from ..conflict.words import asked_text
from ..conflict.words import promised as shown
from ..figures import Prediction, show_value
from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Option, Pool, Problem
from ..tables import table
from .variants import ASKED, only_on

SECONDS = 2.0
"""For each other tier."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another tier of a stage: the best choice with the stage there and what it comes to, or None and why."""

    tier: str
    choice: Choice | None
    outcome: Outcome | None
    proven: bool
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A stage of a choice: how it runs, how often, and its other tiers. `outcome` is of the whole choice."""

    stage: str
    option: Option
    pool: Pool
    executions: float
    outcome: Outcome
    others: tuple[Elsewhere, ...]

    @property
    def time(self) -> Prediction:
        """Of one execution."""
        return self.option.time


def placed(problem: Problem, choice: Choice, stage: str, search: Search, feasible: Search | None = None) -> Placed:
    """Ask for every other tier of a stage. KeyError where there is no such stage."""
    index = next((at for at, each in enumerate(problem.stages) if each.name == stage), None)
    if index is None:
        raise KeyError(stage)
    option = problem.stages[index].options[choice.options[index]]
    pool = problem.pool(option.pool)
    tiers = dict.fromkeys(problem.pool(each.pool).tier for each in problem.stages[index].options)
    others = tuple(_elsewhere(problem, stage, tier, search, feasible) for tier in tiers if tier != pool.tier)
    outcome = evaluate(problem, choice)
    return Placed(stage, option, pool, problem.stages[index].executions, outcome, others)


def _elsewhere(problem: Problem, stage: str, tier: str, search: Search, feasible: Search | None) -> Elsewhere:
    refused = [
        (promise, value)
        for promise in problem.promises
        if promise.soft is None
        for name, where, value in too_slow(problem, promise)
        if (name, where) == (stage, tier)
    ]
    if refused:
        why = tuple(
            f"{asked_text(problem, promise.name)} would be {shown(promise.kind, value)} at least"
            for promise, value in refused
        )
        return Elsewhere(tier, None, None, True, why)
    asked = only_on(problem, stage, (tier,))
    found = search(asked, seconds=SECONDS)
    if found.choices:
        best = found.choices[0]
        return Elsewhere(tier, best, evaluate(asked, best), found.status in PROVEN)
    because = conflict(asked, search, feasible, seconds=SECONDS)
    if because is None:
        return Elsewhere(tier, None, None, False, ("no plan was found in time",))
    told = tuple(reason.text for reason in because.reasons if reason.requirement != ASKED)
    return Elsewhere(tier, None, None, because.proven, told)


def placed_text(placed: Placed, objective: str) -> str:
    """The time as a sum, then the other tiers."""
    option, pool = placed.option, placed.pool
    how = ", ".join(word for word in (option.engine, option.dtype) if word)
    wide = f", {pool.devices} devices to a replica" if pool.devices > 1 else ""
    batch = f", {pool.slots} at once" if pool.slots > 1 else ""
    times = f"{placed.executions:.3g} times a run" if placed.executions != 1.0 else "once a run"
    lines = [
        f"{placed.stage} on {pool.tier}" + (f" ({how}{wide}{batch})" if how or wide or batch else ""),
        f"{show_value(option.seconds, 's')} each, {times}; between {show_value(option.time.low, 's')} and "
        f"{show_value(option.time.high, 's')}",
        "",
    ]
    rows = [("term", "seconds", "part", "basis", "")]
    for term in sorted(option.time.terms, key=lambda each: -each.value):
        part = f"{term.value / option.seconds:.0%}" if option.seconds else ""
        rows.append((term.name, show_value(term.value, "s"), part, term.basis.value, term.detail))
    lines += table(rows)
    lines.append("")
    if not placed.others:
        return "\n".join([*lines, f"no other tier can run {placed.stage}"])
    name, unit = _objective(objective)
    rows = [("elsewhere", f"best plan: {name}", "", "")]
    here = placed.outcome.objective
    rows.append((f"{pool.tier} (chosen)", _worth(here, unit), "", ""))
    for other in placed.others:
        if other.outcome is None:
            rows.append((other.tier, "no plan", "", ""))
            continue
        theirs = other.outcome.objective
        more = f"{theirs / here - 1.0:+.1%}" if here else ""
        rows.append((other.tier, _worth(theirs, unit), more, "" if other.proven else "the best found in time"))
    lines += table(rows)
    for other in placed.others:
        lines += [f"  {other.tier}: {why}" for why in other.why]
    return "\n".join(lines)


def placed_json(placed: Placed) -> Mapping[str, object]:
    """The same as plain data."""
    return {
        "stage": placed.stage,
        "tier": placed.pool.tier,
        "pool": placed.pool.name,
        "engine": placed.option.engine,
        "executions": placed.executions,
        "seconds": placed.option.seconds,
        "low": placed.option.time.low,
        "high": placed.option.time.high,
        "terms": [
            {"name": term.name, "seconds": term.value, "basis": term.basis.value, "detail": term.detail}
            for term in placed.option.time.terms
        ],
        "objective": placed.outcome.objective,
        "elsewhere": [
            {
                "tier": other.tier,
                "objective": other.outcome.objective if other.outcome else None,
                "proven": other.proven,
                "why": list(other.why),
            }
            for other in placed.others
        ],
    }


def _objective(objective: str) -> tuple[str, str]:
    match objective:
        case "fastest":
            return "seconds a run", "s"
        case "greenest":
            return "joules a run", "J"
        case _:
            return "dollars per 1000 runs", "$"


def _worth(value: float, unit: str) -> str:
    return show_value(value * 1000, "$") if unit == "$" else show_value(value, unit)
