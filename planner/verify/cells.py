"""A plan of several cells: each as a plan of its own, by the verifier of those, and then the sums.

What a cell may take is not read from it: its devices are counted from its pools, and that is what it may take. So no
count, rate or share can be another without some sum being wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import fsum, isfinite
from typing import Any, cast

from ..figures import Basis
from ..space.problem import Problem, Tier
from . import CLAIMS, Facts, Finding, Summary, choice_of, differences, seal, summed, verify
from .document import Document
from .facts import CLOSE
from .least import least
from .trees import WORDS, Given, Tree, term, weakest, whole

FORMAT = 3
GAP = "gap"
ALONE = "one placement alone"
UNFOUND = "one placement alone (the search ran out of time)"

Givens = Callable[[Problem], Given]
"""What a plan of a problem says that is no question of the choice."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that was read: its problem, its document derived again."""

    rate: float
    problem: Problem
    facts: Facts
    tree: Mapping[str, Any]


def verify_cells(plan: Mapping[str, object], problem: Problem, givens: Givens) -> tuple[Finding, ...]:
    """All that is wrong with a plan of cells (parsed JSON of the right shape) of this problem; empty where it holds."""
    found = [] if plan.get("seal") == seal(plan) else [Finding("seal", "is not that of the document")]
    if problem.rate is None or not any(promise.kind == "rate" for promise in problem.promises):
        return (*found, Finding("rate", "is not promised, so there is nothing to share"))
    parts: list[Any] = cast("list[Any]", plan["cells"])
    wrong = list(_rates(parts, problem))
    if wrong:
        return (*found, *wrong)
    read = [choice_of(part["plan"], problem) for part in parts]
    for number, (missing, _, _) in enumerate(read):
        wrong += (replace(each, path=f"cells[{number}].plan.{each.path}") for each in missing)
    chosen = [(facts, numbers) for _, facts, numbers in read if facts is not None]
    if wrong or len(chosen) != len(parts):
        return (*found, *wrong)
    used = [{tier.name: facts.used(tier.name) for tier in problem.tiers} for facts, _ in chosen]
    cells: list[_Cell] = []
    for number, (part, (facts, numbers)) in enumerate(zip(parts, chosen, strict=True)):
        own = _problem_of(problem, part["rate"], used, number)
        given = givens(own)
        said = {**part["plan"], "seal": seal(part["plan"])}
        found += (replace(each, path=f"cells[{number}].plan.{each.path}") for each in verify(said, own, given))
        facts = Facts(own, facts.options, facts.replicas)
        cells.append(_Cell(part["rate"], own, facts, Document(facts, numbers, given).tree()))
    found += _between_endpoints(problem, cells)
    found += differences("", plan, _tree(plan, problem, cells, givens(problem)))
    found += _search(plan, problem, cells)
    return tuple(found)


def summary_of_cells(plan: Mapping[str, object]) -> Summary:
    """Of a plan of cells that was found to hold: the lines of all its cells and of the sums."""
    parts: list[Any] = cast("list[Any]", plan["cells"])
    lines: list[Any] = [line for part in parts for line in part["plan"]["certificate"]]
    found = summed(lines)
    # That the rates come to the goal's leaves nothing over, and is no tight limit.
    return replace(found, inequalities=len(lines) + len(cast("list[Any]", plan["certificate"])))


def _rates(parts: list[Any], problem: Problem) -> Iterator[Finding]:
    assert problem.rate is not None
    if len(parts) < 2:
        yield Finding("cells", f"{len(parts)}", "at least two")
    for number, part in enumerate(parts):
        if not (isfinite(part["rate"]) and 0.0 < part["rate"] < problem.rate):
            yield Finding(f"cells[{number}].rate", repr(part["rate"]), f"a part of {problem.rate!r}")
    served = fsum(part["rate"] for part in parts)
    if abs(served - problem.rate) > CLOSE * problem.rate:
        yield Finding("cells", f"serve {served!r} per s together", repr(problem.rate))


