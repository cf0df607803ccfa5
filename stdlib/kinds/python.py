"""Python functions of the program's folder, each call in a process of its own: `tool order(…) = python("shop:order")`.

The work is in `stdlib.tools`; this file finds the function's file and turns what comes back into a value, or into a
reason that a program can name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from ...base.suggest import suggest
from ...executor.kinds import Context, Kind, Opener, StageFailure
from ...lang.types import StreamType
from .. import tool_problems as problems
from ..tools import place
from ..tools.answers import caller, checked
from ..tools.workers import Died, Garbled, PythonCall, TooLarge, Workers
from . import Environment


def stages(environment: Environment) -> Mapping[str, Kind]:
    def heard(tool: str, line: str) -> None:
        environment.heard(tool, environment.secrets.mask(line))

    def variables() -> dict[str, str]:
        return place.variables(environment.settings.tools.env, environment.secrets)

    workers = Workers(environment.folder, variables, heard)
    environment.closers.append(workers.aclose)
    return {"call": partial(call, environment, workers)}


def openers(environment: Environment) -> Mapping[str, Opener]:
    del environment
    return {}


def call(
    environment: Environment, workers: Workers, context: Context, arguments: Mapping[str, object]
) -> Awaitable[object] | AsyncIterator[object]:
    """The function's value, or the items that it yields where the declared result is a stream."""
    if isinstance(context.result, StreamType):
        return _items(environment, workers, context, arguments)
    return _value(environment, workers, context, arguments)


async def _value(
    environment: Environment, workers: Workers, context: Context, arguments: Mapping[str, object]
) -> object:
    request = _call(environment, context, arguments)
    value: object = None
    with place.in_time(environment.settings.tools, request.tool):
        async with aclosing(_frames(environment, workers, request, context)) as frames:
            async for frame in frames:
                value = frame["value"]
    return checked(context, value, environment.secrets, encoded=False)


async def _items(
    environment: Environment, workers: Workers, context: Context, arguments: Mapping[str, object]
) -> AsyncIterator[object]:
    request = replace(_call(environment, context, arguments), items=True)
    async with aclosing(_frames(environment, workers, request, context)) as frames:
        async for frame in frames:
            if "item" in frame:
                yield checked(context, frame["item"], environment.secrets, encoded=False)


async def _frames(
    environment: Environment, workers: Workers, request: PythonCall, context: Context
) -> AsyncGenerator[Mapping[str, Any]]:
    """What the worker answers, its failures as ours."""
    try:
        async with aclosing(workers.call(request)) as frames:
            async for frame in frames:
                if "failed" in frame:
                    raise _failure(environment, request, frame, context.result)
                yield frame
    except Died as died:
        raise _died(environment, request, died) from None
    except Garbled as garbled:
        printed = environment.secrets.mask(garbled.printed)
        how = "wrote what is no answer into the pipe of its answers"
        raise StageFailure("tool_error", problems.tool_died(request.tool, how, printed)) from None
    except TooLarge as error:
        problem = problems.tool_result_too_large(request.tool, error.size, request.limits.result)
        raise StageFailure("tool_error", problem) from None


def _call(environment: Environment, context: Context, arguments: Mapping[str, object]) -> PythonCall:
    tool = caller(context)
    target = str(context.settings["target"])
    limits = place.limits(environment.settings.tools, context.settings.get("memory"))
    module, function, file = _find(environment.folder, tool, target)
    network = any(effect.split()[0] == "network" for effect in context.effects)
    return PythonCall(tool, file, module, function, arguments, network, limits)


def _find(folder: Path, tool: str, target: str) -> tuple[str, str, Path]:
    """The module, the function and the file of a target. What is not in the folder does not count."""
    module, _, function = target.partition(":")
    parts = module.split(".")
    if not function.isidentifier() or not all(part.isidentifier() for part in parts):
        if "/" in target or "\\" in target or ".." in target:
            raise StageFailure("denied", problems.tool_outside_folder(tool, target))
        raise _not_found(tool, target, 'is not of the form "module:function"', None)
    root = folder.resolve()
    base = root.joinpath(*parts)
    for file in (base / "__init__.py", base.with_name(f"{parts[-1]}.py")):
        if file.is_file():
            if not file.resolve().is_relative_to(root):
                raise StageFailure("denied", problems.tool_outside_folder(tool, str(file.resolve())))
            return module, function, file
    known = sorted(p.stem for p in base.parent.glob("*.py")) if base.parent.is_dir() else []
    meant = suggest(parts[-1], known)
    fixed = ".".join((*parts[:-1], meant)) + f":{function}" if meant else None
    raise _not_found(tool, target, f"needs {'/'.join(parts)}.py, which is not there", fixed)


def _not_found(tool: str, target: str, why: str, suggestion: str | None) -> StageFailure:
    return StageFailure("tool_error", problems.tool_not_found(tool, target, why, suggestion))


def _failure(environment: Environment, request: PythonCall, frame: Mapping[str, Any], declared: object) -> StageFailure:
    mask = environment.secrets.mask
    tool, target = request.tool, f"{request.module}:{request.function}"
    what = frame["failed"]
    if what in ("raised", "import"):
        trace = [mask(line) for line in cast("Sequence[str]", frame["trace"])]
        error, message = str(frame["type"]), mask(str(frame["message"]))
        if what == "import":
            problem = problems.tool_does_not_load(tool, request.file.name, error, message, trace, "")
        else:
            offline = bool(frame["offline"]) and not request.network
            problem = problems.tool_raised(tool, error, message, trace, "", offline)
    elif what == "missing_function":
        names = cast("Sequence[str]", frame["names"])
        meant = suggest(request.function, names)
        why = "is no function" if frame["found"] else f"is not there: {request.file.name} has no {request.function!r}"
        problem = problems.tool_not_found(tool, target, why, f"{request.module}:{meant}" if meant else None)
    elif what == "shadowed":
        why = f"is hidden by another module of that name ({frame['file']}); rename the file"
        problem = problems.tool_not_found(tool, target, why, None)
    elif what == "arguments":
        problem = problems.tool_arguments(tool, target, str(frame["takes"]), mask(str(frame["why"])))
    elif what == "memory":
        problem = problems.tool_out_of_memory(tool, request.limits.memory)
    elif what == "too_large":
        problem = problems.tool_result_too_large(tool, int(frame["size"]), request.limits.result)
    else:
        return StageFailure("bad_output", problems.tool_wrong_result(tool, str(declared), _unfit(frame), ""))
    return StageFailure("tool_error", problem)


def _unfit(frame: Mapping[str, Any]) -> str:
    if frame["failed"] == "not_items":
        return f"it gave {frame['type']}, which has no items"
    if frame["failed"] == "too_deep":
        return f"it gave a value nested deeper than {frame['deepest']}"
    return f"its result{frame['path']} is {frame['type']}, which no type of the language holds"


def _died(environment: Environment, request: PythonCall, died: Died) -> StageFailure:
    if died.ending.failed:
        return StageFailure("tool_error", problems.tool_not_started(request.tool, "Python", died.ending.failed))
    printed = environment.secrets.mask(died.printed)
    return StageFailure("tool_error", problems.tool_died(request.tool, died.ending.words, printed))
