"""Seconds of nodes as sums of flags: one copy for each percentile, as far as promises ask for it."""

from __future__ import annotations

from math import exp

from ...space.evaluate import transfer
from ...space.nodes import Constant, Latest, Move, Scaled, Sum, Take, values
from ..linear import CONSTANT, Terms, plus, value
from ..reading import Reading
from .options import Options

FINE = 2.0**-30
"""Seconds and dollars are told apart by this part of the largest that matters."""


class Seconds(Options):
    """`moves` are the seconds of edges. `unit` is the least time that is told apart."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self.nodes: dict[tuple[int, float], Terms] = {}
        self.moves: dict[int, Terms] = {}
        self.longest: dict[float, list[float]] = {}
        self.unit = self._unit()

    def _take(self, stage: int, place: int, first: bool, z: float) -> float:
        option = self.reading.option(stage, place)
        return (option.first if first else option.seconds) * exp(z * option.noise)

    def _most(self, z: float) -> list[float]:
        """No choice makes a node longer."""
        if z not in self.longest:
            tau = self._longest_moves()

            def longest(leaf: Take) -> float:
                stage = self.reading.stage_at[leaf.stage]
                each = (self._take(stage, place, leaf.first, z) for place in self.reading.allowed[stage])
                return leaf.times * max(each, default=0.0)

            self.longest[z] = values(self.problem.nodes, longest, lambda leaf: leaf.times * tau[leaf.edge])
        return self.longest[z]

    def _longest_moves(self) -> list[float]:
        links = dict.fromkeys(self.reading.links.values())
        return [max((transfer(edge, link) for link in links), default=0.0) for edge in self.problem.edges]

    def _unit(self) -> float:
        spans = [
            moment.limit if moment.limit is not None else self._most(moment.z)[moment.node]
            for moment in self.reading.moments
        ]
        if self.problem.objective == "fastest":
            spans.append(self._most(0.0)[self.problem.moment("finish")])
        return max([span for span in spans if span > 0.0], default=1.0) * FINE

    def node(self, index: int, z: float) -> Terms:
        """Seconds of a node at a percentile: at least what the choice makes it, at most that where it matters."""
        found = self.nodes.get((index, z))
        if found is None:
            found = self.nodes[index, z] = self._node(index, z)
        return found

    def _node(self, index: int, z: float) -> Terms:
        match self.problem.nodes[index]:
            case Constant(seconds):
                return {CONSTANT: seconds}
            case Take(name, times, first):
                stage = self.reading.stage_at[name]
                return {flag: self._take(stage, place, first, z) * times for place, flag in self.flags[stage].items()}
            case Move(edge, times):
                return {variable: seconds * times for variable, seconds in self.moves.get(edge, {}).items()}
            case Sum(parts):
                total: Terms = {}
                for part in parts:
                    total = plus(total, self.node(part, z))
                return total
            case Scaled(part, factor):
                return plus({}, self.node(part, z), factor)
            case Latest(parts):
                found = [self.node(part, z) for part in parts]
                if len(found) < 2:
                    return found[0] if found else {}
                largest = self.program.amount(
                    self._most(z)[index] * 1.001, self.unit, lambda at: max(value(each, at) for each in found)
                )
                for each in found:
                    self.program.at_most(plus(each, {largest: -1.0}), 0.0)
                return {largest: 1.0}
