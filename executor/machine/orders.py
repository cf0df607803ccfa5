"""What the machine wants done. The shell performs orders in the order given and reports back by events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...base.problems import Problem
from ...ir.graph import Handle, Operation
from ..messages import message
from ..promises import Due


@dataclass(frozen=True, slots=True)
class HandleValue:
    """Stands for an opened handle in a stage's arguments; the backend knows the object."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamInput:
    """Stands for a stream in a stage's arguments: items arrive by `Deliver` to this reader."""

    reader: int


@message
class OpenHandle:
    """Open it (its own handles are open), then answer `HandleOpened` or `HandleFailed`."""

    handle: Handle


@message
class StartStage:
    """Run a leaf. `index` says which turn of the enclosing `for` loops it belongs to. `streams`: the result is a
    stream, and `credits` items may be made at once. `deadline` on the shell's clock, for the stage's information;
    `session` is the run's, `began` when that began; `due` where something is promised of the run."""

    stage: int
    run: int
    operation: Operation
    index: tuple[int, ...]
    entry: str
    arguments: Mapping[str, object]
    streams: bool
    credits: int
    deadline: float | None
    session: str | None = None
    reads: bool = False  # whether any of the arguments is a stream
    began: float = 0.0
    due: Due | None = None


@message
class StartInput:
    """Read the caller's stream `name` as if it were a stage."""

    stage: int
    run: int
    name: str
    credits: int


@message
class StopStage:
    """Cancel it and answer `StageStopped` when it is gone (or `StageEnded`/`StageFailed` if that came first)."""

    stage: int


@message
class Grant:
    """The stage may make `credits` more items."""

    stage: int
    credits: int


@message
class Deliver:
    reader: int
    item: object


@message
class DeliverItems:
    """Several at once, the oldest first."""

    reader: int
    items: Sequence[object]


@message
class DeliverEnd:
    """No more items will be delivered to the reader."""

    reader: int


@message
class Withdraw:
    """Forget items that were delivered to the reader (or that left the run) and were not taken: those at these places
    among them, counted from the oldest. They count as taken."""

    reader: int
    places: tuple[int, ...]
    run: int | None = None  # where it is the caller of a run


@message
class AskPerson:
    """Ask a person, then answer `Answered(question, …)`. Nothing waits for it but what stands behind it."""

    run: int
    question: int
    stage: str
    text: str
    session: str | None = None


@message
class StopAsking:
    """Nobody waits for the answer any more."""

    question: int


@message
class EmitItem:
    """An item leaves the run; `Taken(reader)` when the caller has it. `stage` made it; `seq` counts from 0; `t` is in
    seconds from the start of the run."""

    run: int
    reader: int
    item: object
    stage: str
    seq: int
    t: float


@message
class SetTimer:
    """Send `TimerFired` at this time; replaces an earlier order."""

    at: float


@message
class CancelTimer:
    pass


@dataclass(frozen=True, slots=True)
class Expectation:
    """An `expect` of a test that was looked at: whether it holds, and the values that it shows (see the operation)."""

    operation: Operation
    holds: bool
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `value` where it is done and its result is no stream; `reason`, `problem` and `stage` (an
    operation's id, where one is to blame) where it failed. A run is `interrupted` by Ctrl-C, and with the reason
    `interrupted` by a newer run of its session. `expectations` in the order in which they were looked at."""

    status: Literal["done", "failed", "cancelled", "interrupted"]
    value: object = None
    reason: str | None = None
    problem: Problem | None = None
    stage: str | None = None
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class StageTiming:
    """All executions of one operation in a run; seconds from the start of the run. `first_item` of the earliest;
    `seconds` is how long at least one of them ran."""

    stage: str
    count: int
    start: float
    first_item: float | None
    end: float
    items: int
    seconds: float


PauseCause = Literal["opening", "person", "reader"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Time of a run that is not counted for what it promises, in seconds from its start: models were opened, a person
    was asked, or the caller did not take what was there."""

    cause: PauseCause
    start: float
    end: float


@message
class Execution:
    """One execution of a stage, in seconds from the start of the run. Of one that reads a stream, `first_came` is when
    it took the last item that its own first came of, and `last_came` when what it reads had ended or grew last. `line`
    is how long it waited for its turn on a model, `held` how long its stream was held back by who reads it."""

    stage: str
    start: float
    first: float | None
    end: float
    first_came: float | None
    last_came: float | None
    line: float
    held: float


@dataclass(frozen=True, slots=True)
class Timings:
    """What a run took, in seconds: from its start to the first item that left, between items (the first 65,536 gaps),
    and to its end. Opening models and resources is part of it and also told apart in `opening`, as in `pauses`.
    `executions`, in the order of their ends, are told of a run with promises (the last 65,536)."""

    finish: float
    first_item: float | None = None
    gaps: tuple[float, ...] = field(default=(), repr=False)
    items: int = 0
    opening: float = 0.0
    stages: tuple[StageTiming, ...] = ()
    pauses: tuple[Pause, ...] = field(default=(), repr=False)
    executions: tuple[Execution, ...] = field(default=(), repr=False)


@message
class FinishRun:
    """The run is over, and so is every stage of it."""

    run: int
    outcome: Outcome
    usage: Mapping[str, float]
    timings: Timings
    pipeline: str = ""


@message
class LetGo:
    """Nothing of the run uses this result of a stage any more."""

    run: int
    value: object


Order = (
    OpenHandle
    | StartStage
    | StartInput
    | StopStage
    | Grant
    | Deliver
    | DeliverItems
    | DeliverEnd
    | Withdraw
    | AskPerson
    | StopAsking
    | EmitItem
    | SetTimer
    | CancelTimer
    | LetGo
    | FinishRun
)
