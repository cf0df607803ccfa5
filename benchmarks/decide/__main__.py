"""How long plans take to be decided: made-up problems of two sizes, by seed, and small ones against looking at all.

python -m benchmarks.decide            # both sizes
python -m benchmarks.decide 5          # with five seeds of each
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from agentlang.planner.search import search
from agentlang.planner.space.problem import Problem

from .instances import instance

SEEDS = 20
LONG = 30.0
SHORT = 10.0


@dataclass(frozen=True)
class Run:
    """`first` are seconds to the first choice that holds, `whole` to the end, `gap` what was left of it after ten
    seconds: how far the best then known was above the bound then known."""

    status: str
    first: float | None
    whole: float
    gap: float

    @property
    def proven(self) -> bool:
        return self.status in ("proven optimal", "infeasible", "only choice")


def measured(problem: Problem, seconds: float = LONG) -> Run:
    heard: list[tuple[float, float, float]] = []
    began = monotonic()
    found = search(problem, seconds=seconds, progress=lambda *each: heard.append(each))
    whole = monotonic() - began
    first = heard[0][0] if heard else whole if found.choices else None
    if whole <= SHORT or not heard:
        return Run(found.status, first, whole, found.gap)
    early = [each for each in heard if each[0] <= SHORT] or heard[:1]
    best, bound = early[-1][1], max(each[2] for each in early)
    return Run(found.status, first, whole, (best - bound) / best)


def shown(title: str, runs: Sequence[Run]) -> None:
    times = sorted(run.whole for run in runs)
    firsts = [run.first for run in runs if run.first is not None]
    print(f"{title}, {len(runs)} seeds")
    print(f"  first choice that holds: {max(firsts, default=0.0):.2f} s at most")
    above = sum(run.gap > 0.03 for run in runs)
    print(f"  gap at {SHORT:.0f} s: {max(run.gap for run in runs):.1%} at most, above 3 % in {above}")
    proven = sum(run.proven for run in runs)
    print(f"  proven in {LONG:.0f} s: {proven}; median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")


def main(arguments: Sequence[str]) -> int:
    seeds = int(arguments[0]) if arguments else SEEDS
    import ortools.sat.python.cp_model as loaded  # its import is not part of a search

    del loaded
    for stages, tiers in ((10, 4), (40, 8)):
        shown(f"{stages} stages, {tiers} tiers", [measured(instance(seed, stages, tiers)) for seed in range(seeds)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
