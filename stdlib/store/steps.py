"""What a fetch, or the building of an index, tells while it goes on; and how a source of the store fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What is being done, in the words that a progress bar shows."""

    WAIT = "waiting for another fetch of the same model"
    DOWNLOAD = "fetching"
    UNPACK = "unpacking"
    INDEX = "indexing"


@dataclass(frozen=True, slots=True)
class Step:
    """`done` of `total` bytes of one phase for one model (or documents). `total` is 0 while waiting."""

    model: str
    phase: Phase
    done: int
    total: int


# Called often, from the thread that fetches. An exception that it raises ends the fetch and leaves nothing behind,
# which is how a caller cancels one.
Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """The progress of somebody who does not look."""
    del step


class Reason(Enum):
    """Why one source gave nothing, the gravest first: the gravest of all sources is what the user is told."""

    WRONG_HASH = "wrong hash"
    NO_PIP = "no pip"
    FAILED = "failed"
    OFFLINE = "offline"
    ABSENT = "absent"


class SourceFailed(Exception):
    """A source could not give the files; the next one is tried. `why` is a phrase without a full stop."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
