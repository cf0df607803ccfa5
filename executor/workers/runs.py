"""A run as who started it holds it, over as many attempts as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol

import anyio

from ..frames import End, Frame, Item, ProblemFrame, Start
from ..islands import Request, Whole
from ..machine.orders import Outcome, Timings
from ..problems import run_timeout
from ..running import Approver, Question


class Keeper(Protocol):
    """Who holds the run's attempts."""

    def given(self, run: int) -> None:
        """Something has left to the caller."""
        ...

    def abandoned(self, run: int) -> None:
        """The caller wants no more, and nothing of it has begun."""
        ...


class PlacedRun:
    """An async iterator of frames, the last of which is `End`. Leaving an `async with` of it early cancels it and waits
    until all of it is gone."""

    def __init__(self, number: int, request: Request, keeper: Keeper, now: Callable[[], float]) -> None:
        self.number = number
        self.over = asyncio.Event()
        """Set when no attempt is under way and none will be."""
        self.whole: Whole | None = None
        self.again = 0
        self._request = replace(request, approve=_remembered(request.approve))
        self._keeper = keeper
        self._now = now
        self._since = now()
        self._began = self._since
        self._changed = asyncio.Event()
        self._abandoned: set[int] = set()
        self._started = self._cancelled = False
        self._last: list[Frame] | None = None

    # --- for its caller ---

    def cancel(self) -> None:
        """Stop it; `End` comes when all of it is through."""
        self._cancelled = True
        if self.whole is not None:
            self.whole.cancel()
        else:
            self._keeper.abandoned(self.number)
        self._changed.set()

    async def result(self) -> End:
        """Run to the end, throwing away what was not read."""
        last: Frame | None = None
        async for frame in self:
            last = frame
        assert isinstance(last, End)
        return last

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        while self._last is None:
            whole = self.whole
            if whole is None:
                if self._cancelled:
                    self._last = [End(Outcome("cancelled"), {}, Timings(self._now() - self._since))]
                elif not await self._waited():
                    self._late()
                continue
            frame = await whole.__anext__()
            dropped = whole.number in self._abandoned
            if isinstance(frame, End):
                if dropped:
                    while self.whole is whole:
                        await self._changed.wait()
                        self._changed.clear()
                    continue
                waited = self._began - self._since
                if waited > 0:
                    frame = replace(frame, timings=_later(frame.timings, waited))
                self._last = []
                return frame
            if dropped or (isinstance(frame, Start) and self._started):
                continue
            if isinstance(frame, Start):
                self._started = True
            if isinstance(frame, Item | ProblemFrame):
                self._keeper.given(self.number)
            return frame
        if not self._last:
            raise StopAsyncIteration
        return self._last.pop(0)

    async def __aenter__(self) -> PlacedRun:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.over.is_set():
            self.cancel()
            with anyio.CancelScope(shield=True):
                await self.over.wait()

    async def _waited(self) -> bool:
        """Wait for an attempt to begin; whether there is time left."""
        left = self.left()
        with anyio.move_on_after(left):
            await self._changed.wait()
            self._changed.clear()
            return True
        return False

    def _late(self) -> None:
        timeout = self._request.timeout or 0.0
        problem = run_timeout(self._request.pipeline, timeout)
        self._last = [
            ProblemFrame(problem),
            End(Outcome("failed", None, "timeout", problem), {}, Timings(self._now() - self._since)),
        ]
        self._keeper.abandoned(self.number)

    # --- for its keeper ---

    @property
    def is_abandoned(self) -> bool:
        """Whether the attempt at hand is given up, and another comes."""
        return self.whole is not None and self.whole.number in self._abandoned

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def left(self) -> float | None:
        """Seconds of its timeout."""
        timeout = self._request.timeout
        return None if timeout is None else max(0.001, timeout - (self._now() - self._since))

    @property
    def request(self) -> Request:
        """What an attempt begins with now."""
        return replace(self._request, timeout=self.left())

    def began(self, whole: Whole) -> None:
        self.whole = whole
        self._began = self._now()
        if self._cancelled:
            whole.cancel()
        self._changed.set()

    def abandon(self) -> None:
        """What the attempt at hand still gives is not the run's."""
        assert self.whole is not None
        self.again += 1
        self._abandoned.add(self.whole.number)
        self.whole.cancel()

    def waits(self) -> None:
        """The attempt that was abandoned is through."""
        self.whole = None
        self._changed.set()


def _later(timings: Timings, waited: float) -> Timings:
    """As from the start of the run, where its workers had to be waited for, or an attempt was lost."""
    first = None if timings.first_item is None else timings.first_item + waited
    return replace(timings, finish=timings.finish + waited, opening=timings.opening + waited, first_item=first)


def _remembered(approve: Approver | None) -> Approver | None:
    """A person is asked once, also where the run is done again."""
    if approve is None:
        return None
    known: dict[tuple[str, str], list[bool]] = {}
    asked: dict[tuple[int, str, str], int] = {}

    async def answer(question: Question) -> bool:
        key = question.stage, question.text
        at = asked.get((question.run, *key), 0)
        asked[question.run, *key] = at + 1
        answers = known.setdefault(key, [])
        if at < len(answers):
            return answers[at]
        granted = await approve(question)
        answers.append(granted)
        return granted

    return answer
