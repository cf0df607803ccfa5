"""From a program to the problem of placing it: one walk for the times, every tier for the options.

The walk runs on nominal rates, those of the first tier; what it keeps is not its seconds but how moments are made of
stages. Where one machine of one slot does everything, its heavy stages take turns, and the walk says so; elsewhere
stages queue in pools, which `evaluate` counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ...base.problems import Problems, has_errors
from ...base.units import show
from ...ir.graph import Graph
from ...ir.sizes import given as assumptions
from ...lang.program import Fleet, Goal, GoalTerm
from .. import problems
from ..calibrate import Calibration
from ..catalogue import device as known_device
from ..codec import digest
from ..figures import Basis, Figure, show_value
from ..goals import LATENCIES, PLANNED, objective_of, soft_of
from ..hardware import Machine
from ..moments import Expression, written
from ..placing import Placing
from ..plan import Inputs, Made
from ..predict import Forecast, forecast
from ..rates import Rates, of_device, of_machine
from ..traces.load import Load
from ..workload import Sizing, recorded, sizing, without
from .asked import Asked
from .nodes import Builder, Index
from .options import Offered, offered
from .problem import Problem, Promise, Requirement
from .slow import Slow, differing, larger, varying
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
    rated: bool = True
    """Whether the rate, where there is one, is the goal's."""
    seen: tuple[tuple[str, Figure], ...] = ()
    """What a trace says beside the sizes of the run."""


def build(placing: Placing) -> tuple[Built | None, Problems]:
    """The problem of placing one pipeline. KeyError for an unknown pipeline."""
    graph, pipeline, machine = placing.graph, placing.pipeline, placing.machine
    goal, fleet, chosen = placing.goal, placing.fleet, placing.options
    found = (*_terms(goal), *unsound(fleet, machine))
    if has_errors(found):
        return None, found
    known = placing.calibration
    if known is None or known.machine != machine.key:
        known = Calibration(machine.key)
    trace = without(chosen.trace, chosen.measured) if chosen.trace else None
    stated = assumptions(goal) if goal else {}
    work = sizing(graph, pipeline, stated, chosen.measured, trace, chosen.profile)
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
    promises, required = _promises(goal, trace)
    rate = next((promise.limit for promise in promises if promise.kind == "rate"), None)
    percentiles = sorted({promise.percentile for promise in promises if promise.kind in LATENCIES})
    stages, slow = given.stages, list[tuple[str, float, Index]]()
    if trace is not None:

        def sizes(some: Mapping[str, float]) -> Mapping[str, float]:
            own = {**trace.means, **some, **chosen.measured}
            return sizing(graph, pipeline, stated, own, None, chosen.profile).values

        asked = Asked(graph, pipeline, run, work, chosen, alone(given))
        stages = differing(given.stages, varying(asked, trace, sizes))
        for percentile in percentiles:
            large = sizes(trace.slow(percentile))
            if large == work.values:
                continue
            walked = forecast(
                graph, pipeline, large, nominal, _of(known, nominal), engine=chosen.engine, alone=asked.alone
            )
            wanted = larger(asked, walked, large)
            grown, _ = offered(graph, pipeline, walked, wanted.work, goal, fleet, machine, known, chosen)
            pairs = zip(given.stages, grown.stages, strict=True) if grown else ()
            made = Slow(asked, wanted, builder, pairs).moments(_expressions(graph, pipeline, walked))
            slow += ((kind, percentile, node) for kind, node in made)
    problem = Problem(
        stages=stages,
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
        slow=tuple(slow),
    )
    seen = recorded(trace, percentiles) if trace else ()
    inputs = _inputs(placing, (work.figures, trace) if trace else work.figures, known)
    name = fleet.name if fleet else THIS_MACHINE
    made = Made(machine, known, chosen, fleet.name if fleet else None, placing.file)
    told = _of_trace(trace, promises) if trace else ()
    rated = any(term.kind == "rate" for term in goal.terms) if goal else False
    notes = (*given.notes, *told, *_not_as_assumed(graph, pipeline, stated, work))
    return Built(problem, run, work, inputs, graph, pipeline, name, made, notes, rated, seen), found


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
    return tuple((kind, written(builder, made, known)) for kind, made in _expressions(graph, pipeline, run))


