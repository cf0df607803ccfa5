"""When values are there, and what a walk through a region keeps: the vocabulary of `predict` and `bodies`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..ir.graph import Operation, Value, walk
from .moments import ZERO, Moment, Slice, either, latest


@dataclass(frozen=True, slots=True)
class Flow:
    """When a value is there. For a stream: its first item, its end, the time between items and their number."""

    first: Moment
    finish: Moment
    gap: Moment = ZERO
    items: float = 1.0
    stream: bool = False


@dataclass(slots=True)
class State:
    """What changes while one region instance is walked; nothing in it happens before `start`. `emitted` is in the order
    of the program."""

    values: dict[int, Flow] = field(default_factory=dict[int, Flow])
    start: Moment = ZERO
    machine: Moment = ZERO
    emitted: list[Flow] = field(default_factory=list[Flow])
    heavy: list[Slice] = field(default_factory=list[Slice])
    light: list[Slice] = field(default_factory=list[Slice])
    weight: float = 1.0
    at_once: float = 1.0

    def copy(self) -> State:
        return replace(
            self,
            values=dict(self.values),
            emitted=list(self.emitted),
            heavy=list(self.heavy),
            light=list(self.light),
        )

    def take(self, other: State) -> None:
        self.values, self.machine, self.emitted = other.values, other.machine, other.emitted
        self.heavy, self.light = other.heavy, other.light


def not_before(flow: Flow, moment: Moment) -> Flow:
    return Flow(latest((flow.first, moment)), latest((flow.finish, moment)), flow.gap, flow.items, flow.stream)


def slower(flow: Flow, others: Sequence[Flow]) -> Flow:
    """The slower of flows, which `flow` is here; elsewhere it may be one of the others."""
    return replace(
        flow,
        first=either(flow.first, (other.first for other in others)),
        finish=either(flow.finish, (other.finish for other in others)),
        gap=either(flow.gap, (other.gap for other in others)),
    )


def sent_out(emitted: Sequence[Flow], last: Flow | None = None) -> Flow:
    """One stream of what is emitted (something is) and of what is returned behind it."""
    flows = emitted if last is None else (*emitted, last)
    return Flow(
        emitted[0].first,
        latest(flow.finish for flow in flows),
        latest(flow.gap for flow in flows),
        sum(flow.items for flow in flows),
        True,
    )


def free_values(operation: Operation) -> list[int]:
    """Values that the regions of an operation use and do not define."""
    defined: set[int] = set()
    used: dict[int, Value] = {}
    for region in operation.regions:
        defined |= {value.id for value in region.arguments}
        for inner in walk(region):
            defined |= {value.id for value in inner.results}
            defined |= {value.id for nested in inner.regions for value in nested.arguments}
            used |= {value.id: value for value in inner.operands}
    return [key for key in used if key not in defined]
