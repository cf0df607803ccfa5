"""What a choice of a problem comes to, worked out a second time.

Nothing is shared with the search, the solver, or the module that says what a choice comes to: only the types that a
problem is written in. The part of arrivals that wait is summed from its definition, quantiles are found by halving,
everything is asked for by name. A mistake would have to be made twice, in two ways, to go unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, erf, exp, floor, fsum, inf, lgamma, log, sqrt

from ..space.nodes import Constant, Index, Latest, Move, Scaled, Sum, Take
from ..space.problem import Link, Option, Pool, Problem, Promise, Stage, Tier

CLOSE = 1e-9
"""Relative: what two orders of the same sum may differ by."""

TWENTIETHS = 20
FULL = 19
"""Loads are read up to the next twentieth; above this many there is no bound on waiting."""


class Facts:
    """Everything that a choice comes to, each number worked out where it is asked for. `options` are the chosen ones
    by stage, `replicas` by pool (of those that are used)."""

    def __init__(self, problem: Problem, options: Mapping[str, Option], replicas: Mapping[str, int]) -> None:
        self.problem, self.options, self.replicas = problem, options, replicas
        self._slow: dict[float, list[float]] = {}
        self.stages: dict[str, Stage] = {stage.name: stage for stage in problem.stages}
        self.pools: dict[str, Pool] = {pool.name: pool for pool in problem.pools}
        self.tiers: dict[str, Tier] = {tier.name: tier for tier in problem.tiers}

    # --- where things are --------------------------------------------------------------------------------------------

    def tier_of(self, stage: str) -> Tier:
        return self.tiers[self.pools[self.options[stage].pool].tier]

    def inhabitants(self, pool: str) -> list[str]:
        return [stage for stage, option in self.options.items() if option.pool == pool]

    def used(self, tier: str) -> int:
        """Devices that replicas take; each brings its share of a host, so that hosts take more only where they must."""
        taken = {True: 0, False: 0}
        for pool, count in self.replicas.items():
            if self.at(pool, tier):
                taken[self.pools[pool].host] += count * self.pools[pool].devices
        return max(taken.values())

    def devices(self, tier: str) -> int:
        """Devices that are paid for."""
        return max(self.used(tier), self.tiers[tier].low)

    def at(self, pool: str, tier: str) -> bool:
        return self.pools[pool].tier == tier

    def memory(self, pool: str) -> float:
        """Bytes of one replica: of things that share a key, the largest."""
        held = [each for stage in self.inhabitants(pool) for each in self.options[stage].held]
        return fsum(max(each.bytes for each in held if each.key == key) for key in {each.key for each in held})

    # --- what passes between tiers -----------------------------------------------------------------------------------

    def link(self, edge: int) -> tuple[bool, Link | None]:
        """Whether an edge's value leaves its pool over a link or for want of one, and the link."""
        source, target = self.problem.edges[edge].source, self.problem.edges[edge].target
        ends = {self.tier_of(source).name, self.tier_of(target).name}
        found = [link for link in self.problem.links if {link.left, link.right} == ends]
        if self.options[source].pool == self.options[target].pool or (len(ends) == 1 and not found):
            return False, None
        return True, found[0] if found else None

    def traffic(self, left: str, right: str) -> float:
        """Bytes a run moves from one tier to another."""
        return fsum(
            edge.bytes * edge.moves
            for number, edge in enumerate(self.problem.edges)
            if self.link(number)[0]
            and (self.tier_of(edge.source).name, self.tier_of(edge.target).name) == (left, right)
        )

    def pairs(self, link: Link) -> int:
        """Pairs of devices that share what passes a link: as many as the smaller side has."""
        machines = [self.devices(name) for name in (link.left, link.right) if not self.tiers[name].endpoint]
        return min(machines, default=1)

    # --- moments -----------------------------------------------------------------------------------------------------

    def moment(self, kind: str, promise: Promise | None = None) -> float:
        """Seconds until a moment on an idle fleet; of one that is promised, every stage slow by its percentile."""
        return self._seconds(_sigmas(promise))[self._top(kind, promise)]

    def _top(self, kind: str, promise: Promise | None) -> Index:
        """The node of a moment: where runs differ in size, a promise is held to those of its percentile."""
        large = {(name, percentile): node for name, percentile, node in self.problem.slow}
        usual = dict(self.problem.moments)[kind]
        return usual if promise is None else large.get((kind, promise.percentile), usual)

    def _seconds(self, z: float) -> list[float]:
        """Of every node. Each is made of those before it."""
        if z in self._slow:
            return self._slow[z]
        known: list[float] = []
        for node in self.problem.nodes:
            match node:
                case Constant(seconds):
                    known.append(seconds)
                case Take(stage, times, first):
                    known.append(self._once(stage, first) * exp(z * self.options[stage].noise) * times)
                case Move(edge, times):
                    known.append(times * self._transfer(edge))
                case Sum(parts):
                    known.append(sum(known[part] for part in parts))
                case Latest(parts):
                    known.append(max([0.0, *(known[part] for part in parts)]))
                case Scaled(part, factor):
                    known.append(known[part] * factor)
        self._slow[z] = known
        return known

    def _once(self, stage: str, first: bool) -> float:
        option = self.options[stage]
        return option.first if first else fsum(term.value for term in option.time.terms)

    def _transfer(self, edge: int) -> float:
        """Seconds of one transfer; nothing where the value stays, or has no link."""
        _, link = self.link(edge)
        return link.latency + self.problem.edges[edge].bytes / link.bandwidth if link else 0.0

    def path(self, kind: str, promise: Promise | None = None) -> list[Part]:
        """What a moment is made of, or a promise, where all stages are slow by its percentile: of parts side by side
        the latest (of equal ones the first), with what each stage and each transfer give, in order."""
        z = _sigmas(promise)
        known = self._seconds(z)
        found: dict[tuple[str, int | None], Part] = {}
        rest: list[tuple[Index, float]] = [(self._top(kind, promise), 1.0)]
        while rest:
            index, factor = rest.pop()
            part = Part("", None, 0.0, 0.0)
            match self.problem.nodes[index]:
                case Sum(parts):
                    rest += [(each, factor) for each in reversed(parts)]
                case Latest(parts) if parts:
                    rest.append((max(parts, key=lambda each: known[each]), factor))
                case Scaled(inner, more):
                    rest.append((inner, factor * more))
                case Take(stage, times, first):
                    seconds = self._once(stage, first) * times * factor
                    part = Part(stage, None, seconds, seconds * exp(z * self.options[stage].noise))
                case Move(edge, times):
                    seconds = self._transfer(edge) * times * factor
                    part = Part(self.problem.edges[edge].target, edge, seconds, seconds)
                case Constant(seconds):
                    part = Part("", None, seconds * factor, seconds * factor)
                case _:
                    pass
            if part.slow > 0.0:
                before = found.get((part.stage, part.edge), Part("", None, 0.0, 0.0))
                found[part.stage, part.edge] = Part(
                    part.stage, part.edge, before.seconds + part.seconds, before.slow + part.slow
                )
        return list(found.values())

    def stages_of(self, kind: str) -> list[str]:
        """The stages that a moment is made of, each once, those of earlier nodes first."""
        found: dict[Index, str] = {}
        seen: set[Index] = set()
        rest = [dict(self.problem.moments)[kind]]
        while rest:
            index = rest.pop()
            if index in seen:
                continue
            seen.add(index)
            match self.problem.nodes[index]:
                case Take(stage):
                    found[index] = stage
                case Sum(parts) | Latest(parts):
                    rest += parts
                case Scaled(part):
                    rest.append(part)
                case _:
                    pass
        return list(dict.fromkeys(found[index] for index in sorted(found)))

    # --- waiting -----------------------------------------------------------------------------------------------------

    def load(self, pool: str) -> float:
        """The part of a pool's slots that runs at the promised rate keep."""
        slots = self.pools[pool].slots * self.replicas[pool]
        return self.problem.rate * self.service(pool) / slots if slots and self.problem.rate is not None else 0.0

    def service(self, pool: str) -> float:
        """Seconds that one run keeps slots of a pool, in the mean."""
        return fsum(self.stages[stage].executions * self.usual(stage) for stage in self.inhabitants(pool))

    def usual(self, stage: str) -> float:
        """The mean seconds that one execution keeps a slot, of a log-normal with this median and sigma."""
        option = self.options[stage]
        return option.busy * exp(0.5 * option.noise**2)

    def squared(self, pool: str) -> float:
        """The mean square of the seconds that one run keeps slots of a pool: that of their mean, with the variance of
        the time of each execution and of their number, which is one of the two whole numbers around the stated one."""
        spread = [self.service(pool) ** 2]
        for stage in self.inhabitants(pool):
            times, mean = self.stages[stage].executions, self.usual(stage)
            fewer, more = floor(times), floor(times) + 1
            spread.append(times * mean**2 * (exp(self.options[stage].noise ** 2) - 1.0))
            spread.append((times * mean) ** 2 * self.options[stage].varies)
            spread.append((times - fewer) * (more - times) * mean**2)
        return fsum(spread)

    def wait(self, pool: str, percentile: float) -> float:
        """Seconds that the percentile of runs waits for a pool; infinite where there is no bound."""
        slots = self.pools[pool].slots * self.replicas[pool]
        if not slots or self.problem.rate is None:
            return 0.0
        step = twentieths(self.load(pool))
        if step > FULL:
            return inf
        late, load = 1.0 - percentile / 100.0, step / TWENTIETHS
        waiting = waits(slots, load)
        if waiting <= late:
            return 0.0
        once = self.squared(pool) / (2.0 * self.service(pool)) / (slots * (1.0 - load)) * log(waiting / late)
        visits = fsum(self.stages[stage].executions for stage in self.inhabitants(pool) if self.usual(stage))
        return once if visits <= 1.0 else once * visits if visits < 2.0 else once * 2.0

    # --- what is promised --------------------------------------------------------------------------------------------

    def dollars(self) -> float:
        """Of one run."""
        hired = fsum(self.devices(tier.name) * tier.dollars.value for tier in self.problem.tiers)
        seconds = self.moment("finish") if self.problem.rate is None else 1.0 / self.problem.rate
        passed = [(edge, self.link(number)[1]) for number, edge in enumerate(self.problem.edges)]
        return fsum(
            (
                hired * seconds,
                *(self.stages[stage].executions * option.dollars for stage, option in self.options.items()),
                *(edge.bytes * edge.moves * link.dollars for edge, link in passed if link),
            )
        )

    def joules(self) -> float:
        """Of one run."""
        return fsum(self.stages[stage].executions * option.joules for stage, option in self.options.items())

    def value(self, promise: Promise) -> float:
        """What a promise comes to."""
        match promise.kind:
            case "cost":
                return self.dollars()
            case "energy":
                return self.joules()
            case "rate":
                return self.problem.rate or 0.0
            case kind:
                seconds = self.moment(kind, promise)
                if kind not in self.problem.waits:
                    return seconds
                visited = sorted({self.options[stage].pool for stage in self.stages_of(kind)})
                return fsum((seconds, *(self.wait(pool, promise.percentile) for pool in visited)))

    def objective(self) -> float:
        """What the search made small."""
        priced = (
            promise.soft * max(0.0, self.value(promise) - promise.limit)
            for promise in self.problem.promises
            if promise.soft is not None
        )
        match self.problem.objective:
            case "fastest":
                wanted = self.moment("finish")
            case "greenest":
                wanted = self.joules()
            case _:
                wanted = self.dollars()
        return fsum((wanted, *priced))

    # --- what must hold ----------------------------------------------------------------------------------------------

    def lines(self) -> tuple[Line, ...]:
        """Every inequality that this choice is held to, by requirement; those that are no inequality between sums (a
        label kept elsewhere, a link that is not there) stand as one and none."""
        out: list[Line] = []
        for stage, option in self.options.items():
            out += (Line(name, f"{name} of {stage}", 1.0, 0.0) for name in option.barred if name)
        for pool in self.replicas:
            tier, machine = self.tiers[self.pools[pool].tier], self.pools[pool]
            if not tier.endpoint:
                out.append(Line(tier.held, f"memory of {pool}", self.memory(pool), machine.devices * tier.memory))
        for tier in self.problem.tiers:
            out.append(Line(tier.counted, f"devices of {tier.name}", self.used(tier.name), tier.high))
        missing = next((each.name for each in self.problem.requirements if each.kind == "links"), "links")
        for number, edge in enumerate(self.problem.edges):
            crosses, link = self.link(number)
            if crosses and link is None:
                out.append(Line(missing, f"link of {edge.source} and {edge.target}", 1.0, 0.0))
        if self.problem.rate is not None:
            for link in self.problem.links:
                out += self._carried(link, self.problem.rate)
        rate = next((promise.name for promise in self.problem.promises if promise.kind == "rate"), "rate")
        out += (Line(rate, f"load of {pool}", self.load(pool), FULL / TWENTIETHS) for pool in self.replicas)
        for promise in self.problem.promises:
            if promise.kind != "rate" and promise.soft is None:
                out.append(Line(promise.name, promise.name, self.value(promise), promise.limit))
        return tuple(out)

    def _carried(self, link: Link, rate: float) -> Iterator[Line]:
        """Each way that something goes: a link carries as much at once in the other."""
        for left, right in dict.fromkeys(((link.left, link.right), (link.right, link.left))):
            moved = self.traffic(left, right)
            if moved:
                yield Line(link.carries, f"link {left} {right}", moved * rate, link.bandwidth * self.pairs(link))


