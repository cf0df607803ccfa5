"""The problem: everything that a search may choose among, and everything that a choice is held to.

A stage takes one of its options; an option runs in a pool: so many equal replicas, each of so many devices of one tier,
each serving so many executions at once (`slots`, the batch). What shares a pool shares its replicas: their memory holds
the models of all its stages, its waiting line is one. Numbers are base units (seconds, bytes, dollars, joules); times
are medians of an execution on a full batch, with the terms that they are the sum of in `Option.time`.

Everything that can be to blame when there is no plan is a `Requirement` with a name and a place in the source, and can
be left out by that name (`evaluate`'s and the search's `without`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp

from ..figures import Figure, Prediction
from .nodes import Index, Node

MANY = 1 << 20
"""Devices of a tier whose number is not limited."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What may be to blame: `name` is unique, `text` is how the program says it (`first_token p95 <= 250 ms`), `place`
    is `path:line:column` or empty. `kind`: promise, count, memory, keep, place, link (what one carries) or links (that
    there is one)."""

    name: str
    kind: str
    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """Devices of one kind. `low` and `high` bound how many are paid for. `memory` is of one device; `dollars` a second
    and `watts` of one; `carbon` is grams a joule of its grid, where known. An endpoint has no devices. `counted` and
    `held` name the requirements that bound its devices and its memory."""

    name: str
    device: str
    low: int
    high: int
    memory: float
    dollars: Figure
    watts: float
    convention: str = ""
    region: str = ""
    carbon: float | None = None
    endpoint: bool = False
    here: bool = False
    counted: str = ""
    held: str = ""
    title: str = ""
    rates: tuple[tuple[str, Figure], ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Replicas of `devices` devices of `tier`, each serving `slots` executions at once (0: as many as come, as an
    endpoint does). A `host` pool is of the machines that the devices stand in: each device brings its share of one, so
    that such a pool takes devices only where the others of its tier take fewer."""

    name: str
    tier: str
    devices: int
    slots: int
    tensor: int = 1
    pipeline: int = 1
    host: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that a replica holds for something. The largest counts of those with one key, keys add up."""

    key: str
    bytes: float


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a stage. Of one execution: `time` is its median (the sum of its terms), `first` the seconds before
    its first item, `busy` the seconds that it keeps a slot of its replica (medians, too), `dollars` what is paid beside
    machine time, `joules` what it takes, `noise` the sigma of its log-normal spread, `varies` the variance
    of `busy` between runs that differ in size, in parts of its square (none where nobody knows how they differ).

    `together` are stages that must be in the same pool for these numbers to hold. `barred` names the requirements that
    forbid it (a label kept elsewhere). `engine` runs it, `dtype` is what its weights are stored in."""

    pool: str
    time: Prediction
    first: float
    busy: float
    held: tuple[Held, ...] = ()
    dollars: float = 0.0
    joules: float = 0.0
    noise: float = 0.0
    varies: float = 0.0
    engine: str = ""
    dtype: str = ""
    together: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.time.value

    @property
    def mean_busy(self) -> float:
        """What it keeps a slot for in the mean, which fills a pool; of a log-normal it is above the median."""
        return self.busy * exp(self.noise * self.noise / 2.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its options, of which there is at least one, and how often a run executes it."""

    name: str
    options: tuple[Option, ...]
    executions: float = 1.0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A value that one stage makes and another uses: `bytes` at a time, `moves` times a run."""

    source: str
    target: str
    bytes: float
    moves: float = 1.0


@dataclass(frozen=True, slots=True)
class Link:
    """Between two tiers, both ways, or within one where both names are equal. `bandwidth` bytes a second one way of one
    pair of devices, `latency` seconds, `dollars` a byte. `carries` names its requirement."""

    left: str
    right: str
    bandwidth: float
    latency: float
    dollars: float = 0.0
    carries: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """A term of the goal. `kind`: first_token, first_item, token_gap, item_gap, finish (seconds at `percentile`), rate
    (runs a second), cost (dollars a run), energy (joules a run). `soft` is the price of a miss, in dollars a run for
    each unit of excess, or None where it must hold. Its requirement has the same name."""

    name: str
    kind: str
    limit: float
    percentile: float = 50.0
    soft: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """See the module. `moments` are nodes by kind (`first_token`, `token_gap`, `finish` …); of those in `waits` the
    waiting lines count. `slow` are those that promises at a percentile are held to instead, where runs are known to
    differ in size: kind, percentile and node. `rate` is runs a second, None where none is promised: then nobody waits,
    and a run is charged its machines for as long as it takes. `objective`: cheapest, fastest or greenest."""

    stages: tuple[Stage, ...]
    pools: tuple[Pool, ...]
    tiers: tuple[Tier, ...]
    links: tuple[Link, ...]
    edges: tuple[Edge, ...]
    nodes: tuple[Node, ...]
    moments: tuple[tuple[str, Index], ...]
    promises: tuple[Promise, ...]
    requirements: tuple[Requirement, ...]
    rate: float | None
    objective: str = "cheapest"
    waits: tuple[str, ...] = ("first_token", "first_item", "finish")
    slow: tuple[tuple[str, float, Index], ...] = ()

    def moment(self, kind: str) -> Index:
        """KeyError where the pipeline has no such moment."""
        return dict(self.moments)[kind]

    def promised(self, promise: Promise) -> Index:
        """The node that a promise of a moment is held to. KeyError where the pipeline has no such moment."""
        for kind, percentile, node in self.slow:
            if (kind, percentile) == (promise.kind, promise.percentile):
                return node
        return self.moment(promise.kind)

    def tier(self, name: str) -> Tier:
        return next(tier for tier in self.tiers if tier.name == name)

    def pool(self, name: str) -> Pool:
        return next(pool for pool in self.pools if pool.name == name)

    def requirement(self, name: str) -> Requirement:
        return next(each for each in self.requirements if each.name == name)

    def link(self, left: str, right: str) -> Link | None:
        """The link between two tiers, whichever way it is written."""
        return next((link for link in self.links if {link.left, link.right} == {left, right}), None)

    def with_limit(self, name: str, limit: float) -> Problem:
        """The same with another limit of a promise (and the rate, where that is what it promises)."""
        promises = tuple(replace(each, limit=limit) if each.name == name else each for each in self.promises)
        rate = next((each.limit for each in promises if each.kind == "rate"), self.rate)
        return replace(self, promises=promises, rate=rate)

    def with_count(self, tier: str, high: int) -> Problem:
        """The same with another greatest number of devices of a tier."""
        return replace(
            self, tiers=tuple(replace(each, high=high) if each.name == tier else each for each in self.tiers)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What a search gives: for each stage the place of its option, for each pool its replicas (0: not used)."""

    options: tuple[int, ...]
    replicas: tuple[int, ...]
