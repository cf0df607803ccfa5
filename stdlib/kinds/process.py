"""Programs of this machine as tools: `tool count(path: Text) -> Int = process.run(["wc", "-l", path])`.

A list of arguments, never a shell; in the program's folder, with limits, and without network unless the tool's effects
name it. The command ends with everything that it has started.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import anyio

from ...executor.kinds import Context, Kind, Opener, StageFailure
from ...lang.types import TEXT, Primitive
from .. import tool_problems as problems
from ..tools import place
from ..tools.answers import caller, checked
from ..tools.launch import Gone, Launch, Running
from ..tools.limits import environment
from ..tools.network import no_network
from ..tools.settings import filled, used
from . import Environment

_BYTES = Primitive("Bytes")
_CPU_SECONDS = 600
_SHOWN = 500
_TAIL = 2000


def stages(environment: Environment) -> Mapping[str, Kind]:
    return {"run": partial(run, environment), "read": partial(read, environment)}


def openers(environment: Environment) -> Mapping[str, Opener]:
    del environment
    return {}


async def run(outside: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """What the program writes: Text and Bytes as it is, all else read as JSON."""
    tool, mask = caller(context), outside.secrets.mask
    command = _command(outside, context, arguments)
    given = context.settings.get("input")
    data = filled(given, arguments, outside.secrets).encode() if given is not None else b""
    network = any(effect.split()[0] == "network" for effect in context.effects)
    settings = outside.settings.tools
    visible = environment(place.variables(settings.env, outside.secrets))
    limits = place.limits(settings, cpu=_CPU_SECONDS)
    launch = Launch(command, outside.folder.resolve(), visible, limits, None if network else no_network())
    running = Running(launch)
    try:
        with place.in_time(settings, tool):
            await running.start()
            written = await _converse(running, data, tool, limits.result)
            ending = await running.ended()
    except Gone:
        ending, written = await running.stop(), b""
    finally:
        await running.stop()
        printed = mask(running.said()[-_TAIL:])
        running.let_go()
    if ending.failed:
        problem = problems.tool_not_started(tool, mask(command[0]), ending.failed)
        raise StageFailure("tool_error", problem)
    if ending.code is None:
        raise StageFailure("tool_error", problems.tool_died(tool, ending.words, printed))
    if ending.code != 0:
        printed = printed or mask(written.decode("utf-8", "replace")[-_TAIL:])
        raise StageFailure("tool_error", problems.command_failed(tool, mask(command[0]), ending.code, printed))
    context.usage.add("bytes", len(written))
    return _value(outside, context, written)


def _command(outside: Environment, context: Context, arguments: Mapping[str, object]) -> list[str]:
    setting = cast("Sequence[object]", context.settings["command"])
    words = [filled(word, arguments, outside.secrets) for word in setting]
    for word, written in zip(setting, words, strict=True):
        paths = _paths(word, written, arguments, outside) if used(word) else ()
        if any(_leaves(outside.folder, path) for path in paths):
            raise StageFailure("denied", problems.tool_outside_folder(caller(context), outside.secrets.mask(written)))
    if any("\0" in word for word in words):
        why = "an argument holds the character with the code 0, which no command takes"
        raise StageFailure("tool_error", problems.tool_not_started(caller(context), words[0], why))
    if not words[0]:
        why = "its name is empty"
        raise StageFailure("tool_error", problems.tool_not_started(caller(context), "the command", why))
    return words


def _paths(word: object, written: str, arguments: Mapping[str, object], outside: Environment) -> Iterator[str]:
    """What in a word may be a path: the whole, and what stands behind an option (`--file=PATH`, `-fPATH`, `@PATH`)."""
    yield written
    option, equals, value = written.partition("=")
    if equals and option.startswith("-"):
        yield value
    elif option.startswith("-") and not option.startswith("--"):
        yield option[2:]
    parts = cast("Mapping[str, Sequence[object]]", word).get("parts", ()) if isinstance(word, Mapping) else ()
    for at, part in enumerate(parts):
        before = "".join(filled(each, arguments, outside.secrets) for each in parts[:at])
        if isinstance(part, Mapping) and not before.endswith("/") and (before[-1:] in "=:,@" or before.startswith("-")):
            yield written[len(before) :]


def _leaves(folder: Path, word: str) -> bool:
    """Whether a word that arguments filled in is a path to something outside the folder: to what is there, or could be
    made there. A word that only looks like a path, such as `/help`, is none."""
    root = folder.resolve()
    path = root / word
    try:
        there = os.path.lexists(path) or ("/" in word and path.parent.is_dir() and path.parent != Path("/"))
        return there and not path.resolve().is_relative_to(root)
    except (OSError, ValueError, RuntimeError):  # too long for a path, or links that go round
        return False


async def _converse(running: Running, data: bytes, tool: str, most: int) -> bytes:
    """Feed it and read it at the same time: a program may write before it has read everything."""
    pieces: list[bytes] = []
    size = 0
    async with anyio.create_task_group() as group:
        group.start_soon(_feed, running, data)
        while piece := await running.some():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                group.cancel_scope.cancel()
                break
        else:
            group.cancel_scope.cancel()  # it has ended its output: what it has not read it will not
    running.end_input()
    if size > most:
        raise StageFailure("tool_error", problems.tool_result_too_large(tool, size, most))
    return b"".join(pieces)


async def _feed(running: Running, data: bytes) -> None:
    try:
        await running.write(data)
    except Gone:
        return  # it wants no more
    running.end_input()


async def read(outside: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """What a program wrote, as the tool's declared type."""
    return _value(outside, context, cast(bytes, arguments["body"]))


def _value(outside: Environment, context: Context, written: bytes) -> object:
    if context.result == _BYTES:
        return written
    text = written.decode("utf-8", "replace")
    if context.result == TEXT:
        return text
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        came = outside.secrets.mask(text[:_SHOWN])
        why = "what it wrote is not JSON"
        problem = problems.tool_wrong_result(caller(context), str(context.result), why, came)
        raise StageFailure("bad_output", problem) from None
    return checked(context, data, outside.secrets)
