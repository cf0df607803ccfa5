"""The paper's optimisation as it stands in the paper: tasks on classes of hardware, one cost, slack with its price.

    min  sum x_ij cost_ij + price * sum s_i
    s.t. sum_j x_ij = 1,   t_i = sum_j x_ij t_ij,   t_i - s_i <= promise,   sum_i x_ij demand_ij <= capacity_j

A transfer depends on both of its ends, which the paper's d_ij has no index for: here each edge has a share for each
pair of classes. The paper writes its promise for each task, and its example adds tasks up; both readings are here.
SciPy's HiGHS solves it, with whole tasks or, as a linear programme, with shares of tasks.
"""

# SciPy's annotations know numbers as bounds, not arrays.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import inf, isfinite


@dataclass(frozen=True, slots=True)
class Formulation:
    """`seconds` and `dollars` of a task on a class; `moves` of an edge (source, target) between two classes, seconds
    and dollars, nothing where it is not listed; `promise` in seconds, of the sum of all tasks or of `each`. `price`
    is dollars for a second too many (infinite: none is allowed). `demand` of a task on a class, by resource, and the
    `capacity` of a class."""

    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    seconds: Mapping[tuple[str, str], float]
    dollars: Mapping[tuple[str, str], float]
    edges: tuple[tuple[str, str], ...]
    moves: Mapping[tuple[tuple[str, str], str, str], tuple[float, float]]
    promise: float
    price: float = inf
    each: bool = False
    demand: Mapping[tuple[str, str, str], float] = field(default_factory=dict[tuple[str, str, str], float])
    capacity: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])


@dataclass(frozen=True, slots=True)
class Solved:
    """`shares` of tasks on classes, only those that are not nothing. `dollars` without the slack's price, `seconds` of
    all tasks and transfers (an average, where tasks are shared out), `slack` in seconds."""

    shares: Mapping[tuple[str, str], float]
    dollars: float
    seconds: float
    slack: float
    objective: float

    @property
    def whole(self) -> bool:
        return all(share > 1 - 1e-6 for share in self.shares.values())


def placed(given: Formulation, where: Mapping[str, str]) -> Solved:
    """What a placement of whole tasks comes to. Its objective is infinite where it breaks what may not be broken."""
    times = {task: given.seconds[task, on] for task, on in where.items()}
    dollars = sum(given.dollars[task, on] for task, on in where.items())
    for edge in given.edges:
        seconds, paid = given.moves.get((edge, where[edge[0]], where[edge[1]]), (0.0, 0.0))
        # A value that arrives late delays the task that reads it.
        times[edge[1]] += seconds
        dollars += paid
    total = sum(times.values())
    late = [max(0.0, time - given.promise) for time in (times.values() if given.each else (total,))]
    slack = sum(late)
    fits = all(
        sum(given.demand.get((task, on, resource), 0.0) for task, on in where.items() if on == on_class)
        <= capacity + 1e-12
        for (on_class, resource), capacity in given.capacity.items()
    )
    penalty = given.price * slack if slack > 1e-12 else 0.0
    return Solved(dict.fromkeys(where.items(), 1.0), dollars, total, slack, dollars + penalty if fits else inf)


def enumerated(given: Formulation) -> Solved | None:
    """The best of all placements of whole tasks."""
    found = (
        placed(given, dict(zip(given.tasks, on, strict=True))) for on in product(given.classes, repeat=len(given.tasks))
    )
    best = min(found, key=lambda solved: (solved.objective, solved.seconds))
    return best if isfinite(best.objective) else None


def solved(given: Formulation, whole: bool = True) -> Solved | None:
    """The optimum, with whole tasks or with shares of them; None where there is none."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    x = {pair: number for number, pair in enumerate(product(given.tasks, given.classes))}
    pairs = list(product(given.edges, given.classes, given.classes))
    y = {pair: len(x) + number for number, pair in enumerate(pairs)}
    late = given.tasks if given.each else ("all",)
    s = {task: len(x) + len(y) + number for number, task in enumerate(late)}
    count = len(x) + len(y) + len(s)
    rows: list[tuple[dict[int, float], float, float]] = [
        ({x[task, on]: 1.0 for on in given.classes}, 1.0, 1.0) for task in given.tasks
    ]
    for edge in given.edges:
        # The shares of an edge are those of its ends: the tightest linear form there is.
        for on in given.classes:
            leaving = {y[edge, on, other]: 1.0 for other in given.classes} | {x[edge[0], on]: -1.0}
            entering = {y[edge, other, on]: 1.0 for other in given.classes} | {x[edge[1], on]: -1.0}
            rows += [(leaving, 0.0, 0.0), (entering, 0.0, 0.0)]
    times: dict[str, dict[int, float]] = {task: {} for task in late}
    for (task, on), number in x.items():
        times[task if given.each else "all"][number] = given.seconds[task, on]
    for (edge, a, b), number in y.items():
        times[edge[1] if given.each else "all"][number] = given.moves.get((edge, a, b), (0.0, 0.0))[0]
    rows += [(terms | {s[task]: -1.0}, -inf, given.promise) for task, terms in times.items()]
    for (on, resource), capacity in given.capacity.items():
        rows.append(({x[t, on]: given.demand.get((t, on, resource), 0.0) for t in given.tasks}, -inf, capacity))
    cost, paid = np.zeros(count), np.zeros(count)
    for pair, number in x.items():
        paid[number] = given.dollars[pair]
    for key, number in y.items():
        paid[number] = given.moves.get(key, (0.0, 0.0))[1]
    cost += paid
    for number in s.values():
        cost[number] = given.price if isfinite(given.price) else 0.0
    matrix = np.zeros((len(rows), count))
    for row, (terms, _, _) in enumerate(rows):
        for number, factor in terms.items():
            matrix[row, number] = factor
    high = np.ones(count)
    high[len(x) + len(y) :] = np.inf if isfinite(given.price) else 0.0
    integral = np.zeros(count)
    integral[: len(x)] = 1 if whole else 0
    found = milp(
        cost,
        constraints=LinearConstraint(matrix, [low for _, low, _ in rows], [most for _, _, most in rows]),
        integrality=integral,
        bounds=Bounds(np.zeros(count), high),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        return None
    values = [float(value) for value in found.x]
    spent = sum(factor * values[number] for terms in times.values() for number, factor in terms.items())
    return Solved(
        {pair: round(values[number], 9) for pair, number in x.items() if values[number] > 1e-6},
        float(paid @ found.x),
        spent,
        sum(values[number] for number in s.values()),
        float(cost @ found.x),
    )
