"""From a program to the problem of placing it: one walk for the times, every tier for the options.

The walk runs on nominal rates, those of the first tier; what it keeps is not its seconds but how moments are made of
stages. Where one machine of one slot does everything, its heavy stages take turns, and the walk says so; elsewhere
stages queue in pools, which `evaluate` counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...base.problems import Problems, has_errors
from ...base.units import show
from ...ir.graph import Graph
from ...ir.sizes import given as assumptions
from ...lang.program import Fleet, Goal, GoalTerm
from .. import problems
from ..calibrate import Calibration
from ..catalogue import device as known_device
from ..codec import digest
from ..figures import Basis, Figure
from ..goals import LATENCIES, PLANNED, objective_of, soft_of
from ..hardware import Machine
from ..moments import Moment, written
from ..options import Options
from ..plan import Inputs, Made
from ..predict import Forecast, forecast
from ..rates import Rates, of_device, of_machine
from ..workload import Sizing, sizing
from .nodes import Builder, Index
from .options import Offered, offered
from .problem import Problem, Promise, Requirement
from .tiers import unsound

LAPTOP = "laptop"
THIS_MACHINE = "this machine"


@dataclass(frozen=True, slots=True)
class Built:
    """A problem and what it was made from. `run` is the nominal walk, `fleet` a name (`this machine` where the program
    has none), `notes` are sentences for people."""

    problem: Problem
    run: Forecast
    work: Sizing
    inputs: Inputs
    graph: Graph
    pipeline: str
    fleet: str
    made: Made
    notes: tuple[str, ...] = ()


def build(
    graph: Graph,
    pipeline: str,
    machine: Machine,
    *,
    goal: Goal | None = None,
    fleet: Fleet | None = None,
    calibration: Calibration | None = None,
    program: str = "",
    options: Options | None = None,
) -> tuple[Built | None, Problems]:
    """The problem of placing one pipeline. `program` is the digest of the program's text. KeyError for an unknown
    pipeline."""
    chosen = options or Options()
    found = (*_terms(goal), *unsound(fleet, machine))
    if has_errors(found):
        return None, found
    known = calibration if calibration and calibration.machine == machine.key else Calibration(machine.key)
    work = sizing(graph, pipeline, assumptions(goal) if goal else {}, chosen.measured)
    names = tuple(name for name, _ in work.figures)
    found += tuple(problems.unknown_size(name, names, goal.span if goal else None) for name in work.unused)
    nominal = _nominal(fleet, machine)
    run = forecast(graph, pipeline, work.values, nominal, _of(known, nominal), engine=chosen.engine, alone=False)
    given, wrong = offered(graph, pipeline, run, work, goal, fleet, machine, known, chosen)
    found += wrong
    if given is None or has_errors(found):
        return None, found
    if alone(given):
        run = forecast(graph, pipeline, work.values, nominal, _of(known, nominal), engine=chosen.engine, alone=True)
    builder = Builder()
    moments = _moments(graph, pipeline, run, builder)
    promises, required = _promises(goal)
    rate = next((promise.limit for promise in promises if promise.kind == "rate"), None)
    problem = Problem(
        stages=given.stages,
        pools=given.pools,
        tiers=given.tiers,
        links=given.links,
        edges=given.edges,
        nodes=tuple(builder.nodes),
        moments=moments,
        promises=promises,
        requirements=(*required, *given.requirements),
        rate=rate,
        objective=objective_of(goal),
    )
    inputs = _inputs(graph, goal, fleet, work, machine, known, program)
    name = fleet.name if fleet else THIS_MACHINE
    made = Made(machine, known, chosen, fleet.name if fleet else None)
    return Built(problem, run, work, inputs, graph, pipeline, name, made, given.notes), found


def alone(given: Offered) -> bool:
    """Whether one pool of one slot does everything: its stages take turns instead of queueing."""
    served = {pool.name for pool in given.pools if pool.slots}
    return len(served) == 1 and all(pool.slots <= 1 for pool in given.pools)


def _nominal(fleet: Fleet | None, machine: Machine) -> Rates:
    laptop = known_device(LAPTOP)
    assert laptop is not None
    for tier in fleet.tiers if fleet else ():
        device = known_device(tier.device) if tier.endpoint is None else None
        if device is not None and device.name != LAPTOP:
            return of_device(device, Figure(0.0, "$/h", Basis.ASSUMED, "not asked"))
    return of_machine(machine, laptop)


def _of(calibration: Calibration, rates: Rates) -> Calibration:
    return calibration if calibration.machine == rates.key else Calibration(rates.key)


def _moments(graph: Graph, pipeline: str, run: Forecast, builder: Builder) -> tuple[tuple[str, Index], ...]:
    """What a goal may promise of the pipeline, as nodes."""
    known: dict[int, Index] = {}

    def at(moment: Moment) -> Index:
        return written(builder, moment.made, known)

    if run.gap is None:
        return (("finish", at(run.finish)),)
    text = str(graph.pipeline(pipeline).result) == "stream Text"
    first, gap = ("first_token", "token_gap") if text else ("first_item", "item_gap")
    return ((first, at(run.first)), (gap, at(run.gap)), ("finish", at(run.finish)))


def _terms(goal: Goal | None) -> Problems:
    """Every term of the goal must be one that is predicted. (That it means something for its pipeline, the checker has
    seen to.)"""
    found: Problems = ()
    for term in goal.terms if goal else ():
        if term.kind in ("prefer", "soft", "keep"):
            continue
        if term.kind not in PLANNED or term.limit is None or term.limit.dimension != PLANNED[term.kind]:
            shown = f"{term.kind} @{term.word}" if term.word else term.kind
            found += (problems.term_not_planned(shown, (*PLANNED, "prefer", "keep"), term.span),)
    return found


def _promises(goal: Goal | None) -> tuple[tuple[Promise, ...], tuple[Requirement, ...]]:
    promises: list[Promise] = []
    required: list[Requirement] = []
    soft = soft_of(goal)
    for term in goal.terms if goal else ():
        if term.kind not in PLANNED or term.limit is None:
            continue
        text = _text(term)
        name = text if all(text != each.name for each in required) else f"{text} ({term.span})"
        percentile = term.percentile or 50.0
        promises.append(Promise(name, term.kind, term.limit.value, percentile, soft.get(term.kind)))
        required.append(Requirement(name, "promise", text, str(term.span)))
    return tuple(promises), tuple(required)


def _text(term: GoalTerm) -> str:
    """The term as a program writes it."""
    assert term.limit is not None
    limit = show(term.limit)
    percentile = f" p{term.percentile:g}" if term.kind in LATENCIES and term.percentile is not None else ""
    return f"{term.kind} {limit}" if term.kind == "rate" else f"{term.kind}{percentile} <= {limit}"


def _inputs(
    graph: Graph,
    goal: Goal | None,
    fleet: Fleet | None,
    work: Sizing,
    machine: Machine,
    calibration: Calibration,
    program: str,
) -> Inputs:
    terms = [(t.kind, t.percentile, t.limit.value if t.limit else None, t.word) for t in goal.terms] if goal else None
    tiers = [(t.name, t.device, t.count) for t in fleet.tiers] if fleet else None
    stated = [tier for tier in fleet.tiers if tier.endpoint is None] if fleet else []
    return Inputs(
        program=program,
        graph=graph.digest,
        goal=digest(terms) if terms is not None else "",
        fleet=digest(tiers) if tiers is not None else "",
        workload=digest(work.figures),
        hardware=digest(machine),
        calibration=calibration.digest,
        catalogue=digest([known_device(name) for name in sorted({LAPTOP, *(each.device for each in stated)})]),
    )
