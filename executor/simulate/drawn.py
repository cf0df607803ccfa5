"""Tasks of the machine where values stand for nothing: what a program would decide by a value is drawn instead, by the
shares and counts that the plan reckons with.

All else is the machine's own: what runs at once, policies, races, fallbacks, interruptions, the order of what leaves. A
value is an object that equals no other, so that no cache answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING

from ...ir.graph import Operation, Region
from ...ir.live import gathers
from ..machine.branches import If, Match
from ..machine.leaves import Ahead, Leaf
from ..machine.loops import MapList, Repeat
from ..machine.prepared import Step
from ..machine.scopes import Scope, Task
from ..machine.semantics import LEAVES, is_list
from ..machine.tasks import Collect, Computed, Expect, Plain, make

if TYPE_CHECKING:
    from ..machine.run import Run

Sizes = Mapping[str, float]


class Made:
    """A value that nobody looks at. As the end of a turn of `repeat`, it says neither `stop` nor `next`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[object]:
        return iter((False, self))


class Drawing:
    """What the tasks of one simulation draw from. `sizes` gives those of a run."""

    def __init__(self, body: Region, seed: int, sizes: Callable[[int], Sizes]) -> None:
        self.often = Often(body).of
        self._draw = Random(f"branches {seed}")
        self._sizes = sizes

    def sizes(self, run: Run) -> Sizes:
        return self._sizes(run.number)

    def true(self, share: float) -> bool:
        return self._draw.random() < share

    def one_of(self, shares: list[float]) -> int:
        at = self._draw.random() * sum(shares)
        for place, share in enumerate(shares):
            at -= share
            if at < 0.0:
                return place
        return len(shares) - 1

    def whole(self, count: float) -> int:
        """A whole number whose mean is `count`."""
        return int(count) + (self._draw.random() < count - int(count))

    def make(self, scope: Scope, step: Step) -> Task:
        """In place of `machine.tasks.make`."""
        operation = step.operation
        name = operation.name
        match name:
            case "agent.if":
                return _If(scope, step, self)
            case "agent.match":
                return _Match(scope, step, self)
            case "agent.repeat":
                return _Repeat(scope, step, self)
            case "agent.map" if not gathers(operation) and is_list(operation):
                return _MapList(scope, step, self)
            case "agent.expect":
                return _Nothing(scope, step)
            case "agent.collect":
                return _Collect(scope, step)
            case _:
                pass
        if name in LEAVES:
            # A batch stands for the calls of its list, which is not there.
            return Ahead(scope, step) if "ahead" in operation.attributes else _Leaf(scope, step)
        known = make(scope, step)
        return _Value(scope, step) if isinstance(known, Plain | Computed) else known


class Often:
    """How often bodies run for one execution of their operation, as the demands of a pipeline say it."""

    def __init__(self, body: Region) -> None:
        self._within: dict[int, tuple[Region, Operation | None]] = {}
        self._note(body, None)

    def _note(self, region: Region, around: Operation | None) -> None:
        for operation in region.operations:
            self._within[id(operation)] = (region, around)
            for inner in operation.regions:
                self._note(inner, operation)

    def of(self, operation: Operation, region: Region, sizes: Sizes) -> float | None:
        """None where nothing says it."""
        inside, here = _times(region, sizes), self._here(operation, sizes)
        return inside / here if inside is not None and here else None

    def _here(self, operation: Operation, sizes: Sizes) -> float:
        """How often a run executes it."""
        if operation.times is not None:
            return operation.times.value(sizes)
        region, around = self._within[id(operation)]
        if around is None:
            return 1.0
        beside = _times(region, sizes)
        return self._here(around, sizes) if beside is None else beside


def _times(region: Region, sizes: Sizes) -> float | None:
    return next((each.times.value(sizes) for each in region.operations if each.times is not None), None)


class _Leaf(Leaf):
    __slots__ = ()

    def _calls(self) -> int:
        return 1


class _Value(Task):
    __slots__ = ()

    def fire(self) -> None:
        self.give(Made())
        self.finish()


class _Nothing(Expect):
    __slots__ = ()

    def fire(self) -> None:
        self.finish()


class _Collect(Collect):
    __slots__ = ()

    def take(self, item: object) -> None:
        """What comes is not kept."""

    def read(self) -> None:
        self.give(Made())
        self.finish()


class _If(If):
    __slots__ = ("_drawing",)

    def __init__(self, scope: Scope, step: Step, drawing: Drawing) -> None:
        super().__init__(scope, step)
        self._drawing = drawing

    def taken(self) -> tuple[int, tuple[object, ...]]:
        operation, sizes = self.operation, self._drawing.sizes(self.run)
        share = sizes.get(f"{operation.id.partition('.')[2]}.then")
        if share is None:
            share = self._drawing.often(operation, operation.regions[0], sizes)
        if share is None and len(operation.regions) > 1:
            other = self._drawing.often(operation, operation.regions[1], sizes)
            share = None if other is None else 1.0 - other
        return (0 if self._drawing.true(0.5 if share is None else share) else 1), ()


class _Match(Match):
    __slots__ = ("_drawing",)

    def __init__(self, scope: Scope, step: Step, drawing: Drawing) -> None:
        super().__init__(scope, step)
        self._drawing = drawing

    def taken(self) -> tuple[int, tuple[object, ...]]:
        sizes = self._drawing.sizes(self.run)
        known = [self._drawing.often(self.operation, region, sizes) for region in self.operation.regions]
        left = max(0.0, 1.0 - sum(share for share in known if share is not None))
        unknown = sum(share is None for share in known)
        place = self._drawing.one_of([left / unknown if share is None else share for share in known])
        return place, tuple(Made() for _ in self.step.blocks[place].arguments)


class _MapList(MapList):
    __slots__ = ("_drawing",)

    def __init__(self, scope: Scope, step: Step, drawing: Drawing) -> None:
        super().__init__(scope, step)
        self._drawing = drawing

    def operands(self) -> list[object]:
        operation, sizes = self.operation, self._drawing.sizes(self.run)
        count = self._drawing.often(operation, operation.regions[0], sizes)
        if count is None:
            count = sizes.get(f"{operation.operands[0].name}.items", 1.0)
        return [tuple(Made() for _ in range(self._drawing.whole(max(0.0, count)))), *super().operands()[1:]]


class _Repeat(Repeat):
    __slots__ = ("_drawing", "_turns")

    def __init__(self, scope: Scope, step: Step, drawing: Drawing) -> None:
        super().__init__(scope, step)
        self._drawing = drawing
        self._turns = 1

    def fire(self) -> None:
        operation = self.operation
        turns = self._drawing.often(operation, operation.regions[0], self._drawing.sizes(self.run))
        self._turns = int(str(operation.attributes["at_most"])) if turns is None else self._drawing.whole(turns)
        super().fire()

    def _ended(self, stop: bool, state: object) -> None:
        super()._ended(stop or self.number >= self._turns, state)
