"""The plan: which stage runs where and how, what is promised of it, and the arithmetic of every promise.

Frozen, hashable, printable, and the same after a trip through JSON. The type is that of a plan for many tiers, links,
parallel degrees and goals, although one tier is all that is searched so far: what grows later is the search, not what
others read. Every number is in base units (seconds, bytes, dollars, joules, operations) unless its field says else.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codec import decode, digest, encode
from .figures import Basis, Figure, Prediction

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """SHA-256 (hex) of all that the plan was derived from; empty where there was none. Equal inputs, equal plan."""

    program: str
    graph: str
    goal: str = ""
    fleet: str = ""
    workload: str = ""
    hardware: str = ""
    calibration: str = ""


@dataclass(frozen=True, slots=True)
class TierPlan:
    """A tier of the fleet and how much of it is used.

    `count` are the inclusive bounds of the fleet, `instances` the whole machines taken. `here` says that the tier is
    the machine that made the plan. `rates` are the figures used, by name. `price` is dollars an hour of one instance
    under `convention` (`annuity`, `capex`, `rent`, `paper`, `given`). `memory` is of one instance: used and there.
    """

    name: str
    device: str
    title: str
    here: bool
    count: tuple[int, int]
    instances: int
    rates: tuple[tuple[str, Figure], ...]
    price: Figure
    convention: str
    memory: Prediction
    capacity: Figure
    utilisation: float


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link between two tiers and the bytes a run moves over it."""

    left: str
    right: str
    bandwidth: Figure
    latency: Figure
    bytes_per_run: float


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of the graph on its tier.

    `id` is the operation's in the graph; `executions` how often a run executes it; `time` the prediction of one
    execution. `budget` is the stage's share of the goal's finish (of its percentile), seconds per run, or None.
    `place` is `path:line:column` of the source.
    """

    id: str
    operation: str
    entry: str
    model: str
    tier: str
    engine: str
    tensor_parallel: int
    pipeline_parallel: int
    batch: int
    instances: int
    executions: float
    time: Prediction
    budget: float | None
    dollars_per_run: float
    place: str


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """A stream between two stages: its bound in items, what happens when it is full, and its link, if it crosses
    one."""

    source: str
    target: str
    items: int
    overflow: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Workload:
    """What one run brings and how often runs arrive. `rate` is runs a second, None where nothing is promised of it."""

    rate: Figure | None
    sizes: tuple[tuple[str, Figure], ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """How a percentile of a goal's term follows from the median: `factor`, with its basis and the reason in words."""

    term: str
    percentile: float
    factor: float
    basis: Basis
    reason: str


@dataclass(frozen=True, slots=True)
class GoalPlan:
    """A term of the goal beside its prediction. `predicted` is None where there is no bound (an overloaded tier); for
    `rate` it is the most that is carried."""

    term: str
    percentile: float | None
    limit: float
    unit: str
    predicted: Prediction | None
    met: bool
    soft: float | None
    place: str


@dataclass(frozen=True, slots=True)
class CostPlan:
    """Dollars: of one run (a sum of terms), of 1000 runs, and the arithmetic in words."""

    per_run: Prediction
    per_1000_runs: float
    convention: str
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Inequality:
    """One line of the certificate: `left <= right`, with the terms of the left side. It can be derived again from the
    hashed inputs; `holds` is what was found. `left` is None where it has no bound."""

    name: str
    left: float | None
    right: float
    unit: str
    holds: bool
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """How good the plan is known to be: `status` (`only choice`, `proven optimal`, `gap`), the relative gap, and the
    dollars per 1000 runs of plainer plans beside it."""

    status: str
    gap: float
    considered: int
    baselines: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module. `predictions` are medians of one run on an idle machine, the numbers that a single run can be
    held against; `goals` add the tail and the waiting at the goal's rate. `load` is paid once, before the first run."""

    format: int
    pipeline: str
    inputs: Inputs
    fleet: str
    objective: str
    tiers: tuple[TierPlan, ...]
    links: tuple[LinkPlan, ...]
    stages: tuple[StagePlan, ...]
    channels: tuple[ChannelPlan, ...]
    workload: Workload
    predictions: tuple[Prediction, ...]
    load: Prediction
    tails: tuple[Tail, ...]
    goals: tuple[GoalPlan, ...]
    cost: CostPlan
    energy: Prediction
    certificate: tuple[Inequality, ...]
    search: Search
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the plan's JSON, in hex."""
        return digest(self)

    @property
    def feasible(self) -> bool:
        """Whether every inequality holds. (A soft term that is missed is none.)"""
        return all(line.holds for line in self.certificate)

    @property
    def runs_here(self) -> bool:
        """Whether every tier with a stage is this machine."""
        return all(tier.here for tier in self.tiers if tier.instances)

    def prediction(self, name: str) -> Prediction | None:
        """`first_token`, `first_item`, `token_gap` or `finish`; None where the pipeline has no such moment."""
        return next((p for p in self.predictions if p.name == name), None)

    def stage(self, name: str) -> StagePlan:
        """The stage of that id. KeyError if there is none."""
        for stage in self.stages:
            if stage.id == name:
                return stage
        raise KeyError(name)

    def __str__(self) -> str:
        from .report import plan_text

        return plan_text(self)


def to_json(plan: Plan, *, indent: int = 2) -> str:
    """The plan as one JSON document."""
    return encode(plan, indent=indent).decode()


def from_json(text: str | bytes) -> Plan:
    """The inverse of `to_json`. Raises `codec.DecodeError` for anything that is not a plan of this format."""
    from .codec import DecodeError

    plan = decode(text.encode() if isinstance(text, str) else text, Plan)
    if plan.format != FORMAT:
        raise DecodeError(f"the plan has format {plan.format}, this version reads {FORMAT}")
    return plan
