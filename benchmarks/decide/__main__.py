"""How long plans take to be decided: made-up problems of two sizes, by seed, and small ones against looking at all.

python -m benchmarks.decide            # both sizes
python -m benchmarks.decide 5          # with five seeds of each

Seconds are those of a clock and, beside them, of the processor: the search takes one core, and on a machine that others
use it gets a part of it. The gap after ten seconds is given by both.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, process_time

from agentlang.planner.search import search
from agentlang.planner.space.problem import Problem

from .instances import instance

SEEDS = 20
LONG = 30.0
SHORT = 10.0


@dataclass(frozen=True)
class Run:
    """`first` are seconds to the first choice that holds, `whole` to the end, `gap` what was left of it after ten
    seconds: how far the best then known was above the bound then known. `busy` and `busy_gap` are the same by the
    seconds of the processor."""

    status: str
    first: float | None
    whole: float
    gap: float
    busy: float
    busy_gap: float

    @property
    def proven(self) -> bool:
        return self.status in ("proven optimal", "infeasible", "only choice")


def measured(problem: Problem, seconds: float = LONG) -> Run:
    heard: list[tuple[float, float, float, float]] = []
    began, began_busy = monotonic(), process_time()

    def hear(at: float, best: float, bound: float) -> None:
        heard.append((at, process_time() - began_busy, best, bound))

    found = search(problem, seconds=seconds, progress=hear)
    whole, busy = monotonic() - began, process_time() - began_busy
    first = heard[0][0] if heard else whole if found.choices else None

    def gap(clock: int, ended: float) -> float:
        """What was left after ten seconds of the first or the second clock."""
        if ended <= SHORT or not heard:
            return found.gap
        early = [each for each in heard if each[clock] <= SHORT] or heard[:1]
        best, bound = early[-1][2], max(each[3] for each in early)
        return (best - bound) / best

    return Run(found.status, first, whole, gap(0, whole), busy, gap(1, busy))


def shown(title: str, runs: Sequence[Run]) -> None:
    times = sorted(run.whole for run in runs)
    firsts = [run.first for run in runs if run.first is not None]
    print(f"{title}, {len(runs)} seeds")
    print(f"  first choice that holds: {max(firsts, default=0.0):.2f} s at most")
    for clock, gaps in (("clock", [run.gap for run in runs]), ("processor", [run.busy_gap for run in runs])):
        above = sum(gap > 0.03 for gap in gaps)
        print(f"  gap at {SHORT:.0f} s of the {clock}: {max(gaps):.1%} at most, above 3 % in {above}")
    proven = sum(run.proven for run in runs)
    busy = sorted(run.busy for run in runs)
    print(f"  proven in {LONG:.0f} s: {proven}; median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")
    print(f"  of the processor: median {busy[len(busy) // 2]:.2f} s, longest {busy[-1]:.2f} s")


def main(arguments: Sequence[str]) -> int:
    seeds = int(arguments[0]) if arguments else SEEDS
    import ortools.sat.python.cp_model as loaded  # its import is not part of a search

    del loaded
    for stages, tiers in ((10, 4), (40, 8)):
        shown(f"{stages} stages, {tiers} tiers", [measured(instance(seed, stages, tiers)) for seed in range(seeds)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
