"""A live view of runs: what is heard of them, and a look at the shell now and then, added up by stage.

What is heard costs a tenth of a microsecond or two an event. All else is done when somebody draws (`picture`), which
may be another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..looking import Look
from ..observers import HandleOpening, HandleReady, Observer, RunOver, StageOver, StageStarted

How = Literal["opening", "running", "held", "done", "failed", "stopped"]
TOKENS = "llm:decode"
"""The items of this entry are tokens."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stage: what it is doing, how many of its executions run and have ended, its items, how many of them wait to be
    read, and items a second of late (None where it makes none)."""

    stage: str
    how: How
    running: int
    over: int
    items: int
    waiting: int
    rate: float | None
    tokens: bool
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Of a moment. `since` seconds have passed from the start of the oldest run that goes on, `left` are what the run
    has that has least; None where nothing is promised."""

    pipeline: str
    runs: int
    over: int
    since: float
    left: float | None
    unread: int
    rows: tuple[Row, ...]
    opening: tuple[str, ...] = ()

    @property
    def tokens(self) -> float:
        """Tokens a second, of all stages that make them."""
        return sum(row.rate or 0.0 for row in self.rows if row.tokens)


class _Kept:
    """Of a stage: executions that ended, by how, and what they made."""

    __slots__ = ("ended", "entry", "failed", "items", "live", "stopped")

    def __init__(self, entry: str) -> None:
        self.entry = entry
        self.live = self.ended = self.failed = self.stopped = self.items = 0


class Live(Observer):
    """An observer. What it keeps grows with the stages of a program, and with no number of runs."""

    def __init__(self) -> None:
        self._look: Callable[[], Look] | None = None
        self._stages: dict[str, _Kept] = {}
        self._opening: dict[str, None] = {}
        self._over = 0
        self._pipeline = ""
        self._before: tuple[float, Mapping[str, int]] | None = None
        self._rates: dict[str, float] = {}

    def opened(self, look: Callable[[], Look], /) -> None:
        self._look = look

    def handle_opening(self, event: HandleOpening, /) -> None:
        self._opening[event.name] = None

    def handle_ready(self, event: HandleReady, /) -> None:
        self._opening.pop(event.name, None)

    def stage_started(self, event: StageStarted, /) -> None:
        kept = self._stages.get(event.stage)
        if kept is None:
            kept = self._stages[event.stage] = _Kept(event.entry)
        kept.live += 1

    def stage_over(self, event: StageOver, /) -> None:
        kept = self._stages.get(event.stage)
        if kept is None:  # a stream that the caller gave
            return
        kept.live -= 1
        kept.items += event.items
        if event.how == "ended":
            kept.ended += 1
        elif event.how == "failed":
            kept.failed += 1
        else:
            kept.stopped += 1

    def run_over(self, event: RunOver, /) -> None:
        del event
        self._over += 1

    def picture(self) -> Picture | None:
        """What there is to see; None before a shell is open. Rates are of the time since the last picture."""
        look = None if self._look is None else self._look()
        if look is None:
            return None
        waiting: dict[str, int] = {}
        items: dict[str, int] = {}
        held: dict[str, int] = {}
        tiers: dict[str, str | None] = {}
        for standing in look.stages:
            name = standing.stage
            waiting[name] = waiting.get(name, 0) + standing.waiting
            items[name] = items.get(name, 0) + standing.items
            held[name] = held.get(name, 0) + standing.held
            tiers[name] = standing.tier
        for name, kept in list(self._stages.items()):
            items[name] = items.get(name, 0) + kept.items
        self._rate(look.at, items)
        rows = tuple(
            Row(
                *(name, _how(kept, held.get(name, 0)), kept.live, kept.ended + kept.failed + kept.stopped),
                *(items[name], waiting.get(name, 0), self._rates.get(name) if items[name] else None),
                *(kept.entry == TOKENS, tiers.get(name)),
            )
            for name, kept in list(self._stages.items())
        )
        ends = [run.until for run in look.runs if run.until is not None]
        for run in look.runs:
            self._pipeline = run.pipeline
        return Picture(
            *(self._pipeline, len(look.runs), self._over),
            look.at - min((run.started for run in look.runs), default=look.at),
            min(ends) - look.at if ends else None,
            sum(run.unread for run in look.runs),
            rows,
            tuple(self._opening),
        )

    def _rate(self, at: float, items: Mapping[str, int]) -> None:
        if self._before is None:
            self._before = at, dict(items)
            return
        since, before = self._before
        if at <= since:
            return
        # Half of what is shown is of about the last half second, so that numbers can be read.
        weight = min(1.0, (at - since) / 0.7)
        for name, count in items.items():
            rate = (count - before.get(name, 0)) / (at - since)
            known = self._rates.get(name)
            self._rates[name] = rate if known is None else known + weight * (rate - known)
        self._before = at, dict(items)


def _how(kept: _Kept, held: int) -> How:
    if kept.live:
        return "held" if held == kept.live else "running"
    if kept.failed:
        return "failed"
    return "done" if kept.ended else "stopped"
