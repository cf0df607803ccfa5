"""Where the instances of a model come from: how one is begun, and how it is told that it is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Protocol

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from ..problems import model_does_not_load
from ..protocol import ChatModel
from ..workers.process import Gone, Worker, start_worker
from ..workers.telling import told_problem
from .process import ProcessModel
from .settings import Load

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before an instance is begun again that did not come up, doubled each time."""


class Starting(Protocol):
    """An instance that is being begun."""

    async def ready(self) -> ChatModel:
        """Waits until it is there; a cancelled wait may be taken up again. Raises `OutsideError`."""
        ...

    async def close(self) -> None:
        """It is no longer wanted."""
        ...


_GLANCE = 0.002
"""Seconds to see whether a word has come."""

Start = Callable[[int], Awaitable[Starting]]
"""Begins instance `n`, without waiting until it is there."""


class ProcessStarting:
    """A process that loads the model. `made` makes of its word of being ready what stands for it here."""

    def __init__(self, load: Load, worker: Worker, made: Callable[[Worker, dict[str, Any]], ProcessModel]) -> None:
        self._load = load
        self._worker = worker
        self._made = made
        self._inbox = worker.inbox(-1)
        worker.send({"load": asdict(load)})

    async def ready(self) -> ProcessModel:
        try:
            frame = await self._worker.receive(self._inbox)
        except Gone as error:
            await self.close()
            why = f"the process that was to run it came to its end on it ({error})"
            raise OutsideError(model_does_not_load(self._load.name, why, error.said or None)) from error
        if frame is None:
            raise RuntimeError("the model is closed")
        if frame.words["say"] != "ready":
            await self.close()
            raise told_problem(self._load.name, frame.words)
        return self._made(self._worker, dict(frame.words))

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._worker.close()


async def begun(
    load: Load, made: Callable[[Worker, dict[str, Any]], ProcessModel], environment: dict[str, str]
) -> ProcessStarting:
    worker = await anyio.to_thread.run_sync(start_worker, f"{__package__}.worker", environment)
    return ProcessStarting(load, worker, made)


class Instance:
    """One of them: not there, being begun, or there. `up` counts how often it was."""

    def __init__(self, number: int, start: Start) -> None:
        self.number = number
        self.model: ChatModel | None = None
        self.up = 0
        self._start = start
        self._starting: Starting | None = None
        self._not_before = 0.0
        self._pause = FIRST_PAUSE
        self.why: OutsideError | None = None
        """Why it did not come up last."""

    async def tend(self, wait: bool) -> bool:
        """Have it begun, and see whether it came up just now; `wait` until it is, or is not."""
        if self.model is not None:
            return False
        if self._starting is None:
            if not wait and anyio.current_time() < self._not_before:
                return False
            self._starting = await self._start(self.number)
        starting = self._starting
        try:
            if wait:
                model = await starting.ready()
            else:
                model = None
                with anyio.move_on_after(_GLANCE):
                    model = await starting.ready()
        except OutsideError as error:
            self._starting, self.why = None, error
            self._not_before = anyio.current_time() + self._pause
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            if wait:
                raise
            return False
        if model is None:
            return False
        self.model, self._starting, self._pause = model, None, FIRST_PAUSE
        self.up += 1
        return True

    async def lost(self) -> None:
        """It is gone; what stood for it here is let go of."""
        model, self.model = self.model, None
        if isinstance(model, ProcessModel):
            await model.worker.bury()

    async def close(self) -> None:
        model, self.model = self.model, None
        starting, self._starting = self._starting, None
        if model is not None:
            await model.close()
        if starting is not None:
            await starting.close()
