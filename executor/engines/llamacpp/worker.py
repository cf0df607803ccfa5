"""The process in which llama.cpp runs: `python -m agentlang.executor.engines.llamacpp.worker SOCKET`.

It speaks frames on a socket that it inherits (`workers.inside`). One thread reads what is asked, the other computes.
"""

from __future__ import annotations

import os
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ....base.problems import OutsideError
from ..constraint.masks import Masks
from ..workers.frames import Frame
from ..workers.inside import Connection, called, connected
from .batching import Batcher, Held
from .limits import bound_memory
from .native import DoesNotLoad, NativeModel, StepFailed, UnusableLibrary, load_library
from .sampling import Choice, Likely
from .vocabulary import Vocabulary


class Worker:
    """One model and who asks for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked: SimpleQueue[Frame] = SimpleQueue()
        self._batcher: Batcher | None = None

    def serve(self) -> None:
        self._connection.listen(self._asked.put)
        while True:
            batcher = self._batcher
            try:
                while True:
                    self._do(self._asked.get(block=batcher is None or not batcher.busy))
                    batcher = self._batcher
            except Empty:
                pass
            if batcher is not None:
                try:
                    batcher.round()
                except StepFailed as error:
                    self._say({"say": "broken", "why": str(error)})
                    os._exit(1)

    def _say(self, words: dict[str, Any], data: bytes = b"") -> None:
        self._connection.say(words, data)

    def _do(self, frame: Frame) -> None:
        words, batcher = frame.words, self._batcher
        if batcher is None:
            self._load(words)
            return
        number = words["sequence"]
        match words["do"]:
            case "open":
                batcher.open(number, words["tokens"], words["prefix"])
            case "start":
                choice = Choice(words["temperature"], words["seed"], words["top_k"], words["top_p"], words["logprobs"])
                try:
                    batcher.start(number, choice, words["schema"], words["most"])
                except OutsideError as error:
                    self._say({"say": "refused", "sequence": number, "slug": error.problem.slug, "why": str(error)})
                    return
                batcher.more(number, words["credit"])
            case "more":
                batcher.more(number, words["credit"])
            case "end":
                batcher.end(number)
            case "export":
                found = batcher.export(number)
                said = {"say": "state", "sequence": number, "there": found is not None}
                self._say(said, found[1] if found else b"")
            case "adopt":
                batcher.adopt(number, words["tokens"], frame.data)
            case "stats":
                counts = {"steps": batcher.steps, "decoded": batcher.decoded, "prefilled": batcher.prefilled}
                counts["dropped"] = batcher.dropped
                self._say({"say": "stats", "sequence": number, **counts})
            case _:
                raise AssertionError(words["do"])

    def _load(self, words: Any) -> None:
        try:
            library = load_library()
            model = NativeModel(
                library, Path(words["file"]), words["context"], words["positions"], words["slots"], words["threads"]
            )
            cache_bytes = model.warm_up()
        except (UnusableLibrary, DoesNotLoad, StepFailed) as error:
            self._say({"say": "failed", "missing": isinstance(error, UnusableLibrary), "why": str(error)})
            os._exit(0)
        ends = frozenset(words["ends"])
        masks = Masks(Vocabulary(model, ends), model.vocabulary)
        self._batcher = Batcher(model, masks, ends, self._filled, self._told, self._lost, words["room"])
        facts = {"context": model.context, "vocabulary": model.vocabulary, "weight_bytes": model.weight_bytes}
        called("llama.cpp ready")
        self._say({"say": "ready", **facts, "cache_bytes": cache_bytes, "positions": model.positions})

    def _filled(self, held: Held) -> None:
        self._say({"say": "filled", "sequence": held.number, "cached": held.cached})

    def _lost(self, held: Held) -> None:
        self._say({"say": "lost", "sequence": held.number})

    def _told(self, held: Held, token: int | None, last: bool, likely: Likely | None) -> None:
        words: dict[str, Any] = {"say": "token", "sequence": held.number, "token": token, "last": last}
        self._say(words if likely is None else {**words, "likely": likely})


def main() -> None:
    bound_memory()
    Worker(connected()).serve()


if __name__ == "__main__":
    main()
