"""A tree of frozen values as indented text, each node with its place: what `compile --emit syntax|program` shows.

Generic over dataclasses, so that a new node needs no change here. Empty and default fields are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from ..base.source import Source, Span


def dump(value: object) -> str:
    """The tree as text, one line for each node or plain field."""
    return "\n".join(_lines(value, "", "")) + "\n"


def _lines(value: object, label: str, indent: str) -> Iterator[str]:
    head = f"{indent}{label}"
    deeper = indent + "  "
    if isinstance(value, Source):
        yield f"{head}{value.path}"
    elif is_dataclass(value) and not isinstance(value, type):
        own_text = type(value).__str__ is not object.__str__
        span: object = getattr(value, "span", None)
        place = f"  @{span.line}:{span.column}" if isinstance(span, Span) else ""
        if own_text and not place:
            yield f"{head}{value}"
            return
        yield f"{head}{type(value).__name__}{place}"
        for field in fields(value):
            inner: object = getattr(value, field.name)
            if field.name != "span" and not _default(field, inner):
                yield from _lines(inner, f"{field.name}: ", deeper)
    elif isinstance(value, Mapping) and value:
        yield f"{head.rstrip()}"
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _lines(inner, f"{key}: ", deeper)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, (tuple, frozenset)) and value:
        yield f"{head.rstrip()}"
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _lines(inner, "- ", deeper)  # pyright: ignore[reportUnknownArgumentType]
    else:
        yield f"{head}{value!r}"


def _default(field: Field[Any], value: object) -> bool:
    if value is None or value in ((), frozenset(), {}):
        return True
    return field.default is not MISSING and field.default == value
