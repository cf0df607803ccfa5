"""A stage of a program's graph beside its option: how what it takes, gives and moves follows the sizes of a run."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.graph import Operation
from .program import Program
from .system import System


class Sized:
    """A stage of the graph beside its option, and how its figures follow the sizes of a run."""

    def __init__(self, system: System, program: Program, operation: Operation) -> None:
        self.name = operation.id
        self.kind = operation.name
        self.option = system.taken.get(self.name)
        self._demand = operation.demand
        self._base = program.base
        seconds = self.option.seconds if self.option else 0.0
        if self.option is not None:
            # That executions take turns shows by itself.
            seconds -= sum(term.value for term in self.option.time.terms if term.name == "in turns")
        self.seconds = seconds
        self.first = self.option.first if self.option else 0.0
        self._moving = {
            edge.source: system.moving[number]
            for number, (edge, _) in system.crossing.items()
            if edge.target == self.name
        }
        self._given = program.pipeline.given
        self._counted = program.operations.get(program.streams_of.get(self.name, ""))

    def tokens_in(self, sizes: Mapping[str, float]) -> float:
        return self._demand.tokens_in.value(sizes) if self._demand else 0.0

    def tokens_out(self, sizes: Mapping[str, float]) -> float:
        return self._demand.tokens_out.value(sizes) if self._demand else 0.0

    def items(self, sizes: Mapping[str, float]) -> int:
        """Of the stream that it gives."""
        made = self.tokens_out(sizes)
        if not made and self.name in self._given:
            made = self._given[self.name].items.value(sizes)
        return max(1, round(made))

    def each(self, sizes: Mapping[str, float]) -> float:
        """Seconds for an item of the stream that it reads."""
        count = 1.0
        if self._counted is not None and self._counted.demand is not None:
            count = max(1.0, self._counted.demand.tokens_out.value(sizes))
        return self.seconds * self.scale(sizes) / count

    def scale(self, sizes: Mapping[str, float]) -> float:
        """What a run of these sizes takes beside one of the plan's, by whatever the stage's demand is most of."""
        if sizes is self._base or self._demand is None:
            return 1.0
        for amount in (self._demand.cpu, self._demand.compute, self._demand.traffic):
            usual = amount.value(self._base)
            if usual > 0.0:
                return max(0.0, amount.value(sizes)) / usual
        return 1.0

    def moving(self, sizes: Mapping[str, float]) -> float:
        """Seconds until what it takes has passed its links: of several values, the longest."""
        longest = 0.0
        for source, seconds in self._moving.items():
            given = self._given.get(source)
            usual = given.bytes.value(self._base) if given is not None else 0.0
            scale = given.bytes.value(sizes) / usual if given is not None and usual > 0.0 else 1.0
            longest = max(longest, seconds * scale)
        return longest

    def dollars(self, sizes: Mapping[str, float]) -> float:
        """What one execution is paid beside machine time: by its tokens, where it has some."""
        dollars = self.option.dollars if self.option else 0.0
        if not dollars or self._demand is None:
            return dollars
        for amount in (self._demand.tokens_out, self._demand.tokens_in):
            usual = amount.value(self._base)
            if usual > 0.0:
                return dollars * amount.value(sizes) / usual
        return dollars