@dataclass(frozen=True, slots=True)
class Part:
    """What a stage, or a transfer to it, gives to a moment: seconds at the median and at the percentile."""

    stage: str
    edge: int | None
    seconds: float
    slow: float


@dataclass(frozen=True, slots=True)
class Line:
    """One inequality: `left` may be at most `right`."""

    requirement: str
    what: str
    left: float
    right: float

    @property
    def holds(self) -> bool:
        return self.left <= self.right * (1.0 + CLOSE)


def _sigmas(promise: Promise | None) -> float:
    return quantile(promise.percentile) if promise else 0.0


def twentieths(load: float) -> int:
    return ceil(load * TWENTIETHS * (1.0 - CLOSE))


@lru_cache(maxsize=4096)
def waits(servers: int, load: float) -> float:
    """The part of random arrivals that find all servers busy (Erlang's C), from its definition: of a^k / k! over all
    states, the part with none free. In logarithms, because thousands of servers overflow."""
    if load <= 0.0:
        return 0.0
    offered = log(load * servers)
    states = [k * offered - lgamma(k + 1.0) for k in range(servers)]
    full = servers * offered - lgamma(servers + 1.0) - log(1.0 - load)
    largest = max(full, *states)
    return exp(full - largest) / fsum((exp(full - largest), *(exp(state - largest) for state in states)))


@lru_cache(maxsize=64)
def quantile(percentile: float) -> float:
    """How many sigmas above the median a percentile is; none below it."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if 50.0 * (1.0 + erf(middle / sqrt(2.0))) < percentile else (low, middle)
    return low
