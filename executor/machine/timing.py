"""What a run and its stages took, added up while it runs."""

from __future__ import annotations

from .orders import Execution, Pause, StageTiming, Timings

_LONGEST_GAPS = 65_536


class Times:
    """Adds up what `Timings` says; all times given are on the shell's clock."""

    __slots__ = ("_last", "_stages", "first_item", "gaps", "items", "opened", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.first_item: float | None = None
        self.items = 0
        self.gaps: list[float] = []
        self.opened = started
        self._last = started
        self._stages: dict[str, _Executions] = {}

    def item(self, at: float) -> float:
        """Notes an item that leaves; its time from the start of the run."""
        if self.first_item is None:
            self.first_item = at - self.started
        elif len(self.gaps) < _LONGEST_GAPS:
            self.gaps.append(at - self._last)
        self._last = at
        self.items += 1
        return at - self.started

    def stage(self, name: str, start: float, first_item: float | None, end: float, items: int) -> None:
        known = self._stages.get(name)
        if known is None:
            self._stages[name] = _Executions(start, first_item, end, items)
        else:
            known.add(start, first_item, end, items)

    def finish(self, at: float, pauses: tuple[Pause, ...] = (), executions: tuple[Execution, ...] = ()) -> Timings:
        zero = self.started
        stages = [
            StageTiming(
                name,
                one.count,
                one.start - zero,
                None if one.first is None else one.first - zero,
                one.end - zero,
                one.items,
                one.seconds,
            )
            for name, one in self._stages.items()
        ]
        stages.sort(key=lambda stage: (stage.start, stage.end))
        opening = self.opened - zero
        return Timings(
            at - zero, self.first_item, tuple(self.gaps), self.items, opening, tuple(stages), pauses, executions
        )


class _Executions:
    """All executions of one operation so far. `during` are the times when at least one ran, apart from each other: they
    are added by their ends, so a new one can only touch the last of them."""

    __slots__ = ("count", "during", "end", "first", "items", "start")

    def __init__(self, start: float, first: float | None, end: float, items: int) -> None:
        self.count = 1
        self.during = [(start, end)]
        self.start = start
        self.first = first
        self.end = end
        self.items = items

    def add(self, start: float, first: float | None, end: float, items: int) -> None:
        self.count += 1
        self.start = min(self.start, start)
        self.end = max(self.end, end)
        self.items += items
        during = self.during
        while during and during[-1][1] >= start:
            start = min(start, during.pop()[0])
        during.append((start, end))
        if first is not None and (self.first is None or first < self.first):
            self.first = first

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.during)