def _problem_of(problem: Problem, rate: float, used: list[dict[str, int]], number: int) -> Problem:
    """That of one cell: with what it uses of each tier, and in the first with what is paid of it in any case."""

    def tier_of(tier: Tier) -> Tier:
        if tier.endpoint:
            return tier
        idle = max(0, tier.low - sum(each[tier.name] for each in used[1:])) if number == 0 else 0
        return replace(tier, low=idle, high=max(used[number][tier.name], idle))

    promises = tuple(replace(each, limit=rate) if each.kind == "rate" else each for each in problem.promises)
    return replace(problem, tiers=tuple(map(tier_of, problem.tiers)), promises=promises, rate=rate)


def _between_endpoints(problem: Problem, cells: list[_Cell]) -> Iterator[Finding]:
    """Between devices each cell has its own pairs of them; between two endpoints there is one line for all."""
    remote = {tier.name for tier in problem.tiers if tier.endpoint}
    for link in problem.links:
        if link.left in remote and link.right in remote:
            for ends in dict.fromkeys(((link.left, link.right), (link.right, link.left))):
                moved = fsum(cell.facts.traffic(*ends) * cell.rate for cell in cells)
                if moved > link.bandwidth * (1.0 + CLOSE):
                    yield Finding(
                        "cells", f"{moved!r} bytes a second from {ends[0]} to {ends[1]}", repr(link.bandwidth)
                    )


# --- the sums --------------------------------------------------------------------------------------------------------


def _tree(plan: Mapping[str, object], problem: Problem, cells: list[_Cell], given: Given) -> dict[str, Tree]:
    """The document as it has to be, beside what was verified of each cell."""
    assert problem.rate is not None
    shares = [cell.rate / problem.rate for cell in cells]
    parts: list[Any] = cast("list[Any]", plan["cells"])
    costs = [cell.tree["cost"]["per_run"] for cell in cells]
    dollars = _shared("cost", "$", shares, costs)
    conventions = list(dict.fromkeys(str(cell.tree["cost"]["convention"]) for cell in cells))
    return {
        "format": FORMAT,
        "pipeline": given.pipeline,
        "inputs": given.inputs,
        "made": given.made,
        "fleet": given.fleet,
        "objective": problem.objective,
        "objective_value": _objective(problem, cells),
        "rate": problem.rate,
        "cells": [
            {"share": share, "rate": cell.rate, "plan": part["plan"]}
            for share, cell, part in zip(shares, cells, parts, strict=True)
        ],
        "tiers": [_tier(tier, cells) for tier in problem.tiers],
        "cost": {
            "per_run": dollars,
            "per_1000_runs": dollars["value"] * 1000.0,
            "convention": conventions[0] if len(conventions) == 1 else "mixed",
            "arithmetic": WORDS,
            "prices": WORDS,
        },
        "energy": _shared("energy", "J", shares, [cell.tree["energy"] for cell in cells]),
        "certificate": list(_certificate(problem, cells)),
        "search": CLAIMS,
        "scarcity": plan["scarcity"],
        "notes": WORDS,
        "seal": WORDS,
    }


def _objective(problem: Problem, cells: list[_Cell]) -> float:
    assert problem.rate is not None
    return fsum(cell.facts.objective() * cell.rate for cell in cells) / problem.rate


def _shared(name: str, unit: str, shares: list[float], parts: list[Any]) -> dict[str, Any]:
    """A sum over the cells, each by its share."""
    terms: list[Tree] = []
    for number, (share, part) in enumerate(zip(shares, parts, strict=True), 1):
        basis = weakest(Basis(each["basis"]) for each in part["terms"])
        terms.append(term(f"cell {number}", share * part["value"], unit, basis, WORDS))
    value = fsum(share * part["value"] for share, part in zip(shares, parts, strict=True))
    above = fsum(share * (part["high"] - part["value"]) for share, part in zip(shares, parts, strict=True))
    return whole(name, unit, value, above / value if value else 0.0, terms)


