"""Where each stage of a program could run, on any fleet: its tiers, pools, links and requirements, as plain numbers.

A tier of processors (this machine among them) is one pool that does one thing after the other. On accelerators a
language model has pools in which many requests share it (`served`), what else is heavy takes a device, and what needs
cores runs in their hosts (`machines`). An endpoint takes the calls of the models that it serves (`endpoint`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import exp, inf

from ...base.problems import Problem, Problems, has_errors
from ...ir.demand.data import FREE
from ...ir.graph import Graph
from ...lang.program import Fleet, Goal
from .. import problems
from ..calibrate import PRIOR_NOISE, Calibration
from ..hardware import Machine
from ..options import Options
from ..predict import Forecast
from ..workload import Sizing
from .asked import DECODE, PREFILL, TRANSFER, Asked
from .endpoint import at_endpoint, endpoint_pool, serves
from .evaluate import z_of
from .kept import Kept, kept
from .links import edges, linked
from .machines import host_pool, on_host, on_machine, whole_pool
from .problem import Edge, Held, Link, Option, Pool, Requirement, Stage, Tier
from .served import Served
from .tiers import Site, sites

__all__ = ["Offered", "offered"]


@dataclass(frozen=True, slots=True)
class Offered:
    """A problem without what comes of the walk (nodes, moments) and of the goal's promises. `notes` are sentences."""

    stages: tuple[Stage, ...]
    pools: tuple[Pool, ...]
    tiers: tuple[Tier, ...]
    links: tuple[Link, ...]
    edges: tuple[Edge, ...]
    requirements: tuple[Requirement, ...]
    notes: tuple[str, ...]


def offered(
    graph: Graph,
    pipeline: str,
    run: Forecast,
    work: Sizing,
    goal: Goal | None,
    fleet: Fleet | None,
    machine: Machine,
    calibration: Calibration,
    options: Options,
) -> tuple[Offered | None, Problems]:
    """What may be chosen for a pipeline whose nominal walk is `run`. None with problems at their lines where a tier is
    not known or not sound, a price is missing, or nothing can run a model."""
    places, required, found = sites(fleet, machine, calibration, options)
    way = linked(fleet, places)
    found = (*found, *way.problems, *_unpaid(places, goal))
    if has_errors(found):
        return None, found
    alone = len(places) == 1 and not places[0].accelerated
    asked = Asked(graph, pipeline, run, work, options, alone)
    rules = kept(asked, goal, fleet is not None)
    offers = _Offers(asked, places, rules, _gap(goal))
    for stage in run.operations:
        offers.add(stage)
    found = (*found, *offers.problems())
    if has_errors(found):
        return None, found
    notes = (
        *(f"no demand is known of {stage}: it counts as free" for stage in run.free),
        *(f"model {name} is served by {tier}: it is not here" for name, tier in offers.elsewhere()),
        *offers.notes(),
    )
    return Offered(
        stages=offers.stages(),
        pools=offers.used(),
        tiers=tuple(site.tier for site in places),
        links=way.links,
        edges=edges(asked),
        requirements=(*required, *way.requirements, *rules.requirements),
        notes=notes,
    ), found


def _unpaid(places: tuple[Site, ...], goal: Goal | None) -> Problems:
    """An endpoint without a price has no place under a promise of cost."""
    if goal is None or all(term.kind != "cost" for term in goal.terms):
        return ()
    return tuple(
        problems.endpoint_needs_price(site.name, site.span)
        for site in places
        if site.endpoint is not None and site.endpoint.price is None
    )


def _gap(goal: Goal | None) -> float:
    """The longest median of a step at which the goal's gap between tokens holds."""
    gaps = (
        term.limit.value / exp(z_of(term.percentile or 50.0) * PRIOR_NOISE)
        for term in (goal.terms if goal else ())
        if term.kind in ("token_gap", "item_gap") and term.limit is not None
    )
    return min(gaps, default=inf)


