"""What a run is promised to take, as the executor holds it: the limits of its moments, each divided into slices among
the stages; and what each call carries of that (`Due`). Frozen, plain numbers: `promised` makes them of a plan.

A stage is due when what is behind it would no longer fit into the limit, if that takes what the plan predicts (at the
median: it is late when it is likelier than not that the promise is lost). So what earlier stages left of their slices,
and what the plan had to spare, is there for whoever needs it first, and nobody is due behind the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .messages import message

FIRST = ("first_token", "first_item")
FINISH = "finish"


@message
class Due:
    """When a stage should be over, on the clock of who holds it; None where nothing is promised of that. `first` is of
    a stream's first item. It is told to the backend and the engine with each call: who is due first goes first."""

    first: float | None
    end: float | None

    @property
    def soonest(self) -> float | None:
        """What it should look at first."""
        first, end = self.first, self.end
        if first is None or end is None:
            return end if first is None else first
        return min(first, end)

    def left(self, now: float) -> Due:
        """The same in seconds from now, which may be less than nothing: clocks of two machines do not agree, what is
        left does."""
        first, end = self.first, self.end
        return Due(None if first is None else first - now, None if end is None else end - now)


@dataclass(frozen=True, slots=True)
class Promise:
    """One moment of a run (`first_token`, `first_item`, `finish`) is there within `limit` seconds, what opens models
    and what a person or the caller takes left out.

    `slices` divide it among stages, in seconds; `needs` is what each is predicted to take of that at the median (all
    of its slice, where nothing is said). `alone` is the moment as it is predicted for a run that waits for no other;
    None where nothing is known. `name` is the goal's own (`finish p95`). A `soft` one may be missed: it is told, and
    never enforced.
    """

    moment: str
    limit: float
    slices: Mapping[str, float]
    needs: Mapping[str, float] = field(default_factory=dict[str, float])
    name: str = ""
    alone: float | None = None
    soft: bool = False

    def __post_init__(self) -> None:
        if self.moment != FINISH and self.moment not in FIRST:
            raise ValueError(f"no run has a moment {self.moment!r}")
        if not self.limit > 0:
            raise ValueError("a promise needs a limit above 0")
        if sum(self.slices.values()) > self.limit * (1 + 1e-9):
            raise ValueError("slices come to no more than the limit")
        if sum(map(self.need, self.slices)) > self.limit * (1 + 1e-9):
            raise ValueError("stages need no more than the limit")

    def need(self, stage: str) -> float:
        """Seconds that are kept for a stage; none for one without a slice."""
        slice_ = self.slices.get(stage)
        return 0.0 if slice_ is None else self.needs.get(stage, slice_)


@dataclass(frozen=True, slots=True)
class Line:
    """What runs share and wait for: so many `slots`, one of which a run keeps for `seconds` in all, in these stages."""

    name: str
    slots: int
    seconds: float
    stages: frozenset[str]


@dataclass(frozen=True, slots=True)
class Promises:
    """Of one pipeline. `times` are the predicted seconds of one execution, by stage.

    Where they are enforced, a stage that is over due fails as `timeout`, and a run is refused when the `lines` show
    that it would be late. Otherwise a miss is told, and stops nothing."""

    pipeline: str
    promises: tuple[Promise, ...]
    times: Mapping[str, float] = field(default_factory=dict[str, float])
    lines: tuple[Line, ...] = ()
    enforce: bool = False

    def __post_init__(self) -> None:
        moments = [FINISH if each.moment == FINISH else FIRST[0] for each in self.promises]
        if len(set(moments)) < len(moments):
            raise ValueError("a moment is promised once")

    @property
    def first(self) -> Promise | None:
        return next((each for each in self.promises if each.moment != FINISH), None)

    @property
    def finish(self) -> Promise | None:
        return next((each for each in self.promises if each.moment == FINISH), None)
