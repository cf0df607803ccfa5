"""The simulation itself: arrivals into runs, runs through pools, records into figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from ...planner.space.problem import Choice, Problem
from .aftermath import aftermath
from .arrivals import Arrival, Arrivals, Closed, poisson
from .clock import VirtualClock
from .course import Courses
from .faults import Faults, unknown
from .machine_runs import MachineRuns
from .program import Program
from .records import RunRecord
from .result import Kept, Simulation, summed_up
from .scaled import Follow
from .system import System

WARM = 0.1
"""The part of the runs that come while the fleet fills up, and are not counted, where arrivals are made."""


def simulate(
    system: System,
    arrivals: Arrivals,
    seed: int = 0,
    *,
    program: Program | None = None,
    warm: float = 0.0,
    bulk: bool = True,
    faults: Faults | None = None,
    factors: Mapping[str, float] | None = None,
    follow: Follow | None = None,
) -> Simulation:
    """Let these runs come. With the program, its graph is walked by the executor's machine; without it, the problem's
    expressions say what comes after what. The first part of the runs, `warm`, is simulated and not counted. Without
    `bulk`, alike steps of a model are taken one by one, which gives the same and takes longer. `faults` go wrong on the
    way; they need the program, and so does `follow`, with which instances come and go with the load. `factors` are
    known errors of stages, instead of those that are drawn. ValueError without arrivals, and for faults of what the
    plan does not have."""
    clock = VirtualClock()
    errors = dict(system.drawn_errors(seed))
    errors.update((name, factor) for name, factor in (factors or {}).items() if name in errors)
    records: list[RunRecord] = []
    runs = arrivals.runs if isinstance(arrivals, Closed) else len(arrivals)
    own = arrivals.sizes if isinstance(arrivals, Closed) else dict[str, float]()
    if not runs:
        raise ValueError("a simulation needs a run")
    waiting: list[int] = []
    """Runs of a closed loop that have not come, the next one last."""

    def over(record: RunRecord) -> None:
        records.append(record)
        if waiting:
            clock.at(clock.now, partial(walk.arrive, waiting.pop(), Arrival(0.0, own)))

    walk: Courses | MachineRuns
    if (faults or follow) and program is None:
        raise ValueError("faults and instances that follow the load need the program")
    for fault in (*faults.kills, *faults.slows, *faults.cuts) if faults else ():
        if (wrong := unknown(system, fault)) is not None:
            raise ValueError(wrong)
    if program is None:
        walk = Courses(system, clock, errors, seed, over)
    else:
        walk = MachineRuns(
            system, program, clock, errors, seed, over, bulk, faults, follow, lambda: runs - len(records)
        )
    if isinstance(arrivals, Closed):
        at_once = min(runs, arrivals.concurrency)
        waiting += range(at_once, runs)
        waiting.reverse()
        for number in range(at_once):
            clock.at(0.0, partial(walk.arrive, number, Arrival(0.0, own)))
    else:
        for number, arrival in enumerate(arrivals):
            clock.at(arrival.at, partial(walk.arrive, number, arrival))
    clock.run()
    records.sort(key=lambda record: record.number)
    notes = walk.notes() if isinstance(walk, MachineRuns) else ()
    pools = walk.pool_records()
    cold = int(runs * warm)
    found = summed_up(system, records, pools, warm=cold, seed=seed, errors=errors, notes=notes)
    if isinstance(walk, MachineRuns) and walk.following is not None:
        beside = sum(record.dollars for record in records)
        found = replace(found, dollars=(walk.following.dollars() + beside) / runs, grown=walk.following.grown())
    if isinstance(walk, MachineRuns) and walk.failing is not None:
        counted = [record for record in records if record.number >= cold]
        found = replace(found, aftermath=aftermath(walk.failing, system.problem.promises, counted))
    return found


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Whether a choice keeps its promises when it is simulated: `failed` are those that it does not, with what was
    reached."""

    failed: tuple[Kept, ...]
    simulation: Simulation

    @property
    def holds(self) -> bool:
        return not self.failed


def confirm(
    problem: Problem, choice: Choice, runs: int = 2000, seed: int = 0, program: Program | None = None
) -> Confirmed:
    """Simulate a choice at the problem's rate, its predictions taken as they are. Without a rate runs come one after
    another. Soft promises and what is not of time (cost, energy) are not held against it: no queue changes them."""
    system = System(problem, choice, error=0.0)
    if problem.rate is None:
        simulation = simulate(system, Closed(1, runs), seed, program=program)
    else:
        simulation = simulate(system, poisson(problem.rate, runs, seed), seed, program=program, warm=WARM)
    hard = {promise.name for promise in problem.promises if promise.soft is None}
    beside = ("cost", "energy")
    failed = tuple(k for k in simulation.promises if not k.holds and k.name in hard and k.kind not in beside)
    return Confirmed(failed, simulation)
