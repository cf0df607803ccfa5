"""Time that is not counted for what a run promises: its models are opened, a person is asked, or the caller leaves what
is there and a stage (or all that is left of the run) waits for that. At any time at most one of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .orders import Pause, PauseCause

if TYPE_CHECKING:
    from .run import Run

_MOST = 65_536


class Pauses:
    """Of one run. `look` is called after anything in it may have changed."""

    __slots__ = ("_cause", "_run", "_since", "_spans", "_total", "asking", "held", "now")

    def __init__(self, run: Run) -> None:
        self._run = run
        self.asking = 0
        """Questions that nobody has answered."""
        self.held = 0
        """Stages that have no credit."""
        self.now = False
        """Whether it is paused."""
        self._cause: PauseCause | None = None
        self._since = 0.0
        self._total = 0.0
        self._spans: list[Pause] = []

    def total(self) -> float:
        """Seconds so far."""
        return self._total if self._cause is None else self._total + self._run.machine.now - self._since

    def look(self) -> None:
        run = self._run
        cause: PauseCause | None = None
        if run.waits_for:
            cause = "opening"
        elif self.asking:
            cause = "person"
        elif (self.held or not run.stages) and run.output is not None and run.output.untaken:
            cause = "reader"
        if cause is self._cause:
            return
        now = run.machine.now
        self._close(now)
        self._cause, self._since, self.now = cause, now, cause is not None
        if cause is None and run.dues is not None:
            run.dues.go_on()

    def spans(self, now: float) -> tuple[Pause, ...]:
        """All of them, in order, in seconds from the start of the run, which is over."""
        self._close(now)
        self._cause = None
        return tuple(self._spans)

    def _close(self, now: float) -> None:
        if self._cause is None or now <= self._since:
            return
        self._total += now - self._since
        if len(self._spans) < _MOST:
            zero = self._run.times.started
            self._spans.append(Pause(self._cause, self._since - zero, now - zero))
