"""The plan as it has to be: the whole document, each number from `Facts`, each choice from the problem.

What stands here as `WORDS` is prose about numbers that stand beside it and are derived; the seal alone keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from ..figures import Basis, Figure
from ..space.problem import Pool, Promise, Stage, Tier
from .facts import FULL, TWENTIETHS, Line
from .promised import Promised
from .trees import (
    FORMAT,
    ITEMS,
    WORDS,
    Given,
    Tree,
    Walked,
    error_of,
    figure_of,
    stated,
    term,
    text_of,
    weakest,
    whole,
)


@dataclass(frozen=True)
class Document(Promised):
    """A plan derived again. (Not slotted: what is asked often is kept.)"""

    numbers: Mapping[str, int]
    given: Given

    def tree(self) -> dict[str, Tree]:
        """All of it but what only the search knows (`search`, and notes that others added)."""
        facts, problem = self.facts, self.facts.problem
        objective = facts.objective()
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
            "workload": {"rate": self.given.rated, "sizes": self.given.sizes, "trace": self.given.trace},
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
            "rates": [[name, figure_of(figure)] for name, figure in tier.rates],
            "price": {**figure_of(tier.dollars), "value": tier.dollars.value * 3600.0, "unit": "$/h"},
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
        terms = [term(key, size, "B", Basis.DERIVED) for key, size in kept.items()]
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
            "capacity": figure_of(Figure(pool.devices * tier.memory, "B", stated.basis, stated.source)),
        }

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
                "bandwidth": figure_of(Figure(link.bandwidth, "B/s", Basis.GIVEN, "the fleet")),
                "latency": figure_of(Figure(link.latency, "s", Basis.GIVEN, "the fleet")),
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
            "time": stated(option.time),
            "first": option.first,
            "busy": option.busy,
            "budget": None if budgets is None else budgets.get(stage.name, 0.0),
            "dollars_per_run": machine + stage.executions * option.dollars,
            "joules_per_run": stage.executions * option.joules,
            "place": stage.place,
        }

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
                basis = weakest(each.basis for time in times for each in time.terms)
                error = max(map(error_of, times), default=0.0)
                line = Line(name, "", facts.load(pool), FULL / TWENTIETHS)
                yield self._line(f"load of {pool}", "load", line, "", basis, error)

    def _promised(self, promise: Promise) -> dict[str, Tree]:
        goal, predicted = self._goal(promise), self._predicted(promise)
        value, low_high = None, 0.0
        basis = Basis.DERIVED
        if predicted is not None:
            value, terms = predicted["value"], predicted["terms"]
            basis = weakest(Basis(each["basis"]) for each in terms)
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
