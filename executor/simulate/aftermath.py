"""What faults did to the runs: what was lost, done again and late, and the percentiles before, during and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...planner.figures import show_value
from ...planner.space.problem import Promise
from ...planner.tables import table
from .failing import Failing, Outage
from .records import RunRecord
from .result import GAPS, PERCENTILES, Spread, spread

BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True, slots=True)
class Struck:
    """An instance or link that was away from `start` to `end`. `lost` executions were on it, `redone` runs were done
    again for it, and `failed` stages were told that it is unreachable."""

    name: str
    pool: str
    start: float
    end: float
    lost: int
    redone: int
    failed: int


@dataclass(frozen=True, slots=True)
class Period:
    """The runs that were over before the first fault, that came after the last, and all between. `lost` of them ended
    otherwise than done, and `late` missed a promise."""

    name: str
    runs: int
    lost: int
    redone: int
    late: int
    moments: tuple[Spread, ...]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """See the module. `failed` runs ended because of what went wrong; `redone` runs were done again, and are as if
    nothing had happened but late."""

    struck: tuple[Struck, ...]
    start: float
    end: float
    failed: int
    redone: int
    periods: tuple[Period, ...]


def aftermath(failing: Failing, promises: Sequence[Promise], records: Sequence[RunRecord]) -> Aftermath:
    start, end = failing.first(), failing.last()
    of: dict[str, list[RunRecord]] = {BEFORE: [], DURING: [], AFTER: []}
    for record in records:
        of[BEFORE if record.over < start else AFTER if record.at >= end else DURING].append(record)
    return Aftermath(
        struck=tuple(_struck(each) for each in failing.outages),
        start=start,
        end=end,
        failed=sum(record.hit > 0 and record.status != "done" for record in records),
        redone=sum(record.redone > 0 for record in records),
        periods=tuple(_period(name, found, promises) for name, found in of.items()),
    )


def _struck(outage: Outage) -> Struck:
    return Struck(outage.name, outage.pool, outage.start, outage.end, outage.lost, outage.redone, outage.failed)


def _period(name: str, records: Sequence[RunRecord], promises: Sequence[Promise]) -> Period:
    kinds = dict.fromkeys(kind for record in records for kind in (*record.moments, *record.gaps))
    numbers = {kind: [number for record in records for number in _of(record, kind)] for kind in kinds}
    return Period(
        name,
        len(records),
        sum(record.status != "done" for record in records),
        sum(record.redone > 0 for record in records),
        sum(any(_late(record, promise) for promise in promises) for record in records),
        tuple(spread(kind, found) for kind, found in numbers.items() if found),
    )


def _of(record: RunRecord, kind: str) -> Sequence[float]:
    return record.gaps.get(kind, ()) if kind in GAPS else (record.moments[kind],) if kind in record.moments else ()


def _late(record: RunRecord, promise: Promise) -> bool:
    return promise.kind in record.moments and record.moments[promise.kind] > promise.limit


# --- for people, and as data ------------------------------------------------------------------------------------------


def lines(found: Aftermath) -> list[list[str]]:
    """Blocks of lines."""
    head = [
        f"faults from {_at(found.start)} to {_at(found.end)}: {_runs(found.redone)} done again, {found.failed} lost"
    ]
    rows: list[tuple[str, ...]] = [("fault", "from", "to", "executions lost", "runs redone", "stages unreachable")]
    for each in found.struck:
        counts = (str(each.lost), str(each.redone), str(each.failed)) if each.pool else ("", "", "")
        rows.append((each.name, _at(each.start), _at(each.end), *counts))
    if found.struck:
        head += ["", *table(rows)]
    several = [period for period in found.periods if period.runs]
    rows = [("", "runs", "not done", "redone", "late", *(f"p{each:g}" for each in PERCENTILES))]
    for kind in dict.fromkeys(each.kind for period in several for each in period.moments):
        for period in several:
            known = next((each for each in period.moments if each.kind == kind), None)
            counts = (str(period.runs), str(period.lost), str(period.redone), str(period.late))
            cells = [show_value(value, "s") for value in known.percentiles] if known else [""] * len(PERCENTILES)
            rows.append((f"{kind} {period.name}", *counts, *cells))
    return [head, table(rows)]


def _at(seconds: float) -> str:
    return show_value(seconds, "s")


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def data(found: Aftermath, moments: Callable[[Sequence[Spread]], Mapping[str, object]]) -> Mapping[str, object]:
    """For JSON; `moments` makes spreads into data."""
    return {
        "start": found.start,
        "end": found.end,
        "failed": found.failed,
        "redone": found.redone,
        "struck": [
            {
                "name": each.name,
                "start": each.start,
                "end": each.end,
                "lost": each.lost,
                "redone": each.redone,
                "failed": each.failed,
            }
            for each in found.struck
        ],
        "periods": [
            {
                "name": each.name,
                "runs": each.runs,
                "lost": each.lost,
                "redone": each.redone,
                "late": each.late,
                "moments": moments(each.moments),
            }
            for each in found.periods
        ],
    }
