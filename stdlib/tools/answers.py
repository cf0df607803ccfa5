"""What a tool answered, held against what it is declared to give. The conversion itself is `executor.values`."""

from __future__ import annotations

import json
from typing import cast

from ...executor.kinds import Context, StageFailure
from ...executor.values import from_json
from ...lang.types import StreamType, Type
from .. import tool_problems as problems
from .secrets import Secrets

_SHOWN = 300


def checked(context: Context, value: object, secrets: Secrets, encoded: bool = True) -> object:
    """The runtime value of JSON data that a tool gave, in which bytes are texts where they come `encoded`. Raises
    `StageFailure` (bad_output) where it is not of the declared type, or for a stream, where an item is not."""
    declared = cast("Type | None", context.result)
    if declared is None:
        return value
    wanted = declared.element if isinstance(declared, StreamType) else declared
    converted, found = from_json(value, wanted, context.shapes, "its result", encoded=encoded)
    if found:
        why = secrets.mask("; ".join(problem.title for problem in found[:3]))
        came = secrets.mask(shown(value))
        raise StageFailure("bad_output", problems.tool_wrong_result(caller(context), str(declared), why, came))
    return converted


def caller(context: Context) -> str:
    """How problems name a stage: by its tool, where it is one."""
    return context.tool or context.stage


def shown(value: object) -> str:
    """The value as short JSON."""
    text = json.dumps(value, ensure_ascii=False, default=lambda one: f"<{type(one).__name__}>")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"
