"""What a JSON document may look like: the forms of JSON Schema that programs make, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

INTEGER_DIGITS = 18
"""Of an integer: what fits 64 bits."""
NUMBER_DIGITS = 15
"""Of a number, before and behind the point each: what a double keeps."""
EXPONENT_DIGITS = 2
"""Of a number's exponent: no number is infinite."""
FREE_DEPTH = 8
"""Arrays and objects inside each other where any JSON may stand."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `least` to `most` characters (None: any number); of base 64 if `base64`."""

    least: int = 0
    most: int | None = None
    base64: bool = False


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of up to `INTEGER_DIGITS` digits."""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly one value; `json` is its JSON text."""

    json: str


@dataclass(frozen=True, slots=True)
class Items:
    """An array of `least` to `most` items (None: any number)."""

    item: Shape
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of these fields and no others, in this order."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """An object of any keys, each at most once."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    among: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the document's definition of that name says."""

    name: str


@dataclass(frozen=True, slots=True)
class Free:
    """Any JSON, up to `FREE_DEPTH` deep."""


Shape: TypeAlias = Text | Integer | Number | Literal | Items | Fields | Entries | Choice | Reference | Free


@dataclass(frozen=True, slots=True)
class Document:
    """What a whole document looks like. Every definition that is referred to is there and can end."""

    root: Shape
    definitions: Mapping[str, Shape]

    def repeats_keys(self) -> bool:
        """Whether a grammar alone lets a key come twice, because keys are not all declared."""
        return any(isinstance(shape, Entries | Free) for shape in self.shapes())

    def shapes(self) -> Iterator[Shape]:
        """All shapes, each use once."""
        for shape in (self.root, *self.definitions.values()):
            yield from _inside(shape)


def _inside(shape: Shape) -> Iterator[Shape]:
    yield shape
    for part in parts(shape):
        yield from _inside(part)


def parts(shape: Shape) -> tuple[Shape, ...]:
    """The shapes right inside a shape."""
    match shape:
        case Items(item):
            return (item,)
        case Fields(fields):
            return tuple(field.shape for field in fields)
        case Entries(value):
            return (value,)
        case Choice(among):
            return among
        case _:
            return ()


def heights(document: Document) -> Mapping[str, int]:
    """For each definition, how deep its flattest document is. A definition that can never end is left out."""
    known: dict[str, int] = {}
    while True:
        before = dict(known)
        for name, shape in document.definitions.items():
            found = height(shape, known)
            if found is not None:
                known[name] = found
        if known == before:
            return known


def height(shape: Shape, known: Mapping[str, int]) -> int | None:
    """How deep the flattest document of a shape is; None if there is none, as far as `known` tells."""
    match shape:
        case Reference(name):
            return known.get(name)
        case Choice(among):
            found = [h for h in (height(part, known) for part in among) if h is not None]
            return min(found, default=None)
        case Items(item, least):
            inner = height(item, known) if least else 0
            return None if inner is None else inner + 1
        case Fields(fields):
            inside = [height(field.shape, known) for field in fields if field.required]
            return None if None in inside else 1 + max((h for h in inside if h is not None), default=0)
        case _:
            return 0
