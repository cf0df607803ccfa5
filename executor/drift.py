"""Whether what is measured drifts from what was predicted: two-sided cumulative sums of the logarithms of measured over
predicted, one pair for each stage.

A prediction has an error that it states. As long as stages are off by less than that, nothing has changed; so the error
and half the noise are the allowance of the sums (Page, "Continuous inspection schemes", Biometrika 1954), and what they
are held against is chosen so that a stage at the edge of its error raises a false alarm once in `quiet` executions on
the average (Siegmund's approximation, "Sequential Analysis", 1985). One disturbed execution says nothing: each counts
for at most a third of what raises an alarm. How far a stage has drifted is the median of what was seen since its sum
was last nothing.

What follows is said, not done. `refit`: the cost model is to learn what was measured. `replan`: it is off by so much
since the plan was made that another plan may be better, or the only one that keeps the goal. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf, isfinite, log, log1p
from statistics import median
from typing import Literal

QUIET = 10_000.0
PARTS = 3
"""An alarm takes at least so many executions, whatever they measured."""
_KEPT = 64
_LEAST = 0.01


@dataclass(frozen=True, slots=True)
class Expected:
    """Of a stage, as its plan states it: the relative `error` of its prediction, the relative `noise` between
    executions, and `room`: by what factor it may grow before a promise is lost (infinite where nothing is promised)."""

    error: float
    noise: float = 0.1
    room: float = inf

    def __post_init__(self) -> None:
        if not (self.error >= 0.0 and self.noise >= 0.0 and self.room > 0.0):
            raise ValueError("an error and a noise are not below 0, and room is above it")


Action = Literal["refit", "replan"]


@dataclass(frozen=True, slots=True)
class Drifted:
    """A stage takes `factor` times what it was last predicted to, and `since_plan` times what the plan said; seen over
    the last `executions`."""

    stage: str
    factor: float
    since_plan: float
    executions: int
    action: Action


def interval(allowance: float, quiet: float = QUIET) -> float:
    """What a one-sided sum is held against, in standard deviations, for one false alarm in `quiet` steps when nothing
    has changed; `allowance` in standard deviations, above 0. Siegmund: (exp(2kb) - 2kb - 1) / 2k^2 steps, where b is
    the interval and 1.166."""
    low, high = 0.0, 1.0

    def steps(at: float) -> float:
        twice = 2.0 * allowance * at
        return inf if twice > 700.0 else (exp(twice) - twice - 1.0) / (2.0 * allowance * allowance)

    while steps(high) < quiet:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if steps(middle) < quiet else (low, middle)
    return max(1.0, high - 1.166)


@dataclass(slots=True)
class _Sums:
    expected: Expected
    allowance: float
    limit: float
    above: float = 0.0
    below: float = 0.0
    since_above: deque[float] = field(default_factory=lambda: deque[float](maxlen=_KEPT))
    since_below: deque[float] = field(default_factory=lambda: deque[float](maxlen=_KEPT))
    learned: float = 0.0
    """The logarithm of what was found since the plan."""


class Drift:
    """What is known of the stages of one plan. `beyond` is how many of its errors a stage may be off before the plan is
    doubted (it is before that, where it has less room)."""

    def __init__(self, expected: Mapping[str, Expected], *, quiet: float = QUIET, beyond: float = 2.0) -> None:
        if not (quiet > 1.0 and beyond >= 1.0):
            raise ValueError("an alarm is at most once in one execution, and doubts begin at one error")
        self._beyond = beyond
        self._sums: dict[str, _Sums] = {}
        for stage, each in expected.items():
            sigma = max(_LEAST, each.noise)
            # So that a stage at the edge of its error is as quiet as said, and one within it more so.
            allowance = log1p(each.error) + sigma / 2.0
            # Of two sums either may raise it.
            limit = sigma * interval(0.5, 2.0 * quiet)
            self._sums[stage] = _Sums(each, allowance, limit)

    def see(self, stage: str, predicted: float, measured: float) -> Drifted | None:
        """One execution, or several summed, in seconds; `predicted` for its true sizes. The alarm that it raises, if
        it does: from then on the stage is expected to take what was found. Stages that the plan does not know, and
        times that are none, say nothing."""
        sums = self._sums.get(stage)
        if sums is None or not (predicted > 0.0 and measured > 0.0 and isfinite(predicted) and isfinite(measured)):
            return None
        off = log(measured / predicted) - sums.learned
        step = sums.limit / PARTS
        sums.above = _stepped(sums.above, min(off - sums.allowance, step), off, sums.since_above)
        sums.below = _stepped(sums.below, min(-off - sums.allowance, step), off, sums.since_below)
        for sum_, seen in ((sums.above, sums.since_above), (sums.below, sums.since_below)):
            if sum_ >= sums.limit * (1.0 - 1e-9):
                return self._alarm(stage, sums, median(seen), len(seen))
        return None

    def learned(self, stage: str) -> float:
        """The factor between the plan's prediction and what is expected now; 1 where nothing was found."""
        sums = self._sums.get(stage)
        return exp(sums.learned) if sums else 1.0

    def _alarm(self, stage: str, sums: _Sums, off: float, executions: int) -> Drifted:
        sums.learned += off
        sums.above = sums.below = 0.0
        sums.since_above.clear()
        sums.since_below.clear()
        doubted = abs(sums.learned) > self._beyond * sums.allowance or sums.learned > log(sums.expected.room)
        return Drifted(stage, exp(off), exp(sums.learned), executions, "replan" if doubted else "refit")


def _stepped(sum_: float, step: float, off: float, seen: deque[float]) -> float:
    sum_ += step
    if sum_ <= 0.0:
        seen.clear()
        return 0.0
    seen.append(off)
    return sum_
