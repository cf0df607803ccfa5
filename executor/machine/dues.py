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
from .slices import Offset, Schedule

if TYPE_CHECKING:
    from .run import Run
    from .stages import Started

_EXECUTIONS = 65_536  # that are written down of a run: the last of them
LINE = "seconds_in_line"
"""What a stage counts as its usage while it waits for its turn on a model."""


class Dues:
    """See the module."""

    __slots__ = ("_executions", "_run", "_schedule")

    def __init__(self, run: Run, schedule: Schedule) -> None:
        self._run = run
        self._schedule = schedule
        self._executions: deque[Execution] = deque(maxlen=_EXECUTIONS)

    @property
    def enforced(self) -> bool:
        return self._schedule.promises.enforce

    @property
    def limit(self) -> float | None:
        """When all is due that has a due time, on the machine's clock."""
        ends = [promise.limit for promise in self._schedule.promises.promises]
        return self._zero() + max(ends) if ends else None

    def of(self, stage: str, index: tuple[int, ...], streams: bool) -> Due | None:
        """When a stage is due that starts now; None where nothing is promised of it."""
        offset = self._schedule.offsets.get(stage)
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

    def begun(self, started: Started, index: tuple[int, ...]) -> None:
        """Tell it when it is due, and where that is enforced, look then."""
        started.due = due = self.of(started.name, index, started.channel is not None)
        if due is not None and self.enforced:
            started.overdue = Overdue(started, index)
            started.overdue.look()

    def over(self, started: Started, line: float) -> None:
        """Write down what it took."""
        if started.operation is None:
            return
        zero, reads = self._run.times.started, [port for port in started.ports if port.came is not None]
        ends = [port.came - zero for port in reads if port.came is not None]
        first_came = None if started.first_came is None else started.first_came - zero
        first = None if started.first_item is None else started.first_item - zero
        end, begin = self._run.machine.now - zero, started.started - zero
        self._executions.append(
            Execution(started.name, begin, first, end, first_came, max(ends, default=None), line, self._held(started))
        )

    def executions(self) -> tuple[Execution, ...]:
        return tuple(self._executions)

    def go_on(self) -> None:
        """A pause is over: what looked in vain looks again."""
        if self.enforced:
            for started in tuple(self._run.stages.values()):
                if started.overdue is not None:
                    started.overdue.look()

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

    def _held(self, started: Started) -> float:
        now = self._run.machine.now
        return started.held_for + (now - started.held_at if started.held else 0.0)


class Overdue:
    """Fails a stage when it is due and not over; of a stream, also when its first item is."""

    __slots__ = ("_index", "_started")

    def __init__(self, started: Started, index: tuple[int, ...]) -> None:
        self._started = started
        self._index = index

    def look(self) -> None:
        """Ring when it is due. Not while it is held back, or the run is paused: whoever ends that looks again."""
        started = self._started
        run = started.run
        if started.stopping or started.gone or started.held or run.pauses.now:
            return
        at = self._at()
        if at is not None:
            run.machine.arm(self, at)

    def late(self) -> None:
        started = self._started
        run = started.run
        if started.stopping or started.gone or started.held or run.pauses.now or run.dues is None:
            return
        at = self._at()
        if at is None:
            return
        if at > run.machine.now + 1e-9:
            run.machine.arm(self, at)
        elif started.forgiven:
            run.machine.stop(started)
        else:
            run.dues.fail(started, run.dues.since(at) - started.held_for)

    def _at(self) -> float | None:
        """When the next is due that it has not given, as things stand."""
        started = self._started
        dues = started.run.dues
        assert dues is not None
        due = dues.of(started.name, self._index, started.channel is not None)
        if due is None:
            return None
        at = due.end if started.items or due.first is None else due.soonest
        return None if at is None else at + started.held_for


__all__ = ["LINE", "Dues", "Offset", "Overdue"]
