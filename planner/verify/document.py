"""The plan as it has to be: the whole document, each number from `Facts`, each choice from the problem.

What stands here as `WORDS` is prose about numbers that stand beside it and are derived; the seal alone keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import fsum, inf, isfinite
from typing import Any

from ..figures import Basis, Figure, Prediction, Term, show_value
from ..space.problem import Pool, Promise, Stage, Tier
from .facts import CLOSE, FULL, TWENTIETHS, Facts, Line, Part, quantile, twentieths

Tree = object
"""What JSON can say: dicts, lists, texts, numbers, truth, None; and `WORDS`."""


class Words:
    """Any text, or any list of texts."""


WORDS = Words()
FORMAT = 2
ITEMS = 64
USUAL_NOISE = 0.10
ENDLESS = 1e9
UNITS = {"cost": "$", "energy": "J", "rate": "per s"}
WITH_TAILS = ("first_token", "first_item", "token_gap", "finish")


def _nothing(places: Mapping[str, str]) -> Tree:
    del places
    return whole("load", "s", 0.0, 0.0, [])


@dataclass(frozen=True, slots=True)
class Walked:
    """What the program says of a stage; `tensor` is the degree that it asks for."""

    operation: str = ""
    entry: str = ""
    model: str = ""
    tensor: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan says that is no question of the choice: it comes from the program and from what the plan was made
    from, as JSON. `load` is of the tiers that stages are on, by their names."""

    pipeline: str
    fleet: str
    inputs: Tree
    made: Tree
    channels: tuple[tuple[str, str], ...] = ()
    sizes: Tree = ()
    walked: Mapping[str, Walked] = field(default_factory=dict[str, Walked])
    load: Callable[[Mapping[str, str]], Tree] = _nothing
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A plan derived again. (Not slotted: what is asked often is kept.)"""

    facts: Facts
    numbers: Mapping[str, int]
    given: Given

    def tree(self) -> dict[str, Tree]:
        """All of it but what only the search knows (`search`, and notes that others added)."""
        facts, problem = self.facts, self.facts.problem
        objective = facts.objective()
        rate = Figure(problem.rate, "per s", Basis.GIVEN, "the goal") if problem.rate is not None else None
        return {
            "format": FORMAT,
            "pipeline": self.given.pipeline,
            "inputs": self.given.inputs,
            "made": self.given.made,
            "fleet": self.given.fleet,
            "objective": problem.objective,
            "objective_value": objective if isfinite(objective) else None,
            "tiers": [self._tier(tier) for tier in problem.tiers],
            "pools": [self._pool(facts.pools[name]) for name in facts.replicas],
            "links": list(self._links()),
            "stages": [self._stage(stage) for stage in problem.stages],
            "channels": [self._channel(source, target) for source, target in self.given.channels],
            "workload": {"rate": _figure(rate) if rate else None, "sizes": self.given.sizes},
            "predictions": [
                whole(kind, "s", facts.moment(kind), self._error(facts.path(kind)), self._terms(facts.path(kind)))
                for kind, _ in problem.moments
            ],
            "load": self.given.load({stage: facts.tier_of(stage).name for stage in facts.options}),
            "tails": [tail for promise in problem.promises if (tail := self._tail(promise))],
            "goals": [self._goal(promise) for promise in problem.promises],
            "cost": self._cost(),
            "energy": self._energy(),
            "certificate": list(self._certificate()),
        }

    # --- where -------------------------------------------------------------------------------------------------------

    def _tier(self, tier: Tier) -> Tree:
        facts = self.facts
        busy = {False: 0.0, True: 0.0}
        for name, count in facts.replicas.items():
            if facts.at(name, tier.name):
                busy[facts.pools[name].host] += facts.load(name) * count * facts.pools[name].devices
        devices = facts.devices(tier.name)
        return {
            "name": tier.name,
            "device": tier.device,
            "title": tier.title,
            "here": tier.here,
            "endpoint": tier.endpoint,
            "count": [tier.low, tier.high],
            "devices": devices,
            "used": facts.used(tier.name),
            "rates": [[name, _figure(figure)] for name, figure in tier.rates],
            "price": {**_figure(tier.dollars), "value": tier.dollars.value * 3600.0, "unit": "$/h"},
            "convention": tier.convention,
            "region": tier.region,
            "utilisation": (busy[False] or busy[True]) / devices if devices else 0.0,
        }

    def _pool(self, pool: Pool) -> Tree:
        facts, tier = self.facts, self.facts.tiers[pool.tier]
        percentiles = {
            promise.percentile
            for promise in facts.problem.promises
            if promise.kind in facts.problem.waits and pool.name in self._visited(promise)
        }
        waits = [(percentile, facts.wait(pool.name, percentile)) for percentile in sorted(percentiles)]
        kept: dict[str, float] = {}
        for stage in facts.inhabitants(pool.name):
            for held in facts.options[stage].held:
                if held.bytes:
                    kept[held.key] = max(held.bytes, kept.get(held.key, 0.0))
        terms = [_term(key, size, "B", Basis.DERIVED) for key, size in kept.items()]
        stated = dict(tier.rates).get("memory", Figure(0.0, "B", Basis.GIVEN))
        return {
            "name": pool.name,
            "tier": pool.tier,
            "devices": pool.devices,
            "slots": pool.slots,
            "tensor": pool.tensor,
            "pipeline": pool.pipeline,
            "replicas": facts.replicas[pool.name],
            "service": facts.service(pool.name),
            "load": facts.load(pool.name),
            "waits": [{"percentile": at, "seconds": None if wait == inf else wait} for at, wait in waits],
            "memory": whole("memory", "B", facts.memory(pool.name), 0.1, terms),
            "capacity": _figure(Figure(pool.devices * tier.memory, "B", stated.basis, stated.source)),
        }

    def _visited(self, promise: Promise) -> list[str]:
        """The pools that runs wait for before the moment of a promise, in the order of the program's moments."""
        facts = self.facts
        if promise.kind not in facts.problem.waits or promise.kind in UNITS:
            return []
        return list(dict.fromkeys(facts.options[stage].pool for stage in facts.stages_of(promise.kind)))

    def _links(self) -> Iterator[dict[str, Any]]:
        """Of each way that something goes, in the order of the program's edges."""
        facts, problem = self.facts, self.facts.problem
        seen: set[tuple[str, str]] = set()
        for number, edge in enumerate(problem.edges):
            link = facts.link(number)[1]
            ends = (facts.tier_of(edge.source).name, facts.tier_of(edge.target).name)
            if link is None or ends in seen:
                continue
            seen.add(ends)
            moved, pairs = facts.traffic(*ends), facts.pairs(link)
            room = link.bandwidth * pairs
            yield {
                "left": ends[0],
                "right": ends[1],
                "bandwidth": _figure(Figure(link.bandwidth, "B/s", Basis.GIVEN, "the fleet")),
                "latency": _figure(Figure(link.latency, "s", Basis.GIVEN, "the fleet")),
                "dollars": link.dollars,
                "bytes_per_run": moved,
                "pairs": pairs,
                "utilisation": moved * problem.rate / room if problem.rate is not None and room else 0.0,
            }

    def _channel(self, source: str, target: str) -> Tree:
        ends = [self.facts.tier_of(name).name for name in (source, target) if name in self.facts.options]
        link = f"{ends[0]} <-> {ends[1]}" if len(set(ends)) == 2 else None
        return {"source": source, "target": target, "items": ITEMS, "overflow": "wait", "link": link}

    def _stage(self, stage: Stage) -> Tree:
        facts, option = self.facts, self.facts.options[stage.name]
        pool = facts.pools[option.pool]
        walked = self.given.walked.get(stage.name, Walked())
        budgets = self._budgets
        machine = self._machine_seconds(stage.name) * facts.tiers[pool.tier].dollars.value
        return {
            "id": stage.name,
            "operation": walked.operation,
            "entry": walked.entry,
            "model": walked.model,
            "option": self.numbers[stage.name],
            "pool": pool.name,
            "tier": pool.tier,
            "engine": option.engine,
            "dtype": option.dtype,
            "tensor_parallel": max(pool.tensor, walked.tensor),
            "pipeline_parallel": pool.pipeline,
            "batch": pool.slots,
            "instances": facts.replicas[pool.name],
            "executions": stage.executions,
            "time": _stated(option.time),
            "first": option.first,
            "busy": option.busy,
            "budget": None if budgets is None else budgets.get(stage.name, 0.0),
            "dollars_per_run": machine + stage.executions * option.dollars,
            "joules_per_run": stage.executions * option.joules,
            "place": stage.place,
        }

    # --- what is promised --------------------------------------------------------------------------------------------

    def _terms(self, path: Iterable[Part]) -> list[dict[str, Tree]]:
        """The terms of stages and transfers that a moment is the sum of."""
        terms: list[dict[str, Tree]] = []
        for part in path:
            if part.edge is not None:
                terms.append(_term("transfer", part.seconds, "s", Basis.DERIVED, WORDS, part.stage))
            elif not part.stage:
                terms.append(_term("fixed", part.seconds, "s", Basis.DERIVED))
            else:
                time = self.facts.options[part.stage].time
                share = part.seconds / time.value if time.value else 0.0
                for each in time.terms:
                    detail = each.detail if abs(share - 1.0) < 1e-9 else f"{share:.4g} of ({each.detail})"
                    terms.append(_term(each.name, each.value * share, "s", each.basis, detail, part.stage))
        return terms

    def _error(self, path: Iterable[Part]) -> float:
        """Relative, as if all stages of a path erred the same way."""
        spread = whole = 0.0
        for part in path:
            whole += part.seconds
            if part.stage and part.edge is None:
                spread += part.seconds * error_of(self.facts.options[part.stage].time)
        return spread / whole if whole else 0.0

    def _noise_basis(self, path: list[Part]) -> Basis:
        own = [part for part in path if part.stage and part.edge is None]
        largest = max(own, key=lambda part: part.seconds, default=None)
        fitted = largest is not None and self.facts.options[largest.stage].noise != USUAL_NOISE
        return Basis.FITTED if fitted else Basis.ASSUMED

    def _tail(self, promise: Promise) -> Tree:
        z = quantile(promise.percentile)
        path = self.facts.path(promise.kind, z) if promise.kind in WITH_TAILS else []
        whole = fsum(part.seconds for part in path)
        if not whole or not z:
            return None
        return {
            "term": promise.kind,
            "percentile": promise.percentile,
            "factor": self.facts.moment(promise.kind, z) / whole,
            "basis": self._noise_basis(path).value,
            "reason": WORDS,
        }

    def _goal(self, promise: Promise) -> dict[str, Tree]:
        facts = self.facts
        known = next((each for each in facts.problem.requirements if each.name == promise.name), None)
        percentile: float | None = None
        if promise.kind not in UNITS:
            said = known is None or f" p{promise.percentile:g}" in known.text
            percentile = promise.percentile if said or promise.percentile != 50.0 else None
        met = facts.value(promise) <= promise.limit * (1.0 + CLOSE)
        if promise.kind == "rate":
            met = all(twentieths(facts.load(pool)) <= FULL for pool in facts.replicas)
        return {
            "requirement": promise.name,
            "term": promise.kind,
            "percentile": percentile,
            "limit": promise.limit,
            "unit": UNITS.get(promise.kind, "s"),
            "predicted": self._predicted(promise),
            "met": met,
            "soft": promise.soft,
            "shares": [{"stage": name, "seconds": seconds} for name, seconds in self._shares(promise).items()],
            "place": known.place if known else "",
        }

    def _predicted(self, promise: Promise) -> dict[str, Any] | None:
        facts = self.facts
        match promise.kind:
            case "rate":
                return self._carried()
            case "cost":
                return self._per_run()
            case "energy":
                return self._energy()
            case kind:
                value, path = facts.value(promise), facts.path(kind, quantile(promise.percentile))
        if value == inf:
            return None
        terms, name = self._terms(path), f"p{promise.percentile:g}"
        slower = sum(part.slow - part.seconds for part in path)
        if slower:
            terms.append(_term(f"tail {name}", slower, "s", self._noise_basis(path), WORDS))
        for pool in self._visited(promise):
            if wait := facts.wait(pool, promise.percentile):
                terms.append(_term(f"waiting {name}", wait, "s", Basis.DERIVED, WORDS))
        return whole(kind, "s", value, self._error(path), terms)

    def _carried(self) -> dict[str, Any]:
        """The most runs a second: those at which the fullest pool is as full as a line may be."""
        loads = {pool: self.facts.load(pool) for pool in self.facts.replicas}
        pool = max(loads, key=lambda name: loads[name], default="")
        if not pool or not loads[pool]:
            return whole("rate", "per s", ENDLESS, 0.0, [_term("runs carried", ENDLESS, "per s", Basis.DERIVED)])
        slots = self.facts.replicas[pool] * self.facts.pools[pool].slots
        runs = slots * FULL / TWENTIETHS / self.facts.service(pool)
        return whole("rate", "per s", runs, 0.0, [_term("runs carried", runs, "per s", Basis.DERIVED, WORDS)])

    def _shares(self, promise: Promise) -> dict[str, float]:
        """The limit of a time divided among the stages of its path: by their own seconds, those of what is sent to
        them, and their part of the waiting for their pools."""
        facts = self.facts
        if promise.kind in UNITS:
            return {}
        found: dict[str, float] = {}
        for part in facts.path(promise.kind, quantile(promise.percentile)):
            if part.stage:
                found[part.stage] = found.get(part.stage, 0.0) + part.slow
        waits = {pool: facts.wait(pool, promise.percentile) for pool in self._visited(promise)}
        for pool, wait in waits.items() if inf not in waits.values() else ():
            here = [name for name in found if facts.options[name].pool == pool]
            busy = {name: facts.stages[name].executions * facts.options[name].busy for name in here}
            total = fsum(busy.values())
            for name in here:
                found[name] += wait * (busy[name] / total if total else 1.0 / len(here))
        whole = fsum(found.values())
        return {name: promise.limit * seconds / whole for name, seconds in found.items()} if whole else {}

    @cached_property
    def _budgets(self) -> dict[str, float] | None:
        """The shares of the strictest limit of the finish, else of the first that leaves."""
        for kinds in (("finish",), ("first_token", "first_item")):
            asked = [promise for promise in self.facts.problem.promises if promise.kind in kinds]
            divided = [(promise.limit, shares) for promise in asked if (shares := self._shares(promise))]
            if divided:
                return min(divided, key=lambda each: each[0])[1]
        return None

    # --- what it costs -----------------------------------------------------------------------------------------------

    def _paid(self) -> float:
        rate = self.facts.problem.rate
        return 1.0 / rate if rate is not None else self.facts.moment("finish")

    def _machine_seconds(self, stage: str) -> float:
        """Device-seconds in a run. Hosts come with devices that are in use."""
        facts, option = self.facts, self.facts.options[stage]
        pool = facts.pools[option.pool]
        along = pool.host and any(facts.at(name, pool.tier) and not facts.pools[name].host for name in facts.replicas)
        if not pool.slots or along:
            return 0.0
        return facts.stages[stage].executions * option.busy / pool.slots * pool.devices

    def _hired(self) -> list[Tier]:
        return [each for each in self.facts.problem.tiers if self.facts.devices(each.name) and not each.endpoint]

    def _per_run(self) -> dict[str, Any]:
        facts, problem = self.facts, self.facts.problem
        terms = [term for tier in self._hired() for term in self._hire(tier)]
        for stage in problem.stages:
            if dollars := facts.options[stage.name].dollars:
                terms.append(_term("asked elsewhere", stage.executions * dollars, "$", Basis.GIVEN, WORDS, stage.name))
        for number, edge in enumerate(problem.edges):
            link = facts.link(number)[1]
            if link is not None and link.dollars:
                dollars = edge.bytes * edge.moves * link.dollars
                terms.append(_term("transfer", dollars, "$", Basis.GIVEN, WORDS, edge.target))
        error = self._error(facts.path("finish")) if problem.rate is None else 0.0
        return whole("cost", "$", facts.dollars(), error, terms)

    def _hire(self, tier: Tier) -> Iterator[dict[str, Tree]]:
        """What the devices of a tier cost a run: of each stage, and of nobody; in one where stages take more."""
        whole = self.facts.devices(tier.name) * self._paid()
        spent = {
            stage: self._machine_seconds(stage)
            for stage in self.facts.options
            if self.facts.tier_of(stage).name == tier.name
        }
        idle, price, basis = whole - fsum(spent.values()), tier.dollars.value, tier.dollars.basis
        if idle < -1e-9 * whole:
            yield _term(f"devices of {tier.name}", whole * price, "$", basis, WORDS)
            return
        for stage, seconds in spent.items():
            if seconds:
                yield _term("machine time", seconds * price, "$", basis, WORDS, stage)
        if idle > 1e-9 * whole:
            yield _term("idle share", idle * price, "$", basis, WORDS)

    def _cost(self) -> Tree:
        conventions = list(dict.fromkeys(tier.convention for tier in self._hired()))
        dollars = self.facts.dollars()
        return {
            "per_run": self._per_run(),
            "per_1000_runs": dollars * 1000.0,
            "convention": conventions[0] if len(conventions) == 1 else "mixed" if conventions else "given",
            "arithmetic": WORDS,
            "prices": WORDS,
        }

    def _energy(self) -> dict[str, Any]:
        facts = self.facts
        terms: list[dict[str, Tree]] = []
        for stage in facts.problem.stages:
            if joules := facts.options[stage.name].joules:
                power = dict(facts.tier_of(stage.name).rates).get("power")
                basis = power.basis if power else Basis.ASSUMED
                terms.append(_term("power", stage.executions * joules, "J", basis, WORDS, stage.name))
        return whole("energy", "J", facts.joules(), 0.5, terms)

    # --- what must hold ----------------------------------------------------------------------------------------------

    def _certificate(self) -> Iterator[Tree]:
        said: set[str] = set()
        for line in self._inequalities():
            said.add(str(line["requirement"]))
            yield line
        failing = [line.requirement for line in self.facts.lines() if not line.holds]
        for each in self.facts.problem.requirements:
            if each.name not in said:
                count = failing.count(each.name)
                yield self._line(each.text or each.name, each.kind, Line(each.name, "", count, 0), "")

    def _inequalities(self) -> Iterator[dict[str, Tree]]:
        facts, problem = self.facts, self.facts.problem
        for name in facts.replicas:
            tier = facts.tiers[facts.pools[name].tier]
            if not tier.endpoint:
                stated = dict(tier.rates).get("memory", Figure(0.0, "B", Basis.GIVEN))
                held = Line(tier.held, "", facts.memory(name), facts.pools[name].devices * tier.memory)
                basis = weakest((Basis.DERIVED, stated.basis))
                yield self._line(f"memory of {name}", "memory", held, "B", basis, 0.1 if held.left else 0.0)
        for tier in problem.tiers:
            shown = f"devices of {tier.name}"
            if not tier.endpoint:
                yield self._line(shown, "count", Line(tier.counted, "", facts.used(tier.name), tier.high), "")
                if tier.low:
                    least = Line(tier.counted, "", tier.low, facts.devices(tier.name))
                    yield self._line(f"{shown}, at least", "count", least, "")
        yield from self._passing()
        for each in problem.requirements:
            if each.kind == "keep":
                count = sum(each.name in option.barred for option in facts.options.values())
                yield self._line(each.text, "keep", Line(each.name, "", count, 0), "stages")
            elif each.kind == "links":
                count = sum(facts.link(number) == (True, None) for number in range(len(problem.edges)))
                yield self._line("values without a link", "links", Line(each.name, "", count, 0), "")
        yield from self._loads()
        for promise in problem.promises:
            yield self._promised(promise)

    def _passing(self) -> Iterator[dict[str, Tree]]:
        facts, problem = self.facts, self.facts.problem
        used: set[frozenset[str]] = set()
        for each in self._links():
            left, right = str(each["left"]), str(each["right"])
            used.add(frozenset((left, right)))
            link = next(link for link in problem.links if {link.left, link.right} == {left, right})
            asked = facts.traffic(left, right) * (problem.rate or 0.0)
            line = Line(link.carries, "", asked, link.bandwidth * facts.pairs(link))
            yield self._line(f"link {left} -> {right}", "link", line, "B/s", Basis.DERIVED)
        for link in problem.links:
            if frozenset((link.left, link.right)) not in used:
                line = Line(link.carries, "", 0.0, link.bandwidth)
                yield self._line(f"link {link.left} <-> {link.right}", "link", line, "B/s")

    def _loads(self) -> Iterator[dict[str, Tree]]:
        facts, problem = self.facts, self.facts.problem
        name = next((promise.name for promise in problem.promises if promise.kind == "rate"), "")
        for pool in facts.replicas if problem.rate is not None else ():
            if facts.pools[pool].slots:
                times = [facts.options[stage].time for stage in facts.inhabitants(pool)]
                basis = weakest(term.basis for time in times for term in time.terms)
                error = max(map(error_of, times), default=0.0)
                line = Line(name, "", facts.load(pool), FULL / TWENTIETHS)
                yield self._line(f"load of {pool}", "load", line, "", basis, error)

    def _promised(self, promise: Promise) -> dict[str, Tree]:
        goal, predicted = self._goal(promise), self._predicted(promise)
        value, low_high = None, 0.0
        basis = Basis.DERIVED
        if predicted is not None:
            value, terms = predicted["value"], predicted["terms"]
            basis = weakest(Basis(term["basis"]) for term in terms)
            low_high = (predicted["high"] - value) / value if value else 0.0
        left, right = (promise.limit, value) if promise.kind == "rate" and value else (value, promise.limit)
        return {
            "name": text_of(promise, goal["percentile"] is not None),
            "kind": "rate" if promise.kind == "rate" else "promise",
            "requirement": promise.name,
            "left": left,
            "right": right,
            "unit": goal["unit"],
            "holds": goal["met"],
            "soft": promise.soft is not None,
            "basis": basis.value,
            "error": low_high,
            "terms": WORDS,
            "place": goal["place"],
        }

    def _line(
        self, name: str, kind: str, line: Line, unit: str, basis: Basis = Basis.GIVEN, error: float = 0.0
    ) -> dict[str, Tree]:
        requirements = self.facts.problem.requirements
        return {
            "name": name,
            "kind": kind,
            "requirement": line.requirement,
            "left": line.left,
            "right": line.right,
            "unit": unit,
            "holds": line.holds,
            "soft": False,
            "basis": basis.value,
            "error": error,
            "terms": WORDS,
            "place": next((each.place for each in requirements if each.name == line.requirement), ""),
        }


