"""Promises beside what a choice makes of them, and what a run costs: each a sum of terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import fsum, inf
from typing import Any

from ..figures import Basis
from ..space.problem import Promise, Tier
from .facts import CLOSE, FULL, TWENTIETHS, Facts, Part, quantile, twentieths
from .trees import ENDLESS, UNITS, USUAL_NOISE, WITH_TAILS, WORDS, Tree, error_of, term, whole


@dataclass(frozen=True)
class Promised:
    """What is promised, and paid. (Not slotted: what is asked often is kept.)"""

    facts: Facts

    def _visited(self, promise: Promise) -> list[str]:
        """The pools that runs wait for before the moment of a promise, in the order of the program's moments."""
        facts = self.facts
        if promise.kind not in facts.problem.waits or promise.kind in UNITS:
            return []
        return list(dict.fromkeys(facts.options[stage].pool for stage in facts.stages_of(promise.kind)))

    # --- what is promised --------------------------------------------------------------------------------------------

    def _terms(self, path: Iterable[Part]) -> list[dict[str, Tree]]:
        """The terms of stages and transfers that a moment is the sum of."""
        terms: list[dict[str, Tree]] = []
        for part in path:
            if part.edge is not None:
                terms.append(term("transfer", part.seconds, "s", Basis.DERIVED, WORDS, part.stage))
            elif not part.stage:
                terms.append(term("fixed", part.seconds, "s", Basis.DERIVED))
            else:
                time = self.facts.options[part.stage].time
                share = part.seconds / time.value if time.value else 0.0
                for each in time.terms:
                    detail = each.detail if abs(share - 1.0) < 1e-9 else f"{share:.4g} of ({each.detail})"
                    terms.append(term(each.name, each.value * share, "s", each.basis, detail, part.stage))
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
        path = self.facts.path(promise.kind, promise) if promise.kind in WITH_TAILS else []
        whole = fsum(part.seconds for part in path)
        if not whole or not z:
            return None
        return {
            "term": promise.kind,
            "percentile": promise.percentile,
            "factor": self.facts.moment(promise.kind, promise) / whole,
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
                value, path = facts.value(promise), facts.path(kind, promise)
        if value == inf:
            return None
        terms, name = self._terms(path), f"p{promise.percentile:g}"
        slower = sum(part.slow - part.seconds for part in path)
        if slower:
            terms.append(term(f"tail {name}", slower, "s", self._noise_basis(path), WORDS))
        for pool in self._visited(promise):
            if wait := facts.wait(pool, promise.percentile):
                terms.append(term(f"waiting {name}", wait, "s", Basis.DERIVED, WORDS))
        return whole(kind, "s", value, self._error(path), terms)

    def _carried(self) -> dict[str, Any]:
        """The most runs a second: those at which the fullest pool is as full as a line may be."""
        loads = {pool: self.facts.load(pool) for pool in self.facts.replicas}
        pool = max(loads, key=lambda name: loads[name], default="")
        if not pool or not loads[pool]:
            return whole("rate", "per s", ENDLESS, 0.0, [term("runs carried", ENDLESS, "per s", Basis.DERIVED)])
        slots = self.facts.replicas[pool] * self.facts.pools[pool].slots
        runs = slots * FULL / TWENTIETHS / self.facts.service(pool)
        return whole("rate", "per s", runs, 0.0, [term("runs carried", runs, "per s", Basis.DERIVED, WORDS)])

    def _shares(self, promise: Promise) -> dict[str, float]:
        """The limit of a time divided among the stages of its path: by their own seconds, those of what is sent to
        them, and their part of the waiting for their pools."""
        facts = self.facts
        if promise.kind in UNITS:
            return {}
        found: dict[str, float] = {}
        for part in facts.path(promise.kind, promise):
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
        return facts.stages[stage].executions * facts.usual(stage) / pool.slots * pool.devices

    def _hired(self) -> list[Tier]:
        return [each for each in self.facts.problem.tiers if self.facts.devices(each.name) and not each.endpoint]

    def _per_run(self) -> dict[str, Any]:
        facts, problem = self.facts, self.facts.problem
        terms = [each for tier in self._hired() for each in self._hire(tier)]
        for stage in problem.stages:
            if dollars := facts.options[stage.name].dollars:
                terms.append(term("asked elsewhere", stage.executions * dollars, "$", Basis.GIVEN, WORDS, stage.name))
        for number, edge in enumerate(problem.edges):
            link = facts.link(number)[1]
            if link is not None and link.dollars:
                dollars = edge.bytes * edge.moves * link.dollars
                terms.append(term("transfer", dollars, "$", Basis.GIVEN, WORDS, edge.target))
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
            yield term(f"devices of {tier.name}", whole * price, "$", basis, WORDS)
            return
        for stage, seconds in spent.items():
            if seconds:
                yield term("machine time", seconds * price, "$", basis, WORDS, stage)
        if idle > 1e-9 * whole:
            yield term("idle share", idle * price, "$", basis, WORDS)

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
                terms.append(term("power", stage.executions * joules, "J", basis, WORDS, stage.name))
        return whole("energy", "J", facts.joules(), 0.5, terms)
