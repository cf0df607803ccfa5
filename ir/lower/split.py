"""Expressions with more parts than an operation has operands, as trees of smaller ones with the same meaning.

A template of a hundred holes is a template of templates; a list of a hundred items a sum of lists; a list of constants
is one constant, however long.
"""

from __future__ import annotations

from dataclasses import replace

from ...lang import program as p
from ..dialect.spec import MOST_OPERANDS


def constant_list(given: p.ListOf) -> tuple[p.Constant, ...] | None:
    """The values of a list that holds constants only; None for any other."""
    values: list[p.Constant] = []
    for item in given.items:
        if isinstance(item, p.Literal):
            values.append(item.value)
        elif isinstance(item, p.ListOf) and (inner := constant_list(item)) is not None:
            values.append(inner)
        else:
            return None
    return tuple(values)


def in_chunks(given: p.Template | p.ListOf) -> p.Expression | None:
    """The same value from smaller expressions; None if it is small enough."""
    if isinstance(given, p.Template):
        holes = sum(not isinstance(part, str) for part in given.parts)
        return _template(given) if holes > MOST_OPERANDS else None
    return _list(given) if len(given.items) > MOST_OPERANDS else None


def _template(given: p.Template) -> p.Template:
    size = 2 * MOST_OPERANDS
    parts = [given.parts[at : at + size] for at in range(0, len(given.parts), size)]
    halves = [replace(given, parts=chunk) for chunk in parts]
    if len(halves) == 1:
        # More holes than texts between them: cut in two.
        middle = len(given.parts) // 2
        halves = [replace(given, parts=given.parts[:middle]), replace(given, parts=given.parts[middle:])]
    return replace(given, parts=tuple(halves))


def _list(given: p.ListOf) -> p.Expression:
    middle = len(given.items) // 2
    left, right = replace(given, items=given.items[:middle]), replace(given, items=given.items[middle:])
    return p.Binary(type=given.type, span=given.span, labels=given.labels, operator="+", left=left, right=right)
