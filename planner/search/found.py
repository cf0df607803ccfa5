"""What a search says: the best choices, how sure it is of them, and how much it looked at."""

from __future__ import annotations

from dataclasses import dataclass

from ..space.evaluate import Outcome
from ..space.problem import Choice

ONLY = "only choice"
OPTIMAL = "proven optimal"
GAP = "gap"
FEASIBLE = "feasible"
INFEASIBLE = "infeasible"
FRONTIER = "on the frontier"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simpler way to choose: its objective, or None and why it has none (`misses ...`), in words."""

    name: str
    objective: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """`choices` differ in what takes devices (`Reading.face`), best first, each with the replicas that make it best,
    and their `outcomes` are what `evaluate` says of them: all hold. Empty where nothing was found.

    `status` is of the first choice: the only one there is (`only choice`), none is better (`proven optimal`), none is
    better by more than the part `gap` of its objective (`gap`), it was the first that holds, of a search for no more
    (`feasible`), or it weighs cost, latency and energy in another way (`on the frontier`); there is none
    (`infeasible`), or the time was over before that was known (`unknown`). `bound` is proven: no choice has a smaller
    objective. `considered` counts the choices that were looked at (of the solver, its branches). `baselines` are what
    simpler ways to choose come to; empty until asked for (`baselines`)."""

    choices: tuple[Choice, ...]
    outcomes: tuple[Outcome, ...]
    status: str
    gap: float = 0.0
    bound: float = 0.0
    considered: int = 0
    baselines: tuple[Baseline, ...] = ()
