"""Which type fits where, what is converted silently, and which types go together.

Three conversions are silent: Int to Float, `T` to `T?`, and those of the items of a list or map that is written out.
`none` and `[]` have a type only beside something that decides it; until then they are open (`NONE`, a list of `OPEN`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from .. import program
from ..program import Constant, EnumDeclaration, Expression, Literal, TableValue
from ..types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    StreamType,
    TurnType,
    Type,
    dimension_of,
)
from .symbols import UNKNOWN

# The element of a list or map that is empty, before anything says what it could hold.
OPEN = Primitive("…")


def is_unknown(type: Type) -> bool:
    """Whether some part of a type could not be known."""
    return _core(type) == UNKNOWN


def is_open(type: Type) -> bool:
    """Whether a type waits for something beside it to be decided."""
    return _core(type) in (OPEN, NONE)


def _core(type: Type) -> Type:
    while isinstance(type, ListType | StreamType | MapType | OptionType | TurnType):
        type = type.element
    return type


def fits(actual: Type, expected: Type) -> bool:
    """Whether a value may stand there as it is."""
    return actual == expected or is_unknown(actual) or is_unknown(expected)


def optional(type: Type) -> Type:
    """`T?`; nothing is nothing, however often it is asked, so that of `T?` is itself."""
    return type if isinstance(type, OptionType) else OptionType(type)


def inside(expected: Type | None) -> Type | None:
    """What a literal is guided by: of an optional value, that of the value."""
    return expected.element if isinstance(expected, OptionType) else expected


def collected(stream: StreamType) -> Type:
    """What `all(stream)` gives: a stream of texts is joined, another becomes a list."""
    return TEXT if stream.element == TEXT else ListType(stream.element)


def has_text_form(type: Type, enums: Mapping[str, EnumDeclaration]) -> bool:
    """Whether a text may hold a value: an enum's is the name of its case, where no case holds more."""
    if isinstance(type, EnumType):
        declared = enums.get(type.name)
        return declared is not None and not any(case.payload for case in declared.cases)
    return type in (TEXT, BOOL, JSON) or dimension_of(type) is not None


# --- converting ------------------------------------------------------------------------------------------------------


def convert(found: Expression, expected: Type) -> Expression | None:
    """`found` as a value of the expected type, converted silently where the language does so; None where it does not
    fit."""
    actual = found.type
    if fits(actual, expected):
        return found
    if actual == INT and expected == FLOAT:
        return as_float(found)
    if isinstance(expected, OptionType):
        return _as_option(found, expected)
    match found, expected:
        case program.ListOf(), ListType():
            items = _each(found.items, expected.element)
            if items is not None:
                return program.ListOf(type=expected, span=found.span, labels=found.labels, items=items)
        case program.TableOf(), MapType():
            values = _each(tuple(entry.value for entry in found.entries), expected.element)
            if values is not None:
                entries = tuple(program.Argument(e.name, v) for e, v in zip(found.entries, values, strict=True))
                return program.TableOf(type=expected, span=found.span, labels=found.labels, entries=entries)
        case Literal(), ListType() | MapType():
            # A constant of the file, or a default.
            value = constant_as(found.value, actual, expected)
            if value is not None:
                return Literal(type=expected, span=found.span, labels=found.labels, value=value[0])
        case _:
            pass
    return None


def constant_as(value: Constant, actual: Type, expected: Type) -> tuple[Constant] | None:
    """A constant as a value of the expected type (in a tuple, as it may be anything); None where it does not fit."""
    if fits(actual, expected):
        return (value,)
    if isinstance(value, int) and actual == INT and expected == FLOAT:
        return (float(value),)
    if isinstance(expected, OptionType):
        if value is None:
            return (value,) if actual == NONE or isinstance(actual, OptionType) else None
        return constant_as(value, actual.element if isinstance(actual, OptionType) else actual, expected.element)
    match value, actual, expected:
        case tuple(), ListType(), ListType():
            items = [constant_as(item, actual.element, expected.element) for item in value]
            known = tuple([item[0] for item in items if item is not None])
            return (known,) if len(known) == len(items) else None
        case TableValue(), MapType(), MapType():
            parts = [(name, constant_as(item, actual.element, expected.element)) for name, item in value.entries]
            entries = tuple([(name, part[0]) for name, part in parts if part is not None])
            return (TableValue(entries),) if len(entries) == len(parts) else None
        case _:
            return None


def as_float(found: Expression) -> Expression:
    """An Int as the Float it is meant to be; a literal stays one."""
    if isinstance(found, Literal) and isinstance(found.value, int):
        return Literal(type=FLOAT, span=found.span, labels=found.labels, value=float(found.value))
    return program.Convert(type=FLOAT, span=found.span, labels=found.labels, value=found)


def _as_option(found: Expression, expected: OptionType) -> Expression | None:
    if found.type == NONE:
        if isinstance(found, Literal):
            return Literal(type=expected, span=found.span, labels=found.labels, value=None)
        return None
    within = convert(found, expected.element)
    if within is None:
        return None
    return program.Convert(type=expected, span=found.span, labels=found.labels, value=within)


def _each(items: tuple[Expression, ...], element: Type) -> tuple[Expression, ...] | None:
    converted = [convert(item, element) for item in items]
    kept = tuple(item for item in converted if item is not None)
    return kept if len(kept) == len(converted) else None


# --- going together --------------------------------------------------------------------------------------------------


def join(left: Type, right: Type) -> Type | None:
    """The type that values of both could have; None where there is none."""
    if left == right or is_unknown(right):
        return left
    if is_unknown(left):
        return right
    for one, other in ((left, right), (right, left)):
        if one == OPEN:
            return other
        if one == NONE:
            return None if isinstance(other, StreamType) else optional(other)
        if one == INT and other == FLOAT:
            return FLOAT
        if isinstance(one, OptionType):
            element = join(one.element, other.element if isinstance(other, OptionType) else other)
            return None if element is None else optional(element)
    for kind in (ListType, MapType):
        if isinstance(left, kind) and isinstance(right, kind):
            element = join(left.element, right.element)
            return None if element is None else kind(element)
    return None


def common(types: list[Type]) -> Type:
    """The type of all that go together with the first; those that do not are left out."""
    return reduce(lambda so_far, type: join(so_far, type) or so_far, types)
