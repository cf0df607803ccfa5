"""The plan: which stage runs where and how, what is promised of it, and the arithmetic of every promise.

Frozen, printable, and the same after a trip through JSON. It carries what it was made from beside the program and the
catalogue, so that anybody can derive it again elsewhere. Every number is in base units (seconds, bytes, dollars,
joules, operations) unless its field says else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..base.store import sha256_bytes
from .calibrate import Calibration
from .codec import decode, digest, encode
from .figures import Basis, Figure, Prediction
from .hardware import Machine
from .options import Options

FORMAT = 2


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
    catalogue: str = ""
    options: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a plan was made from beside the program's text and the catalogue. `fleet` is the program's, by its name;
    None is this machine. `file` is what the program was called, as in the places of the plan."""

    machine: Machine
    calibration: Calibration
    options: Options
    fleet: str | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class TierPlan:
    """A tier of the fleet and how much of it is used.

    `count` are the inclusive bounds of the fleet, `devices` how many are paid for, `used` how many work. `here` says
    that the tier is the machine that made the plan. An `endpoint` has no devices. `rates` are the figures used, by
    name. `price` is dollars an hour of one device under `convention` (`annuity`, `capex`, `rent`, `paper`, `given`).
    `utilisation` is the part of its devices' time that is taken at the goal's rate.
    """

    name: str
    device: str
    title: str
    here: bool
    endpoint: bool
    count: tuple[int, int]
    devices: int
    used: int
    rates: tuple[tuple[str, Figure], ...]
    price: Figure
    convention: str
    region: str
    utilisation: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds that a percentile of runs waits in the line of a pool, of all that a run does there; None where the line
    grows without end."""

    percentile: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Equal replicas of so many devices of a tier, each serving `slots` executions at once (0: as many as come).

    `tensor` x `pipeline` devices share one model. `service` is how long one run keeps a slot, in all (a mean); `load`
    the part of its slots' time that is taken at the goal's rate. `memory` is what a replica holds, `capacity` what it
    has.
    """

    name: str
    tier: str
    devices: int
    slots: int
    tensor: int
    pipeline: int
    replicas: int
    service: float
    load: float
    waits: tuple[Wait, ...]
    memory: Prediction
    capacity: Figure


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link between two tiers, or within one, and what passes it. `pairs` are the pairs of devices that share it,
    `utilisation` the part of their bandwidth that is taken at the goal's rate, `dollars` the price of a byte."""

    left: str
    right: str
    bandwidth: Figure
    latency: Figure
    dollars: float
    bytes_per_run: float
    pairs: int
    utilisation: float


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of the graph in its pool.

    `id` is the operation's in the graph; `option` the number of the way that was chosen for it; `executions` how often
    a run executes it. `time` is the prediction of one execution, of which `first` seconds pass before its first item
    and `busy` seconds keep a slot of its pool. `dtype` is what its weights are stored in. `budget` is its share of the
    goal's finish (of the first token, where no finish is promised), seconds per run, or None. `instances` are the
    replicas of its pool and `batch` their slots. `place` is `path:line:column` of the source.
    """

    id: str
    operation: str
    entry: str
    model: str
    option: int
    pool: str
    tier: str
    engine: str
    dtype: str
    tensor_parallel: int
    pipeline_parallel: int
    batch: int
    instances: int
    executions: float
    time: Prediction
    first: float
    busy: float
    budget: float | None
    dollars_per_run: float
    joules_per_run: float
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
    """What one run brings and how often runs arrive. `rate` is runs a second, None where nothing is promised of it.
    `trace` is what a trace says beside the mean sizes: its rates, the sizes at the percentiles that are promised."""

    rate: Figure | None
    sizes: tuple[tuple[str, Figure], ...]
    trace: tuple[tuple[str, Figure], ...] = ()


@dataclass(frozen=True, slots=True)
class Tail:
    """How a percentile of a goal's term follows from the median: `factor`, with its basis and the reason in words."""

    term: str
    percentile: float
    factor: float
    basis: Basis
    reason: str


