"""Constants as attributes. A dictionary of MLIR sorts its keys and a map of the language keeps its order, so a map or
record in a constant is `{keys = ["b", "a"], values = [1, 2]}`. The graph has plain data again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def encoded(value: Any) -> Any:
    """Plain data as it stands in the attributes of `agent.constant`, of defaults and of handles' arguments."""
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value)
        return {"keys": list(entries), "values": [encoded(item) for item in entries.values()]}
    if isinstance(value, tuple | list):
        return tuple([encoded(item) for item in cast("tuple[Any, ...]", value)])
    return value


def decoded(value: Any) -> Any:
    """The plain data of an attribute; a dictionary of another form stays as it is."""
    if isinstance(value, tuple):
        return tuple([decoded(item) for item in cast("tuple[Any, ...]", value)])
    if not isinstance(value, Mapping):
        return value
    entries = cast("Mapping[str, Any]", value)
    keys, values = entries.get("keys"), entries.get("values")
    if len(entries) != 2 or not isinstance(keys, tuple) or not isinstance(values, tuple):
        return entries
    return dict(zip(cast("tuple[str, ...]", keys), map(decoded, cast("tuple[Any, ...]", values)), strict=False))
