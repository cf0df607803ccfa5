"""A plan for people: where everything runs, what it takes, what is promised, what it costs, and how good it is."""

from __future__ import annotations

from .cost import EXCESS, resource_of
from .figures import Basis, Figure, Prediction, show_value
from .goals import term_text
from .plan import GoalPlan, Plan, PoolPlan, StagePlan, TierPlan
from .search.found import GAP, INFEASIBLE, ONLY, OPTIMAL
from .tables import table


def plan_text(plan: Plan) -> str:
    """The whole plan: verdict, tiers, stages, predictions, goal, workload, cost, what it was compared with, notes."""
    verdict = "meets its goal" if plan.feasible else "does not meet its goal"
    head = f"plan of {plan.pipeline} on {plan.fleet}" + (f": {verdict}" if plan.goals else "")
    alone = len(plan.tiers) == 1 and len(plan.pools) == 1
    where = [_machine(plan)] if alone else [_tiers(plan), _pools(plan), _links(plan)]
    stages = _stages(plan) if alone else _placed(plan)
    blocks = [[head], *where, stages, _predictions(plan), _goals(plan), _workload(plan)]
    blocks += [[] if alone else _rates(plan), _cost(plan), _search(plan)]
    blocks.append([f"note: {note}" for note in plan.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


# --- where -----------------------------------------------------------------------------------------------------------


def _machine(plan: Plan) -> list[str]:
    """The only tier with its only pool."""
    tier, pool = plan.tiers[0], plan.pools[0]
    where = "" if tier.here else " (not this machine)"
    out = [f"tier {tier.name}: {tier.devices} x {tier.title}{where}", f"  {_figures(tier)}"]
    out.append(f"  memory {show_value(pool.memory.value, 'B')} of {show_value(pool.capacity.value, 'B')}")
    out.append(f"  price {show_value(tier.price.value, '$/h')} ({_price_basis(tier)})")
    if pool.load > 1.0:
        out.append(f"  asked for {pool.load:.3g} times what it has at the goal's rate")
    elif pool.load:
        out.append(f"  busy {pool.load:.0%} of the time at the goal's rate")
    return out


def _figures(tier: TierPlan) -> str:
    shown = ((name, figure) for name, figure in tier.rates if name not in ("memory", "price"))
    return "  ".join(f"{name} {show_value(f.value, f.unit)} ({_basis(f)})" for name, f in shown)


def _price_basis(tier: TierPlan) -> str:
    return f"{tier.convention}, {tier.price.basis.value}: {tier.price.source}"


def _tiers(plan: Plan) -> list[str]:
    rows = [("tier", "device", "devices", "price of one", "busy")]
    unused: list[str] = []
    for tier in plan.tiers:
        if not tier.devices and not plan.on(tier.name):
            unused.append(tier.name)
        elif tier.endpoint:
            rows.append((tier.name, tier.title, "", "by the token", ""))
        else:
            devices = f"{tier.devices} of {tier.count[1]}"
            busy = f"{tier.utilisation:.0%}" if tier.utilisation else ""
            rows.append((tier.name, tier.title, devices, show_value(tier.price.value, "$/h"), busy))
    return [*table(rows), *([f"not used: {', '.join(unused)}"] if unused else [])]


def _rates(plan: Plan) -> list[str]:
    """What the tiers in use can do, and what their prices count."""
    used = [tier for tier in plan.tiers if plan.on(tier.name) and tier.rates and not tier.endpoint]
    return [f"{tier.name}: {_figures(tier)}" for tier in used]


def _pools(plan: Plan) -> list[str]:
    rows: list[tuple[str, ...]] = [("pool", "replicas", "devices each", "batch", "busy", "waiting", "memory of one")]
    for pool in plan.pools:
        if pool.slots:
            rows.append(_pool(pool))
    return table(rows) if len(rows) > 1 else []


def _pool(pool: PoolPlan) -> tuple[str, ...]:
    shown = (
        (w.percentile, "endless" if w.seconds is None else show_value(w.seconds, "s"))
        for w in pool.waits
        if w.seconds != 0.0
    )
    waits = [f"p{percentile:g} {text}" for percentile, text in shown]
    memory = f"{show_value(pool.memory.value, 'B')} of {show_value(pool.capacity.value, 'B')}"
    return (
        pool.name,
        str(pool.replicas),
        str(pool.devices),
        str(pool.slots),
        f"{pool.load:.0%}" if pool.load else "",
        ", ".join(waits),
        memory if pool.memory.value else "",
    )


def _links(plan: Plan) -> list[str]:
    rows = [("link", "bandwidth", "latency", "a run moves", "busy")]
    for link in plan.links:
        within = link.left if link.left == link.right else f"{link.left} -> {link.right}"
        rows.append(
            (
                within,
                show_value(link.bandwidth.value, "B/s"),
                show_value(link.latency.value, "s"),
                show_value(link.bytes_per_run, "B"),
                f"{link.utilisation:.1%}" if link.utilisation else "",
            )
        )
    return table(rows) if plan.links else []


# --- stages ----------------------------------------------------------------------------------------------------------


def _stages(plan: Plan) -> list[str]:
    """Of one tier: what limits each stage, and how far from the roofline it is."""
    heads = ("stage", "tier", "engine", "times", "each", "error", "limited by", "above the roofline")
    rows: list[tuple[str, ...]] = [heads]
    for stage in plan.stages:
        excess = next((t for t in stage.time.terms if t.name == EXCESS), None)
        rows.append((*_stage(stage), resource_of(stage.time), excess.detail if excess else ""))
    return table(rows) if plan.stages else []


def _stage(stage: StagePlan) -> tuple[str, ...]:
    time = stage.time
    return (
        stage.id,
        stage.tier,
        stage.engine,
        f"{stage.executions:.3g}",
        show_value(time.value, "s"),
        f"±{_error(time):.0%}",
    )


def _placed(plan: Plan) -> list[str]:
    """Of several: how many devices share each stage, in how many replicas, and what it may take. Stages that no run
    comes to are left out."""
    budgets = any(stage.budget is not None for stage in plan.stages)
    heads = ("stage", "tier", "engine", "times", "each", "error", "parallel", "batch", "replicas", "limited by")
    rows: list[tuple[str, ...]] = [(*heads, "budget" if budgets else "")]
    for stage in plan.stages:
        if not stage.executions or (stage.operation == "agent.kv_transfer" and _stays(plan, stage)):
            continue
        budget = "" if stage.budget is None else show_value(stage.budget, "s") if stage.budget else "beside the path"
        shared = stage.batch > 0
        rows.append(
            (
                *_stage(stage),
                _parallel(stage),
                str(stage.batch) if shared else "",
                str(stage.instances) if shared else "",
                resource_of(stage.time),
                budget,
            )
        )
    return table(rows) if plan.stages else []


def _stays(plan: Plan, stage: StagePlan) -> bool:
    """Whether a cache is used where it was made: then nothing is transferred."""
    call = stage.id.rpartition(".")[0]
    ends = [each.pool for each in plan.stages if each.id in (f"{call}.prefill", f"{call}.decode")]
    return len(ends) == 2 and ends[0] == ends[1]


def _parallel(stage: StagePlan) -> str:
    widths = (("tp", stage.tensor_parallel), ("pp", stage.pipeline_parallel))
    return " ".join(f"{name}{width}" for name, width in widths if width > 1)


# --- what is promised ------------------------------------------------------------------------------------------------


def _predictions(plan: Plan) -> list[str]:
    rows = [("one run, median", "predicted", "between", "largest term")]
    for prediction in (*plan.predictions, *((plan.load,) if plan.load.terms else ())):
        name = "load (once)" if prediction is plan.load else prediction.name
        between = f"{show_value(prediction.low, 's')} and {show_value(prediction.high, 's')}"
        rows.append((name, show_value(prediction.value, "s"), between, _largest(prediction)))
    return table(rows)


def _goals(plan: Plan) -> list[str]:
    if not plan.goals:
        return []
    rows = [("goal", "predicted", "", "", "largest term")]
    for term in plan.goals:
        verdict = "met" if term.met else "MISSED" if term.soft is None else "missed (soft)"
        rows.append((term_text(term), _goal_value(term), verdict, _margin(term), _largest(term.predicted)))
    lines = table(rows)
    for found in plan.tails:
        lines.append(
            f"  {found.term} p{found.percentile:g} = median x {found.factor:.3g} ({found.basis.value}: {found.reason})"
        )
    return lines


def _goal_value(term: GoalPlan) -> str:
    if term.predicted is None:
        return "no bound: overloaded"
    value = term.predicted.value
    match term.term:
        case "rate":
            return f"at most {value:.3g} per s"
        case "cost":
            return f"{show_value(value * 1000, '$')} per 1000 runs"
        case _:
            return show_value(value, term.unit)


def _margin(term: GoalPlan) -> str:
    """How much of the limit is left, or is missing."""
    if term.predicted is None or not term.limit:
        return ""
    value = term.predicted.value
    left = value / term.limit - 1.0 if term.term == "rate" else 1.0 - value / term.limit
    if abs(left) >= 100.0:
        return ""
    digits = 0 if abs(left) >= 0.1 else 1
    return f"{left:.{digits}%} to spare" if term.met else f"by {-left:.{digits}%}"


def _workload(plan: Plan) -> list[str]:
    rows = [("workload", "", "basis")]
    if plan.workload.rate:
        rows.append(("rate", show_value(plan.workload.rate.value, "per s"), _basis(plan.workload.rate)))
    rows += [(name, show_value(f.value, f.unit), _why(f)) for name, f in plan.workload.sizes]
    rows += [(name, _part(f), _basis(f)) for name, f in plan.workload.trace]
    return table(rows) if len(rows) > 1 else []


# --- what it costs, and how good that is -----------------------------------------------------------------------------


def _cost(plan: Plan) -> list[str]:
    cost = plan.cost
    prices = f"; price: {plan.tiers[0].price.source}" if len(plan.tiers) == 1 else f", {cost.convention}"
    lines = [f"cost {show_value(cost.per_1000_runs, '$')} per 1000 runs = 1000 x {_bracketed(cost.arithmetic)}{prices}"]
    if len(plan.tiers) > 1:
        lines += [f"  {price}" for price in cost.prices]
    lines.append(f"energy {show_value(plan.energy.value, 'J')} per run{_power(plan)}")
    return lines


def _bracketed(arithmetic: str) -> str:
    """A sum that something is multiplied with."""
    depth = 0
    for place, letter in enumerate(arithmetic):
        depth += (letter == "(") - (letter == ")")
        if not depth and arithmetic.startswith(" + ", place):
            return f"({arithmetic})"
    return arithmetic


def _power(plan: Plan) -> str:
    watts = [(tier.name, dict(tier.rates).get("power")) for tier in plan.tiers if plan.on(tier.name)]
    shown = [
        f"{f'{name} ' if len(plan.tiers) > 1 else ''}at {show_value(figure.value, 'W')}, {figure.basis.value}"
        for name, figure in watts
        if figure is not None
    ]
    return f" ({'; '.join(shown)})" if shown else ""


def _search(plan: Plan) -> list[str]:
    """How sure it is that nothing is better, and what simpler ways to choose come to."""
    search = plan.search
    looked = (
        f" ({search.considered:,} choice{'s' if search.considered != 1 else ''} looked at)" if search.considered else ""
    )
    lines: list[str] = []
    match search.status:
        case status if status == ONLY:
            one = "each stage can run in one way here: there is nothing else to compare with"
            lines.append(f"the only choice that holds{looked}" if search.considered > 1 else one)
        case status if status == OPTIMAL:
            lines.append(f"proven optimal: nothing that holds is {_better(plan)}{looked}")
        case status if status == GAP and search.gap is not None:
            lines.append(f"nothing that holds is {_better(plan)} by more than {search.gap:.1%}{looked}")
        case status if status == GAP:
            lines.append(f"the best that was found: no bound is known{looked}")
        case status if status == INFEASIBLE:
            lines.append("nothing keeps the whole goal: this is the nearest to it")
        case status:
            lines.append(status)
    lines += [f"confirmed by {search.confirmed}"] if search.confirmed else []
    rows: list[tuple[str, ...]] = []
    for name, value in search.baselines:
        nothing = dict(search.unable).get(name) or "finds nothing"
        rows.append((name, nothing if value is None else _objective(plan, value), _saving(plan, value)))
    return [*lines, *(table([("chosen another way", "", ""), *rows]) if rows else [])]


def _better(plan: Plan) -> str:
    return {"fastest": "faster", "greenest": "greener"}.get(plan.objective, "cheaper")


def _objective(plan: Plan, value: float) -> str:
    match plan.objective:
        case "fastest":
            return show_value(value, "s")
        case "greenest":
            return f"{show_value(value, 'J')} per run"
        case _:
            return f"{show_value(value * 1000, '$')} per 1000 runs"


def _saving(plan: Plan, value: float | None) -> str:
    own = plan.objective_value
    if value is None or own is None or value <= 0.0:
        return ""
    saved = 1.0 - own / value
    if abs(saved) < 5e-4:
        return "the same"
    return f"this plan saves {saved:.0%}" if saved > 0 else f"this plan is {-saved:.0%} above"


# --- numbers ---------------------------------------------------------------------------------------------------------


def _basis(figure: Figure) -> str:
    told = figure.basis in (Basis.GIVEN, Basis.TRACE) and figure.source
    return figure.basis.value + (f", {figure.source}" if told else "")


def _why(figure: Figure) -> str:
    """The basis of a size: `measured in 5 runs`."""
    if figure.basis is Basis.MEASURED and figure.source.startswith("in "):
        return f"{figure.basis.value} {figure.source}"
    return _basis(figure)


def _part(figure: Figure) -> str:
    return f"{figure.value:.0%}" if figure.unit == "of 1" else show_value(figure.value, figure.unit)


def _largest(prediction: Prediction | None) -> str:
    term = prediction.dominating if prediction else None
    if term is None:
        return ""
    return f"{term.name}{f' of {term.stage}' if term.stage else ''} {show_value(term.value, term.unit)}"


def _error(prediction: Prediction) -> float:
    return (prediction.high - prediction.value) / prediction.value if prediction.value else 0.0
