"""The simulation itself: arrivals into runs, runs through pools, records into figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...planner.space.problem import Choice, Problem
from .arrivals import Arrival, Arrivals, Closed, poisson
from .clock import VirtualClock
from .course import Courses
from .records import RunRecord
from .result import Kept, Simulation, summed_up
from .system import System

WARM = 0.1
"""The part of the runs that come while the fleet fills up, and are not counted, where arrivals are made."""


def simulate(system: System, arrivals: Arrivals, seed: int = 0, *, warm: float = 0.0) -> Simulation:
    """Let these runs come. The first part of them, `warm`, is simulated and not counted. ValueError without
    arrivals."""
    clock = VirtualClock()
    errors = system.drawn_errors(seed)
    records: list[RunRecord] = []
    waiting: list[Arrival] = []

    def over(record: RunRecord) -> None:
        records.append(record)
        if waiting:
            walk.arrive(len(records) + len(waiting), waiting.pop())

    walk = Courses(system, clock, errors, seed, over)
    if isinstance(arrivals, Closed):
        runs = arrivals.runs
        waiting += [Arrival(0.0, arrivals.sizes)] * runs
        for number in range(min(runs, arrivals.concurrency)):
            clock.at(0.0, partial(walk.arrive, number, waiting.pop()))
    else:
        runs = len(arrivals)
        if not runs:
            raise ValueError("a simulation needs a run")
        for number, arrival in enumerate(arrivals):
            clock.at(arrival.at, partial(walk.arrive, number, arrival))
    clock.run()
    records.sort(key=lambda record: record.number)
    return summed_up(system, records, walk.pool_records(), warm=int(runs * warm), seed=seed, errors=errors)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Whether a choice keeps its promises when it is simulated: `failed` are those that it does not, with what was
    reached."""

    failed: tuple[Kept, ...]
    simulation: Simulation

    @property
    def holds(self) -> bool:
        return not self.failed


def confirm(problem: Problem, choice: Choice, runs: int = 2000, seed: int = 0) -> Confirmed:
    """Simulate a choice at the problem's rate, its predictions taken as they are. Without a rate runs come one after
    another. Soft promises and what is not of time (cost, energy) are not held against it: no queue changes them."""
    system = System(problem, choice, error=0.0)
    if problem.rate is None:
        simulation = simulate(system, Closed(1, runs), seed)
    else:
        simulation = simulate(system, poisson(problem.rate, runs, seed), seed, warm=WARM)
    hard = {promise.name for promise in problem.promises if promise.soft is None}
    beside = ("cost", "energy")
    failed = tuple(k for k in simulation.promises if not k.holds and k.name in hard and k.kind not in beside)
    return Confirmed(failed, simulation)