class _Offers:
    """Options by stage and the pools that they name, each in the order of the fleet."""

    def __init__(self, asked: Asked, places: tuple[Site, ...], rules: Kept, gap: float) -> None:
        self.asked, self.places, self.rules = asked, places, rules
        self.pools: dict[str, Pool] = {}
        self.options: dict[str, list[Option]] = {}
        self._served: dict[tuple[str, str], tuple[Served, list[tuple[Pool, dict[str, Option]]]]] = {}
        self.gap = gap

    def add(self, stage: str) -> None:
        chosen = self.options.setdefault(stage, [])
        for site in self.places:
            barred = self.rules.barred(stage, site.name)
            for pool, option in self._on(site, stage):
                self.pools.setdefault(pool.name, pool)
                chosen.append(replace(option, barred=barred) if barred else option)

    def _on(self, site: Site, stage: str) -> list[tuple[Pool, Option]]:
        asked = self.asked
        if site.tier.endpoint:
            return [(endpoint_pool(site), at_endpoint(asked, site, stage))] if serves(asked, site, stage) else []
        if self._nameless(stage):
            return []
        if not site.accelerated:
            return [(whole_pool(site), on_machine(asked, site, stage))]
        match asked.operation(stage).name:
            case "agent.prefill" | "agent.decode" if asked.shape(asked.model(stage)) is not None:
                return self._in_pools(site, stage)
            case name if name == TRANSFER and (decodes := asked.decodes(stage)):
                # A cache is moved to where it is used.
                near = self._in_pools(site, decodes[0]) if asked.shape(asked.model(stage)) is not None else []
                moved = on_host(asked, site, stage)
                moved = replace(moved, busy=0.0, joules=0.0, held=(), together=(decodes[0],))
                if near:
                    return [(pool, replace(moved, pool=pool.name)) for pool, _ in near]
                return [(whole_pool(site), replace(moved, pool=site.name))]
            case _:
                if asked.time_on(stage, site).heavy:
                    return [(whole_pool(site), on_machine(asked, site, stage))]
                return [(host_pool(site), on_host(asked, site, stage))]

    def _in_pools(self, site: Site, stage: str) -> list[tuple[Pool, Option]]:
        model = self.asked.model(stage)
        if (site.name, model) not in self._served:
            shape = self.asked.shape(model)
            assert shape is not None
            made = Served(self.asked, site, model, shape, self.gap)
            self._served[site.name, model] = made, made.offers()
        made, offers = self._served[site.name, model]
        alone = made.alone(stage)
        first = [(whole_pool(site), alone)] if alone is not None else []
        return [*first, *((pool, options[stage]) for pool, options in offers if stage in options)]

    def _nameless(self, stage: str) -> bool:
        """Whether a stage is of a model that only an endpoint knows."""
        asked, handle = self.asked, self.asked.handle(stage)
        if handle is None or handle.shape is not None or asked.model(stage) in asked.elsewhere:
            return False
        runs = [asked.demand(each) for each in asked.calls.get(stage, ()) if asked.operation(each).name == PREFILL]
        return handle.keyword == "model" and bool(runs) and all(_nothing(asked, each) for each in asked.calls[stage])

    def stages(self) -> tuple[Stage, ...]:
        asked = self.asked
        if self.asked.alone:
            self._hold_the_rest()
        return tuple(
            Stage(stage, tuple(chosen), asked.executions(stage), _place(asked, stage))
            for stage, chosen in self.options.items()
        )

    def used(self) -> tuple[Pool, ...]:
        return tuple(self.pools.values())

    def _hold_the_rest(self) -> None:
        """A machine that does everything holds what is opened, also what no stage names."""
        asked = self.asked
        named = {held.key for chosen in self.options.values() for option in chosen for held in option.held}
        rest = [held for name in asked.run.opened for held in asked.loaded(name) if held.key not in named]
        for chosen in self.options.values():
            if rest:
                chosen[0] = replace(chosen[0], held=(*chosen[0].held, *dict.fromkeys(rest)))
                return

    def problems(self) -> Problems:
        """Models that nothing serves, and those that no tier can hold."""
        found: dict[str, Problem] = {}
        for stage, chosen in self.options.items():
            model, handle = self.asked.model(stage), self.asked.handle(stage)
            if model in found:
                continue
            span = handle.span if handle else self.asked.operation(stage).span
            if not chosen:
                named = str(handle.arguments.get("name") or model) if handle else stage
                found[model or stage] = problems.nobody_serves(named, tuple(site.name for site in self.places), span)
            elif all(not self._fits(option) for option in chosen):
                roomy = max(chosen, key=lambda option: self._room(option))
                largest = max(roomy.held, key=lambda held: held.bytes, default=Held("", 0.0))
                needed = sum(held.bytes for held in roomy.held)
                tier = self.pools[roomy.pool].tier
                found[model or stage] = problems.does_not_fit(tier, needed, self._room(roomy), largest.key, span)
        return tuple(found.values())

    def _fits(self, option: Option) -> bool:
        return sum(held.bytes for held in option.held) <= self._room(option)

    def _room(self, option: Option) -> float:
        """Memory of a replica; of as many devices as there are, where it needs more."""
        pool = self.pools[option.pool]
        tier = next(site.tier for site in self.places if site.name == pool.tier)
        return float("inf") if tier.endpoint else min(pool.devices, tier.high) * tier.memory

    def elsewhere(self) -> Iterable[tuple[str, str]]:
        """Models that a machine which does everything asks an endpoint for, which is no tier of its plan."""
        return self.asked.elsewhere.items()

    def notes(self) -> tuple[str, ...]:
        free = (site.name for site in self.places if site.endpoint is not None and site.endpoint.price is None)
        found = [f"tier {name} states no price of a token: it counts as free" for name in free]
        models = sorted({model for _, model in self._served})
        if models:
            found.append(
                f"times of {', '.join(models)} on accelerators are fitted to published measurements of other engines"
            )
        return tuple(found)


def _nothing(asked: Asked, stage: str) -> bool:
    demand = asked.demand(stage)
    heavy = asked.operation(stage).name in (PREFILL, DECODE)
    return not heavy or (demand.compute == FREE.compute and demand.traffic == FREE.traffic)


def _place(asked: Asked, stage: str) -> str:
    span = asked.operation(stage).span
    return str(span) if span else ""
