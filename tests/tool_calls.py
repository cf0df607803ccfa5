"""Calling library stages without a program: a context, a library of a folder, and what a failing call says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from agentlang.executor.kinds import Context, StageFailure, Usage
from agentlang.executor.values import NO_SHAPES, Shapes
from agentlang.ir.graph import Attribute
from agentlang.lang.types import JSON, Type
from agentlang.stdlib.library import Library

BACKENDS = ("asyncio", "trio")


def context(
    settings: Mapping[str, Attribute] | None = None,
    result: Type | None = JSON,
    shapes: Shapes = NO_SHAPES,
    tool: str | None = "tool",
    **more: Any,
) -> Context:
    return Context("main.tool", Usage(), settings=settings or {}, result=result, shapes=shapes, tool=tool, **more)


def library(folder: Path, **more: Any) -> Library:
    return Library(folder, **more)


async def value(library: Library, entry: str, context: Context, **arguments: object) -> Any:
    """The stage's value; a list of the items of a stream."""
    result = library.kind(entry)(context, arguments)
    if inspect.isawaitable(result):
        return await cast("Awaitable[Any]", result)
    return [item async for item in cast("Any", result)]


def run(library: Library, work: Callable[[], Awaitable[Any]], backend: str = "asyncio", seconds: float = 10.0) -> Any:
    """Run `work` to its end, then close the library as a shell does. No test waits for ever."""

    async def main() -> Any:
        with anyio.fail_after(seconds):
            try:
                return await work()
            finally:
                with anyio.CancelScope(shield=True):
                    await library.aclose()

    return anyio.run(main, backend=backend)


def call(library: Library, entry: str, context: Context, backend: str = "asyncio", **arguments: object) -> Any:
    return run(library, lambda: value(library, entry, context, **arguments), backend)


def failure(library: Library, entry: str, context: Context, **arguments: object) -> StageFailure:
    with pytest.raises(StageFailure) as caught:
        call(library, entry, context, **arguments)
    return caught.value
