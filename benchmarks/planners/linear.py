"""The paper's formulation of a problem: shares of stages on options, resources as averages, misses at a price.

It knows means, not percentiles, and a load, not a line of those who wait; devices are paid by the share that is used.
With shares it is a linear programme, whose answer nobody can run: a stage that is one third here does not take the
average of both times. With whole stages its answer is a choice, with as many replicas as carry the load.
"""

# SciPy's annotations know numbers as bounds, not arrays.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from agentlang.planner.space.evaluate import evaluate, transfer
from agentlang.planner.space.nodes import Constant, Latest, Move, Scaled, Sum, Take
from agentlang.planner.space.problem import Option, Pool, Problem

from .shared import Answer, allowed, with_capacity

Row = dict[int, float]
SECONDS = 5.0
"""For whole stages, whose optimum may take long; what is best by then is taken."""


@dataclass
class Program:
    """A linear programme as it grows: objective, bounds, whole numbers and rows by the number of a variable."""

    cost: list[float] = field(default_factory=list[float])
    high: list[float] = field(default_factory=list[float])
    integral: list[int] = field(default_factory=list[int])
    rows: list[tuple[Row, float, float]] = field(default_factory=list[tuple[Row, float, float]])

    def variable(self, cost: float = 0.0, high: float = inf, integral: bool = False) -> int:
        self.cost.append(cost)
        self.high.append(high)
        self.integral.append(int(integral))
        return len(self.cost) - 1

    def row(self, terms: Row, low: float, high: float) -> None:
        self.rows.append((terms, low, high))

    def solved(self) -> tuple[float, list[float]] | None:
        import numpy as np
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        entries = [
            (number, at, factor) for number, (terms, _, _) in enumerate(self.rows) for at, factor in terms.items()
        ]
        where = ([row for row, _, _ in entries], [at for _, at, _ in entries])
        matrix = csr_array(([factor for _, _, factor in entries], where), shape=(len(self.rows), len(self.cost)))
        found = milp(
            np.array(self.cost),
            constraints=LinearConstraint(matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows]),
            integrality=np.array(self.integral),
            bounds=Bounds(np.zeros(len(self.cost)), np.array(self.high)),
            options={"time_limit": SECONDS},
        )
        if found.x is None:
            return None
        return float(found.fun), [float(value) for value in found.x]


def linear(problem: Problem, whole: bool = False) -> Answer:
    """The linear programme's cost; with whole stages, the choice and what it really comes to."""
    name = "the paper's, whole stages" if whole else "the paper's, shares"
    program = Program()
    shares = [
        {
            place: program.variable(_cost(problem, stage.executions, stage.options[place]), 1.0, whole)
            for place in allowed(problem, stage)
        }
        for stage in problem.stages
    ]
    for of in shares:
        program.row(dict.fromkeys(of.values(), 1.0), 1.0, 1.0)
    _together(problem, program, shares)
    _devices(problem, program, shares, whole)
    moved = _moves(problem, program, shares)
    _promises(problem, program, shares, moved)
    found = program.solved()
    if found is None:
        return Answer(name, None, said="there is none")
    value, values = found
    if not whole:
        parted = sum(1 for of in shares if max(values[at] for at in of.values()) < 1 - 1e-6)
        return Answer(name, value, said=f"{parted} of {len(shares)} stages in parts" if parted else "no stage in parts")
    options = tuple(max(of, key=lambda place, of=of: values[of[place]]) for of in shares)
    choice = with_capacity(problem, options)
    if choice is None:
        return Answer(name, value, said="more devices than there are")
    return Answer(name, value, choice, evaluate(problem, choice))


def _cost(problem: Problem, executions: float, option: Option) -> float:
    """Dollars of an option beside devices with a rate; without one, of the time that it keeps its part of them."""
    if problem.rate is not None:
        return executions * option.dollars
    pool = problem.pool(option.pool)
    paid = problem.tier(pool.tier).dollars.value * pool.devices / max(1, pool.slots)
    return executions * (option.dollars + option.mean_busy * paid)


def _together(problem: Problem, program: Program, shares: list[dict[int, int]]) -> None:
    number = {stage.name: place for place, stage in enumerate(problem.stages)}
    for stage, of in zip(problem.stages, shares, strict=True):
        for place, at in of.items():
            for other in stage.options[place].together:
                there = problem.stages[number[other]]
                same = [
                    a for p, a in shares[number[other]].items() if there.options[p].pool == stage.options[place].pool
                ]
                program.row({at: 1.0} | dict.fromkeys(same, -1.0), -inf, 0.0)


