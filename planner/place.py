"""From a graph with demands to a plan: its problem, the best choice, and what that comes to; or why there is none.

A goal that cannot be kept on a fleet gives the plan that is nearest to it, where only promises stand against one, and a
problem with what cannot be held together and what would help; the caller decides whether that forbids anything
(`enforce_goal`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING

from ..base.problems import Problems, Severity, has_errors
from ..lang.program import Fleet, Goal, Program
from . import problems
from .options import Options
from .placing import Placing
from .plan import Plan
from .rates import PRICE_VARIABLE, environment_price
from .search.found import GAP, INFEASIBLE, Found
from .space.evaluate import Outcome, evaluate
from .space.problem import Choice, Problem
from .workload import loose

if TYPE_CHECKING:
    from .cells.plan import CellsPlan
    from .conflict import Conflict
    from .conflict.ways import Sizes
    from .space.build import Built

__all__ = ["Confirm", "Confirmed", "Options", "choose_fleet", "decided", "decided_in_cells", "plan", "problem"]

_TOP = 3
"""Choices to search for, where the best may not be confirmed."""

_TRIES = 6
"""Choices to try until one is confirmed, each with a replica more than one that was not."""

_FACTORS = (1.5, 2.0, 3.0, 4.5, 7.0)
"""Of the replicas of the best choice, where none of those was confirmed: bursts may need many more."""

_MISS = 1e6
"""Dollars (seconds, joules) for a promise missed by the whole of its limit: more than any plan costs."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What somebody who tried a choice says of it: who it was, in words, and what it `missed`, in sentences."""

    by: str
    missed: tuple[str, ...] = ()


Confirm = Callable[[Problem, Choice], Confirmed]


def choose_fleet(program: Program, name: str | None = None) -> tuple[Fleet | None, Problems]:
    """The fleet of that name; without one, the only one of the file, or None for this machine."""
    known = tuple(fleet.name for fleet in program.fleets)
    if name is not None:
        found = next((fleet for fleet in program.fleets if fleet.name == name), None)
        return (found, ()) if found else (None, (problems.unknown_fleet(name, known),))
    if len(program.fleets) > 1:
        return None, (problems.which_fleet(known, program.fleets[1].span),)
    return (program.fleets[0] if program.fleets else None), ()


def plan(placing: Placing, confirm: Confirm | None = None) -> tuple[Plan | None, Problems]:
    """Plan one pipeline.

    Gives a plan wherever the pipeline can be placed, even if its goal is missed (`plan.feasible` is then false, and a
    problem says why); None if it cannot be placed. KeyError for an unknown pipeline.
    """
    built, found = problem(placing)
    if built is None:
        return None, found
    made, more = decided(built, placing.goal, placing.fleet, confirm=confirm)
    return made, (*found, *more)


def problem(placing: Placing) -> tuple[Built | None, Problems]:
    """What there is to decide, with the price that the environment states; None where something is wrong with it."""
    from .space.build import build

    chosen, wrong = _priced(placing.options)
    if has_errors(wrong):
        return None, wrong
    built, found = build(replace(placing, options=chosen))
    return built, (*wrong, *found)


def decided(
    built: Built, goal: Goal | None, fleet: Fleet | None, *, confirm: Confirm | None = None, beside: bool = False
) -> tuple[Plan | None, Problems]:
    """The best plan of a problem that `confirm` does not refuse; where there is none, the nearest to it, and why. With
    `beside`, what simpler ways to choose come to is in it."""
    from .search import SolverMissingError

    try:
        return _decided(built, goal, fleet, confirm, beside)
    except SolverMissingError as missing:
        return None, (problems.solver_missing(missing.hint),)


