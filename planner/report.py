"""A plan for people, and what was measured beside what was predicted. Text here; `plan.to_json` and `comparison_json`
for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .calibrate import PRIOR_NOISE
from .cost import EXCESS, resource_of
from .devices import catalogue_text, device_text, machine_text
from .figures import Basis, Figure, Prediction, show_value
from .goals import term_text
from .plan import GoalPlan, Plan
from .tables import table
from .tails import tail

__all__ = [
    "Compared",
    "catalogue_text",
    "compare",
    "comparison_json",
    "comparison_text",
    "device_text",
    "goal_json",
    "machine_text",
    "plan_text",
    "table",
]


def plan_text(plan: Plan) -> str:
    """The whole plan: verdict, tier, stages, predictions, goal, workload, cost, notes."""
    verdict = "meets its goal" if plan.feasible else "does not meet its goal"
    head = f"plan of {plan.pipeline} on {plan.fleet}" + (f": {verdict}" if plan.goals else "")
    blocks = [[head], _tiers(plan), _stages(plan), _predictions(plan), _goals(plan), _workload(plan), _cost(plan)]
    blocks.append([f"note: {note}" for note in plan.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _tiers(plan: Plan) -> list[str]:
    out: list[str] = []
    for tier in plan.tiers:
        where = "" if tier.here else " (not this machine)"
        out.append(f"tier {tier.name}: {tier.instances} x {tier.title}{where}")
        rates = "  ".join(f"{name} {show_value(f.value, f.unit)} ({_basis(f)})" for name, f in tier.rates)
        out.append(f"  {rates}")
        out.append(f"  memory {show_value(tier.memory.value, 'B')} of {show_value(tier.capacity.value, 'B')}")
        price = f"{tier.convention}, {tier.price.basis.value}: {tier.price.source}"
        out.append(f"  price {show_value(tier.price.value, '$/h')} ({price})")
        if tier.utilisation:
            out.append(f"  busy {tier.utilisation:.0%} of the time at the goal's rate")
    return out


def _stages(plan: Plan) -> list[str]:
    rows = [("stage", "tier", "engine", "times", "each", "error", "limited by", "above the roofline")]
    for stage in plan.stages:
        time = stage.time
        excess = next((t for t in time.terms if t.name == EXCESS), None)
        rows.append(
            (
                stage.id,
                stage.tier,
                stage.engine,
                f"{stage.executions:.3g}",
                show_value(time.value, "s"),
                f"±{_error(time):.0%}",
                resource_of(time),
                excess.detail if excess else "",
            )
        )
    return table(rows) if plan.stages else []


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
    rows = [("goal", "predicted", "", "largest term")]
    for term in plan.goals:
        rows.append(
            (
                term_text(term),
                _goal_value(term),
                "met" if term.met else "MISSED" if term.soft is None else "missed (soft)",
                _largest(term.predicted),
            )
        )
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


def _workload(plan: Plan) -> list[str]:
    rows = [("workload", "", "basis")]
    if plan.workload.rate:
        rows.append(("rate", show_value(plan.workload.rate.value, "per s"), _basis(plan.workload.rate)))
    rows += [(name, show_value(f.value, f.unit), _basis(f)) for name, f in plan.workload.sizes]
    return table(rows) if len(rows) > 1 else []


def _cost(plan: Plan) -> list[str]:
    cost = plan.cost
    return [
        f"cost {show_value(cost.per_1000_runs, '$')} per 1000 runs = 1000 x {cost.arithmetic}",
        f"energy {show_value(plan.energy.value, 'J')} per run ({_power(plan)})",
    ]


def _power(plan: Plan) -> str:
    watts = dict(plan.tiers[0].rates)["power"]
    return f"at {show_value(watts.value, 'W')}, {watts.basis.value}"


def _basis(figure: Figure) -> str:
    return figure.basis.value + (f", {figure.source}" if figure.basis is Basis.GIVEN and figure.source else "")


def _largest(prediction: Prediction | None) -> str:
    term = prediction.dominating if prediction else None
    if term is None:
        return ""
    return f"{term.name}{f' of {term.stage}' if term.stage else ''} {show_value(term.value, term.unit)}"


def _error(prediction: Prediction) -> float:
    return (prediction.high - prediction.value) / prediction.value if prediction.value else 0.0


# --- after a run -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """One number of a run beside its prediction; `ratio` is measured over predicted. `inside` says whether the
    measurement lies between the prediction's bounds. `limit` and `met` are the goal's, where it has this term: one run
    cannot judge a percentile or a rate, so they say only how this run stands to the limit."""

    name: str
    unit: str
    predicted: float
    low: float
    high: float
    measured: float
    ratio: float | None
    inside: bool
    limit: float | None
    met: bool | None


def compare(plan: Plan, measured: Mapping[str, float]) -> tuple[Compared, ...]:
    """Measured values beside the plan's predictions of one run, in the plan's order.

    Names: `first_token` (or `first_item`), `token_gap` (the median), `token_gap p95` (a percentile of the run's gaps),
    `finish`, `load` in seconds, `cost` in dollars a run, and stage ids (seconds of all executions). Names without a
    prediction are left out.
    """
    out: list[Compared] = []
    for name, prediction in _by_name(plan).items():
        for given, value in measured.items():
            if given == name:
                out.append(_compared(plan, given, name, prediction, value))
            elif given.startswith(f"{name} p"):
                out.append(_compared(plan, given, name, _tailed(plan, given, name, prediction), value))
    return tuple(out)


def _tailed(plan: Plan, given: str, name: str, prediction: Prediction) -> Prediction:
    """The prediction at the percentile that the name ends with: the plan's factor, else the assumed noise."""
    percentile = float(given.removeprefix(f"{name} p"))
    known = next((t for t in plan.tails if t.term == name and t.percentile == percentile), None)
    factor = (known or tail(name, percentile, PRIOR_NOISE, Basis.ASSUMED)).factor
    return replace(
        prediction, value=prediction.value * factor, low=prediction.low * factor, high=prediction.high * factor
    )


def _by_name(plan: Plan) -> dict[str, Prediction]:
    known = {prediction.name: prediction for prediction in plan.predictions}
    known |= {"cost": plan.cost.per_run, "energy": plan.energy, "load": plan.load}
    for stage in plan.stages:
        time, runs = stage.time, stage.executions
        known[stage.id] = Prediction(stage.id, time.value * runs, "s", time.low * runs, time.high * runs, ())
    return known


def _compared(plan: Plan, given: str, name: str, prediction: Prediction, value: float) -> Compared:
    goal = next(
        (term for term in plan.goals if given in (name, f"{name} p{term.percentile or 50:g}") and term.term == name),
        None,
    )
    return Compared(
        name=given,
        unit=prediction.unit,
        predicted=prediction.value,
        low=prediction.low,
        high=prediction.high,
        measured=value,
        ratio=value / prediction.value if prediction.value else None,
        inside=prediction.low <= value <= prediction.high,
        limit=goal.limit if goal else None,
        met=value <= goal.limit if goal else None,
    )


def comparison_text(compared: Iterable[Compared]) -> str:
    """A table of predicted beside measured."""
    rows = [("", "predicted", "measured", "ratio", "limit", "")]
    for line in compared:
        limit = "" if line.limit is None else show_value(line.limit, line.unit)
        verdict = "" if line.met is None else ("within" if line.met else "over")
        rows.append(
            (
                line.name,
                f"{show_value(line.predicted, line.unit)} ±{_bar(line):.0%}",
                show_value(line.measured, line.unit),
                f"x {line.ratio:.2f}" if line.ratio is not None else "",
                limit,
                verdict,
            )
        )
    return "\n".join(table(rows))


def _bar(line: Compared) -> float:
    return (line.high - line.predicted) / line.predicted if line.predicted else 0.0


def comparison_json(compared: Iterable[Compared]) -> dict[str, dict[str, float | bool | str | None]]:
    """The same as plain data by name: `{limit, predicted, measured, met, low, high, ratio, unit}`."""
    return {
        line.name: {
            "unit": line.unit,
            "limit": line.limit,
            "predicted": line.predicted,
            "low": line.low,
            "high": line.high,
            "measured": line.measured,
            "ratio": line.ratio,
            "met": line.met,
        }
        for line in compared
    }


def goal_json(plan: Plan, measured: Mapping[str, float]) -> dict[str, dict[str, float | bool | None]]:
    """The goal's terms for the last frame of a run: `{limit, predicted, measured, met}` by term (`first_token p95`).

    `measured` is the run's own value, at the term's percentile where `measured` has it, or None; `met` says how this
    run stands to the limit, or None where a run has no such value (a rate). `predicted` is of the plan, at the goal's
    rate.
    """
    out: dict[str, dict[str, float | bool | None]] = {}
    for term in plan.goals:
        name = f"{term.term} p{term.percentile:g}" if term.percentile is not None else term.term
        value = measured.get(name, measured.get(term.term))
        out[name] = {
            "limit": term.limit,
            "predicted": term.predicted.value if term.predicted else None,
            "measured": value,
            "met": None if value is None or term.term == "rate" else value <= term.limit,
        }
    return out
