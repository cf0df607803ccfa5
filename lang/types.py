"""Types as frozen values. Records, enums and handles are nominal: they carry a qualified name, and the program's tables
hold their fields, so that a recursive record needs no recursive value.

Labels (`Text @pii`) are no part of a type: they never fail a match. They stand beside the type wherever a value is
described (`Parameter.labels`, `Expression.labels`).
"""

from __future__ import annotations

from ..base import units
from ..base.frozen import frozen

PRIMITIVES = (
    *("Text", "Int", "Float", "Bool", "Bytes", "Json", "Audio", "Secret"),
    *("Duration", "Money", "Bytesize", "Bandwidth", "Rate", "Energy", "Power", "Tokens"),
)


@frozen
class Primitive:
    """A type of the language that has no parts. `None` is the type of `none` before its option is known."""

    name: str

    def __str__(self) -> str:
        return self.name


@frozen
class ListType:
    element: Type

    def __str__(self) -> str:
        return f"[{self.element}]"


@frozen
class MapType:
    """A map from texts."""

    element: Type

    def __str__(self) -> str:
        return f"{{Text: {self.element}}}"


@frozen
class OptionType:
    element: Type

    def __str__(self) -> str:
        return f"{self.element}?"


@frozen
class StreamType:
    element: Type

    def __str__(self) -> str:
        return f"stream {self.element}"


@frozen
class TensorType:
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"Tensor[{', '.join([self.dtype, *map(str, self.shape)])}]"


@frozen
class RecordType:
    """`name` is qualified by its module where it has one: `Source`, `search.Passage`."""

    name: str

    def __str__(self) -> str:
        return self.name


@frozen
class EnumType:
    name: str

    def __str__(self) -> str:
        return self.name


@frozen
class HandleType:
    """An opaque handle of a library, such as `llm.Model`: no text form, no fields, only methods."""

    name: str

    def __str__(self) -> str:
        return self.name


@frozen
class TurnType:
    """What a turn of a `repeat` ends with: whether it stops, and the state. No program can write it."""

    element: Type

    def __str__(self) -> str:
        return f"turn of {self.element}"


Type = (
    Primitive
    | ListType
    | MapType
    | OptionType
    | StreamType
    | TensorType
    | RecordType
    | EnumType
    | HandleType
    | TurnType
)

TEXT, INT, FLOAT, BOOL, JSON = (Primitive(n) for n in ("Text", "Int", "Float", "Bool", "Json"))
TOKENS, DURATION, MONEY = (Primitive(n) for n in ("Tokens", "Duration", "Money"))
NONE = Primitive("None")

# Declared by the language itself, in every file: `enum Role { System, User, Assistant, Tool }` and
# `type Message { role: Role, text: Text }`.
ROLE = EnumType("Role")
MESSAGE = RecordType("Message")

# What a model says of a claim (`judge.agrees(…)`), declared by `std/llm`: `type Verdict { why: Text, ok: Bool }`.
VERDICT = RecordType("llm.Verdict")

# The types that are quantities, and what they measure.
DIMENSIONS: dict[str, units.Dimension] = {
    "Duration": units.DURATION,
    "Money": units.MONEY,
    "Bytesize": units.BYTESIZE,
    "Bandwidth": units.BANDWIDTH,
    "Rate": units.RATE,
    "Energy": units.ENERGY,
    "Power": units.POWER,
    "Tokens": units.TOKENS,
}
_OF_DIMENSION = {dimension: Primitive(name) for name, dimension in DIMENSIONS.items()}


def quantity_type(dimension: units.Dimension) -> Type | None:
    """The type of a quantity of that dimension; a plain number is a Float; None where no type has a name."""
    return FLOAT if dimension == units.NUMBER else _OF_DIMENSION.get(dimension)


def dimension_of(type: Type) -> units.Dimension | None:
    """What a quantity type measures; the numbers measure nothing (`units.NUMBER`); None for all other types."""
    if not isinstance(type, Primitive):
        return None
    return units.NUMBER if type.name in ("Int", "Float") else DIMENSIONS.get(type.name)
