"""What was simulated beside what was measured: whether they agree within the error that the cost model states, and
where they do not, what the difference consists of.

Four simulations of the same arrivals stand between plan and measurement, each with one thing more of what was measured:
as planned; with the sizes that the runs had; with the times that stages took in runs that had the machine to
themselves; with the times that they took under this load. What each changes has a name. What runs waited in line for
a model is told by the engines, and in a simulation by one more, in which nobody waits: the difference is that of
waiting. What is left then is said to be not explained. Pure: measurements in, rows out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt
from statistics import median

from ...planner.figures import show_value
from ...planner.tables import table
from .result import Simulation, percentile

SURE = 1.645
"""Standard deviations of a binomial count: nine of ten times the percentile lies between the two measurements."""
STEPS = ("sizes of these runs", "stages here alone", "company on this machine")


@dataclass(frozen=True, slots=True)
class Row:
    """A percentile of a moment, or the median of a stage, in seconds. `error` is the relative error that the cost model
    states. The percentile that was measured is nine times of ten between `low` and `high`, for there were only so many
    runs. `terms` add up from `simulated` to `measured`; `limit` is what is promised of it."""

    name: str
    simulated: float
    error: float
    measured: float
    low: float
    high: float
    terms: tuple[tuple[str, float], ...] = ()
    limit: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether the simulation, give or take its error, meets what can be told of the measurement."""
        return self.simulated / (1.0 + self.error) <= self.high and self.low <= self.simulated * (1.0 + self.error)


def between(ordered: Sequence[float], wanted: float) -> tuple[float, float]:
    """The measurements between which a percentile lies nine times of ten. ValueError where there is none."""
    if not ordered:
        raise ValueError("nothing has no percentile")
    count, part = len(ordered), wanted / 100.0
    middle, spread = count * part, SURE * sqrt(count * part * (1.0 - part))
    first = max(0, floor(middle - spread) - 1)
    last = min(count - 1, ceil(middle + spread))
    return ordered[first], ordered[last]


def moment_row(
    kind: str,
    wanted: float,
    simulations: Sequence[Simulation],
    measured: Sequence[float],
    served: Sequence[float],
    error: float,
    limit: float | None = None,
) -> Row | None:
    """`simulations` are the five of the module, and `served` is what was `measured` without what was waited in line.
    None where one of them or the runs never came to the moment."""
    ordered = sorted(measured)
    reached: list[float] = []
    for simulation in simulations:
        kept = simulation.numbers.get(kind, ())
        if not kept:
            return None
        reached.append(percentile(sorted(kept), wanted))
    if not ordered:
        return None
    found = percentile(ordered, wanted)
    *loaded, idle = reached
    terms = [(name, after - before) for name, before, after in zip(STEPS, loaded, loaded[1:], strict=False)]
    waited = (found - percentile(sorted(served), wanted)) - (loaded[-1] - idle)
    terms += [("waiting in line", waited), ("not explained", found - loaded[-1] - waited)]
    low, high = between(ordered, wanted)
    return Row(f"{kind} p{wanted:g}", reached[0], error, found, low, high, tuple(terms), limit)


def stage_row(
    name: str, planned: float, sized: float, alone: Sequence[float], loaded: Sequence[float], error: float
) -> Row | None:
    """The median of what a stage takes in a run: `planned`, predicted for the sizes of these runs (`sized`), and as it
    was measured in runs alone and together."""
    if not loaded:
        return None
    ordered = sorted(loaded)
    found, single = percentile(ordered, 50.0), median(alone) if alone else sized
    terms = tuple(zip(STEPS, (sized - planned, single - sized, found - single), strict=True))
    return Row(name, planned, error, found, *between(ordered, 50.0), terms)


def text(rows: Sequence[Row], runs: int) -> list[str]:
    """A table, and a sentence for each row that does not agree."""
    out: list[tuple[str, ...]] = [("", "simulated", "", "measured", f"of {runs} runs, 9 of 10 times", "")]
    for row in rows:
        said = f"{show_value(row.low, 's')} to {show_value(row.high, 's')}"
        bar = f"±{row.error:.0%}"
        verdict = "agree" if row.agrees else f"x {row.measured / row.simulated:.2f}" if row.simulated else "differ"
        out.append((row.name, show_value(row.simulated, "s"), bar, show_value(row.measured, "s"), said, verdict))
    lines = list(table(out))
    for row in rows:
        if not row.agrees:
            named = sorted((term for term in row.terms if term[1]), key=lambda term: -abs(term[1]))
            parts = ", ".join(f"{name} {'+' if s >= 0 else '-'}{show_value(abs(s), 's')}" for name, s in named)
            lines.append(f"{row.name} differs by {_signed(row.measured - row.simulated)}: {parts}")
    return lines


def _signed(seconds: float) -> str:
    return f"{'+' if seconds >= 0 else '-'}{show_value(abs(seconds), 's')}"


def data(rows: Sequence[Row]) -> list[Mapping[str, object]]:
    """For JSON."""
    return [
        {
            "name": row.name,
            "simulated": row.simulated,
            "error": row.error,
            "measured": row.measured,
            "low": row.low,
            "high": row.high,
            "limit": row.limit,
            "agrees": row.agrees,
            "terms": dict(row.terms),
        }
        for row in rows
    ]