def decided_in_cells(
    built: Built, goal: Goal | None, fleet: Fleet | None, *, confirm: Confirm | None = None, beside: bool = False
) -> tuple[Plan | CellsPlan | None, Problems]:
    """As `decided`; where no placement alone keeps the goal, or one costs clearly more, several that share the runs."""
    from .search import SolverMissingError, search

    try:
        found = search(built.problem, top=_TOP if confirm is not None else 1)
        cells = _in_cells(built, found, confirm, beside)
        return (cells, ()) if cells is not None else _decided(built, goal, fleet, confirm, beside, found)
    except SolverMissingError as missing:
        return None, (problems.solver_missing(missing.hint),)


def _in_cells(built: Built, found: Found, confirm: Confirm | None, beside: bool) -> CellsPlan | None:
    """Cells, where they do what one placement cannot. What is said of each as a plan is what a search says of it."""
    from .cells import divided_and_tried
    from .cells.assemble import assemble_cells, with_baselines

    single = found.outcomes[0].objective if found.outcomes else None
    tried = divided_and_tried(built.problem, single, lambda problem, known: _tried(problem, known, confirm))
    if tried is None:
        return None
    plan = assemble_cells(built, tried.divided, tried.found, single, sure=found.status == INFEASIBLE)
    said = tried.confirmed
    missed = [f"cell {number}, {each.by}: {one}" for number, each in enumerate(said, 1) for one in each.missed]
    by = dict.fromkeys(f"{each.by} of each cell at its rate" for each in said) if not missed else ()
    known = replace(plan.search, confirmed=", ".join(by))
    if beside:
        known = with_baselines(known, built.problem)
    return replace(plan, notes=(*plan.notes, *missed), search=known)


def _decided(
    built: Built,
    goal: Goal | None,
    fleet: Fleet | None,
    confirm: Confirm | None,
    beside: bool,
    found: Found | None = None,
) -> tuple[Plan | None, Problems]:
    from .search import baselines, feasible, search
    from .space.assemble import assemble

    if found is None:
        found = search(built.problem, top=_TOP if confirm is not None else 1)
    if found.choices:
        if beside:
            found = replace(found, baselines=baselines(built.problem))
        return _confirmed(built, found, confirm), ()
    from .conflict import conflict
    from .conflict.shown import problems_of, spans_of

    why = conflict(built.problem, search, feasible, sizes=_sizes(built, goal, fleet))
    if why is None:
        # What a search of some seconds did not find, that for the reasons did.
        again = search(built.problem, seconds=60.0)
        return (assemble(built, again) if again.choices else None), ()
    enforced = built.made.options.enforce_goal
    shown = problems_of(why, built.problem, spans_of(goal, fleet), enforced)
    choice = why.missing[1] if why.missing is not None else _softened(built.problem)
    if choice is None:
        return None, shown
    if not enforced:
        shown = tuple(replace(each, severity=Severity.WARNING) for each in shown)
    nearest = Found((choice,), (evaluate(built.problem, choice),), INFEASIBLE)
    plan = assemble(built, nearest)
    return replace(plan, notes=(*plan.notes, *_planned_for(why))), shown


def _confirmed(built: Built, found: Found, confirm: Confirm | None) -> Plan:
    """The plan of the cheapest choice that is confirmed, or of the best with a note of what it misses."""
    from .space.assemble import assemble

    found, said = _tried(built.problem, found, confirm)
    plan = assemble(built, found)
    if said is None:
        return plan
    if not said.missed:
        return replace(plan, search=replace(plan.search, confirmed=said.by))
    return replace(plan, notes=(*plan.notes, *(f"{said.by}: {each}" for each in said.missed)))


