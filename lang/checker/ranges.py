"""What the arguments of a stage may be, beyond their types, where the language knows the stage: a chat's figures.

A constant that cannot be is told where it stands; what is computed in a run is checked there (`bad_value`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from .. import problems, program
from ..program import Constant
from .context import Context
from .folding import NoConstant, NoValue, value_of

_CHAT: Mapping[str, str] = MappingProxyType(
    {
        "max_tokens": "a reply has one token at least",
        "temperature": "0 is greedy, and 0.7 a usual one",
        "top_k": "0 leaves all tokens to choose from",
        "top_p": "it is above 0, and at most 1, which leaves all tokens to choose from",
        "stop": "leave out the text that is empty: it would end a reply before it begins",
    }
)
"""What is said of an argument that cannot be, by the parameter."""

_RANGES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"llm:chat": _CHAT, "llm:agrees": MappingProxyType({"max_tokens": _CHAT["max_tokens"]})}
)


def check_ranges(context: Context, call: program.StageCall) -> None:
    """Report each constant argument of a call that is outside of its range."""
    hints = _RANGES.get(call.stage.entry)
    if hints is None:
        return
    for argument in call.arguments:
        hint = hints.get(argument.name)
        if hint is None:
            continue
        try:
            value = value_of(argument.value)
        except (NoConstant, NoValue):
            continue
        why = _wrong(argument.name, value)
        if why is not None:
            context.report(problems.bad_bound(f"`{argument.name}` {why}", argument.value.span, hint))


def _wrong(name: str, value: Constant) -> str | None:
    match name, value:
        case "stop", tuple():
            return "holds an empty text" if "" in value else None
        case _, bool():
            return None
        case "max_tokens", int():
            return f"is {value:,}" if value < 1 else None
        case (("temperature" | "top_k"), int() | float()):
            return None if value >= 0 and math.isfinite(value) else f"is {value:,}"
        case "top_p", int() | float():
            return None if 0 < value <= 1 else f"is {value:,}"
        case _:
            return None
