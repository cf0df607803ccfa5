"""Stages that read a stream: they work on item after item as they come."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ..machine import events, orders
from .clock import VirtualClock
from .drawn import Made
from .lines import Lasts, Slots
from .sending import Sending
from .sized import Sized
from .stages import Execution, Pieces

if TYPE_CHECKING:
    from .failing import Failing

LIGHT = 1e-3
"""Seconds of an item below which a stage does not wait for a slot again and again."""


class Readers:
    """`lines` are those of the pools, by name."""

    def __init__(self, clock: VirtualClock, sending: Sending, lines: Mapping[str, Slots]) -> None:
        self._clock, self._sending, self._lines = clock, sending, lines
        self._readers: dict[int, Execution] = {}
        self.failing: Failing | None = None

    def read(self, execution: Execution, stage: Sized, order: orders.StartStage) -> None:
        execution.readers = {v.reader for v in order.arguments.values() if isinstance(v, orders.StreamInput)}
        execution.main = min(execution.readers)
        execution.each = stage.each(execution.run.sizes) * execution.factor
        for reader in execution.readers:
            self._readers[reader] = execution
        if execution.option is not None:
            execution.instance = self._lines[execution.option.pool].emptiest()

    def deliver(self, order: orders.Deliver) -> None:
        execution = self._readers.get(order.reader)
        if execution is None or execution.over:
            return
        if self.failing is not None:
            there = self.failing.arrives(execution, 0.0)
            if there > self._clock.now:
                if there < inf:
                    self._clock.at(there, partial(self.deliver, order))
                return
        now = self._clock.now
        if execution.began is None:
            execution.began = execution.came = execution.asked = now
        execution.last = now
        self._sending.tell(events.Taken(now, order.reader))
        if order.reader == execution.main:
            pieces = order.item if isinstance(order.item, Pieces) else Pieces([now])
            execution.queue.append((order.reader, pieces))
            if not execution.working:
                self._work(execution)

    def _work(self, execution: Execution) -> None:
        """On the item that is next."""
        if execution.over:
            return
        if not execution.queue:
            execution.working = False
            if not execution.readers:
                self._read_all(execution)
            return
        execution.working = True
        _, pieces = execution.queue.popleft()
        option, count = execution.option, len(pieces.times)
        if option is None or not execution.streams:
            self._worked(execution, pieces)
            return
        each = execution.each
        now, shifted = -inf, list[float]()
        for time in pieces.times:
            now = (time if time > now else now) + each
            shifted.append(now)
        if each >= LIGHT and option.busy:
            share = option.busy / option.seconds if option.seconds else 0.0
            begins = partial(self._at_work, execution, each, count)
            execution.ticket = self._lines[option.pool].enter(each * share * count, begins, self._lasts(execution))
        else:
            self._lines[option.pool].busy_seconds += each * count
            lasts = self._lasts(execution)
            there = shifted[-1] if lasts is None or not each else lasts(self._clock.now, shifted[-1] - self._clock.now)
            self._sending.at(there, partial(self._worked, execution, Pieces(shifted)))

    def _at_work(self, execution: Execution, each: float, count: int) -> None:
        """It has a slot for its item."""
        now = self._clock.now
        times = [now + each * (place + 1) for place in range(count)]
        lasts = self._lasts(execution)
        if lasts is not None:
            times = [lasts(now, time - now) for time in times]
        self._clock.at(times[-1], partial(self._worked, execution, Pieces(times)))

    def _lasts(self, execution: Execution) -> Lasts | None:
        if self.failing is None or execution.option is None:
            return None
        return partial(self.failing.lasts, execution.name, execution.option.pool)

    def _worked(self, execution: Execution, pieces: Pieces) -> None:
        if execution.streams:
            self._sending.send(execution, pieces)
        self._work(execution)

    def deliver_end(self, order: orders.DeliverEnd) -> None:
        waiting = self._readers.get(order.reader)
        if self.failing is not None and waiting is not None and not waiting.over:
            there = self.failing.arrives(waiting, 0.0)
            if there > self._clock.now:
                if there < inf:
                    self._clock.at(there, partial(self.deliver_end, order))
                return
        execution = self._readers.pop(order.reader, None)
        if execution is None:
            return
        execution.readers.discard(order.reader)
        if not execution.readers and not execution.working and not execution.over:
            self._read_all(execution)

    def _read_all(self, execution: Execution) -> None:
        if execution.began is None:
            execution.began = execution.came = execution.asked = self._clock.now
        if execution.streams:
            self._sending.close(execution)
        elif execution.each > 0.0:
            self._clock.at(self._clock.now + execution.each, lambda: self._sending.end(execution, Made()))
        else:
            self._sending.end(execution, Made())
