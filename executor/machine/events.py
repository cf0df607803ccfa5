"""What the machine is told. `at` is the time in seconds on the shell's clock: the machine has no other.

Stages and readers are numbers that the machine gave out in its orders; an event about one that is over is ignored,
because a stop and an end may cross on their way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from ...base.problems import Problem
from ..messages import message


@message
class RunRequested:
    """Start a run. `inputs` are runtime values by parameter name, without those left to their defaults; an input that
    is a stream is left out: it comes as a stage (`StartInput`). `timeout` in seconds. A new run of a `session`
    interrupts what is interruptible in those before it."""

    at: float
    run: int
    pipeline: str
    inputs: Mapping[str, object]
    timeout: float | None = None
    session: str | None = None


@message
class HandleOpened:
    at: float
    name: str


@message
class HandleFailed:
    at: float
    name: str
    reason: str
    problem: Problem


@message
class StageItem:
    """A stage with a stream result made an item; it had a credit for it."""

    at: float
    stage: int
    item: object


@message
class StageItems:
    """The same of several that were made in one go, for each of which it had a credit."""

    at: float
    stage: int
    items: Sequence[object]


@message
class StageEnded:
    """A stage is over: with its value, or with the end of its stream."""

    at: float
    stage: int
    value: object = None
    usage: Mapping[str, float] = field(default_factory=dict[str, float])


@message
class StageFailed:
    """`blame` is the id of another operation, where that is the one to blame: the failure came from elsewhere.
    `inside` is the id of the operation that failed in a fused one."""

    at: float
    stage: int
    reason: str
    problem: Problem
    usage: Mapping[str, float] = field(default_factory=dict[str, float])
    blame: str | None = None
    inside: str | None = None


@message
class StageStopped:
    """A stage that was told to stop is gone, and holds nothing any more."""

    at: float
    stage: int
    usage: Mapping[str, float] = field(default_factory=dict[str, float])


@message
class Taken:
    """A stage (or the caller of a run) took `count` of the items that were delivered to a reader."""

    at: float
    reader: int
    count: int = 1


@message
class ReaderClosed:
    """A stage will not read on."""

    at: float
    reader: int


@message
class TimerFired:
    at: float


@message
class Answered:
    """What a person said to `AskPerson`. `problem` where nobody could be asked."""

    at: float
    question: int
    granted: bool
    problem: Problem | None = None


@message
class CancelRequested:
    at: float
    run: int
    why: Literal["cancelled", "interrupted"] = "cancelled"


Event = (
    RunRequested
    | HandleOpened
    | HandleFailed
    | StageItem
    | StageItems
    | StageEnded
    | StageFailed
    | StageStopped
    | Taken
    | ReaderClosed
    | TimerFired
    | Answered
    | CancelRequested
)
