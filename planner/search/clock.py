"""What a search reads its time from: the wall, or work that is counted.

By the wall, who has a busier machine is given up on sooner, and may get another answer. Counted, the same is looked at
on any machine, however long that takes: what is asked for one second counts as many steps as an idle core of some years
ago did in one.
"""

from __future__ import annotations

from time import monotonic
from typing import Protocol

STEP = 2e-5
"""Seconds of a step: one stage of one combination that is tried by hand."""

PATIENCE = 20.0
"""How many times as long as it counts a solver may take, by the wall, before it is given up on all the same."""


class Clock(Protocol):
    """Seconds from some beginning on. Whoever asks says how many steps were done since the last time."""

    def __call__(self, steps: float = 1.0, /) -> float: ...


def wall(steps: float = 1.0, /) -> float:
    """`monotonic`, whatever was done."""
    del steps
    return monotonic()


class Counted:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, steps: float = 1.0, /) -> float:
        self.seconds += steps * STEP
        return self.seconds

    def spend(self, seconds: float) -> None:
        """What somebody else counted."""
        self.seconds += seconds
