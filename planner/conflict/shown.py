"""A conflict as a problem with words: where one promise alone is to blame, or a tier is too small or too busy, that is
said by itself; whatever is more is a chain of sentences, each at its line."""

from __future__ import annotations

from collections.abc import Mapping

from ...base.problems import Problem as Shown
from ...base.problems import Problems, Related
from ...base.source import Span
from ...lang.program import Fleet, Goal
from .. import problems
from ..figures import show_value
from ..space.evaluate import FULLEST, STEPS, evaluate, served
from ..space.problem import Option, Pool, Problem
from .bounds import bound_by, least
from .core import kind_of
from .find import Conflict
from .give import Give
from .words import asked_text, either, named, promised


def spans_of(goal: Goal | None, fleet: Fleet | None) -> dict[str, Span]:
    """The places that requirements name, by their text (`path:line:column`)."""
    spans = [term.span for term in goal.terms] if goal else []
    spans += [each.span for each in (*fleet.tiers, *fleet.links)] if fleet else []
    spans += [each.span for each in (goal, fleet) if each is not None]
    return {str(span): span for span in spans}


def problems_of(conflict: Conflict, problem: Problem, spans: Mapping[str, Span], enforced: bool) -> Problems:
    """What to show. An error where no plan is left to give, or where goals are enforced; else a warning: the plan that
    `conflict.missing` gives goes on and misses what it names."""
    hard = enforced or conflict.missing is None
    kinds = [kind_of(problem, name) for name in conflict.requirements]
    found: Shown | None = None
    match kinds:
        case ["memory"]:
            found = _does_not_fit(conflict, problem, spans)
        case ["rate", "count"]:
            found = _overloaded(conflict, problem, spans, hard)
        case ["rate" | "count" | "keep" | "link" | "links"]:
            pass
        case [_]:
            found = _missed(conflict, problem, spans, hard)
        case _:
            pass
    return (found or _chain(conflict, problem, spans, hard),)


def _chain(conflict: Conflict, problem: Problem, spans: Mapping[str, Span], hard: bool) -> Shown:
    placed = [(spans[each.place], each.text) for each in conflict.reasons if each.place in spans]
    loose = [each.text for each in conflict.reasons if each.place not in spans]
    if not conflict.sure:
        loose.append("the search for a plan ran out of time: it found none, and has no proof that there is none")
    elif not conflict.proven and len(conflict.requirements) > 1:
        loose.append("these cannot hold together; whether fewer of them cannot either was not settled in time")
    asked = _listed(conflict, problem) or ("the program",)
    related = tuple(Related(span, text) for span, text in placed)
    span = placed[0][0] if placed else None
    return problems.no_plan(asked, related, "\n".join(loose), conflict.helps, span, enforced=hard)


def _listed(conflict: Conflict, problem: Problem) -> tuple[str, ...]:
    """What cannot hold together; equal counts in one."""
    names = [each.requirement for each in conflict.reasons]
    counts = {tier.counted: tier for tier in problem.tiers if tier.counted in names}
    others = tuple(named(problem, name) for name in names if name not in counts)
    alike: dict[int, list[str]] = {}
    for tier in counts.values():
        alike.setdefault(tier.high, []).append(tier.name)
    return (*others, *(f"at most {high} of {either(tiers)}" for high, tiers in alike.items()))


def _missed(conflict: Conflict, problem: Problem, spans: Mapping[str, Span], hard: bool) -> Shown | None:
    """One promise that this fleet cannot keep, whatever else is given up."""
    name = conflict.requirements[0]
    promise = next(each for each in problem.promises if each.name == name)
    give = next((way.gives[0] for way in conflict.relaxations if len(way.gives) == 1), None)
    if give is None or promise.kind in ("cost", "energy"):
        return None
    # Below what every stage takes at its quickest there is nothing, however idle the fleet.
    lowest = least(problem, promise)
    beyond = lowest > promise.limit
    stage, tier, seconds, largest = bound_by(problem, promise)
    blame = f"{largest.name if largest else 'the time'} of {stage} ({show_value(seconds, 's')})"
    tiers = [each.name for each in problem.tiers]
    where = tiers[0] if len(tiers) == 1 else f"any tier, {tier} the nearest"
    return problems.goal_missed(
        asked_text(problem, name).strip("`"),
        where,
        promised(promise.kind, lowest if beyond else give.reached),
        blame,
        conflict.helps,
        _span(conflict, spans),
        idle=problem.rate is not None and beyond,
        enforced=hard,
    )


def _overloaded(conflict: Conflict, problem: Problem, spans: Mapping[str, Span], hard: bool) -> Shown | None:
    """More runs than all devices of the only tier carry."""
    rate, count = conflict.requirements
    if problem.rate is None or len([tier for tier in problem.tiers if not tier.endpoint]) > 1:
        return None
    tier = next(tier for tier in problem.tiers if tier.counted == count)
    give = next((each for way in conflict.relaxations for each in way.gives if each.requirement == rate), None)
    if give is None:
        return None
    pool, busy, largest = _busiest(problem, give)
    instances = max(1, tier.high // max(1, pool.devices))
    most = instances * pool.slots * FULLEST / STEPS / busy
    return problems.overloaded(
        tier.name, tier.high, problem.rate, busy, most, largest, conflict.helps, _span(conflict, spans), hard
    )


def _busiest(problem: Problem, give: Give) -> tuple[Pool, float, str]:
    """The pool with the greatest load, seconds that a run keeps a slot of it, and what most of that is."""
    taken: dict[str, Option] = {
        stage.name: stage.options[place] for stage, place in zip(problem.stages, give.choice.options, strict=True)
    }
    loads = evaluate(give.problem, give.choice).loads
    pool = problem.pool(max(loads, key=lambda name: loads[name]))
    stages = [stage for stage in problem.stages if taken[stage.name].pool == pool.name]
    most = max(stages, key=lambda stage: stage.executions * taken[stage.name].busy)
    term = taken[most.name].time.dominating
    return pool, served(problem, taken, pool.name), f"{term.name} of {most.name}" if term else most.name


def _does_not_fit(conflict: Conflict, problem: Problem, spans: Mapping[str, Span]) -> Shown | None:
    tier = next(tier for tier in problem.tiers if tier.held == conflict.requirements[0])
    give = next((each for way in conflict.relaxations for each in way.gives if each.kind == "memory"), None)
    if give is None:
        return None
    taken = [stage.options[place] for stage, place in zip(problem.stages, give.choice.options, strict=True)]
    held = [each for option in taken if problem.pool(option.pool).tier == tier.name for each in option.held]
    most = max(held, key=lambda each: each.bytes)
    largest = f"{most.key} ({show_value(most.bytes, 'B')})"
    return problems.does_not_fit(tier.name, give.reached, tier.memory, largest, _span(conflict, spans))


def _span(conflict: Conflict, spans: Mapping[str, Span]) -> Span | None:
    return next((spans[each.place] for each in conflict.reasons if each.place in spans), None)
