"""One run, as its caller holds it: frames to read, a way to stop it, and its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from .frames import End, Frame

if TYPE_CHECKING:
    from .shell import Shell


@dataclass(frozen=True, slots=True)
class Question:
    """What `approve` asks a person: the text as the program made it, and the stage that waits for the answer."""

    run: int
    stage: str
    text: str
    session: str | None = None


Approver = Callable[[Question], Awaitable[bool]]
"""Asks a person, and gives what was said. It may take days, and is cancelled when nobody waits for it any more."""


class Stoppable(Protocol):
    """The frames of a run that can be stopped."""

    def __aiter__(self) -> AsyncIterator[Frame]: ...

    def cancel(self) -> None: ...


class Runner(ABC):
    """What starts runs: a shell, or the islands of a program."""

    @abstractmethod
    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> Stoppable:
        """Start a run; its frames wait in what it gives."""

    async def run(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> AsyncIterator[Frame]:
        """The frames of a run. A caller that goes away early cancels it."""
        running = self.start(pipeline, inputs, timeout, session=session, approve=approve)
        try:
            async for frame in running:
                yield frame
        finally:
            running.cancel()


class Running:
    """An async iterator of a run's frames, the last of which is `End`. Leaving an `async with` of it early cancels the
    run and waits until its last stage is gone. While more items are there, `bunch` of them are told at once that were
    taken."""

    def __init__(self, shell: Shell, number: int, bunch: int = 1) -> None:
        self._shell = shell
        self._bunch = bunch
        self._taken = 0
        self.number = number
        self.end: End | None = None
        self.over = anyio.Event()
        self._frames: deque[tuple[Frame, int]] = deque()  # with the reader to confirm to; 0 for none
        self._more: anyio.Event | None = None

    def cancel(self) -> None:
        """Stop it; `End` comes when the last of its stages is gone. Does nothing to a run that has ended."""
        self._shell.cancel(self.number)

    async def result(self) -> End:
        """Run to the end, throwing away the items that nobody has read."""
        async for _ in self:
            pass
        assert self.end is not None
        return self.end

    def __aiter__(self) -> Running:
        return self

    async def __anext__(self) -> Frame:
        while not self._frames:
            if self.end is not None:
                raise StopAsyncIteration
            self._more = anyio.Event()
            await self._more.wait()
        frame, reader = self._frames.popleft()
        if reader:
            self._taken += 1
            if self._taken >= self._bunch or not self._frames:
                taken, self._taken = self._taken, 0
                self._shell.taken(reader, taken)
        return frame

    async def __aenter__(self) -> Running:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.end is None:
            self.cancel()
            with anyio.CancelScope(shield=True):
                await self.over.wait()

    def withdraw(self, places: tuple[int, ...]) -> None:
        """For the shell: forget items that nobody has read, those at these places among them."""
        items = [entry for entry in self._frames if entry[1]]
        gone = {id(items[place]) for place in places}
        self._frames = deque(entry for entry in self._frames if id(entry) not in gone)

    def put(self, frame: Frame, reader: int = 0) -> None:
        """For the shell."""
        self._frames.append((frame, reader))
        if isinstance(frame, End):
            self.end = frame
            self.over.set()
        if self._more is not None:
            self._more.set()
            self._more = None