def text_of(promise: Promise, percentile: bool) -> str:
    """A promise as a program writes it."""
    if promise.kind == "rate":
        return f"rate {promise.limit:g} per s"
    if promise.kind == "cost":
        return f"cost <= {show_value(promise.limit * 1000, '$')} per 1000 runs"
    at = f" p{promise.percentile:g}" if percentile else ""
    limit = show_value(promise.limit, UNITS.get(promise.kind, "s"))
    return f"{promise.kind}{at} <= {limit}" + (" per run" if promise.kind == "energy" else "")


def weakest(bases: Iterable[Basis]) -> Basis:
    """An argument is no stronger than the weakest of its reasons."""
    order = list(Basis)
    return max(bases, key=order.index, default=Basis.DERIVED)


def error_of(time: Prediction) -> float:
    return (time.high - time.value) / time.value if time.value else 0.0


def _term(
    name: str, value: float, unit: str, basis: Basis, detail: str | Words = "", stage: str | None = None
) -> dict[str, Tree]:
    return {"name": name, "value": value, "unit": unit, "basis": basis.value, "detail": detail, "stage": stage}


def whole(name: str, unit: str, value: float, error: float, terms: Sequence[Tree]) -> dict[str, Tree]:
    """A prediction with the relative error of its value."""
    low, high = max(0.0, value * (1.0 - error)), value * (1.0 + error)
    return {"name": name, "value": value, "unit": unit, "low": low, "high": high, "terms": terms}


def _stated(found: Prediction) -> Tree:
    """A prediction of the problem, its value the sum of its terms."""

    def plain(term: Term) -> dict[str, Tree]:
        return _term(term.name, term.value, term.unit, term.basis, term.detail, term.stage)

    value = fsum(term.value for term in found.terms)
    terms = [plain(term) for term in found.terms]
    return {**whole(found.name, found.unit, value, 0.0, terms), "low": found.low, "high": found.high}


def _figure(figure: Figure) -> dict[str, Tree]:
    return {
        "value": figure.value,
        "unit": figure.unit,
        "basis": figure.basis.value,
        "source": figure.source,
        "date": figure.date,
        "error": figure.error,
    }
