"""Stages that do nothing but take their time: recorded answers, given durations, no kinds. It came first, and it stays
what simulation and most tests run on; with a virtual clock an hour of it takes seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ...ir.graph import Handle
from .. import problems
from ..clock import Clock, LoopClock
from ..kinds import StageFailure
from . import Bound, Call


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stage answers, and when. `seconds` pass before the value or the first item, `gap` before each further one.

    A stage that reads streams reads them to their end first if it gives a `value`; if it gives a stream, it reads one
    item of the first of them before each that it makes, and stops reading when it has made the last. `usage` is
    counted when the answer is complete."""

    value: object = None
    items: tuple[object, ...] = ()
    seconds: float = 0.0
    gap: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict[str, float])


Answers = Callable[[Call], Answer | None]


def by_name(answers: Mapping[str, Answer]) -> Answers:
    """Answers by an operation's id (`hello.chat.decode`) or, for all of its kind, by entry (`llm:decode`)."""
    return lambda call: answers.get(call.operation.id) or answers.get(call.entry)


class NullBackend:
    """`answers` gives each call's answer, None where none is recorded. `opening` is how long each handle takes to open,
    in seconds, by name."""

    def __init__(
        self, answers: Answers, opening: Mapping[str, float] | None = None, clock: Clock | None = None
    ) -> None:
        self._answers = answers
        self._opening = opening or {}
        self._clock = clock or LoopClock()

    async def open(self, handle: Handle) -> None:
        await self._pass(self._opening.get(handle.name, 0.0))

    async def run(self, call: Call) -> object:
        answer = self._answers(call)
        if answer is None:
            problem = problems.no_answer(call.operation.id, call.entry, call.operation.span)
            raise StageFailure("unreachable", problem)
        streams = [
            cast("AsyncIterator[object]", value) for value in call.arguments.values() if hasattr(value, "__anext__")
        ]
        if not call.streams:
            for stream in streams:
                async for _ in stream:
                    pass
            await self._pass(answer.seconds)
        else:
            await self._stream(call, answer, streams)
        for unit, amount in answer.usage.items():
            call.usage.add(unit, amount)
        return answer.value

    def immediate(self, entry: str) -> bool:
        del entry
        return False

    def now(self, call: Call) -> object:
        del call
        raise AssertionError("no entry is immediate")

    def bound(self, call: Call) -> Bound | None:
        del call
        return None

    async def close(self) -> None:
        pass

    async def _stream(self, call: Call, answer: Answer, streams: list[AsyncIterator[object]]) -> None:
        wait = answer.seconds
        for item in answer.items:
            await call.ready()
            if streams:
                await anext(streams[0], None)
            await self._pass(wait)
            wait = answer.gap
            call.send(item)

    async def _pass(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep_until(self._clock.now() + seconds)
