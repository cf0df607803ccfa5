"""A process that holds one half of a split model: `python -m agentlang.executor.engines.split.worker SOCKET`.

Half is the work, not the weights: both map the same files. One thread reads what is asked and hands it to the event
loop, where the XLA engine runs as it does anywhere; where the socket ends, the process ends with it.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import msgspec

from ....base.problems import OutsideError
from ..problems import model_does_not_load
from ..protocol import ChatModelSource, ModelSpec
from ..workers.frames import Frame
from ..workers.inside import Connection, connected
from ..workers.recipes import Recipe, made
from ..workers.telling import problem_words
from .half import Half
from .settings import Load


async def _serve(connection: Connection) -> None:
    put, asked = anyio.create_memory_object_stream[Callable[[], object]](math.inf)
    loop = asyncio.get_running_loop()

    def in_loop(function: Callable[..., object], *arguments: Any) -> None:
        # In a task of its own, whose errors end the process: nobody is left waiting.
        loop.call_soon_threadsafe(put.send_nowait, partial(function, *arguments))

    loads: list[Load] = []
    halves: list[Half] = []

    def hear(frame: Frame) -> None:
        if halves:
            halves[0].do(frame)
        else:
            loads.append(msgspec.convert(frame.words["load"], Load))

    connection.listen(partial(in_loop, hear))
    (await asked.receive())()
    try:
        half = await _loaded(loads[0], connection)
    except OutsideError as error:
        connection.say({"say": "failed", **problem_words(error)})
        return
    halves.append(half)
    async with anyio.create_task_group() as group:
        half.use(group, in_loop)
        connection.say({"say": "ready", "compiled": half.model.compiled})
        async for call in asked:
            call()
            # What it was about is not held until the next one comes.
            del call


async def _loaded(load: Load, connection: Connection) -> Half:
    from ..xla.engine import XlaEngine

    if load.role == "prefill" and load.settings.prefill_niceness:
        os.nice(load.settings.prefill_niceness)
    source: ChatModelSource = made(Recipe(load.maker, load.arguments))
    model = await XlaEngine(keep_programs=load.keep_programs).load(ModelSpec(load.name, source, load.context))
    from ..xla.paged.model import PagedModel
    from .decoding import Decoding
    from .forms import CacheForm
    from .prefilling import Prefilling

    if not isinstance(model, PagedModel):
        raise OutsideError(model_does_not_load(load.name, "its mathematics is not there for pages of KV cache"))
    heads, _, width = model.programs.cache_shape
    form = CacheForm(len(model.device_weights.layers), heads, width, model.facts.context)
    half = Prefilling if load.role == "prefill" else Decoding
    return half(model, connection, form, load.settings)


def main() -> None:
    anyio.run(_serve, connected(), backend="asyncio")


if __name__ == "__main__":
    main()
