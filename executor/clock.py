"""Time as a parameter. The shell and the null backend ask a `Clock`; nothing else in the executor knows the time.

`LoopClock` is the event loop's own clock, so it is real on a real loop and virtual on a virtual one: trio's
`MockClock`, or `VirtualEventLoop` here, whose time jumps to the next timer as soon as nothing can run. An hour of
simulated load then takes as long as its decisions take.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import anyio


class Clock(Protocol):
    """Seconds from an arbitrary start, and waiting for a point of them."""

    def now(self) -> float: ...

    async def sleep_until(self, at: float) -> None: ...


class LoopClock:
    """The clock of the event loop that runs when it is first asked; for use in that loop only."""

    def __init__(self) -> None:
        self._time: Callable[[], float] | None = None

    def now(self) -> float:
        # Asked for every event; `anyio.current_time` looks for the loop each time.
        if self._time is None:
            self._time = _loop_time()
        return self._time()

    async def sleep_until(self, at: float) -> None:
        await anyio.sleep_until(at)


def _loop_time() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        return anyio.current_time


class _JumpingSelector(selectors.BaseSelector):
    """A selector that never waits for time: what it was to wait is added to the clock. Without a timer it does wait,
    for that is a worker thread or a socket."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return self._real.select(None)
        ready = self._real.select(0)
        if not ready and timeout > 0:
            self.passed += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time from 0: `anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})`.

    Worker threads run in real time, and a timer does not wait for them: keep them out of a simulation.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers that are due within this run together, so that rounding cannot make time stand still.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jumping.passed
