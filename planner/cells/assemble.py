"""From cells that were found to their plan: each by the function that makes any plan, then the sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import fsum

from ..figures import Basis, Prediction, Term, predicted, show_value
from ..goals import weakest
from ..plan import CostPlan, Inequality, Plan, Search
from ..search.found import GAP, Found
from ..space.assemble import assemble
from ..space.build import Built
from ..space.evaluate import SLACK
from ..space.problem import Problem
from .find import Divided
from .plan import ALONE, FORMAT, UNFOUND, CellPlan, CellsPlan, TierSum


def assemble_cells(
    built: Built, divided: Divided, found: tuple[Found, ...], single: float | None = None, *, sure: bool = True
) -> CellsPlan:
    """The plan of cells. `found` is what is known of each as a plan of its own; `single` is the objective of the best
    placement alone, None where none was found; whether it is `sure` that there is none."""
    problem = built.problem
    assert problem.rate is not None
    rate = problem.rate
    cells = tuple(
        CellPlan(cell.rate / rate, cell.rate, assemble(replace(built, problem=cell.problem), each))
        for cell, each in zip(divided.cells, found, strict=True)
    )
    tiers = tuple(_tiers(problem, cells))
    return CellsPlan(
        format=FORMAT,
        pipeline=built.pipeline,
        inputs=built.inputs,
        made=built.made,
        fleet=built.fleet,
        objective=problem.objective,
        objective_value=divided.objective,
        rate=rate,
        cells=cells,
        tiers=tiers,
        cost=_cost(problem, cells, tiers),
        energy=shared("energy", "J", cells, [cell.plan.energy for cell in cells]),
        certificate=tuple(_certificate(problem, cells, tiers)),
        search=Search(
            status=GAP,
            gap=divided.gap if divided.bound > 0.0 else None,
            considered=divided.considered,
            bound=divided.bound,
            baselines=((ALONE if sure or single is not None else UNFOUND, single),),
        ),
        scarcity=tuple(divided.prices.items()),
        notes=built.notes,
    )


def with_baselines(search: Search, problem: Problem) -> Search:
    """With what simpler ways to choose one placement come to, all runs in it."""
    from ..search import baselines

    found = baselines(problem)
    return replace(
        search,
        baselines=(*search.baselines, *((each.name, each.objective) for each in found)),
        unable=tuple((each.name, each.why) for each in found if each.objective is None),
    )


def _tiers(problem: Problem, cells: tuple[CellPlan, ...]) -> Iterator[TierSum]:
    for number, tier in enumerate(problem.tiers):
        parts = [cell.plan.tiers[number] for cell in cells]
        yield TierSum(
            name=tier.name,
            device=tier.device,
            title=tier.title,
            endpoint=tier.endpoint,
            count=(tier.low, tier.high),
            devices=sum(part.devices for part in parts),
            used=sum(part.used for part in parts),
        )


def shared(name: str, unit: str, cells: tuple[CellPlan, ...], parts: Iterable[Prediction]) -> Prediction:
    """What a run comes to, whichever cell it is in: each by its share."""
    terms: list[Term] = []
    above = 0.0
    for number, (cell, part) in enumerate(zip(cells, parts, strict=True), 1):
        detail = f"{cell.share:.4g} x {show_value(part.value, unit)}"
        basis = weakest(term.basis for term in part.terms)
        terms.append(Term(f"cell {number}", cell.share * part.value, unit, basis, detail))
        above += cell.share * (part.high - part.value)
    value = fsum(term.value for term in terms)
    return predicted(name, unit, terms, above / value if value else 0.0)


def _cost(problem: Problem, cells: tuple[CellPlan, ...], tiers: tuple[TierSum, ...]) -> CostPlan:
    per_run = shared("cost", "$", cells, [cell.plan.cost.per_run for cell in cells])
    conventions = list(dict.fromkeys(cell.plan.cost.convention for cell in cells))
    return CostPlan(
        per_run=per_run,
        per_1000_runs=per_run.value * 1000.0,
        convention=conventions[0] if len(conventions) == 1 else "mixed",
        arithmetic=_arithmetic(problem, per_run.value, tiers),
        prices=tuple(dict.fromkeys(price for cell in cells for price in cell.plan.cost.prices)),
    )


def _arithmetic(problem: Problem, whole: float, tiers: tuple[TierSum, ...]) -> str:
    assert problem.rate is not None
    words: list[str] = []
    paid = 0.0
    for tier, known in zip(tiers, problem.tiers, strict=True):
        if tier.devices and not tier.endpoint:
            words.append(f"{tier.devices} x {show_value(known.dollars.value * 3600.0, '$/h')}")
            paid += tier.devices * known.dollars.value / problem.rate
    hourly = f"({' + '.join(words)})" if len(words) > 1 else "".join(words)
    runs = problem.rate * 3600.0
    found = [f"{hourly} / {f'{runs:,.0f}' if runs >= 1000.0 else f'{runs:.4g}'} runs per h"] if words else []
    if whole - paid > 1e-9 * whole:
        found.append(f"{show_value(whole - paid, '$')} asked elsewhere and for transfers")
    return " + ".join(found) or "nothing is paid"


# --- the sums --------------------------------------------------------------------------------------------------------


def _certificate(problem: Problem, cells: tuple[CellPlan, ...], tiers: tuple[TierSum, ...]) -> Iterator[Inequality]:
    places = {each.name: each.place for each in problem.requirements}
    for number, (tier, known) in enumerate(zip(tiers, problem.tiers, strict=True)):
        if tier.endpoint:
            continue
        terms = [f"{each.plan.tiers[number].devices} in cell {n}" for n, each in enumerate(cells, 1)]
        place = places.get(known.counted, "")
        name = f"devices of {tier.name}"
        yield _line(name, "count", known.counted, tier.devices, known.high, "", terms, place)
        if known.low:
            yield _line(f"{name}, at least", "count", known.counted, known.low, tier.devices, "", terms, place)
    promise = next(each for each in problem.promises if each.kind == "rate")
    served = fsum(cell.rate for cell in cells)
    terms = [f"{cell.rate:.6g} per s in cell {number}" for number, cell in enumerate(cells, 1)]
    yield _line(promise.name, "rate", promise.name, promise.limit, served, "per s", terms, places.get(promise.name, ""))
    missed = [_missed(cell.plan) for cell in cells]
    terms = [f"{count} in cell {number}" for number, count in enumerate(missed, 1)]
    yield _line("promises that a cell does not keep", "promise", "", sum(missed), 0, "", terms)


def _missed(plan: Plan) -> int:
    return sum(not (line.holds or line.soft) for line in plan.certificate)


def _line(
    name: str, kind: str, requirement: str, left: float, right: float, unit: str, terms: Iterable[str], place: str = ""
) -> Inequality:
    return Inequality(
        name=name,
        kind=kind,
        requirement=requirement,
        left=float(left),
        right=float(right),
        unit=unit,
        holds=left <= right * (1 + SLACK),
        soft=False,
        basis=Basis.GIVEN,
        error=0.0,
        terms=tuple(terms),
        place=place,
    )
