"""Python workers of a project folder: started when first needed, kept warm for the next call, ended when left to.

A worker answers one call at a time. A call that fails by its own code leaves its worker usable; one that is cancelled,
runs out of memory or breaks the pipe takes its worker along.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from .launch import Ending, Gone, Launch, Running
from .limits import Limits, environment
from .network import no_network

_WORKER = str(Path(__file__).with_name("worker.py"))
_AT_ONCE = 8
_WARM = 4
_LAST_WORDS = 1.0  # seconds
_BYTES = "\0bytes"


@dataclass(frozen=True, slots=True)
class PythonCall:
    """One call: the function, its arguments as runtime values, and whether its result is a stream of items."""

    tool: str
    file: Path
    module: str
    function: str
    arguments: Mapping[str, object]
    network: bool
    limits: Limits
    items: bool = False


class Died(Exception):
    """The worker's process ended before it answered."""

    def __init__(self, ending: Ending, printed: str) -> None:
        super().__init__(ending.words)
        self.ending = ending
        self.printed = printed


class Garbled(Exception):
    """What came is no answer to this call: the tool wrote into the pipe of its answers, or broke what writes them."""

    def __init__(self, printed: str) -> None:
        super().__init__()
        self.printed = printed


class TooLarge(Exception):
    """A frame said to be larger than allowed; none of it was read."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(slots=True)
class _Worker:
    running: Running
    kind: tuple[bool, int]
    loaded: dict[Path, tuple[int, int]]
    tool: str  # whose call it had last, for what it prints


class Workers:
    """All workers of one folder. `variables` gives what their environment has beside the usual; `heard` is told what
    tools print: the tool and a line."""

    def __init__(
        self, folder: Path, variables: Callable[[], Mapping[str, str]], heard: Callable[[str, str], None]
    ) -> None:
        self._folder = folder.resolve()
        self._variables = variables
        self._heard = heard
        self._idle: list[_Worker] = []
        self._busy = 0
        self._calls = 0
        self._waiting: list[anyio.Event] = []

    async def call(self, call: PythonCall) -> AsyncGenerator[dict[str, Any]]:
        """The frames that answer a call, the last of which has `value`, `end` or `failed`.

        Raises `Died`, `Garbled` and `TooLarge`. Leaving early ends the worker."""
        await self._turn()
        worker: _Worker | None = None
        usable = False
        try:
            worker = await self._worker(call)
            try:
                self._calls += 1
                number = self._calls
                await worker.running.write(_frame(call, number))
                while True:
                    frame = await _answer(worker.running, call.limits.result, number)
                    # A generator that is left at a yield is left unusable, so what ends a call is said before it.
                    usable = "item" not in frame and frame.get("failed") != "memory"
                    yield frame
                    if "item" not in frame:
                        break
            except Gone:
                with anyio.move_on_after(_LAST_WORDS):
                    await worker.running.ended()  # how it ended by itself, before it is ended
                ending = await worker.running.stop()
                raise Died(ending, worker.running.said()) from None
        finally:
            await self._back(worker, usable)

    async def aclose(self) -> None:
        """End the workers that nobody uses."""
        while self._idle:
            await self._end(self._idle.pop())

    async def _turn(self) -> None:
        while self._busy >= _AT_ONCE:
            turn = anyio.Event()
            self._waiting.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:
                    self._next()  # it was this one's turn, which it cannot take
                raise
        self._busy += 1

    async def _worker(self, call: PythonCall) -> _Worker:
        kind = (call.network, call.limits.memory)
        stamp = _stamp(call.file)
        for worker in [w for w in reversed(self._idle) if w.kind == kind]:
            self._idle.remove(worker)
            if worker.loaded.setdefault(call.file, stamp) == stamp:
                worker.tool = call.tool
                return worker
            await self._end(worker)  # the file was changed since this worker loaded it
        running = Running(
            Launch(
                (sys.executable, "-P", "-X", "utf8", _WORKER, str(self._folder)),
                self._folder,
                environment(self._variables()),
                call.limits,
                None if call.network else no_network(),
            )
        )
        worker = _Worker(running, kind, {call.file: stamp}, call.tool)
        try:
            await running.start()
        except BaseException:
            await self._end(worker)
            raise
        return worker

    async def _back(self, worker: _Worker | None, usable: bool) -> None:
        try:
            if worker is not None:
                if usable and len(self._idle) < _WARM:
                    self._say(worker)
                    self._idle.append(worker)
                else:
                    await self._end(worker)
        finally:
            self._busy -= 1
            self._next()

    def _next(self) -> None:
        if self._waiting:
            self._waiting.pop(0).set()

    async def _end(self, worker: _Worker) -> None:
        await worker.running.stop()
        self._say(worker, last=True)
        worker.running.let_go()

    def _say(self, worker: _Worker, last: bool = False) -> None:
        for line in worker.running.lines(last):
            self._heard(worker.tool, line)


def _frame(call: PythonCall, number: int) -> bytes:
    request = {
        "call": number,
        "file": str(call.file),
        "module": call.module,
        "function": call.function,
        "arguments": dict(call.arguments),
        "most": call.limits.result,
        "items": call.items,
    }
    data = json.dumps(request, ensure_ascii=False, separators=(",", ":"), default=_with_bytes).encode()
    return len(data).to_bytes(4, "big") + data


def _with_bytes(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"a tool cannot be given {type(value).__name__}")


async def _answer(running: Running, most: int, number: int) -> dict[str, Any]:
    size = int.from_bytes(await running.exactly(4), "big")
    if size > most:
        raise TooLarge(size)
    data = await running.exactly(size)
    # Looking at every mapping costs time, and few results have bytes.
    hook = _bytes_back if b'"\\u0000bytes"' in data else None
    try:
        frame: object = json.loads(data, object_hook=hook)
    except (ValueError, RecursionError):
        raise Garbled(running.said()) from None
    answer = cast("dict[str, Any]", frame) if isinstance(frame, dict) else {}
    if answer.get("call") != number or not answer.keys() & {"value", "item", "end", "failed"}:
        raise Garbled(running.said())
    return answer


def _bytes_back(value: dict[str, Any]) -> object:
    """Bytes as the worker wrote them; a tool that writes such a mapping itself may mean anything by it."""
    given: object = value.get(_BYTES)
    if len(value) != 1 or not isinstance(given, str):
        return value
    try:
        return base64.b64decode(given, validate=True)
    except ValueError:
        return value


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
