"""Cells for people: who serves which part of the runs, where and on how much, and what they come to together."""

from __future__ import annotations

from ..figures import show_value
from ..goals import term_text
from ..plan import GoalPlan, Plan, StagePlan
from ..tables import table
from .plan import ALONE, UNFOUND, CellPlan, CellsPlan


def cells_text(plan: CellsPlan) -> str:
    """The whole plan: verdict, cells side by side, devices, workload, cost, how good it is, notes."""
    verdict = "meets its goal" if plan.feasible else "does not meet its goal"
    known = dict(plan.search.baselines)
    why = "better together than the best placement alone"
    if known.get(ALONE, 0.0) is None:
        why = "no placement alone does"
    elif UNFOUND in known:
        why = "no placement alone was found that does"
    count = len(plan.cells)
    head = f"plan of {plan.pipeline} on {plan.fleet}: {verdict} with {count} cells ({why})"
    blocks = [[head], _cells(plan), _tiers(plan), _goals(plan), _workload(plan), _cost(plan), _search(plan)]
    blocks.append([f"note: {note}" for note in plan.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _cells(plan: CellsPlan) -> list[str]:
    """A column for each cell, a row for each stage that takes devices."""
    heads = ("", *(f"cell {number}" for number in range(1, len(plan.cells) + 1)), "together")
    rows: list[tuple[str, ...]] = [heads]
    rows.append(("share of the runs", *(f"{cell.share:.1%}" for cell in plan.cells), "100%"))
    rows.append(("runs", *(_rate(cell.rate) for cell in plan.cells), _rate(plan.rate)))
    for place, stage in enumerate(plan.cells[0].plan.stages):
        shown = [_placed(cell.plan, cell.plan.stages[place]) for cell in plan.cells]
        if any(shown):
            rows.append((stage.id, *shown, ""))
    whole = ", ".join(f"{tier.devices} {tier.name}" for tier in plan.tiers if tier.devices and not tier.endpoint)
    rows.append(("devices", *(_devices(cell.plan) for cell in plan.cells), whole))
    rows.append(("busiest pool", *(f"{max(p.load for p in cell.plan.pools):.0%} busy" for cell in plan.cells), ""))
    costs = [show_value(cell.plan.cost.per_1000_runs, "$") for cell in plan.cells]
    rows.append(("cost of 1000 runs", *costs, show_value(plan.cost.per_1000_runs, "$")))
    return table(rows)


def _rate(value: float) -> str:
    return show_value(value, "per s")


def _placed(plan: Plan, stage: StagePlan) -> str:
    """Its replicas, in the pool of that name; nothing for what hosts do beside devices, and what no run comes to."""
    if not stage.executions or stage.operation == "agent.kv_transfer":
        return ""
    tier = next(tier for tier in plan.tiers if tier.name == stage.tier)
    if tier.endpoint:
        return stage.tier
    if not stage.batch or stage.engine == "host":
        return ""
    pool = plan.pool(stage.pool)
    widths = (("tp", pool.tensor), ("pp", pool.pipeline))
    wide = "".join(f" {name}{width}" for name, width in widths if width > 1)
    batch = f" batch {pool.slots}" if pool.slots > 1 else ""
    return f"{pool.replicas} x {pool.tier}{wide}{batch}"


def _devices(plan: Plan) -> str:
    return ", ".join(f"{tier.devices} {tier.name}" for tier in plan.tiers if tier.devices and not tier.endpoint)


def _tiers(plan: CellsPlan) -> list[str]:
    rows = [("tier", "device", "devices", "price of one")]
    unused: list[str] = []
    prices = {tier.name: tier.price.value for tier in plan.cells[0].plan.tiers}
    for tier in plan.tiers:
        if tier.endpoint and any(cell.plan.on(tier.name) for cell in plan.cells):
            rows.append((tier.name, tier.title, "", "by the token"))
        elif tier.devices:
            price = show_value(prices[tier.name], "$/h")
            rows.append((tier.name, tier.title, f"{tier.devices} of {tier.count[1]}", price))
        else:
            unused.append(tier.name)
    return [*table(rows), *([f"not used: {', '.join(unused)}"] if unused else [])]


def _goals(plan: CellsPlan) -> list[str]:
    """Each promise in each cell: that all keep it is what the whole keeps."""
    heads = ("goal", *(f"cell {number}" for number in range(1, len(plan.cells) + 1)), "")
    rows: list[tuple[str, ...]] = [heads]
    for place, term in enumerate(plan.cells[0].plan.goals):
        if term.term == "rate":
            continue
        found = [cell.plan.goals[place] for cell in plan.cells]
        met = all(each.met for each in found)
        verdict = "met in each" if met else "MISSED" if term.soft is None else "missed (soft)"
        rows.append((term_text(term), *(_reached(each) for each in found), verdict))
    served = sum(cell.rate for cell in plan.cells)
    rate = f"rate {plan.rate:g} per s"
    rows.append((rate, *(_most(cell) for cell in plan.cells), "met" if served >= plan.rate * (1 - 1e-9) else "MISSED"))
    return table(rows)


def _reached(term: GoalPlan) -> str:
    if term.predicted is None:
        return "no bound"
    if term.term == "cost":
        return f"{show_value(term.predicted.value * 1000, '$')} per 1000 runs"
    return show_value(term.predicted.value, term.unit)


def _most(cell: CellPlan) -> str:
    term = next((each for each in cell.plan.goals if each.term == "rate"), None)
    if term is None or term.predicted is None:
        return _rate(cell.rate)
    return f"at most {term.predicted.value:.4g} per s"


def _workload(plan: CellsPlan) -> list[str]:
    sizes = plan.cells[0].plan.workload.sizes
    rows = [("workload", "", "basis"), *((name, show_value(f.value, f.unit), f.basis.value) for name, f in sizes)]
    return table(rows) if sizes else []


def _cost(plan: CellsPlan) -> list[str]:
    lines = [f"cost {show_value(plan.cost.per_1000_runs, '$')} per 1000 runs = 1000 x {plan.cost.arithmetic}"]
    lines += [f"  {price}" for price in plan.cost.prices]
    lines.append(f"energy {show_value(plan.energy.value, 'J')} per run")
    return lines


def _search(plan: CellsPlan) -> list[str]:
    better = {"fastest": "faster", "greenest": "greener"}.get(plan.objective, "cheaper")
    lines: list[str] = []
    if plan.search.gap is None:
        lines.append("the best that was found: no bound is known")
    else:
        lines.append(f"no division into cells, however many, is {better} by more than {plan.search.gap:.1%}")
    lines += [f"confirmed by {plan.search.confirmed}"] if plan.search.confirmed else []
    nothing = dict(plan.search.unable)
    rows = [
        (name, nothing.get(name, "finds nothing") if value is None else _worth(plan.objective, value))
        for name, value in plan.search.baselines
        if name not in (ALONE, UNFOUND) or value is not None
    ]
    return [*lines, *(table([("chosen another way", ""), *rows]) if rows else [])]


def _worth(objective: str, value: float) -> str:
    if objective == "cheapest":
        return f"{show_value(value * 1000, '$')} per 1000 runs"
    return f"{show_value(value, 's' if objective == 'fastest' else 'J')} a run"
