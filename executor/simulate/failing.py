"""Faults while a simulation runs: instances go and come back, work is slowed down, links are cut; who is hit is told,
and what it cost is written down.

An instance that is killed is started again as the supervisor of the workers does it. What ran on it, and what held a
cache there, is hit: its run is done again as a whole where nobody could tell (nothing has left it, nothing of it acted
on the world), else its stages there fail as `unreachable`, and the program's own policies decide. Over a link that is
cut nothing is lost as long as the wire waits for it (its `silence`); after that, who waits for it is `unreachable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf

from ...base.problems import Problem as Said
from ..blame import Kind
from ..journal.acting import effects_of
from ..machine import events
from ..wire.settings import Settings as Wire
from ..workers.supervising import REDONE
from .clock import VirtualClock
from .faults import Cut, Faults, Kill, counted, instances
from .lines import Slots
from .models import Models
from .replicas import Replica
from .sending import Sending
from .stages import Execution, SimulatedRun
from .supervised import Restarts
from .system import System

UNREACHABLE = "unreachable"


@dataclass(slots=True)
class Outage:
    """An instance that was away, or a link: `name` says which. `lost` executions were on it; `redone` runs are done
    again for it, and `failed` stages were told so."""

    name: str
    pool: str
    instance: int
    start: float
    end: float
    lost: int = 0
    redone: int = 0
    failed: int = 0


class Failing:
    """`runs` are those that go on. `tell` hears events."""

    def __init__(
        self,
        system: System,
        faults: Faults,
        clock: VirtualClock,
        lines: Mapping[str, Slots],
        models: Models,
        sending: Sending,
        runs: Mapping[int, SimulatedRun],
    ) -> None:
        self._system, self._faults, self._clock = system, faults, clock
        self._lines, self._models, self._sending, self._runs = lines, models, sending, runs
        self._silence = Wire().silence
        self._restarts: dict[str, Restarts] = {}
        self.outages: list[Outage] = []
        self._tiers: dict[str, frozenset[frozenset[str]]] = {}
        for edge, _ in system.crossing.values():
            both = frozenset(system.pools[system.taken[name].pool].tier for name in (edge.source, edge.target))
            self._tiers[edge.target] = self._tiers.get(edge.target, frozenset()) | {both}
        for kill in faults.kills:
            clock.at(kill.at, partial(self._kill, kill))
        self.outages += map(_outage, faults.cuts)
        if faults.slows:
            for time in sorted({time for slow in faults.slows for time in (slow.start, slow.end)}):
                clock.at(time, self._paced)
            self._paced()

    # --- instances ----------------------------------------------------------------------------------------------------

    def _kill(self, kill: Kill) -> None:
        now = self._clock.now
        for number, (pool, place) in enumerate(instances(self._system, kill.tier)):
            if kill.instance not in (None, number) or self._away(pool, place):
                continue
            name = f"{kill.tier}#{number}" if number < counted(self._system, kill.tier) else kill.tier
            restarts = self._restarts.setdefault(name, Restarts())
            down = restarts.ended(now) + self._faults.opening if kill.down is None else kill.down
            outage = Outage(f"{name} down", pool, place, now, now + down)
            self.outages.append(outage)
            self._lose(outage)
            restarts.ready(outage.end)
            self._clock.at(outage.end, partial(self._back, pool, place))

    def _away(self, pool: str, place: int) -> bool:
        now = self._clock.now
        return any(each.pool == pool and each.instance == place and each.end > now for each in self.outages)

    def endpoint_away(self, pool: str) -> bool:
        """Whether who comes to this pool is refused: nobody starts an endpoint again, so nobody waits for it."""
        return not self._system.pools[pool].slots and self._away(pool, 0)

    def _lose(self, outage: Outage) -> None:
        pool, place = outage.pool, outage.instance
        serving = self._models.serving.get(pool)
        replica = serving.replicas[place] if serving is not None else None
        inside = [each for each in self._sending.stages.values() if self._on(each, pool, place, replica)]
        held = [run for run in self._runs.values() if replica is not None and _holds(run, replica)]
        outage.lost = len(inside)
        self._lines[pool].lose(place)
        if serving is not None:
            serving.lose(place)
        hit: dict[int, list[Execution]] = {run.number: [] for run in held}
        for each in inside:
            hit.setdefault(each.run.number, []).append(each)
        for number, stages in hit.items():
            run = self._runs[number]
            if not run.again and run.record.redone < REDONE and redoable(run):
                run.again = outage.name
                run.record.redone += 1
                outage.redone += 1
                self._sending.tell(events.CancelRequested(self._clock.now, number))
            elif not run.again:
                outage.failed += len(stages)
                for each in stages:
                    self.unreachable(each, outage.name)

    def _on(self, execution: Execution, pool: str, place: int, replica: Replica | None) -> bool:
        option = execution.option
        if execution.over or option is None or option.pool != pool:
            return False
        if execution.request is not None:
            return execution.request.replica is not None and execution.request.replica is replica
        if execution.ticket is not None and execution.ticket.started is not None:
            execution.instance = execution.ticket.instance
        return execution.instance == place

    def _back(self, pool: str, place: int) -> None:
        self._lines[pool].open(place)
        if pool in self._models.serving:
            self._models.serving[pool].open(place)

    def unreachable(self, execution: Execution, why: str) -> None:
        """What it needs is not there."""
        if execution.over:
            return
        now = self._clock.now
        execution.over, execution.ended = True, now
        if execution.began is None:
            execution.began = now
        execution.run.record.hit += 1
        self._sending.stages.pop(execution.number, None)
        if execution.ticket is not None and execution.option is not None:
            self._lines[execution.option.pool].leave(execution.ticket)
        words = Said("stage-unreachable", f"{execution.name}: {why}")
        self._sending.tell(events.StageFailed(now, execution.number, UNREACHABLE, words))

    # --- links --------------------------------------------------------------------------------------------------------

    def arrives(self, execution: Execution, seconds: float) -> float:
        """When what is sent to a stage now is there, which takes so many seconds by itself; infinite where the wire
        gives up, which the stage then hears of."""
        now = self._clock.now
        healed = self._healed(execution.name, now, seconds)
        if healed is None:
            return now + seconds
        if healed - now <= self._silence:
            return healed + seconds
        self._clock.at(now + self._silence, partial(self.unreachable, execution, "its link is cut"))
        return inf

    def _healed(self, stage: str, now: float, seconds: float) -> float | None:
        """When all its links are there again; None where they are."""
        tiers = self._tiers.get(stage, frozenset())
        cuts = [cut for cut in self._faults.cuts if _cuts(cut, tiers) and cut.end > now]
        return max((cut.end for cut in cuts if cut.start <= now or cut.start < now + seconds), default=None)

    # --- pace ---------------------------------------------------------------------------------------------------------

    def lasts(self, stage: str, pool: str, now: float, seconds: float) -> float:
        """When something of a stage is over that begins now and takes so many seconds by itself."""
        windows = self._windows(stage, pool)
        left = seconds
        for start, end, factor in windows:
            if end <= now:
                continue
            if now < start:
                if left <= start - now:
                    return now + left
                left -= start - now
                now = start
            if left * factor <= end - now:
                return now + left * factor
            left -= (end - now) / factor
            now = end
        return now + left

    def _windows(self, stage: str, pool: str) -> list[tuple[float, float, float]]:
        """When it is slow, and by what factor: one behind the other."""
        tier = self._system.pools[pool].tier
        mine = [slow for slow in self._faults.slows if slow.what in (stage, tier)]
        times = sorted({time for slow in mine for time in (slow.start, slow.end)})
        out: list[tuple[float, float, float]] = []
        for start, end in pairwise(times):
            factor = 1.0
            for slow in mine:
                if slow.start <= start and end <= slow.end:
                    factor *= slow.factor
            out.append((start, end, factor))
        return out

    def _paced(self) -> None:
        """Something begins or ends to be slow: steps from now on take another time."""
        for name, serving in self._models.serving.items():
            serving.paced(partial(self._factor, name))

    def _factor(self, pool: str, stage: str) -> float:
        now, what = self._clock.now, stage or self._system.pools[pool].tier
        factor = 1.0
        for slow in self._faults.slows:
            if slow.what == what and slow.start <= now < slow.end:
                factor *= slow.factor
        return factor

    # --- blame --------------------------------------------------------------------------------------------------------

    def parts(self, execution: Execution, kind: Kind, start: float, end: float) -> list[tuple[str, float]]:
        """What of a step on a path is a fault's, in seconds."""
        option = execution.option
        if option is None:
            return []
        out: list[tuple[str, float]] = []
        if kind == "line":
            out += _overlap([each for each in self.outages if each.pool == option.pool], start, end)
        elif kind == "transfer":
            tiers = self._tiers.get(execution.name, frozenset())
            cuts = [cut for cut in self._faults.cuts if _cuts(cut, tiers)]
            out += _overlap([_outage(cut) for cut in cuts], start, end)
        elif kind == "service":
            names = " and ".join(
                slow.what
                for slow in self._faults.slows
                if slow.what in (execution.name, self._system.pools[option.pool].tier)
            )
            for begins, ends, factor in self._windows(execution.name, option.pool):
                both = min(end, ends) - max(start, begins)
                if both > 0.0 and factor > 1.0:
                    out.append((f"{names} slow", both * (1.0 - 1.0 / factor)))
        return out

    def first(self) -> float:
        """When the first of them begins."""
        return min((*(slow.start for slow in self._faults.slows), *(each.start for each in self.outages)), default=inf)

    def last(self) -> float:
        """When the last of them is over."""
        return max((*(slow.end for slow in self._faults.slows), *(each.end for each in self.outages)), default=inf)


def redoable(run: SimulatedRun) -> bool:
    """Whether nobody can tell that a run begins again: nothing has left it, and nothing of it acted on the world."""
    return not run.items and not any(effects_of(each.operation) for each in run.stages if each.began is not None)


def _holds(run: SimulatedRun, replica: Replica) -> bool:
    return any(cache.request is not None and cache.request.replica is replica for cache in run.caches)


def _cuts(cut: Cut, tiers: frozenset[frozenset[str]]) -> bool:
    return frozenset((cut.left, cut.right)) in tiers


def _outage(cut: Cut) -> Outage:
    return Outage(f"{cut.left}-{cut.right} cut", "", 0, cut.start, cut.end)


def _overlap(outages: Sequence[Outage], start: float, end: float) -> list[tuple[str, float]]:
    """Seconds between two times in which something was away, each second once, for the one that was away first."""
    out: list[tuple[str, float]] = []
    now = start
    for each in sorted(outages, key=lambda each: (each.start, each.name)):
        both = min(end, each.end) - max(now, each.start)
        if both > 0.0:
            out.append((each.name, both))
            now = max(now, each.end)
    return out
