"""What a plan comes to under load: runs on a virtual clock, in the pools of a choice.

A search reckons with bounds (`planner.space.evaluate`); here runs arrive, wait in line and are served, one event after
another, and percentiles are counted. Pure: no I/O, no clock of the world, equal seeds give equal results.

    simulate(System(problem, choice), poisson(rate, runs, seed), seed)
"""

from .arrivals import Arrival, Arrivals, Closed, bursts, days, poisson
from .faults import Cut, Faults, Kill, Slow
from .result import Blame, Kept, Simulation, Spread, Used
from .scaled import Follow
from .simulating import WARM, Confirmed, confirm, simulate
from .system import System

__all__ = [
    "WARM",
    "Arrival",
    "Arrivals",
    "Blame",
    "Closed",
    "Confirmed",
    "Cut",
    "Faults",
    "Follow",
    "Kept",
    "Kill",
    "Simulation",
    "Slow",
    "Spread",
    "System",
    "Used",
    "bursts",
    "confirm",
    "days",
    "poisson",
    "simulate",
]
