"""A process that holds a whole chat model: `python -m agentlang.executor.engines.routed.worker SOCKET`.

The engine runs in its event loop as it does anywhere. What the parent asks comes by one thread (`workers.inside`);
where the socket ends, the process ends with it.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup

from ....base.problems import OutsideError
from .. import engine
from ..families import Counted, ModelStats
from ..protocol import ChatModel, ChatModelSource, ModelSpec, Prepares, Sampling, SequenceHandle, Service
from ..workers.frames import Frame
from ..workers.inside import Connection, called, connected
from ..workers.recipes import Recipe, made
from ..workers.telling import problem_words
from .settings import Load


class Serving:
    """The model from inside. Says `filled` of a prompt that is computed, or `refused`; answers each `more` by a
    `token`."""

    def __init__(self, model: ChatModel, connection: Connection, group: TaskGroup) -> None:
        self._model = model
        self._connection = connection
        self._group = group
        self._held: dict[int, Held] = {}

    def do(self, frame: Frame) -> None:
        """What the parent asks, in the event loop."""
        words, number = frame.words, int(frame.words["sequence"])
        held = self._held.get(number)
        match words["do"]:
            case "prefill":
                held = self._held[number] = Held(number)
                self._group.start_soon(self._hold, held, dict(words))
            case "start":
                if held is not None and held.handle is not None:
                    sampling = msgspec.convert(words["sampling"], Sampling)
                    self._group.start_soon(self._reply, held, held.handle, sampling)
            case "more":
                if held is not None:
                    held.asked.release()
            case "end":
                if held is not None:
                    held.scope.cancel()
            case "prepare":
                self._group.start_soon(self._prepare, number, words["sampling"])
            case "stats":
                self._group.start_soon(self._stats, number)
            case _:
                raise AssertionError(words["do"])

    def say(self, what: str, number: int, **words: Any) -> None:
        self._connection.say({"say": what, "sequence": number, "compiled": self._model.compiled, **words})

    async def _hold(self, held: Held, words: dict[str, Any]) -> None:
        """From the arrival of a prompt to its release."""
        left, known = words["left"], self._held.get(int(words["prefix"]))
        deadline = None if left is None else anyio.current_time() + float(left)
        service = Service(deadline, str(words["tenant"]), str(words["scope"]), bool(words["private"]))
        try:
            with held.scope:
                prefix = None if known is None else known.handle
                held.handle = await self._model.prefill(tuple(words["tokens"]), prefix, service)
                stats = held.handle.stats
                told = {"cached": stats.cached_tokens, "queued": stats.queued_seconds}
                self.say("filled", held.number, **told, seconds=stats.prefill_seconds)
                await anyio.sleep_forever()
        except OutsideError as error:
            self.say("refused", held.number, **problem_words(error))
        finally:
            if held.handle is not None:
                with anyio.CancelScope(shield=True):
                    await self._model.release(held.handle)
            held.over = True
            held.asked.release()
            del self._held[held.number]

    async def _reply(self, held: Held, handle: SequenceHandle, sampling: Sampling) -> None:
        tokens, told = aiter(self._model.decode(handle, sampling)), 0
        while True:
            await held.asked.acquire()
            if held.over:
                return
            token = await anext(tokens, None)
            finish = handle.finish
            likely = [(one.token, one.logprob, one.top) for one in handle.logprobs[told:]]
            told += len(likely)
            why = finish.value if finish is not None else None
            self.say("token", held.number, token=token, finish=why, likely=likely)
            if token is None or finish is not None:
                return

    async def _prepare(self, number: int, sampling: Any) -> None:
        try:
            if isinstance(self._model, Prepares):
                await self._model.prepare(msgspec.convert(sampling, Sampling))
        except OutsideError as error:
            self.say("refused", number, **problem_words(error))
        else:
            self.say("prepared", number)

    async def _stats(self, number: int) -> None:
        none = ModelStats(0, 0, 0, self._model.open_sequences)
        stats = await self._model.stats() if isinstance(self._model, Counted) else none
        words = {"steps": stats.steps, "prefilled": stats.prefilled_tokens, "decoded": stats.decoded_tokens}
        self.say("stats", number, **words, open=stats.open_sequences)


class Held:
    """A sequence here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.scope = anyio.CancelScope()
        self.handle: SequenceHandle | None = None
        self.asked = anyio.Semaphore(0)
        """How many tokens the parent waits for."""
        self.over = False


async def _serve(connection: Connection) -> None:
    put, asked = anyio.create_memory_object_stream[Callable[[], object]](math.inf)
    loop = asyncio.get_running_loop()
    loads: list[Load] = []
    serving: list[Serving] = []

    def hear(frame: Frame) -> None:
        if serving:
            serving[0].do(frame)
        else:
            loads.append(msgspec.convert(frame.words["load"], Load))

    def take(frame: Frame) -> None:
        loop.call_soon_threadsafe(put.send_nowait, partial(hear, frame))

    connection.listen(take)
    (await asked.receive())()
    try:
        model = await _loaded(loads[0])
    except OutsideError as error:
        connection.say({"say": "failed", **problem_words(error)})
        return
    async with anyio.create_task_group() as group:
        serving.append(Serving(model, connection, group))
        facts = msgspec.to_builtins(model.facts)
        connection.say({"say": "ready", "compiled": model.compiled, "context": facts["context"]})
        async for call in asked:
            call()
            del call


async def _loaded(load: Load) -> ChatModel:
    called(load.name)
    if load.cores and hasattr(os, "sched_setaffinity"):
        # Before the engine's libraries are there: they begin as many threads as they find cores.
        with suppress(OSError):
            os.sched_setaffinity(0, load.cores)
    source: ChatModelSource = made(Recipe(load.maker, load.arguments))
    found = engine(load.engine)
    if load.engine == "xla":
        from ..xla.engine import XlaEngine

        found = XlaEngine(cache_bytes=load.cache_bytes, host_bytes=load.host_bytes, disk_bytes=load.disk_bytes)
    return await found.load(ModelSpec(load.name, source, load.context))


def main() -> None:
    anyio.run(_serve, connected(), backend="asyncio")


if __name__ == "__main__":
    main()
