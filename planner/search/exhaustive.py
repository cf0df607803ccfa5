"""Looks at every combination of options: exact, and for few combinations faster than loading a solver.

Each combination is read once, its best number of replicas found, and those that are better than the best known ones
are asked of `evaluate`, which has the last word.
"""

from __future__ import annotations

from bisect import insort
from itertools import product
from math import inf

from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice
from .found import FEASIBLE, INFEASIBLE, ONLY, OPTIMAL, Found
from .reading import Reading
from .replicas import best

MOST = 2_000
"""Combinations that are tried before a solver is loaded, which takes as long as these do."""


def combinations(reading: Reading) -> int:
    """How many combinations of options are not forbidden one by one."""
    found = 1
    for allowed in reading.allowed:
        found *= len(allowed)
    return found


def enumerated(reading: Reading, *, top: int = 1, first: bool = False) -> Found | None:
    """The best `top` combinations, or the first one that holds. None where the replicas of some combination are too
    many to try: that is for a solver."""
    kept: list[tuple[float, float, int]] = []
    choices: dict[int, tuple[Choice, Outcome]] = {}
    for number, options in enumerate(product(*reading.allowed)):
        fixed = reading.fixed(options)
        if fixed is None:
            continue
        below = kept[-1][:2] if len(kept) >= top else (inf, inf)
        replicas = best(reading, fixed, below)
        if not replicas.exact:
            return None
        if replicas.choice is None:
            continue
        outcome = evaluate(reading.problem, replicas.choice, reading.dropped)
        if not outcome.holds:
            continue
        rank = (outcome.objective, outcome.dollars, number)
        face = reading.face(options)
        alike = next((each for each in kept if reading.face(choices[each[2]][0].options) == face), None)
        if alike is not None:
            if alike <= rank:
                continue
            kept.remove(alike)
            del choices[alike[2]]
        insort(kept, rank)
        choices[number] = (replicas.choice, outcome)
        for _, _, dropped in kept[top:]:
            del choices[dropped]
        del kept[top:]
        if first:
            break
    total = combinations(reading)
    if not kept:
        return Found((), (), INFEASIBLE, bound=inf, considered=total)
    ordered = [choices[number] for _, _, number in kept]
    single = all(len(stage.options) == 1 for stage in reading.problem.stages)
    return Found(
        choices=tuple(choice for choice, _ in ordered),
        outcomes=tuple(outcome for _, outcome in ordered),
        status=ONLY if single else FEASIBLE if first else OPTIMAL,
        bound=ordered[0][1].objective,
        considered=total,
    )
