"""What was measured beside what was predicted, for people and as plain data; and, by one name, whatever else of the
planner is shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .calibrate import PRIOR_NOISE
from .devices import catalogue_text, device_text, link_text, links_text, machine_text
from .figures import Basis, Prediction, show_value
from .plan import Plan
from .plan_text import plan_text
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
    "link_text",
    "links_text",
    "machine_text",
    "plan_text",
    "table",
]


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