def _devices(problem: Problem, program: Program, shares: list[dict[int, int]], whole: bool) -> None:
    """Devices of each tier, no fewer than the load keeps busy (its own pools, or those of its hosts), paid around the
    clock."""
    if problem.rate is None:
        return
    for tier in problem.tiers:
        if tier.endpoint:
            continue
        paid = program.variable(tier.dollars.value / problem.rate, tier.high)
        program.row({paid: 1.0}, tier.low, tier.high)
        for host in (False, True):
            taken: Row = {paid: -1.0}
            for pool in problem.pools:
                if pool.tier != tier.name or pool.host is not host or not pool.slots:
                    continue
                replicas = program.variable(high=tier.high // pool.devices, integral=whole)
                taken[replicas] = float(pool.devices)
                _load(problem, program, shares, pool, replicas, whole)
            program.row(taken, -inf, 0.0)


def _load(
    problem: Problem, program: Program, shares: list[dict[int, int]], pool: Pool, replicas: int, whole: bool
) -> None:
    """Slots of a pool are as many as are busy."""
    load: Row = {replicas: -float(pool.slots)}
    for stage, of in zip(problem.stages, shares, strict=True):
        for place, at in of.items():
            option = stage.options[place]
            if option.pool == pool.name:
                load[at] = (problem.rate or 0.0) * stage.executions * option.mean_busy
                if whole:
                    # A replica has to be there, however little it does.
                    program.row({at: 1.0, replicas: -1.0}, -inf, 0.0)
    program.row(load, -inf, 0.0)


def _moves(problem: Problem, program: Program, shares: list[dict[int, int]]) -> list[Row]:
    """For each edge, seconds of a transfer as a row: shares of pairs of tiers, which agree with those of both ends."""
    tier_of = {pool.name: pool.tier for pool in problem.pools}
    number = {stage.name: place for place, stage in enumerate(problem.stages)}
    found: list[Row] = []
    for edge in problem.edges:
        seconds: Row = {}
        ends: list[dict[str, Row]] = []
        for name in (edge.source, edge.target):
            by_tier: dict[str, Row] = {}
            for place, at in shares[number[name]].items():
                by_tier.setdefault(tier_of[problem.stages[number[name]].options[place].pool], {})[at] = -1.0
            ends.append(by_tier)
        for left in ends[0]:
            for right in ends[1]:
                # Within a tier nothing is counted: at most this makes a programme too hopeful.
                link = problem.link(left, right) if left != right else None
                if left != right and link is None:
                    continue
                at = program.variable(edge.bytes * edge.moves * link.dollars if link else 0.0, 1.0)
                ends[0][left][at] = ends[1][right][at] = 1.0
                if link:
                    seconds[at] = transfer(edge, link)
        for by_tier in ends:
            for row in by_tier.values():
                program.row(row, 0.0, 0.0)
        found.append(seconds)
    return found


def _promises(problem: Problem, program: Program, shares: list[dict[int, int]], moved: list[Row]) -> None:
    number = {stage.name: place for place, stage in enumerate(problem.stages)}
    rows: list[tuple[Row, float]] = []
    for node in problem.nodes:
        row: Row = {}
        constant = 0.0
        match node:
            case Constant(seconds):
                constant = seconds
            case Take(stage, times, first):
                for place, at in shares[number[stage]].items():
                    option = problem.stages[number[stage]].options[place]
                    row[at] = times * (option.first if first else option.seconds)
            case Move(edge, times):
                row = {at: times * seconds for at, seconds in moved[edge].items()}
            case Sum(parts):
                for part in parts:
                    constant += rows[part][1]
                    for at, factor in rows[part][0].items():
                        row[at] = row.get(at, 0.0) + factor
            case Latest(parts):
                latest = program.variable()
                for part in parts:
                    program.row(rows[part][0] | {latest: -1.0}, -inf, -rows[part][1])
                row = {latest: 1.0}
            case Scaled(part, factor):
                constant = rows[part][1] * factor
                row = {at: factor * value for at, value in rows[part][0].items()}
        rows.append((row, constant))
    dollars = {at: cost for at, cost in enumerate(program.cost) if cost}
    joules: Row = {}
    for stage, of in zip(problem.stages, shares, strict=True):
        for place, at in of.items():
            joules[at] = stage.executions * stage.options[place].joules
    for promise in problem.promises:
        match promise.kind:
            case "rate":
                continue
            case "cost":
                row, constant = dollars, 0.0
            case "energy":
                row, constant = joules, 0.0
            case kind:
                row, constant = rows[problem.moment(kind)]
        late: Row = {} if promise.soft is None else {program.variable(promise.soft): -1.0}
        program.row(row | late, -inf, promise.limit - constant)
    if problem.objective == "cheapest":
        return
    # Other goals: what was dollars counts nothing, the moment or the energy counts instead; misses keep their price.
    for at in dollars:
        program.cost[at] = 0.0
    for at, factor in (rows[problem.moment("finish")][0] if problem.objective == "fastest" else joules).items():
        program.cost[at] += factor
