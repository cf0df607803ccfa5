"""The promises of one run while it runs: when its stages are due, which are over due, and what each execution took.

The clock of the promises stands still while the run is paused (`pauses`). So a due time that was told with a call only
ever moves to later, and an alarm that rings looks again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .. import problems
from ..promises import Due
from .faults import Failure
from .orders import Execution
from .slices import Schedule

if TYPE_CHECKING:
    from .run import Run
    from .stages import Started

_EXECUTIONS = 65_536  # that are written down of a run: the last of them
LINE = "seconds_in_line"
"""What a stage counts as its usage while it waits for its turn on a model."""


class Dues:
    """See the module."""

    __slots__ = ("_executions", "_offsets", "_run", "_schedule", "enforced")

    def __init__(self, run: Run, schedule: Schedule) -> None:
        self._run = run
        self._schedule = schedule
        self._offsets = schedule.offsets
        self.enforced = schedule.promises.enforce
        self._executions: deque[Execution] = deque(maxlen=_EXECUTIONS)

    @property
    def limit(self) -> float | None:
        """When all is due that has a due time, on the machine's clock."""
        ends = [promise.limit for promise in self._schedule.promises.promises]
        return self._zero() + max(ends) if ends else None

    def of(self, stage: str, index: tuple[int, ...], streams: bool) -> Due | None:
        """When a stage is due that starts now; None where nothing is promised of it."""
        offset = self._offsets.get(stage)
        if offset is None:
            return None
        first, end = offset.first, offset.end
        # Only the first turns of loops stand before the first item that leaves.
        if first is not None and (self._run.times.first_item is not None or any(index)):
            first = None
        if first is not None and not streams:
            first, end = None, first if end is None or first < end else end
        if first is None and end is None:
            return None
        zero = self._zero()
        return Due(None if first is None else zero + first, None if end is None else zero + end)

    def begun(self, started: Started, index: tuple[int, ...]) -> Due | None:
        """A stage starts: when it is due. Where that is enforced, it is looked at then."""
        started.watch = watch = Watch(started, index)
        due = self.of(started.name, index, started.channel is not None)
        if due is not None and self.enforced:
            watch.enforced = True
            soonest = due.soonest
            if soonest is not None and not self._run.pauses.now:
                self._run.machine.arm(watch, soonest)
        return due

    def took(self, execution: Execution) -> None:
        """Write down what a stage took."""
        self._executions.append(execution)

    def executions(self) -> tuple[Execution, ...]:
        return tuple(self._executions)

    def go_on(self) -> None:
        """A pause is over: what looked in vain looks again."""
        if self.enforced:
            for started in tuple(self._run.stages.values()):
                if started.watch is not None:
                    started.watch.look()

    def fail(self, started: Started, offset: float) -> None:
        """A stage has used up its slice, and what was passed on to it."""
        promise = self._schedule.promises
        held = [each for each in promise.promises if started.name in each.slices and not each.soft]
        of = min(held, key=lambda each: each.limit, default=None) or promise.promises[0]
        span = None if started.operation is None else started.operation.span
        problem = problems.slice_used(started.name, offset, of.slices.get(started.name), of.name, of.limit, span)
        started.zone.fail(Failure("timeout", problem, started.name, final=True))

    def since(self, at: float) -> float:
        """A time on the machine's clock as seconds of the promises."""
        return at - self._zero()

    def _zero(self) -> float:
        run = self._run
        return run.times.started + run.pauses.total()


class Watch:
    """Of one stage while it runs: what is told of it when it is over, and where promises are enforced, that it fails
    when it is due and not over; of a stream, also when its first item is."""

    __slots__ = ("_first", "_index", "_started", "enforced", "held_at", "held_for")

    def __init__(self, started: Started, index: tuple[int, ...]) -> None:
        self._started = started
        self._index = index
        self._first: float | None = None
        self.enforced = False
        self.held_at = 0.0
        """Since when nobody takes what it makes, where that is so."""
        self.held_for = 0.0
        """How long that was so before."""

    def first(self) -> None:
        """It has made its first item."""
        self._first = max((port.took for port in self._started.ports if port.took is not None), default=None)

    def goes_on(self) -> None:
        """It is held back no longer."""
        self.held_for += self._started.run.machine.now - self.held_at
        self.look()

    def over(self, line: float) -> None:
        started = self._started
        run = started.run
        dues, now, zero = run.dues, run.machine.now, run.times.started
        if started.operation is None or dues is None:
            return
        came = None
        if started.ports:
            came = max((port.came for port in started.ports if port.came is not None), default=None)
        held = self.held_for + (now - self.held_at if started.held else 0.0)
        dues.took(
            Execution(
                started.name,
                started.started - zero,
                None if started.first_item is None else started.first_item - zero,
                now - zero,
                None if self._first is None else self._first - zero,
                None if came is None else came - zero,
                line,
                held,
            )
        )

    def look(self) -> None:
        """Ring when it is due. Not while it is held back, or the run is paused: whoever ends that looks again."""
        if self.enforced and self._runs():
            at = self._at()
            if at is not None:
                self._started.run.machine.arm(self, at)

    def late(self) -> None:
        at = self._at() if self._runs() else None
        started = self._started
        run = started.run
        if at is None or run.dues is None:
            return
        if at > run.machine.now + 1e-9:
            run.machine.arm(self, at)
        elif started.forgiven:
            run.machine.stop(started)
        else:
            run.dues.fail(started, run.dues.since(at) - self.held_for)

    def _runs(self) -> bool:
        started = self._started
        return not (started.stopping or started.gone or started.held or started.run.pauses.now)

    def _at(self) -> float | None:
        """When the next is due that it has not given, as things stand."""
        started = self._started
        dues = started.run.dues
        due = None if dues is None else dues.of(started.name, self._index, started.channel is not None)
        if due is None:
            return None
        at = due.end if started.items or due.first is None else due.soonest
        return None if at is None else at + self.held_for


__all__ = ["LINE", "Dues", "Watch"]
