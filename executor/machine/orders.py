"""What the machine wants done. The shell performs orders in the order given and reports back by events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...base.problems import Problem
from ...ir.graph import Handle, Operation


@dataclass(frozen=True, slots=True)
class HandleValue:
    """Stands for an opened handle in a stage's arguments; the backend knows the object."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamInput:
    """Stands for a stream in a stage's arguments: items arrive by `Deliver` to this reader."""

    reader: int


@dataclass(frozen=True, slots=True)
class OpenHandle:
    """Open it (its own handles are open), then answer `HandleOpened` or `HandleFailed`."""

    handle: Handle


@dataclass(frozen=True, slots=True)
class StartStage:
    """Run a leaf. `index` says which turn of the enclosing `for` loops it belongs to. `streams`: the result is a
    stream, and `credits` items may be made at once. `deadline` on the shell's clock, for the stage's information."""

    stage: int
    run: int
    operation: Operation
    index: tuple[int, ...]
    entry: str
    arguments: Mapping[str, object]
    streams: bool
    credits: int
    deadline: float | None


@dataclass(frozen=True, slots=True)
class StartInput:
    """Read the caller's stream `name` as if it were a stage."""

    stage: int
    run: int
    name: str
    credits: int


@dataclass(frozen=True, slots=True)
class StopStage:
    """Cancel it and answer `StageStopped` when it is gone (or `StageEnded`/`StageFailed` if that came first)."""

    stage: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The stage may make `credits` more items."""

    stage: int
    credits: int


@dataclass(frozen=True, slots=True)
class Deliver:
    reader: int
    item: object


@dataclass(frozen=True, slots=True)
class DeliverEnd:
    """No more items will be delivered to the reader."""

    reader: int


@dataclass(frozen=True, slots=True)
class EmitItem:
    """An item leaves the run; `Taken(reader)` when the caller has it. `stage` made it; `seq` counts from 0; `t` is in
    seconds from the start of the run."""

    run: int
    reader: int
    item: object
    stage: str
    seq: int
    t: float


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send `TimerFired` at this time; replaces an earlier order."""

    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `value` where it is done and its result is no stream; `reason`, `problem` and `stage` (an
    operation's id, where one is to blame) where it failed."""

    status: Literal["done", "failed", "cancelled", "interrupted"]
    value: object = None
    reason: str | None = None
    problem: Problem | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class StageTiming:
    """All executions of one operation in a run; seconds from the start of the run. `first_item` of the earliest."""

    stage: str
    count: int
    start: float
    first_item: float | None
    end: float
    items: int


@dataclass(frozen=True, slots=True)
class Timings:
    """What a run took, in seconds: from its start to the first item that left, between items (the first 65,536 gaps),
    and to its end. Opening models and resources is part of it and also told apart in `opening`."""

    finish: float
    first_item: float | None = None
    gaps: tuple[float, ...] = field(default=(), repr=False)
    items: int = 0
    opening: float = 0.0
    stages: tuple[StageTiming, ...] = ()


@dataclass(frozen=True, slots=True)
class FinishRun:
    """The run is over, and so is every stage of it."""

    run: int
    outcome: Outcome
    usage: Mapping[str, float]
    timings: Timings


Order = (
    OpenHandle
    | StartStage
    | StartInput
    | StopStage
    | Grant
    | Deliver
    | DeliverEnd
    | EmitItem
    | SetTimer
    | CancelTimer
    | FinishRun
)
