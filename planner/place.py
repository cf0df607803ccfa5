"""From a graph with demands to a plan on one tier: sizes, times, memory, instances, goals, cost, certificate.

One tier is all there is so far: this machine, or one device of the catalogue. There is then nothing to choose but how
many instances to take, the fewest that meet the goal. A fleet of several tiers, a link, or a goal's term that is not
predicted is refused with its own problem. A goal that cannot be met gives a plan that says so, and a problem with the
number, the reason and what would help; the caller decides whether that forbids anything (`enforce_goal`).
"""

from __future__ import annotations

import os

from ..base.problems import Problem, Problems, has_errors
from ..ir.graph import Graph
from ..ir.sizes import given as assumptions
from ..lang.program import Fleet, Goal, Program, Tier
from . import problems
from .because import explain
from .calibrate import Calibration
from .catalogue import device as known_device
from .catalogue import whole
from .figures import Basis, Figure
from .goals import OBJECTIVES, PLANNED, objective_of
from .hardware import Machine
from .options import Options
from .placement import Placement
from .plan import Plan
from .predict import forecast
from .rates import PRICE_VARIABLE, Rates, conventions, environment_price, of_device, of_machine
from .workload import sizing

__all__ = ["LAPTOP", "Options", "choose_fleet", "plan"]

LAPTOP = "laptop"


def choose_fleet(program: Program, name: str | None = None) -> tuple[Fleet | None, Problems]:
    """The fleet of that name; without one, the only one of the file, or None for this machine."""
    known = tuple(fleet.name for fleet in program.fleets)
    if name is not None:
        found = next((fleet for fleet in program.fleets if fleet.name == name), None)
        return (found, ()) if found else (None, (problems.unknown_fleet(name, known),))
    if len(program.fleets) > 1:
        return None, (problems.which_fleet(known, program.fleets[1].span),)
    return (program.fleets[0] if program.fleets else None), ()


def plan(
    graph: Graph,
    pipeline: str,
    machine: Machine,
    *,
    goal: Goal | None = None,
    fleet: Fleet | None = None,
    calibration: Calibration | None = None,
    program: str = "",
    options: Options | None = None,
) -> tuple[Plan | None, Problems]:
    """Plan one pipeline of a graph with demands. `program` is the digest of the program's text.

    Gives a plan wherever the pipeline can be placed, even if its goal is missed (`plan.feasible` is then false and each
    missed term has a problem); None if it cannot be placed. KeyError for an unknown pipeline.
    """
    chosen = options or Options()
    tier, found = _tier(fleet)
    found = (*found, *_terms(goal, tier))
    price, wrong = _price(chosen, tier)
    found = (*found, *wrong)
    if has_errors(found):
        return None, found
    rates = _rates(tier, machine, price, chosen.convention)
    known = calibration if calibration and calibration.machine == rates.key else Calibration(rates.key)
    work = sizing(graph, pipeline, assumptions(goal) if goal else {}, chosen.measured)
    names = tuple(name for name, _ in work.figures)
    found += tuple(problems.unknown_size(name, names, goal.span if goal else None) for name in work.unused)
    run = forecast(graph, pipeline, work.values, rates, known, engine=chosen.engine)
    placement = Placement(graph, pipeline, goal, fleet, tier, rates, known, work, run, program, chosen, machine)
    best = _fewest(placement)
    found = (*found, *explain(placement, best))
    return (None if has_errors(found) and not fits(best) else best), found


def fits(plan: Plan) -> bool:
    """Whether every tier holds what it is given."""
    return all(pool.memory.value <= pool.capacity.value for pool in plan.pools)


def _fewest(placement: Placement) -> Plan:
    """The plan with the fewest instances that meets the goal; with the most that the fleet allows, where none does, or
    where the goal prefers the fastest."""
    low, high = placement.tier.count if placement.tier else (1, 1)
    counts = range(high if objective_of(placement.goal) == "fastest" else max(1, low), high + 1)
    for instances in counts:
        found = placement.plan(instances, len(counts))
        if found.feasible:
            return found
    return placement.plan(high, len(counts))


def _tier(fleet: Fleet | None) -> tuple[Tier | None, Problems]:
    if fleet is None:
        return None, ()
    found: list[Problem] = []
    if len(fleet.tiers) != 1:
        span = fleet.tiers[1].span if fleet.tiers else fleet.span
        found.append(problems.several_tiers(fleet.name, f"{len(fleet.tiers)} tiers", span))
    if fleet.links:
        found.append(problems.several_tiers(fleet.name, "a link", fleet.links[0].span))
    if found:
        return None, tuple(found)
    tier = fleet.tiers[0]
    if tier.endpoint is not None:
        return None, (problems.several_tiers(fleet.name, "an endpoint", tier.span),)
    if known_device(tier.device) is None:
        # A package may have meant to bring it: then what is wrong with that is the reason.
        found += whole().problems
        found.append(problems.unknown_device(tier.device, tuple(whole().devices), tier.span))
    return tier, tuple(found)


def _terms(goal: Goal | None, tier: Tier | None) -> Problems:
    """Every term of the goal must be one that is predicted. (That it means something for its pipeline, the checker has
    seen to.) A label is kept on one tier by that being one of those it may be on; who runs on this machine has chosen
    it."""
    if goal is None:
        return ()
    found: list[Problem] = []
    for term in goal.terms:
        if (term.kind == "prefer" and term.word in OBJECTIVES) or term.kind == "soft":
            continue
        if term.kind == "keep" and (tier is None or tier.name in term.tiers):
            continue
        if term.kind not in PLANNED or term.limit is None or term.limit.dimension != PLANNED[term.kind]:
            written = f"{term.kind} @{term.word}" if term.word else term.kind
            found.append(problems.term_not_planned(written, (*PLANNED, "prefer"), term.span))
    return tuple(found)


def _price(options: Options, tier: Tier | None) -> tuple[Figure | None, Problems]:
    """What somebody states that an hour costs (the caller, the fleet, the environment), or None: then the catalogue's
    figures count, if it has those that the convention needs."""
    if options.price is not None:
        return Figure(options.price, "$/h", Basis.GIVEN, "the caller"), ()
    stated = tier.settings.get("price") if tier else None
    if tier and stated is not None:
        return Figure(stated.value * 3600.0, "$/h", Basis.GIVEN, f"tier {tier.name} of the fleet"), ()
    text = os.environ.get(PRICE_VARIABLE, "").strip()
    price = environment_price()
    if text and price is None:
        return None, (problems.bad_price(PRICE_VARIABLE, text),)
    device = known_device(tier.device if tier else LAPTOP)
    if price is None and device is not None and options.convention not in conventions(device):
        span = tier.span if tier else None
        return None, (problems.needs_price(options.convention, device.name, conventions(device), span),)
    return price, ()


def _rates(tier: Tier | None, machine: Machine, price: Figure | None, convention: str) -> Rates:
    device = known_device(tier.device if tier else LAPTOP)
    assert device is not None  # `_tier` saw to it
    if device.name == LAPTOP:
        return of_machine(machine, device, price, convention)
    return of_device(device, price, convention)