def _tried(problem: Problem, found: Found, confirm: Confirm | None) -> tuple[Found, Confirmed | None]:
    """The cheapest choice that is confirmed: of those that were found, and of those with a replica more than one that
    was not; else the best with some times its replicas. Where none is after some tries, what was found, with what the
    best misses."""
    if confirm is None:
        return found, None
    first: Confirmed | None = None
    known = dict(zip(found.choices, found.outcomes, strict=True))
    rest = [(outcome.objective, number, choice) for number, (choice, outcome) in enumerate(known.items())]
    for _ in range(_TRIES):
        if not rest:
            break
        _, _, choice = heappop(rest)
        said = confirm(problem, choice)
        first = first or said
        if not said.missed:
            return _instead(found, choice, known[choice]), said
        for more in _larger(problem, choice):
            outcome = evaluate(problem, more)
            if outcome.holds and more not in known:
                known[more] = outcome
                heappush(rest, (outcome.objective, len(known), more))
    for factor in _FACTORS:
        choice = _times(problem, found.choices[0], factor)
        outcome = evaluate(problem, choice)
        if not outcome.holds:
            break
        said = confirm(problem, choice)
        if not said.missed:
            return _instead(found, choice, outcome), said
    return found, first


def _times(problem: Problem, choice: Choice, factor: float) -> Choice:
    """The same with so many times the replicas of each pool, but of hosts."""
    return replace(
        choice,
        replicas=tuple(
            ceil(count * factor) if pool.slots and not pool.host else count
            for pool, count in zip(problem.pools, choice.replicas, strict=True)
        ),
    )


def _larger(problem: Problem, choice: Choice) -> Iterator[Choice]:
    """The same with a replica more in one of its pools; hosts come with devices, and are seldom what is waited for."""
    for place, (pool, count) in enumerate(zip(problem.pools, choice.replicas, strict=True)):
        if count and pool.slots and not pool.host:
            yield replace(choice, replicas=(*choice.replicas[:place], count + 1, *choice.replicas[place + 1 :]))


def _instead(found: Found, choice: Choice, outcome: Outcome) -> Found:
    """What was found with another choice as the best; of its distance to the bound only the gap can be said."""
    if choice == found.choices[0]:
        return found
    gap = 1.0 - found.bound / outcome.objective if outcome.objective > 0.0 else 0.0
    return replace(found, choices=(choice,), outcomes=(outcome,), status=GAP, gap=gap)


def _planned_for(why: Conflict) -> Iterator[str]:
    """For which limits a plan that misses its goal was made."""
    if why.missing is not None:
        for way, help_of in zip(why.relaxations, why.helps, strict=True):
            if way.choice == why.missing[1]:
                yield f"planned for {help_of}, as nothing keeps the whole goal"
                return


def _softened(problem: Problem) -> Choice | None:
    """The choice that misses promises by the smallest parts of their limits, all together; without the rate, where the
    fleet does not carry it. None where not even one without promises is left."""
    from .search import search

    soft = tuple(
        replace(each, soft=_MISS / each.limit if each.limit > 0.0 else _MISS) if each.kind != "rate" else each
        for each in problem.promises
    )
    rates = [each.name for each in soft if each.kind == "rate"]
    for without in ([], rates) if rates else ([],):
        found = search(replace(problem, promises=soft), without=without)
        if found.choices:
            return found.choices[0]
    return None


def _sizes(built: Built, goal: Goal | None, fleet: Fleet | None) -> Sizes:
    """Sizes that the program's writer may state otherwise, and the problem with some of them given."""
    from .conflict.ways import Sizes
    from .space.build import build

    def rebuilt(given: Mapping[str, float]) -> Problem | None:
        made = built.made
        options = replace(made.options, measured={**made.options.measured, **given})
        placing = Placing(built.graph, built.pipeline, made.machine, goal, fleet, made.calibration, options=options)
        again, _ = build(placing)
        return again.problem if again is not None else None

    figures = dict(built.work.figures)
    return Sizes(
        tuple((name, figures[name]) for name in loose(built.work.figures) if figures[name].value > 1.0), rebuilt
    )


def _priced(options: Options) -> tuple[Options, Problems]:
    """The same with the price that the environment states, unless the caller knows of one."""
    if options.price is not None or options.environment is not None:
        return options, ()
    text = os.environ.get(PRICE_VARIABLE, "").strip()
    price = environment_price()
    if price is None:
        return options, ((problems.bad_price(PRICE_VARIABLE, text),) if text else ())
    return replace(options, environment=price.value), ()
