"""Runs the Python functions of a project folder, one call at a time, in a process of their own.

Run as a script under a keeper (`python -P worker.py FOLDER`), so it imports nothing of ours and little else. Frames go
over what were standard input and output: four bytes of length, then JSON. What a tool prints goes to standard error
instead. Bytes travel as `{"\\0bytes": base64}`, both ways.

In: `{"call", "file", "module", "function", "arguments", "most", "items"}`. Out: `{"value"}`, or with `items` a number
of `{"item"}` and `{"end"}`, or `{"failed": what, …}`, each with the `call` that it answers. No frame is larger than
`most` bytes.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, BinaryIO, cast

_BYTES = "\0bytes"
_DEEPEST = 200
_LONGEST_MESSAGE, _MOST_FRAMES = 2000, 20

Send = Callable[[Mapping[str, object]], None]


class Failed(Exception):
    """What is told to the other side instead of a value."""

    def __init__(self, what: str, **facts: object) -> None:
        super().__init__(what)
        self.frame = {"failed": what, **facts}


def main() -> None:
    folder = sys.argv[1]
    # The frames' own descriptors; a tool's standard input is empty and its standard output goes to standard error.
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    cast("Any", sys.stdout).reconfigure(line_buffering=True)
    sys.path.insert(0, folder)
    runner = _Runner()
    own = os.getpid()
    while (request := _read(incoming)) is not None:
        most, call = int(request["most"]), int(request["call"])
        # Where the last tool went is nothing to this one.
        os.chdir(folder)

        def send(frame: Mapping[str, object], most: int = most, call: int = call) -> None:
            if os.getpid() != own:
                # A tool forked, and this is the child: the answer is its parent's.
                os._exit(0)
            data = _ENCODE({**frame, "call": call}).encode("utf-8", "replace")
            if len(data) > most:
                raise Failed("too_large", size=len(data))
            outgoing.write(len(data).to_bytes(4, "big") + data)
            outgoing.flush()

        try:
            _answer(request, runner, most, send)
        except Failed as failed:
            send(failed.frame)
        except MemoryError:
            # Whatever was being built is gone now; there is room to say so.
            send({"failed": "memory"})
        sys.stdout.flush()


def _read(incoming: BinaryIO) -> dict[str, Any] | None:
    head = incoming.read(4)
    if len(head) < 4:
        return None
    return _DECODE(incoming.read(int.from_bytes(head, "big")).decode())


def _with_bytes(value: dict[str, Any]) -> object:
    return base64.b64decode(value[_BYTES]) if len(value) == 1 and _BYTES in value else value


# Bound before any tool is loaded: what a tool does to the module `json` is its own affair.
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_DECODE = json.JSONDecoder(object_hook=_with_bytes).decode


class _Runner:
    """The event loop of async tools, made when the first is called and kept, as their clients may be bound to it."""

    def __init__(self) -> None:
        self._runner: Any = None

    def run(self, work: Any) -> object:
        import asyncio

        async def awaited() -> object:
            return await work

        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(awaited())


def _answer(request: dict[str, Any], runner: _Runner, most: int, send: Send) -> None:
    function = _function(request["file"], request["module"], request["function"])
    arguments: dict[str, object] = request["arguments"]
    _fitting(function, arguments)
    try:
        value: Any = function(**arguments)
        if inspect.isawaitable(value):
            value = runner.run(value)
        if not request["items"]:
            send({"value": _Plain(most).of(value, "")})
            return
        if isinstance(value, AsyncIterable):
            following = value.__aiter__().__anext__
            while True:
                try:
                    send({"item": _Plain(most).of(runner.run(following()), "")})
                except StopAsyncIteration:
                    break
        elif isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview | Mapping):
            for item in cast(Any, value):
                send({"item": _Plain(most).of(item, "")})
        else:
            raise Failed("not_items", type=type(cast(object, value)).__name__)
        send({"end": True})
    except (Failed, MemoryError):
        raise
    except BaseException as error:  # SystemExit and the like are the tool's failure, not our end
        raise _raised(error) from None


def _function(file: str, module: str, name: str) -> Callable[..., Any]:
    try:
        loaded = importlib.import_module(module)
    except MemoryError:
        raise
    except BaseException as error:
        sys.modules.pop(module, None)
        raise _raised(error, "import") from None
    found = getattr(loaded, "__file__", None)
    if found is None or os.path.realpath(found) != os.path.realpath(file):
        raise Failed("shadowed", file=found or "Python itself")
    function = getattr(loaded, name, None)
    if function is None or not callable(function):
        names = [n for n, v in vars(loaded).items() if inspect.isfunction(v) and v.__module__ == module]
        raise Failed("missing_function", names=names, found=function is not None)
    return function


def _fitting(function: Callable[..., Any], arguments: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # some functions written in C tell nothing
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise Failed("arguments", takes=str(signature)[:_LONGEST_MESSAGE], why=str(error)) from None


def _raised(error: BaseException, what: str = "raised") -> Failed:
    """The tool's exception with the tool's own lines of the traceback: ours, and the import system's, say nothing."""
    lines: list[str] = []
    folder = sys.argv[1]
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename != __file__ and not frame.filename.startswith("<frozen importlib"):
            where = os.path.relpath(frame.filename, folder) if frame.filename.startswith(folder) else frame.filename
            lines.append(f"{where}:{frame.lineno} in {frame.name}" + (f": {frame.line}" if frame.line else ""))
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"{os.path.relpath(error.filename, folder)}:{error.lineno}: {(error.text or '').strip()}")
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    # A refused socket, or a name that cannot be looked up for want of one, is what a tool without network meets.
    offline = isinstance(error, PermissionError) or type(error).__name__ == "gaierror"
    cause = error.__cause__ or error.__context__
    while cause is not None and not offline:
        offline = isinstance(cause, PermissionError) or type(cause).__name__ == "gaierror"
        cause = cause.__cause__ or cause.__context__
    if len(lines) > _MOST_FRAMES:
        lines = [*lines[: _MOST_FRAMES // 2], "…", *lines[-_MOST_FRAMES // 2 :]]
    return Failed(what, type=type(error).__name__, message=message[:_LONGEST_MESSAGE], trace=lines, offline=offline)


class _Plain:
    """A tool's result as JSON can say it. Counts characters as it goes, so that a huge result is refused before it is
    written out."""

    def __init__(self, most: int) -> None:
        self._most, self._room = most, most

    def of(self, given: object, path: str, depth: int = 0) -> object:
        value: Any = given
        self._take(2)
        if value is None or value is True or value is False:
            return value
        if depth > _DEEPEST:
            raise Failed("too_deep", deepest=_DEEPEST)
        names = getattr(cast(type, type(given)), "__dataclass_fields__", None)
        if names is not None:
            return {n: self.of(getattr(value, n), f"{path}.{n}", depth + 1) for n in names}
        if callable(getattr(value, "_asdict", None)):
            value = value._asdict()
        elif _is_enum(value):
            return self.of(value.name, path, depth)
        elif callable(getattr(value, "model_dump", None)):
            value = value.model_dump()
        elif callable(getattr(value, "tolist", None)) and not isinstance(value, memoryview):
            value = value.tolist()
        if isinstance(value, str):
            self._take(len(value))
            return self._text(value, path)
        if isinstance(value, bool | int | float):
            return self._number(value, path)
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(cast(bytes, value))
            self._take(len(data) * 4 // 3)
            return {_BYTES: base64.b64encode(data).decode("ascii")}
        if isinstance(value, Mapping):
            entries = cast("Mapping[object, object]", value).items()
            return {self._key(k, path): self.of(v, f"{path}.{k}", depth + 1) for k, v in entries}
        if isinstance(value, Iterable) and not isinstance(value, set | frozenset):
            items = cast("Iterable[object]", value)
            return [self.of(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]
        raise Failed("not_plain", type=type(given).__name__, path=path)

    def _key(self, key: object, path: str) -> str:
        if not isinstance(key, str):
            raise Failed("not_plain", type=f"{type(key).__name__} as a key", path=path)
        self._take(len(key))
        return self._text(key, path)

    def _text(self, value: str, path: str) -> str:
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                code = ord(value[error.start])
                raise Failed("not_plain", type=f"str with half a character (U+{code:04X})", path=path) from None
        return str(value)

    def _number(self, value: float, path: str) -> object:
        if isinstance(value, bool):
            return bool(value)
        if isinstance(value, int):
            if value.bit_length() > 4096:
                raise Failed("not_plain", type="int of more than 4,096 bits", path=path)
            return int(value)
        if value != value or value in (float("inf"), float("-inf")):
            raise Failed("not_plain", type=f"float {value}", path=path)
        return float(value)

    def _take(self, amount: int) -> None:
        self._room -= amount
        if self._room < 0:
            raise Failed("too_large", size=self._most - self._room)


def _is_enum(value: object) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(value, enum.Enum)


if __name__ == "__main__":
    main()
