"""From a choice to its plan: every number of it with the terms that it is the sum of.

Nothing is decided here. A plan says what `evaluate` found, in the words of the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

from ..calibrate import Calibration
from ..cost import opening_time
from ..figures import Basis, Figure, Prediction, Term, predicted, show_value
from ..plan import (
    FORMAT,
    ChannelPlan,
    CostPlan,
    GoalPlan,
    LinkPlan,
    Plan,
    PoolPlan,
    Search,
    StagePlan,
    TierPlan,
    Wait,
    Workload,
)
from ..predict import opened, opened_as
from ..search.found import Found
from ..workload import rate_of
from .build import Built
from .certificate import certificate
from .chosen import Chosen
from .evaluate import FULLEST, step_of
from .problem import Pool, Problem, Stage, Tier
from .promised import goal_of, moment_of

CHANNEL_ITEMS = 64
_MEMORY_ERROR = 0.1
_POWER_ERROR = 0.5


def assemble(built: Built, found: Found, place: int = 0) -> Plan:
    """The plan of one of the choices that were found, the best unless `place` says else. IndexError where there is
    none."""
    problem = built.problem
    chosen = Chosen(problem, found.choices[place], found.outcomes[place])
    outcome = chosen.outcome
    cost, energy = _cost(chosen), _energy(chosen)
    promised = [goal_of(chosen, promise, cost, energy) for promise in problem.promises]
    goals = tuple(goal for goal, _ in promised)
    pools, links = tuple(_pool(chosen, pool) for pool in chosen.pools), tuple(_links(chosen))
    rate = rate_of(built.made.options.trace, built.rated, problem.rate)
    return Plan(
        format=FORMAT,
        pipeline=built.pipeline,
        inputs=built.inputs,
        made=built.made,
        fleet=built.fleet,
        objective=problem.objective,
        objective_value=outcome.objective if isfinite(outcome.objective) else None,
        tiers=tuple(_tier(chosen, tier) for tier in problem.tiers),
        pools=pools,
        links=links,
        stages=_stages(built, chosen, goals),
        channels=tuple(_channel(chosen, source, target) for source, target in built.run.channels),
        workload=Workload(rate, built.work.figures, built.seen),
        predictions=tuple(moment_of(chosen, kind) for kind, _ in problem.moments),
        load=_load(built, chosen),
        tails=tuple(tail for _, tail in promised if tail is not None),
        goals=goals,
        cost=cost,
        energy=energy,
        certificate=certificate(chosen, goals, pools, links),
        search=_search(found, place),
        notes=(*built.notes, *_overloaded(chosen)),
    )


def _search(found: Found, place: int) -> Search:
    """Of another than the best, the gap is to the same bound."""
    gap = found.gap
    if place:
        value = found.outcomes[place].objective
        gap = (value - found.bound) / value if value else 0.0
    return Search(
        status=found.status if not place else f"number {place + 1}",
        gap=gap if isfinite(gap) else None,
        considered=found.considered,
        bound=found.bound if isfinite(found.bound) else 0.0,
        baselines=tuple((each.name, each.objective) for each in found.baselines),
        unable=tuple((each.name, each.why) for each in found.baselines if each.objective is None),
    )


def _overloaded(chosen: Chosen) -> Iterator[str]:
    if any(step_of(load) > FULLEST for load in chosen.outcome.loads.values()):
        yield "the rate of the goal is not carried; the cost is stated as if it were"


# --- where -----------------------------------------------------------------------------------------------------------


def _tier(chosen: Chosen, tier: Tier) -> TierPlan:
    used = chosen.used(tier.name)
    busy = {False: 0.0, True: 0.0}
    for pool in chosen.pools:
        if pool.tier == tier.name:
            busy[pool.host] += chosen.outcome.loads[pool.name] * chosen.replicas[pool.name] * pool.devices
    devices = chosen.outcome.devices[tier.name]
    return TierPlan(
        name=tier.name,
        device=tier.device,
        title=tier.title,
        here=tier.here,
        endpoint=tier.endpoint,
        count=(tier.low, tier.high),
        devices=devices,
        used=used,
        rates=tier.rates,
        price=_price(tier),
        convention=tier.convention,
        region=tier.region,
        utilisation=(busy[False] or busy[True]) / devices if devices else 0.0,
    )


def _price(tier: Tier) -> Figure:
    """Dollars an hour of one device."""
    a_second = tier.dollars
    return Figure(a_second.value * 3600.0, "$/h", a_second.basis, a_second.source, a_second.date, a_second.error)


def _pool(chosen: Chosen, pool: Pool) -> PoolPlan:
    tier = chosen.problem.tier(pool.tier)
    waits = [
        Wait(percentile, seconds if seconds != inf else None)
        for (name, percentile), seconds in sorted(chosen.outcome.waits.items())
        if name == pool.name
    ]
    memory = dict(tier.rates).get("memory")
    basis, source = (memory.basis, memory.source) if memory else (Basis.GIVEN, "")
    return PoolPlan(
        name=pool.name,
        tier=pool.tier,
        devices=pool.devices,
        slots=pool.slots,
        tensor=pool.tensor,
        pipeline=pool.pipeline,
        replicas=chosen.replicas[pool.name],
        service=chosen.served(pool.name),
        load=chosen.outcome.loads[pool.name],
        waits=tuple(waits),
        memory=_memory(chosen, pool.name),
        capacity=Figure(pool.devices * tier.memory, "B", basis, source),
    )


def _memory(chosen: Chosen, pool: str) -> Prediction:
    """What one replica holds: the largest of what has one name, all names together."""
    largest: dict[str, Term] = {}
    for stage in chosen.stages_of(pool):
        for held in chosen.taken[stage.name].held:
            if held.bytes and (held.key not in largest or held.bytes > largest[held.key].value):
                largest[held.key] = Term(held.key, held.bytes, "B", Basis.DERIVED)
    return predicted("memory", "B", largest.values(), _MEMORY_ERROR)


def _links(chosen: Chosen) -> Iterator[LinkPlan]:
    """Those that values pass, each way by itself."""
    problem = chosen.problem
    for (left, right), moved in chosen.outcome.traffic.items():
        link = problem.link(left, right)
        if link is None:
            continue
        ends = [name for name in (left, right) if not problem.tier(name).endpoint]
        pairs = min((chosen.outcome.devices[name] for name in ends), default=1)
        room = link.bandwidth * pairs
        yield LinkPlan(
            left=left,
            right=right,
            bandwidth=Figure(link.bandwidth, "B/s", Basis.GIVEN, "the fleet"),
            latency=Figure(link.latency, "s", Basis.GIVEN, "the fleet"),
            dollars=link.dollars,
            bytes_per_run=moved,
            pairs=pairs,
            utilisation=moved * problem.rate / room if problem.rate is not None and room else 0.0,
        )


def _channel(chosen: Chosen, source: str, target: str) -> ChannelPlan:
    left, right = chosen.places.get(source), chosen.places.get(target)
    crosses = left is not None and right is not None and left != right
    return ChannelPlan(source, target, CHANNEL_ITEMS, "wait", f"{left} <-> {right}" if crosses else None)


def _stages(built: Built, chosen: Chosen, goals: tuple[GoalPlan, ...]) -> tuple[StagePlan, ...]:
    budgets = _budgets(goals)
    return tuple(_stage(built, chosen, stage, place, budgets) for place, stage in enumerate(chosen.problem.stages))


def _stage(built: Built, chosen: Chosen, stage: Stage, place: int, budgets: dict[str, float] | None) -> StagePlan:
    option, walked = chosen.taken[stage.name], built.run.times.get(stage.name)
    pool = chosen.problem.pool(option.pool)
    operation = built.run.operations.get(stage.name)
    return StagePlan(
        id=stage.name,
        operation=operation.name if operation else "",
        entry=walked.entry if walked else "",
        model=walked.model if walked else "",
        option=chosen.choice.options[place],
        pool=pool.name,
        tier=pool.tier,
        engine=option.engine,
        dtype=option.dtype,
        tensor_parallel=max(pool.tensor, int(str(operation.attributes.get("tensor", 1))) if operation else 1),
        pipeline_parallel=pool.pipeline,
        batch=pool.slots,
        instances=chosen.replicas[pool.name],
        executions=stage.executions,
        time=option.time,
        first=option.first,
        busy=option.busy,
        budget=budgets.get(stage.name, 0.0) if budgets is not None else None,
        dollars_per_run=_machine_dollars(chosen, stage) + stage.executions * option.dollars,
        joules_per_run=stage.executions * option.joules,
        place=stage.place,
    )


def _budgets(goals: tuple[GoalPlan, ...]) -> dict[str, float] | None:
    """The shares of the goal's finish, else of what it promises of the first that leaves; of the strictest limit, where
    there are several."""
    for kinds in (("finish",), ("first_token", "first_item")):
        of = [goal for goal in goals if goal.term in kinds and goal.shares]
        if of:
            return {share.stage: share.seconds for share in min(of, key=lambda goal: goal.limit).shares}
    return None


def _load(built: Built, chosen: Chosen) -> Prediction:
    """Opening models and resources, once, before the first run; tiers do so at the same time, so that the slowest
    counts."""
    graph = built.graph
    tiers = {time.model: chosen.places[name] for name, time in built.run.times.items() if name in chosen.places}
    slowest = predicted("load", "s", (), 0.0)
    for tier in chosen.problem.tiers:
        own = tuple(name for name in built.run.opened if tiers.get(name) == tier.name)
        calibration = built.made.calibration if tier.here else Calibration(f"catalog.{tier.device}")
        disk = dict(tier.rates).get("disk")
        handles = [graph.handle(name) for name in opened(graph, own)]
        opening = [opening_time(each, built.work.values, disk, calibration, opened_as(each)) for each in handles]
        known = [time.time for time in opening if time is not None]
        total = sum(time.value for time in known)
        error = sum(time.high - time.value for time in known) / total if total else 0.0
        found = predicted("load", "s", (term for time in known for term in time.terms), error)
        slowest = max(slowest, found, key=lambda each: each.value)
    return slowest


# --- what it costs ---------------------------------------------------------------------------------------------------


def _paid(chosen: Chosen) -> float:
    """Seconds for which a run pays every device: without a rate as long as it takes, with one as long as it is until
    the next."""
    problem = chosen.problem
    return 1.0 / problem.rate if problem.rate is not None else chosen.outcome.seconds[problem.moment("finish")]


def _machine_seconds(chosen: Chosen, stage: Stage) -> float:
    """Device-seconds of a stage in a run. Hosts come with devices, where these are in use."""
    option = chosen.taken[stage.name]
    pool = chosen.problem.pool(option.pool)
    if not pool.slots:
        return 0.0
    if pool.host and any(each.tier == pool.tier and not each.host for each in chosen.pools):
        return 0.0
    return stage.executions * option.mean_busy / pool.slots * pool.devices


def _machine_dollars(chosen: Chosen, stage: Stage) -> float:
    tier = chosen.problem.tier(chosen.places[stage.name])
    return _machine_seconds(chosen, stage) * tier.dollars.value


def _cost(chosen: Chosen) -> CostPlan:
    problem = chosen.problem
    terms: list[Term] = []
    paid = [tier for tier in problem.tiers if chosen.outcome.devices[tier.name] and not tier.endpoint]
    for tier in paid:
        terms += _tier_terms(chosen, tier)
    for stage in problem.stages:
        option = chosen.taken[stage.name]
        if option.dollars:
            detail = f"{stage.executions:.4g} x {show_value(option.dollars, '$')} to {chosen.places[stage.name]}"
            terms.append(
                Term("asked elsewhere", stage.executions * option.dollars, "$", Basis.GIVEN, detail, stage.name)
            )
    for edge, link in chosen.crossing.values():
        if link is not None and link.dollars:
            moved = edge.bytes * edge.moves
            detail = f"{show_value(moved, 'B')} over {link.left} <-> {link.right}"
            terms.append(Term("transfer", moved * link.dollars, "$", Basis.GIVEN, detail, edge.target))
    # Machines that are paid around the clock cost the same however long a run takes.
    error = chosen.path("finish").error if problem.rate is None else 0.0
    per_run = predicted("cost", "$", terms, error)
    conventions = tuple(dict.fromkeys(tier.convention for tier in paid))
    return CostPlan(
        per_run=per_run,
        per_1000_runs=per_run.value * 1000.0,
        convention=conventions[0] if len(conventions) == 1 else "mixed" if conventions else "given",
        arithmetic=_arithmetic(chosen, paid),
        prices=tuple(_price_text(tier) for tier in paid),
    )


def _tier_terms(chosen: Chosen, tier: Tier) -> Iterator[Term]:
    """What the devices of a tier cost a run: by stage, as far as that explains it, and what nobody uses."""
    a_second, devices = tier.dollars, chosen.outcome.devices[tier.name]
    whole = devices * _paid(chosen)
    spent = [
        (stage.name, _machine_seconds(chosen, stage))
        for stage in chosen.problem.stages
        if chosen.places[stage.name] == tier.name
    ]
    idle = whole - sum(seconds for _, seconds in spent)
    if idle < -1e-9 * whole:
        detail = f"{devices} for {show_value(_paid(chosen), 's')}"
        yield Term(f"devices of {tier.name}", whole * a_second.value, "$", a_second.basis, detail)
        return
    for name, seconds in spent:
        if seconds:
            detail = f"{show_value(seconds, 's')} of {tier.name}"
            yield Term("machine time", seconds * a_second.value, "$", a_second.basis, detail, name)
    if idle > 1e-9 * whole:
        detail = f"{show_value(idle, 's')} of {tier.name} unused"
        yield Term("idle share", idle * a_second.value, "$", a_second.basis, detail)


def _arithmetic(chosen: Chosen, paid: list[Tier]) -> str:
    problem = chosen.problem
    each = [f"{chosen.outcome.devices[tier.name]} x {show_value(_price(tier).value, '$/h')}" for tier in paid]
    hourly = f"({' + '.join(each)})" if len(each) > 1 else "".join(each)
    words: list[str] = []
    if hourly and problem.rate is not None:
        words.append(f"{hourly} / {_count(problem.rate * 3600)} runs per h")
    elif hourly:
        words.append(f"{show_value(_paid(chosen), 's')} x {hourly.removeprefix('1 x ')}")
    asked = sum(stage.executions * chosen.taken[stage.name].dollars for stage in problem.stages)
    moved = sum(e.bytes * e.moves * link.dollars for e, link in chosen.crossing.values() if link)
    words += [f"{show_value(asked, '$')} asked elsewhere"] if asked else []
    words += [f"{show_value(moved, '$')} for transfers"] if moved else []
    return " + ".join(words) or "nothing is paid"


def _count(runs: float) -> str:
    return f"{runs:,.0f}" if runs >= 1000.0 else f"{runs:.4g}"


def _price_text(tier: Tier) -> str:
    price = _price(tier)
    return f"{tier.name}: {show_value(price.value, '$/h')} ({tier.convention}, {price.basis.value}: {price.source})"


def _energy(chosen: Chosen) -> Prediction:
    """Full power of the devices for as long as a run keeps its share of them busy."""
    terms = [
        Term(
            "power",
            stage.executions * option.joules,
            "J",
            _power_basis(chosen.problem, stage, chosen),
            detail,
            stage.name,
        )
        for stage in chosen.problem.stages
        if (option := chosen.taken[stage.name]).joules
        for detail in (f"{stage.executions:.4g} x {show_value(option.joules, 'J')}",)
    ]
    return predicted("energy", "J", terms, _POWER_ERROR)


def _power_basis(problem: Problem, stage: Stage, chosen: Chosen) -> Basis:
    power = dict(problem.tier(chosen.places[stage.name]).rates).get("power")
    return power.basis if power else Basis.ASSUMED