def _expressions(graph: Graph, pipeline: str, run: Forecast) -> tuple[tuple[str, Expression], ...]:
    if run.gap is None:
        return (("finish", run.finish.made),)
    text = str(graph.pipeline(pipeline).result) == "stream Text"
    first, gap = ("first_token", "token_gap") if text else ("first_item", "item_gap")
    return ((first, run.first.made), (gap, run.gap.made), ("finish", run.finish.made))


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


def _promises(goal: Goal | None, trace: Load | None) -> tuple[tuple[Promise, ...], tuple[Requirement, ...]]:
    """What the goal promises; the rate of a trace's busiest minute, where it states none."""
    promises: list[Promise] = []
    required: list[Requirement] = []
    soft = soft_of(goal)
    for term in goal.terms if goal else ():
        if term.kind not in PLANNED or term.limit is None:
            continue
        text = _text(term)
        name = text if all(text != each.name for each in required) else f"{text} ({PurePath(str(term.span)).name})"
        percentile = term.percentile or 50.0
        promises.append(Promise(name, term.kind, term.limit.value, percentile, soft.get(term.kind)))
        required.append(Requirement(name, "promise", text, str(term.span)))
    if trace is not None and trace.busiest is not None and all(each.kind != "rate" for each in promises):
        name = f"rate {trace.busiest:.4g} per s"
        promises.append(Promise(name, "rate", trace.busiest))
        required.append(Requirement(name, "promise", f"{name}, the busiest minute of the trace", trace.place))
    return tuple(promises), tuple(required)


def _of_trace(trace: Load, promises: Iterable[Promise]) -> Iterator[str]:
    """What there is to know of a trace beside its figures."""
    stated = next((each.limit for each in promises if each.kind == "rate"), None)
    if stated is not None and trace.busiest is not None and trace.busiest > stated:
        busiest = f"{trace.busiest:.3g} per s"
        yield f"the busiest minute of {trace.file} has {busiest}: more than the goal's {stated:.3g} per s"
    if trace.cut:
        yield f"{trace.cut:,} replies of {trace.file} are longer than the program lets them be, and count as that long"
    if trace.again is not None:
        yield f"that {trace.again:.0%} of the prompts' tokens of {trace.file} came before is not counted: simulate does"
    yield from trace.notes


def _not_as_assumed(graph: Graph, pipeline: str, stated: Mapping[str, float], work: Sizing) -> Iterator[str]:
    """Where the goal assumes something that recorded or past runs did not have."""
    assumed = dict(sizing(graph, pipeline, stated).figures)
    for name, figure in work.figures:
        said = assumed[name]
        if said.basis is Basis.GIVEN and figure.basis in (Basis.TRACE, Basis.MEASURED) and figure.value != said.value:
            yield (
                f"{name}: {show_value(figure.value, figure.unit)} ({figure.basis.value} {figure.source}), "
                f"where the goal assumes {show_value(said.value, said.unit)}"
            )


def _text(term: GoalTerm) -> str:
    """The term as a program writes it."""
    assert term.limit is not None
    limit = show(term.limit)
    percentile = f" p{term.percentile:g}" if term.kind in LATENCIES and term.percentile is not None else ""
    return f"{term.kind} {limit}" if term.kind == "rate" else f"{term.kind}{percentile} <= {limit}"


def _inputs(placing: Placing, work: object, calibration: Calibration) -> Inputs:
    goal, fleet = placing.goal, placing.fleet
    terms = [(t.kind, t.percentile, t.limit.value if t.limit else None, t.word) for t in goal.terms] if goal else None
    tiers = [(t.name, t.device, t.count) for t in fleet.tiers] if fleet else None
    stated = [tier for tier in fleet.tiers if tier.endpoint is None] if fleet else []
    return Inputs(
        program=placing.program,
        graph=placing.graph.digest,
        goal=digest(terms) if terms is not None else "",
        fleet=digest(tiers) if tiers is not None else "",
        workload=digest(work),
        hardware=digest(placing.machine),
        calibration=calibration.digest,
        catalogue=digest([known_device(name) for name in sorted({LAPTOP, *(each.device for each in stated)})]),
        options=digest(placing.options),
    )
