"""A batch as the calls of the program that it stands for: what those who write calls down, or give their answers, see.

So a cassette says the same whether calls were put together (`ir.passes.batch_calls`) or not, and one that was recorded
before they could be still answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ...ir.graph import Attribute, Operation
from ...lang.types import ListType
from . import Call


def singles(call: Call) -> tuple[Call, ...] | None:
    """One call for each item of a batch; None where a call is none."""
    if "batch" not in call.operation.attributes:
        return None
    operation = single(call.operation)
    entry = cast(str, operation.attributes["entry"])
    return tuple(
        replace(call, operation=operation, entry=entry, arguments=arguments)
        for arguments in each(call.operation, call.arguments)
    )


def single(operation: Operation) -> Operation:
    """The call that a batch makes for each of its items."""
    batch = cast("Mapping[str, str]", operation.attributes["batch"])
    names = tuple(
        batch["parameter"] if name == batch["items"] else name
        for name in cast("tuple[str, ...]", operation.attributes["parameters"])
    )
    attributes: dict[str, Attribute] = {k: v for k, v in operation.attributes.items() if k not in ("batch", "variable")}
    attributes |= {"entry": batch["entry"], "parameters": names}
    result = operation.results[0]
    assert isinstance(result.type, ListType)
    return replace(operation, attributes=attributes, results=(replace(result, type=result.type.element),))


def each(operation: Operation, arguments: Mapping[str, object]) -> Sequence[dict[str, Any]]:
    """The arguments of the calls."""
    batch = cast("Mapping[str, str]", operation.attributes["batch"])
    beside = {name: value for name, value in arguments.items() if name != batch["items"]}
    items = cast("Sequence[object]", arguments[batch["items"]])
    return [{**beside, batch["parameter"]: item} for item in items]
