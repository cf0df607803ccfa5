"""Constants: values that are known before the program runs, of every type that can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from ...base.frozen import frozen
from ...base.units import Quantity

# Plain data, as JSON has it but for lists, which are tuples.
Plain: TypeAlias = "str | int | float | bool | tuple[Plain, ...] | Mapping[str, Plain] | None"

# What a `Literal` holds: a text (of a Secret its name), a number, a truth value, `none`, a quantity in base units, a
# list as a tuple, or one of the classes below.
Constant: TypeAlias = (
    "str | int | float | bool | Quantity | tuple[Constant, ...] | RecordValue | CaseValue | TableValue | None"
)


@frozen
class RecordValue:
    """A record with all its fields in declared order. `record` is its qualified name."""

    record: str
    fields: tuple[tuple[str, Constant], ...]


@frozen
class CaseValue:
    """A value of an enum: its case, with all that this holds in declared order."""

    case: str
    payload: tuple[tuple[str, Constant], ...] = ()


@frozen
class TableValue:
    """A map in the order in which it is written, each key once."""

    entries: tuple[tuple[str, Constant], ...]


def plain(value: Constant) -> Plain:
    """A constant as it is at run time: quantities in base units, records and maps as mappings; a case is its name, or
    a mapping from its name to what it holds."""
    match value:
        case Quantity():
            return value.value
        case tuple():
            return tuple([plain(part) for part in value])
        case RecordValue():
            return {name: plain(part) for name, part in value.fields}
        case TableValue():
            return {name: plain(part) for name, part in value.entries}
        case CaseValue():
            return {value.case: {name: plain(part) for name, part in value.payload}} if value.payload else value.case
        case _:
            return value


def as_json(value: Plain) -> Constant:
    """Plain data as a constant of type Json."""
    if isinstance(value, Mapping):
        return TableValue(tuple([(name, as_json(part)) for name, part in value.items()]))
    if isinstance(value, tuple):
        return tuple([as_json(part) for part in cast("tuple[Plain, ...]", value)])
    return value