def _tier(tier: Tier, cells: list[_Cell]) -> dict[str, Tree]:
    return {
        "name": tier.name,
        "device": tier.device,
        "title": tier.title,
        "endpoint": tier.endpoint,
        "count": [tier.low, tier.high],
        "devices": sum(cell.facts.devices(tier.name) for cell in cells),
        "used": sum(cell.facts.used(tier.name) for cell in cells),
    }


def _certificate(problem: Problem, cells: list[_Cell]) -> Iterator[Tree]:
    places = {each.name: each.place for each in problem.requirements}
    for tier in problem.tiers:
        if tier.endpoint:
            continue
        paid = sum(cell.facts.devices(tier.name) for cell in cells)
        name, place = f"devices of {tier.name}", places.get(tier.counted, "")
        yield _line(name, "count", tier.counted, paid, tier.high, "", place)
        if tier.low:
            yield _line(f"{name}, at least", "count", tier.counted, tier.low, paid, "", place)
    promise = next(each for each in problem.promises if each.kind == "rate")
    served = fsum(cell.rate for cell in cells)
    place = places.get(promise.name, "")
    yield _line(promise.name, "rate", promise.name, promise.limit, served, "per s", place)
    lines: list[Any] = [line for cell in cells for line in cell.tree["certificate"]]
    missed = sum(not (line["holds"] or line["soft"]) for line in lines)
    yield _line("promises that a cell does not keep", "promise", "", missed, 0, "", "")


def _line(name: str, kind: str, requirement: str, left: float, right: float, unit: str, place: str) -> dict[str, Tree]:
    return {
        "name": name,
        "kind": kind,
        "requirement": requirement,
        "left": float(left),
        "right": float(right),
        "unit": unit,
        "holds": left <= right * (1.0 + CLOSE),
        "soft": False,
        "basis": Basis.GIVEN.value,
        "error": 0.0,
        "terms": WORDS,
        "place": place,
    }


# --- what is claimed ---------------------------------------------------------------------------------------------


def _search(plan: Mapping[str, object], problem: Problem, cells: list[_Cell]) -> Iterator[Finding]:
    """The bound is what the prices of the devices prove, added up again; the gap follows."""
    search = cast("Mapping[str, Any]", plan["search"])
    prices: list[Any] = cast("list[Any]", plan["scarcity"])
    objective = _objective(problem, cells)
    if search["status"] != GAP:
        yield Finding("search.status", repr(search["status"]), repr(GAP))
    names = [tier.name for tier in problem.tiers if not tier.endpoint]
    if [each[:1] for each in prices] != [[name] for name in names] or not all(map(_price, prices)):
        yield Finding("scarcity", "is not a price of each tier")
        return
    proven = min(least(problem, dict(prices)), objective)
    if abs(search["bound"] - proven) > CLOSE * max(proven, search["bound"]):
        yield Finding("search.bound", repr(search["bound"]), repr(proven))
    gap = 1.0 - proven / objective if proven > 0.0 and objective > 0.0 else None
    if (search["gap"] is None) != (gap is None) or (gap is not None and abs(search["gap"] - gap) > 1e-6):
        yield Finding("search.gap", repr(search["gap"]), repr(gap))
    compared: list[Any] = search["baselines"]
    if not compared or any(len(each) != 2 for each in compared) or compared[0][0] not in (ALONE, UNFOUND):
        yield Finding("search.baselines", "are not that of one placement alone, and others")
        return
    for number, (_, alone) in enumerate(compared):
        if alone is not None and alone < objective * (1.0 - CLOSE):
            yield Finding(f"search.baselines[{number}]", repr(alone), f"more than the cells come to, {objective!r}")


def _price(said: list[Any]) -> bool:
    return len(said) == 2 and isfinite(said[1]) and said[1] >= 0.0
