"""A choice with all that follows from it by looking things up: what each stage takes, where, beside whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp

from ..figures import Basis, Term, show_value
from .evaluate import Outcome, crossing, served, transfer, used_of, visited, z_of
from .nodes import Constant, Index, Move, Take, critical, values
from .problem import Choice, Edge, Link, Option, Pool, Problem, Promise, Stage


@dataclass(frozen=True)
class Chosen:
    """A choice of a problem and what it comes to. (Not slotted: what is asked often is kept.)"""

    problem: Problem
    choice: Choice
    outcome: Outcome

    @cached_property
    def taken(self) -> Mapping[str, Option]:
        places = zip(self.problem.stages, self.choice.options, strict=True)
        return {stage.name: stage.options[place] for stage, place in places}

    @cached_property
    def replicas(self) -> Mapping[str, int]:
        return {pool.name: count for pool, count in zip(self.problem.pools, self.choice.replicas, strict=True)}

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Those in use."""
        return tuple(pool for pool in self.problem.pools if self.replicas[pool.name])

    @cached_property
    def places(self) -> Mapping[str, str]:
        """The tier of each stage."""
        return {name: self.problem.pool(option.pool).tier for name, option in self.taken.items()}

    @cached_property
    def crossing(self) -> Mapping[int, tuple[Edge, Link | None]]:
        return crossing(self.problem, self.taken, self.places)

    def stages_of(self, pool: str) -> tuple[Stage, ...]:
        return tuple(stage for stage in self.problem.stages if self.taken[stage.name].pool == pool)

    def served(self, pool: str) -> float:
        """Seconds that one run keeps a slot of a pool."""
        return served(self.problem, self.taken, pool)

    def used(self, tier: str) -> int:
        """Devices of a tier that work."""
        return used_of(self.problem, tier, self.replicas)

    def visited(self, kind: str) -> tuple[str, ...]:
        """The pools whose waiting lines count for a moment."""
        return visited(self.problem, kind, self.taken) if kind in self.problem.waits else ()

    def path(self, kind: str, promise: Promise | None = None) -> Path:
        """The critical path of a moment; of one that is promised, when all stages take the promise's percentile."""
        z = z_of(promise.percentile) if promise else 0.0
        seconds = values(self.problem.nodes, lambda leaf: self._take(leaf, z), self._move)
        top = self.problem.promised(promise) if promise else self.problem.moment(kind)
        return Path(self, z, seconds, top)

    def _take(self, leaf: Take, z: float) -> float:
        option = self.taken[leaf.stage]
        return (option.first if leaf.first else option.seconds) * exp(z * option.noise) * leaf.times

    def _move(self, leaf: Move) -> float:
        edge, link = self.crossing.get(leaf.edge, (None, None))
        return leaf.times * transfer(edge, link) if edge and link else 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """What a stage gives to a path, or a transfer to its `stage`: seconds at the median, and at the percentile."""

    stage: str
    seconds: float
    slow: float
    edge: int | None = None


@dataclass(frozen=True)
class Path:
    """The critical path of a moment, with the seconds of all nodes."""

    chosen: Chosen
    z: float
    seconds: Sequence[float]
    top: Index

    @property
    def at(self) -> float:
        return self.seconds[self.top]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """One for each stage and transfer on the path, in order; of a constant, without a stage."""
        found: dict[tuple[str, int | None], Part] = {}
        for leaf, factor in critical(self.chosen.problem.nodes, self.seconds, self.top):
            part = self._part(leaf, factor)
            known = found.get((part.stage, part.edge))
            if known is not None:
                part = Part(part.stage, known.seconds + part.seconds, known.slow + part.slow, part.edge)
            if part.slow > 0.0:
                found[part.stage, part.edge] = part
        return tuple(found.values())

    def _part(self, leaf: Take | Move | Constant, factor: float) -> Part:
        match leaf:
            case Take(stage, times, first):
                option = self.chosen.taken[stage]
                seconds = (option.first if first else option.seconds) * times * factor
                return Part(stage, seconds, seconds * exp(self.z * option.noise))
            case Move(edge, times):
                found = self.chosen.crossing.get(edge)
                if found is None or found[1] is None:
                    return Part("", 0.0, 0.0, edge)
                seconds = transfer(found[0], found[1]) * times * factor
                return Part(found[0].target, seconds, seconds, edge)
            case Constant(seconds):
                return Part("", seconds * factor, seconds * factor)

    def terms(self) -> list[Term]:
        """The medians of the path's parts, as the terms that they are made of."""
        found: list[Term] = []
        for part in self.parts:
            if part.edge is not None:
                found.append(self._transfer(part, part.edge))
                continue
            if not part.stage:
                found.append(Term("fixed", part.seconds, "s", Basis.DERIVED))
                continue
            time = self.chosen.taken[part.stage].time
            share = part.seconds / time.value if time.value else 0.0
            for term in time.terms:
                detail = term.detail if abs(share - 1.0) < 1e-9 else f"{share:.4g} of ({term.detail})"
                found.append(Term(term.name, term.value * share, "s", term.basis, detail, part.stage))
        return found

    def _transfer(self, part: Part, number: int) -> Term:
        edge, link = self.chosen.crossing[number]
        assert link is not None  # else it takes nothing, and is no part
        detail = (
            f"{show_value(edge.bytes, 'B')} / {show_value(link.bandwidth, 'B/s')} + {show_value(link.latency, 's')}, "
            f"from {edge.source}"
        )
        once = transfer(edge, link)
        times = "" if abs(part.seconds / once - 1.0) < 1e-9 else f"{part.seconds / once:.4g} x "
        return Term("transfer", part.seconds, "s", Basis.DERIVED, times + detail, part.stage)

    @property
    def error(self) -> float:
        """Relative, as if all stages erred the same way, which is the wider and the safer bar."""
        spread = total = 0.0
        for part in self.parts:
            total += part.seconds
            if part.stage and part.edge is None:
                time = self.chosen.taken[part.stage].time
                spread += part.seconds * ((time.high - time.value) / time.value if time.value else 0.0)
        return spread / total if total else 0.0

    def shares(self, promise: Promise, waits: Mapping[str, float]) -> dict[str, float]:
        """Seconds at the percentile by stage: its own, those of what is sent to it, and of waiting for its pool its
        part of what the path's stages keep that pool busy."""
        found: dict[str, float] = {}
        for part in self.parts:
            if part.stage:
                found[part.stage] = found.get(part.stage, 0.0) + part.slow
        busy = {
            stage.name: stage.executions * self.chosen.taken[stage.name].busy for stage in self.chosen.problem.stages
        }
        for pool, wait in waits.items():
            here = [name for name in found if self.chosen.taken[name].pool == pool]
            total = sum(busy[name] for name in here)
            for name in here:
                found[name] += wait * (busy[name] / total if total else 1.0 / len(here))
        whole = sum(found.values())
        return {name: promise.limit * seconds / whole for name, seconds in found.items()} if whole else {}
