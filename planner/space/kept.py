"""What a program says of where a stage may be: labels that a goal keeps on some tiers, and `with place on`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ...ir.fused import FUSED
from ...ir.graph import Operation, Region
from ...ir.labels import Held, labels_of
from ...lang.program import Goal
from .asked import Asked
from .problem import Requirement


@dataclass(frozen=True, slots=True)
class Kept:
    """For each stage what forbids it on which tiers: names of requirements, with the tiers where it may be."""

    allowed: Mapping[str, tuple[tuple[str, frozenset[str]], ...]]
    requirements: tuple[Requirement, ...]

    def barred(self, stage: str, tier: str) -> tuple[str, ...]:
        return tuple(name for name, tiers in self.allowed.get(stage, ()) if tier not in tiers)


def kept(asked: Asked, goal: Goal | None, several: bool) -> Kept:
    """Nothing is forbidden where there is no choice: who runs all on this machine has chosen it."""
    if not several:
        return Kept({}, ())
    allowed: dict[str, list[tuple[str, frozenset[str]]]] = {}
    required: dict[str, Requirement] = {}
    terms = [term for term in goal.terms if term.kind == "keep"] if goal else []
    held: Mapping[str, Held] = labels_of(asked.graph) if terms else {}
    for term in terms:
        name = f"keep @{term.word} on [{', '.join(term.tiers)}]"
        required[name] = Requirement(name, "keep", name, str(term.span))
        for stage in asked.run.operations:
            labels = held[stage].result.union(*held[stage].operands) if stage in held else frozenset[str]()
            if term.word in labels:
                allowed.setdefault(stage, []).append((name, frozenset(term.tiers)))
    for stage, place, guard in _placed(asked.graph.pipeline(asked.pipeline).body, "", None):
        if stage in asked.run.operations:
            where = str(guard.span) if guard and guard.span else ""
            name = (
                f"place on {place}"
                if f"place on {place}" not in required
                else f"place on {place} ({PurePath(where).name})"
            )
            same = next((each for each in required.values() if each.place == where and each.kind == "place"), None)
            name = same.name if same else name
            required.setdefault(name, Requirement(name, "place", f"place on {place}", where))
            allowed.setdefault(stage, []).append((name, frozenset({place})))
    return Kept({stage: tuple(each) for stage, each in allowed.items()}, tuple(required.values()))


def _placed(region: Region, place: str, guard: Operation | None) -> Iterator[tuple[str, str, Operation | None]]:
    """Stages under `with place on`, the innermost counts."""
    for operation in region.operations:
        inner, by = place, guard
        if operation.name == "agent.guard" and operation.attributes.get("place"):
            inner, by = str(operation.attributes["place"]), operation
        if inner and (not operation.regions or operation.name == FUSED):
            yield operation.id, inner, by
        for each in operation.regions:
            yield from _placed(each, inner, by)
