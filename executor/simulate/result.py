"""What a simulation found: percentiles beside what was promised and predicted, how full pools were, what a run cost,
and which stages are to blame for the slow ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, fsum
from typing import TYPE_CHECKING

from ...planner.space.problem import Promise
from .records import LINE, SERVICE, TRANSFER, PoolRecord, RunRecord
from .system import System

if TYPE_CHECKING:
    from .aftermath import Aftermath
    from .scaled import Grown

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
GAPS = ("token_gap", "item_gap")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of `count` numbers of one kind (`first_token`, `token_gap`, `finish` …), in seconds. `percentiles` are those of
    `PERCENTILES`, each a number that was met: so many percent were at most that."""

    kind: str
    count: int
    mean: float
    percentiles: tuple[float, ...]
    largest: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A promise: its limit, what was `reached` here (None where nothing came to it), and what the plan's bounds say.
    `above` is the part of all runs (of all gaps) beyond a limit on time."""

    name: str
    kind: str
    percentile: float
    limit: float
    reached: float | None
    predicted: float
    holds: bool
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class Used:
    """A pool. `utilisation` is the part of its slots that was busy (of a model's devices, of the time in which they
    computed anything; None for an endpoint), `rows` the sequences that a step advanced on the average, `longest` the
    most that waited at once."""

    pool: str
    tier: str
    replicas: int
    slots: int
    utilisation: float | None
    predicted: float
    served: int
    longest: int
    rows: float | None = None
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Blame:
    """What a moment's seconds went into at one stage: means over all runs, and its share of the seconds of those runs
    that were above the limit (of the slowest twentieth, where no limit is promised)."""

    kind: str
    stage: str
    pool: str
    service: float
    line: float
    transfer: float
    share: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """See the module. `runs` came and `counted` are in the figures, which leave out those that came while the fleet
    was filling up; `ended` says how they ended. `seconds` from the first arrival to the last end, `rate` what came a
    second. `errors` are the factors that stages' times were multiplied by. `aftermath` is of the faults, where there
    were some."""

    runs: int
    counted: int
    ended: Mapping[str, int]
    seconds: float
    rate: float
    moments: tuple[Spread, ...]
    promises: tuple[Kept, ...]
    pools: tuple[Used, ...]
    blame: tuple[Blame, ...]
    dollars: float
    seed: int
    errors: Mapping[str, float]
    notes: tuple[str, ...] = ()
    aftermath: Aftermath | None = None
    grown: tuple[Grown, ...] = ()
    """Of pools whose instances followed the load."""
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]], repr=False)
    """All that was counted, by kind: what the percentiles are of."""

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return all(kept.holds for kept in self.promises)

    def moment(self, kind: str) -> Spread:
        """KeyError where no run came to one."""
        for spread in self.moments:
            if spread.kind == kind:
                return spread
        raise KeyError(kind)


def percentile(ordered: Sequence[float], wanted: float) -> float:
    """The least of these numbers that `wanted` percent of them do not exceed. ValueError where there is none."""
    if not ordered:
        raise ValueError("nothing has no percentile")
    return ordered[min(len(ordered), max(1, ceil(wanted / 100.0 * len(ordered) - 1e-9))) - 1]


def spread(kind: str, numbers: Iterable[float]) -> Spread:
    """Of at least one number."""
    ordered = sorted(numbers)
    at = tuple(percentile(ordered, each) for each in PERCENTILES)
    return Spread(kind, len(ordered), fsum(ordered) / len(ordered), at, ordered[-1])


def summed_up(
    system: System,
    records: Sequence[RunRecord],
    pools: Mapping[str, PoolRecord],
    *,
    warm: int,
    seed: int,
    errors: Mapping[str, float],
    notes: tuple[str, ...] = (),
) -> Simulation:
    """The figures of these runs, without the first `warm` of them."""
    counted = [record for record in records if record.number >= warm]
    first = min(record.at for record in records)
    seconds = max(record.over for record in records) - first
    came = max(record.at for record in records) - first
    ended: dict[str, int] = {}
    for record in counted:
        how = f"{record.status} ({record.reason})" if record.reason else record.status
        ended[how] = ended.get(how, 0) + 1
    numbers = _numbers(counted)
    each = fsum(record.dollars for record in records) / len(records)
    dollars = system.dollars_a_second * seconds / len(records) + each
    rate = (len(records) - 1) / came if came > 0.0 else 0.0
    promises = tuple(_kept(promise, numbers, system, dollars, rate) for promise in system.problem.promises)
    return Simulation(
        runs=len(records),
        counted=len(counted),
        ended=dict(sorted(ended.items())),
        seconds=seconds,
        rate=rate,
        moments=tuple(spread(kind, found) for kind, found in numbers.items() if found),
        promises=promises,
        pools=tuple(_used(system, name, pools[name], seconds) for name in system.pools),
        blame=_blame(system, counted),
        dollars=dollars,
        seed=seed,
        errors=errors,
        notes=notes,
        numbers=numbers,
    )


def _numbers(records: Sequence[RunRecord]) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {}
    for record in records:
        for kind, seconds in record.moments.items():
            out.setdefault(kind, []).append(seconds)
        for kind, gaps in record.gaps.items():
            out.setdefault(kind, []).extend(gaps)
    return out


def _kept(promise: Promise, numbers: Mapping[str, list[float]], system: System, dollars: float, rate: float) -> Kept:
    predicted = system.outcome.reached[promise.name]
    above, reached = 0.0, None
    match promise.kind:
        case "cost":
            reached = dollars
        case "energy":
            # What a run takes is not drawn: it is as predicted.
            reached = predicted
        case "rate":
            fullest = max((load for load in system.outcome.loads.values()), default=0.0)
            holds = fullest < 1.0
            return Kept(promise.name, "rate", promise.percentile, promise.limit, rate, predicted, holds)
        case kind:
            found = sorted(numbers.get(kind, ()))
            if found:
                reached = percentile(found, promise.percentile)
                above = sum(number > promise.limit for number in found) / len(found)
    holds = reached is None or reached <= promise.limit
    return Kept(promise.name, promise.kind, promise.percentile, promise.limit, reached, predicted, holds, above)


def _used(system: System, name: str, record: PoolRecord, seconds: float) -> Used:
    pool, replicas = system.pools[name], system.replicas[name]
    there = seconds * replicas * (1 if record.steps else pool.slots)
    utilisation = record.busy_seconds / there if there > 0.0 else None
    return Used(
        pool=name,
        tier=pool.tier,
        replicas=replicas,
        slots=pool.slots,
        utilisation=utilisation,
        predicted=system.outcome.loads.get(name, 0.0),
        served=record.served,
        longest=record.longest,
        rows=record.rows / record.steps if record.steps else None,
        cached=record.cached / record.prompts if record.prompts else None,
    )


def _blame(system: System, records: Sequence[RunRecord]) -> tuple[Blame, ...]:
    """By moment and stage, the largest share first."""
    out: list[Blame] = []
    kinds = dict.fromkeys(kind for record in records for kind in record.parts)
    for kind in kinds:
        of = [record for record in records if kind in record.parts]
        limit = min((p.limit for p in system.problem.promises if p.kind == kind), default=None)
        slow = [record for record in of if limit is not None and record.moments[kind] > limit]
        if not slow:
            ordered = sorted(of, key=lambda record: (record.moments[kind], record.number))
            slow = ordered[-max(1, len(ordered) // 20) :]
        total = fsum(sum(parts) for record in slow for parts in record.parts[kind].values())
        found: list[Blame] = []
        for stage in dict.fromkeys(stage for record in of for stage in record.parts[kind]):
            service, line, transfer = (
                fsum(record.parts[kind].get(stage, _NOTHING)[which] for record in of) / len(of)
                for which in (SERVICE, LINE, TRANSFER)
            )
            slower = fsum(sum(record.parts[kind].get(stage, _NOTHING)) for record in slow)
            share = slower / total if total > 0.0 else 0.0
            pool = system.taken[stage].pool if stage in system.taken else ""
            found.append(Blame(kind, stage, pool, service, line, transfer, share))
        out += sorted(found, key=lambda blame: -blame.share)
    return tuple(out)


_NOTHING = (0.0, 0.0, 0.0)
