"""Answers that a test gives where a stream is expected: the compiler puts this stage in the place of the call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ...executor.kinds import Context, Kind, Opener
from . import Environment


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {"stream": stream}


def openers(environment: Environment) -> Mapping[str, Opener]:
    del environment
    return {}


async def stream(context: Context, arguments: Mapping[str, Any]) -> AsyncIterator[object]:
    """A text in one piece, or the items of a list one by one."""
    del context
    value = arguments["value"]
    for item in (value,) if isinstance(value, str) else value:
        yield item