@dataclass(frozen=True, slots=True)
class Share:
    """Seconds of a goal's limit that a stage may take, waiting and what is sent to it included."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class GoalPlan:
    """A term of the goal beside its prediction, which is the sum of the terms of the stages on the critical path, of
    transfers, of the tail and of waiting. `predicted` is None where there is no bound (an overloaded pool); for `rate`
    it is the most that is carried. `requirement` names its line of the certificate. `shares` divide the limit of a time
    among the stages of its path: they add up to it.
    """

    requirement: str
    term: str
    percentile: float | None
    limit: float
    unit: str
    predicted: Prediction | None
    met: bool
    soft: float | None
    shares: tuple[Share, ...]
    place: str


@dataclass(frozen=True, slots=True)
class CostPlan:
    """Dollars: of one run (a sum of terms), of 1000 runs, and the arithmetic of a run in words. `prices` say what the
    price of each tier counts."""

    per_run: Prediction
    per_1000_runs: float
    convention: str
    arithmetic: str
    prices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inequality:
    """One line of the certificate: `left <= right`, with the terms of the left side. It can be derived again from the
    hashed inputs; `holds` is what was found. `left` is None where it has no bound.

    `requirement` is what the line is of, by name (empty: a load, which the rate bounds), `kind` one of promise, rate,
    load, memory, count, link, links and keep; a line that may be missed is `soft`. `basis` is the weakest reason among
    its numbers, `error` the relative error of the left side. `place` is in the source, or empty.
    """

    name: str
    kind: str
    requirement: str
    left: float | None
    right: float
    unit: str
    holds: bool
    soft: bool
    basis: Basis
    error: float
    terms: tuple[str, ...]
    place: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """How good the plan is known to be: `status` (`only choice`, `proven optimal`, `gap`, `number K` of several, or
    `infeasible`, where no choice keeps the goal), the relative gap (None where no bound was found), the proven `bound`
    of the objective, how many choices were looked at, and what simpler ways to choose come to: None where one comes to
    nothing, and `unable` then says why, by its name. `confirmed` says what confirmed it beside the bounds, in words."""

    status: str
    gap: float | None
    considered: int
    bound: float = 0.0
    baselines: tuple[tuple[str, float | None], ...] = ()
    confirmed: str = ""
    unable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module. `predictions` are medians of one run on an idle fleet, the numbers that a single run can be held
    against; `goals` add the tail and the waiting at the goal's rate. `load` is paid once, before the first run.
    `objective_value` is what was minimised: dollars a run (`cheapest`), seconds (`fastest`) or joules (`greenest`), and
    what soft terms add for their misses. `pools` are those in use."""

    format: int
    pipeline: str
    inputs: Inputs
    made: Made
    fleet: str
    objective: str
    objective_value: float | None
    tiers: tuple[TierPlan, ...]
    pools: tuple[PoolPlan, ...]
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
        """Whether every inequality holds that has to."""
        return all(line.holds or line.soft for line in self.certificate)

    @property
    def runs_here(self) -> bool:
        """Whether every tier with a stage is this machine, or an endpoint that is asked from here."""
        return not self.elsewhere

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The tiers with stages that this machine is not: other devices, or more than one of its kind."""
        used = (tier for tier in self.tiers if self.on(tier.name) and not tier.endpoint)
        return tuple(tier.name for tier in used if not tier.here or tier.devices > 1)

    def on(self, tier: str) -> tuple[StagePlan, ...]:
        """The stages on a tier."""
        return tuple(stage for stage in self.stages if stage.tier == tier)

    def pool(self, name: str) -> PoolPlan:
        """The pool of that name. KeyError if there is none."""
        for pool in self.pools:
            if pool.name == name:
                return pool
        raise KeyError(name)

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
        from .plan_text import plan_text

        return plan_text(self)


def to_json(plan: Plan, *, indent: int = 2) -> str:
    """The plan as one JSON document, with its seal: what `verify` finds accidents by, in numbers and in words."""
    return sealed(plan, indent=indent)


def sealed(value: object, *, indent: int = 2) -> str:
    """A value with fields as one JSON document that ends with its seal."""
    text = encode(value, indent=indent).decode()
    end = text.rindex("}")
    before, between = (f",\n{' ' * indent}", ": ") if indent else (",", ":")
    return f'{text[:end].rstrip()}{before}"seal"{between}"{_seal(text)}"' + ("\n}" if indent else "}")


def _seal(text: str) -> str:
    """The SHA-256 of the document with its keys in order and without spaces, as any JSON library can write it again."""
    return sha256_bytes(json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode())


def from_json(text: str | bytes) -> Plan:
    """The inverse of `to_json`. Raises `codec.DecodeError` for anything that is not a plan of this format."""
    from .codec import DecodeError

    plan = decode(text.encode() if isinstance(text, str) else text, Plan)
    if plan.format != FORMAT:
        raise DecodeError(f"the plan has format {plan.format}, this version reads {FORMAT}")
    return plan
