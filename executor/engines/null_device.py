"""The device that the null engine imitates: it runs the scheduler's steps, each for as long as it is said to take.

There is no task of its own. Whoever waits for a sequence runs the steps until that one is computed, and hands over to
another who waits. One that is cancelled leaves the step as it is: whoever comes next waits for its end.

Before a step the device waits for a moment that no clock shows, so that all who come at the same time run together,
however many turns of the event loop they are apart. On a virtual clock that is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import anyio

from ..scheduler import (
    Admitted,
    Arrived,
    Cancelled,
    Event,
    Extended,
    Gone,
    Refuse,
    Released,
    Scheduler,
    Settings,
    Step,
    StepDone,
    StepWanted,
)
from .protocol import SERVICE, Service

_MOMENT = 2.0**-20
"""Seconds; a power of two, so that times which add up exactly still do."""


class NullDevice:
    """Sequences on one device. `seconds` says how long a step takes."""

    def __init__(self, settings: Settings, seconds: Callable[[Step], float]) -> None:
        self._scheduler = Scheduler(settings)
        self._seconds = seconds
        self._numbers = 0
        self._pending: set[int] = set()
        """Sequences with tokens that are to be computed."""
        self._waiters: dict[int, anyio.Event] = {}
        """By sequence, those who wait while somebody else runs the steps."""
        self._led = False
        """Whether somebody runs the steps."""
        self._step: Step | None = None
        self._over_at = inf
        self._cached: dict[int, int] = {}
        self._begun: dict[int, float] = {}
        self.steps = 0

    @property
    def scheduler(self) -> Scheduler:
        return self._scheduler

    def arrive(self, tokens: tuple[int, ...], prefix: int | None = None, service: Service = SERVICE) -> int:
        """A new sequence."""
        self._numbers += 1
        self._pending.add(self._numbers)
        self._tell(
            Arrived(
                anyio.current_time(),
                self._numbers,
                tokens,
                deadline=service.deadline,
                tenant=service.tenant,
                scope=service.scope,
                prefix=prefix,
            )
        )
        return self._numbers

    def extend(self, sequence: int, token: int) -> None:
        self._pending.add(sequence)
        self._tell(Extended(anyio.current_time(), sequence, (token,)))

    def leave(self, sequence: int, cancelled: bool) -> None:
        """It computes nothing more. Idempotent."""
        now = anyio.current_time()
        self._tell(Cancelled(now, sequence) if cancelled else Released(now, sequence))
        self._cached.pop(sequence, None)
        self._begun.pop(sequence, None)
        self._settled(sequence)

    def cached(self, sequence: int) -> int:
        """How many of its tokens were in the cache when it was admitted first."""
        return self._cached.get(sequence, 0)

    def begun(self, sequence: int) -> float | None:
        """When the first step began that computed some of it."""
        return self._begun.get(sequence)

    async def computed(self, sequence: int) -> None:
        """Wait until all tokens of a sequence are computed, or it is gone."""
        while sequence in self._pending:
            if self._led:
                event = self._waiters[sequence] = anyio.Event()
                try:
                    await event.wait()
                finally:
                    if self._waiters.get(sequence) is event:
                        del self._waiters[sequence]
                    if not self._led and event.is_set():
                        # It was to run the steps, and is cancelled or has nothing to wait for.
                        self._hand_over()
            else:
                self._led = True
                try:
                    while sequence in self._pending:
                        await self._run_step()
                finally:
                    self._led = False
                    self._hand_over()

    def _hand_over(self) -> None:
        for event in self._waiters.values():
            event.set()
            return

    async def _run_step(self) -> None:
        if self._step is None:
            began = anyio.current_time()
            await anyio.sleep(_MOMENT)
            self._tell(StepWanted(began))
            if self._step is None:
                return
            self.steps += 1
            self._over_at = began + self._seconds(self._step)
        await anyio.sleep_until(self._over_at)
        step, self._step = self._step, None
        self._tell(StepDone(self._over_at, step.number))
        for row in step.decode:
            self._settled(row.sequence)
        for chunk in step.prefill:
            if chunk.last:
                self._settled(chunk.sequence)

    def _settled(self, sequence: int) -> None:
        self._pending.discard(sequence)
        event = self._waiters.pop(sequence, None)
        if event is not None:
            event.set()

    def _tell(self, event: Event) -> None:
        for order in self._scheduler.handle(event):
            match order:
                case Step():
                    self._step = order
                    for chunk in order.prefill:
                        self._begun.setdefault(chunk.sequence, event.at)
                case Admitted():
                    self._cached.setdefault(order.sequence, order.cached)
                case Refuse() | Gone():
                    self._settled(order.sequence)
                case _:
                    # What is copied, dropped and preempted costs the imitated device nothing by itself.
                    pass
