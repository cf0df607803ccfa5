"""Who comes when: at random, in bursts, as a trace says, or each as soon as another is through."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import cos, pi
from random import Random


@dataclass(frozen=True, slots=True)
class Arrival:
    """A run that comes `at` so many seconds. `sizes` are its own, by the names of the pipeline's sizes; the plan's hold
    for the others. `keys` name the tokens of its prompt, one for each page of them: equal keys behind equal keys are
    equal tokens. `session` is whose run it is."""

    at: float
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])
    keys: tuple[Hashable, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """`concurrency` runs at any time: the next comes when one is over. That is how servers are measured. `sizes` are of
    all of them."""

    concurrency: int
    runs: int
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.runs < 1:
            raise ValueError("a closed loop needs at least one run at a time")


Arrivals = tuple[Arrival, ...] | Closed


def poisson(rate: float, runs: int, seed: int = 0) -> tuple[Arrival, ...]:
    """Runs that come at random, `rate` a second on the average: the pauses between them are exponential."""
    return bursts(rate, runs, seed, 1)


def bursts(rate: float, runs: int, seed: int = 0, size: int = 1) -> tuple[Arrival, ...]:
    """`size` runs at the same moment, and such bursts at random: `rate` runs a second on the average."""
    if not rate > 0 or runs < 1 or size < 1:
        raise ValueError("arrivals need a rate above 0, one run and one run in a burst")
    draw = Random(f"arrivals {seed}")
    out: list[Arrival] = []
    now = 0.0
    while len(out) < runs:
        now += draw.expovariate(rate / size)
        out += [Arrival(now)] * min(size, runs - len(out))
    return tuple(out)


NIGHT = 0.1
"""The least rate of a day, in parts of its greatest."""


def days(rate: float, runs: int, seed: int = 0, day: float = 86400.0) -> tuple[Arrival, ...]:
    """Runs at random whose rate swings: from a tenth of `rate`, up to it in the middle of a day of so many seconds, and
    down again (by thinning: Lewis and Shedler 1979)."""
    if not (rate > 0 and day > 0) or runs < 1:
        raise ValueError("arrivals need a rate and a day above 0, and one run")
    draw = Random(f"arrivals {seed}")
    out: list[Arrival] = []
    now = 0.0
    while len(out) < runs:
        now += draw.expovariate(rate)
        if draw.random() < NIGHT + (1.0 - NIGHT) * (1.0 - cos(2.0 * pi * now / day)) / 2.0:
            out.append(Arrival(now))
    return tuple(out)
