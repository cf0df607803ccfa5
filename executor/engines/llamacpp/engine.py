"""The llama.cpp engine: GGUF files of any quantisation, run by a worker process for each model.

A process, because a native library may end the process it runs in: a file that lies, a fault deep inside, a kill. Then
a call fails with a problem, what else this process does goes on, and the next prompt finds a fresh worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from ..families import file_of
from ..gguf_header import Unsound, cache_bytes, read_header
from ..problems import model_does_not_load
from ..protocol import Capabilities, ChatTokenizer, ModelFacts, ModelSpec
from ..workers.process import Gone, Worker, start_worker
from .limits import memory
from .model import LlamaCppModel

SLOTS = 16


class LlamaCppEngine:
    """An `Engine`.

    A step advances `slots` sequences at most. `positions` is the room that their caches share, by default as much as
    one sequence can take, and a quarter of the machine's memory at most; sequences that do not fit wait outside of
    it, in `room` bytes of ordinary memory (an eighth of the machine's by default), and what does not fit there is
    computed again. `threads` are all cores by default.
    """

    def __init__(
        self, slots: int = SLOTS, positions: int | None = None, threads: int | None = None, room: int | None = None
    ) -> None:
        if slots < 1:
            raise ValueError("an engine needs a slot")
        self._slots = slots
        self._positions = positions
        self._threads = threads
        self._room = room

    @property
    def name(self) -> str:
        return "llamacpp"

    @property
    def capabilities(self) -> Capabilities:
        # Its products of one row and of many are different code, which sums in another order.
        return Capabilities(sequences_per_step=self._slots, exact=False, logprobs=True)

    async def load(self, spec: ModelSpec) -> LlamaCppModel:
        source = spec.source
        file = file_of(source)
        if source is None or file is None or file.suffix != ".gguf":
            raise OutsideError(model_does_not_load(spec.name, "llama.cpp reads GGUF files, and this model has none"))
        figures = await anyio.to_thread.run_sync(_check, spec.name, file)
        tokenizer = await anyio.to_thread.run_sync(source.tokenizer)
        start = partial(self._start, spec, file, tokenizer, _context(spec, figures))
        facts, worker = await start()

        async def again() -> Worker:
            return (await start())[1]

        return LlamaCppModel(facts, tokenizer, worker, again)

    async def _start(
        self, spec: ModelSpec, file: Path, tokenizer: ChatTokenizer, context: int | None
    ) -> tuple[ModelFacts, Worker]:
        worker = await anyio.to_thread.run_sync(start_worker, f"{__package__}.worker")
        try:
            inbox = worker.inbox(-1)
            worker.send(
                {
                    "do": "load",
                    "file": str(file),
                    "context": context,
                    "positions": self._positions,
                    "slots": self._slots,
                    "room": memory() // 8 if self._room is None else self._room,
                    "threads": self._threads or len(os.sched_getaffinity(0)),
                    "ends": sorted(tokenizer.end_tokens),
                }
            )
            try:
                frame = await worker.receive(inbox)
            except Gone as error:
                why = f"llama.cpp came to its end on it ({error})"
                raise OutsideError(model_does_not_load(spec.name, why, error.said or None)) from error
            assert frame is not None
            said = frame.words
            if said["say"] != "ready":
                raise OutsideError(model_does_not_load(spec.name, str(said["why"])))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await worker.close()
            raise
        facts = ModelFacts(
            name=spec.name,
            context=int(said["context"]),
            vocabulary=int(said["vocabulary"]),
            weight_bytes=int(said["weight_bytes"]),
            cache_bytes_per_position=int(said["cache_bytes"]),
            end_tokens=tokenizer.end_tokens,
        )
        return facts, worker


def _context(spec: ModelSpec, figures: Mapping[str, int]) -> int | None:
    """The context to load with: a cache for all of a long one may be more than the machine has, or a file may lie."""
    each, trained = cache_bytes(figures), figures.get("context_length")
    if each is None or trained is None:
        return spec.context
    most = max(1, memory() // 4 // each)
    return min(spec.context or trained, trained, most)


def _check(name: str, file: Path) -> Mapping[str, int]:
    try:
        return read_header(file).figures
    except Unsound as error:
        raise OutsideError(model_does_not_load(name, f"{file.name} {error}")) from error
    except OSError as error:
        raise OutsideError(model_does_not_load(name, f"{file} cannot be read ({error.strerror})")) from error
