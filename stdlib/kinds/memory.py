"""Memory: `notes.load()` is what the session said before this run, `notes.store(…)` adds to it.

A run sees the conversation as it was when the run began, whatever others add meanwhile, so that its answer does not
depend on who was faster. A run without a session has an empty conversation, and what it stores is not kept.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import cast

import anyio
import anyio.to_thread

from ...executor.kinds import Context, Kind, Opener
from ..memory.sessions import Sessions
from ..memory.turns import Message, Turn, newest, spoken
from . import Environment
from .text import estimate_tokens


class Memory:
    """A declared memory. `limit` in tokens."""

    def __init__(self, sessions: Sessions, limit: float) -> None:
        self._sessions = sessions
        self._limit = limit
        # When turns were stored by this process, on the executor's clock, which may be a simulated one.
        self._stored: dict[str, float] = {}

    async def before(self, context: Context) -> tuple[Turn, ...]:
        """The turns that were there when the run began, as many of the newest as fit."""
        if context.session is None:
            return ()
        turns = await anyio.to_thread.run_sync(self._sessions.turns, context.session)
        now = anyio.current_time()
        began = now if context.began is None else context.began
        today = time.time()
        wall = today - max(0.0, now - began)
        # A turn of another process is told by the wall clock, which may have been set back: what seems to be of days
        # to come was there before that.
        there = [
            t for t in turns if (self._stored[t.id] <= began if t.id in self._stored else t.at <= wall or t.at > today)
        ]
        return newest(there, self._limit, estimate_tokens)

    async def add(self, context: Context, messages: Sequence[Message]) -> tuple[Turn, ...]:
        """The conversation before this run, and the new turn."""
        before = await self.before(context)
        # A durable run that was cut off may come here again, and adds no second turn.
        turn = Turn(context.key or uuid.uuid4().hex, time.time(), tuple(messages))
        if context.session is not None:
            self._stored[turn.id] = anyio.current_time()
            # Half of a second write must not be lost to a cancellation: the thread ends what it has begun.
            kept = await anyio.to_thread.run_sync(self._sessions.add, context.session, turn, self._keep)
            names = {t.id for t in kept}
            if len(self._stored) > 2 * len(names) + 1000:
                self._stored = {name: at for name, at in self._stored.items() if name in names}
        return newest((*before, turn), self._limit, estimate_tokens)

    def _keep(self, turns: Iterable[Turn]) -> tuple[Turn, ...]:
        # Twice what fits: a run that began a while ago still sees what was there then.
        return newest(turns, 2 * self._limit, estimate_tokens)


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {"load": load, "store": store}


def openers(environment: Environment) -> Mapping[str, Opener]:
    return {"session": partial(_open, environment)}


async def _open(environment: Environment, name: str, arguments: Mapping[str, object]) -> Memory:
    return Memory(Sessions(environment.folder, name), cast(float, arguments["limit"]))


async def load(context: Context, arguments: Mapping[str, object]) -> tuple[Message, ...]:
    """The conversation before this run, oldest message first."""
    return spoken(await cast(Memory, arguments["self"]).before(context))


async def store(context: Context, arguments: Mapping[str, object]) -> tuple[Message, ...]:
    """Add what was asked and what was answered; the conversation with both."""
    messages = cast("Sequence[Message]", arguments["messages"])
    answer: Message = {"role": "Assistant", "text": cast(str, arguments["reply"])}
    return spoken(await cast(Memory, arguments["self"]).add(context, (*messages, answer)))
