"""Lists: parts of them, order, and what they come to. Items are runtime values, so all of it is plain computing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ...executor.kinds import Context, Kind, Opener, StageFailure
from ...executor.values import to_json
from ...lang.types import INT
from .. import tool_problems as problems
from . import Environment

Items = Sequence[Any]
_LONGEST_RANGE = 100_000


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {
        "first": _whole(lambda items: items[0] if items else None),
        "last": _whole(lambda items: items[-1] if items else None),
        "take": _part(lambda items, count: items[:count]),
        "drop": _part(lambda items, count: items[count:]),
        "reverse": _whole(lambda items: tuple(reversed(items))),
        "unique": _whole(_unique),
        "flatten": flatten,
        "present": _whole(lambda items: tuple(item for item in items if item is not None)),
        "range": numbers,
        "sum": total,
        "max": _whole(lambda items: max(items, default=None)),
        "min": _whole(lambda items: min(items, default=None)),
        "sorted": _whole(lambda items: tuple(sorted(items))),
        "cosine": cosine,
    }


# All but `range`, `sum` and `cosine`, which can fail.
HARMLESS = frozenset(
    {"first", "last", "take", "drop", "reverse", "unique", "flatten", "present", "max", "min", "sorted"}
)


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """All that is done to lists depends on them alone."""
    del name, arguments
    return True


def openers(environment: Environment) -> Mapping[str, Opener]:
    del environment
    return {}


def _whole(compute: Callable[[Items], object]) -> Kind:
    async def stage(context: Context, arguments: Mapping[str, object]) -> object:
        del context
        return compute(cast(Items, arguments["items"]))

    return stage


def _part(compute: Callable[[Items, int], Items]) -> Kind:
    async def stage(context: Context, arguments: Mapping[str, object]) -> object:
        # A negative count would count from the end in Python; here it is none at all.
        del context
        return tuple(compute(cast(Items, arguments["items"]), max(0, cast(int, arguments["count"]))))

    return stage


def _unique(items: Items) -> tuple[object, ...]:
    """Each item once. The type is part of what an item is: Python would say that `true` is 1, and 1 is 1.0."""
    found: dict[object, object] = {}
    for item in items:
        plain = isinstance(item, str | bytes | int | float)
        key = (type(cast(object, item)), item) if plain else json.dumps(to_json(item), sort_keys=True)
        found.setdefault(key, item)
    return tuple(found.values())


async def flatten(context: Context, arguments: Mapping[str, object]) -> tuple[object, ...]:
    """The items of all lists in one."""
    del context
    return tuple(item for items in cast("Sequence[Items]", arguments["lists"]) for item in items)


async def numbers(context: Context, arguments: Mapping[str, object]) -> tuple[int, ...]:
    """From `start` on, without `end`. A longer range than a program can mean fails as `bad_value`."""
    start, end = cast(int, arguments["start"]), cast(int, arguments["end"])
    if end - start > _LONGEST_RANGE:
        why = f"a range of {end - start:,} numbers is longer than {_LONGEST_RANGE:,}"
        raise StageFailure("bad_value", problems.bad_value(context.stage, why, "ask for fewer"))
    return tuple(range(start, end))


async def total(context: Context, arguments: Mapping[str, object]) -> object:
    """What the items come to; quantities and Floats start from 0.0."""
    items = cast("Sequence[float]", arguments["items"])
    try:
        found = sum(items) if context.result == INT else sum(items, 0.0)
    except OverflowError:
        found = float("inf")
    if found in (float("inf"), float("-inf")):
        why = "the sum is too large for a Float"
        raise StageFailure("bad_value", problems.bad_value(context.stage, why, "add smaller numbers, or Ints"))
    return found


async def cosine(context: Context, arguments: Mapping[str, object]) -> float:
    """The cosine of two vectors; 0 where one of them is nothing but zeros. Fails as `bad_value` for vectors of several
    lengths, and for numbers that are too large."""
    a, b = cast("Sequence[float]", arguments["a"]), cast("Sequence[float]", arguments["b"])
    if len(a) != len(b):
        why = f"a vector of {len(a)} numbers is compared with one of {len(b)}"
        raise StageFailure("bad_value", problems.bad_value(context.stage, why, "compare vectors of one encoder"))
    try:
        lengths = math.hypot(*a) * math.hypot(*b)
        found = math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths > 0 else 0.0
    except (OverflowError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        why = "the numbers of a vector are too large"
        raise StageFailure("bad_value", problems.bad_value(context.stage, why, "compare vectors of one encoder"))
    return max(-1.0, min(1.0, found))
