"""Stages that never wait, run where they are started: a task and a cancel scope of their own would cost ten times what
they do. After so many in a row the rest is put off, so that others get their turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import anyio
from anyio.lowlevel import checkpoint

from ..ir.fused import ENTRY as FUSED
from . import observers as watch
from .backends import Backend, Call
from .failures import stage_failed
from .fusing import FailedInside, Fusing
from .kinds import Usage
from .machine import events, orders
from .observers import Watchers
from .values import Shapes

_IN_A_ROW = 256


class AtOnce:
    """The immediate stages of one shell. `ended` hears the value of each, before the machine does."""

    def __init__(
        self,
        backend: Backend,
        shapes: Shapes,
        watchers: Watchers,
        now: Callable[[], float],
        tell: Callable[[events.Event], None],
        ended: Callable[[int, object], None],
    ) -> None:
        self._backend = backend
        self._shapes = shapes
        self._watchers = watchers
        self._now = now
        self._tell = tell
        self._ended = ended
        self._known: dict[str, bool] = {}
        self._fusing = Fusing(backend, shapes, self._watched)
        self._in_a_row = 0  # since others had their turn
        self._put_off: dict[int, orders.StartStage] = {}
        self._more = anyio.Event()

    def start(self, order: orders.StartStage) -> bool:
        """Run the stage, now or soon. False if it may wait, and needs a task."""
        entry = order.entry
        known = entry == FUSED or self._known.get(entry)
        if known is None:
            known = self._known[entry] = self._backend.immediate(entry)
        if not known:
            return False
        if self._in_a_row < _IN_A_ROW:
            self._run(order)
        else:
            self._put_off[order.stage] = order
            self._more.set()
        return True

    def stop(self, stage: int) -> bool:
        """Whether the stage was put off, and is not run any more."""
        return self._put_off.pop(stage, None) is not None

    def others_ran(self) -> None:
        """The event loop has come round."""
        if not self._put_off:
            self._in_a_row = 0

    async def in_turns(self) -> None:
        """Runs what was put off; never ends."""
        while True:
            await self._more.wait()
            self._more = anyio.Event()
            while self._put_off:
                await checkpoint()
                self._in_a_row = 0
                while self._put_off and self._in_a_row < _IN_A_ROW:
                    number = next(iter(self._put_off))
                    self._run(self._put_off.pop(number))

    def _run(self, order: orders.StartStage) -> None:
        fused = order.entry == FUSED
        number, operation, usage = order.stage, order.operation, Usage()
        self._in_a_row += len(operation.regions[0].operations) if fused else 1
        call = Call(
            number,
            operation,
            order.index,
            order.entry,
            order.arguments,
            False,
            order.deadline,
            usage,
            _never,
            _nowhere,
            order.session,
            self._shapes,
            order.began,
            order.run,
            order.due,
        )
        over: events.StageEnded | events.StageFailed
        try:
            value = self._fusing.run(call, order.run, bool(self._watchers)) if fused else self._watched(call, order.run)
            self._ended(order.run, value)
            over = events.StageEnded(self._now(), number, value, usage.counts)
        except FailedInside as inner:
            inside = inner.operation.id
            over = events.StageFailed(self._now(), number, *inner.failed, usage.counts, inside=inside)
        except Exception as error:
            failed = stage_failed(error, operation.id, operation.span)
            over = events.StageFailed(self._now(), number, *failed, usage.counts)
        self._tell(over)

    def _watched(self, call: Call, run: int) -> object:
        """Run a call of an immediate entry; who watches hears of it."""
        if not self._watchers:
            return self._backend.now(call)
        number, stage = call.number, call.operation.id
        started = watch.StageStarted(run, number, stage, call.index, call.entry, self._now())
        self._watchers.tell(lambda o: o.stage_started(started))
        how: Literal["ended", "failed"] = "failed"
        try:
            value = self._backend.now(call)
            how = "ended"
            return value
        finally:
            event = watch.StageOver(run, number, stage, how, 0, dict(call.usage.counts), self._now())
            self._watchers.tell(lambda o: o.stage_over(event))


async def _never() -> None:
    raise AssertionError("a stage without a stream makes no items")


def _nowhere(item: object) -> None:
    del item
    raise AssertionError("a stage without a stream makes no items")
