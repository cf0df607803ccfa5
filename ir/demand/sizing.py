"""How big each value of a pipeline is, as a formula of the sizes that the program names.

Every name of the program (parameter, binding, loop variable, reply) is a size that a goal may state (`assume { best 3
items }`). So a named value's size is a variable, and what the compiler can work out is the variable's default: the
formulas read like the program, and one assumption changes everything that follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from ...lang.types import JSON, MESSAGE, TEXT, ListType, MapType, OptionType, Primitive, StreamType
from ..formula import ZERO, Formula, constant, total, variable
from ..graph import Attribute, Size, ValueType
from ..library import Sized

PROGRAM, ASSUMED = "program", "assumed"

TEXT_TOKENS = 64.0
JSON_TOKENS = 256.0
LIST_ITEMS = 8.0
NUMBER_TOKENS = 4.0
BRANCH_SHARE = 0.5
BYTES_PER_TOKEN = 4.0
"""Of English text in the vocabularies of today's models; a text of the program is counted by it, as its tokenizer is
not at hand."""


@dataclass(slots=True)
class Sizes:
    """The sizes of one pipeline, in an order in which defaults name earlier ones."""

    table: dict[str, Size] = field(default_factory=dict[str, Size])

    def name(self, name: str, default: Formula, bound: Formula | None, basis: str, group: str | None = None) -> Formula:
        """The variable of that name. A name that is there already keeps its first default."""
        if default == variable(name):
            return default
        self.table.setdefault(name, Size(name, default, bound, basis, group))
        return variable(name)

    def unknown(self, given: ValueType, name: str) -> Sized:
        """The size of a value of which nothing but its type is known."""
        match given:
            case Primitive("Text" | "Bytes" | "Audio"):
                return Sized(tokens=self.name(f"{name}.tokens", constant(TEXT_TOKENS), None, ASSUMED))
            case Primitive("Json"):
                return Sized(tokens=self.name(f"{name}.tokens", constant(JSON_TOKENS), None, ASSUMED))
            case StreamType(element) if element == TEXT:
                tokens = self.name(f"{name}.tokens", constant(TEXT_TOKENS), None, ASSUMED)
                return Sized(tokens=tokens, items=tokens, element=Sized(tokens=constant(1.0)))
            case ListType(element) | MapType(element) | StreamType(element):
                items = self.name(f"{name}.items", constant(LIST_ITEMS), None, ASSUMED)
                return Sized(items=items, element=self.unknown(element, f"{name}.item"))
            case OptionType(element):
                return self.unknown(element, name)
            case _ if given == MESSAGE:
                said = self.unknown(TEXT, name)
                return Sized(tokens=said.tokens, fields={"text": said})
            case Primitive():
                return Sized(tokens=constant(NUMBER_TOKENS))
            case _:
                return Sized()

    def named(self, given: ValueType, sized: Sized, name: str) -> Sized:
        """The size of a value that the program gives a name: its own variables, with what is known as defaults."""
        whole = self.complete(given, sized, name)
        if given in (TEXT, JSON) and whole.tokens is not None:
            tokens = self.name(f"{name}.tokens", whole.tokens, whole.bound, PROGRAM)
            return Sized(tokens=tokens, fields=whole.fields, bound=whole.bound)
        if isinstance(given, (ListType, MapType)) and whole.items is not None:
            items = self.name(f"{name}.items", whole.items, whole.bound, PROGRAM)
            return Sized(items=items, element=whole.element, bound=whole.bound)
        return whole

    def complete(self, given: ValueType, sized: Sized, name: str) -> Sized:
        """Fill what is not known of a value with variables of its own."""
        if isinstance(given, (ListType, MapType)):
            known = sized.items is not None
            items = sized.items if known else self.unknown(given, name).items
            element = self.complete(given.element, sized.element or Sized(), f"{name}.item")
            return Sized(items=items, element=element, bound=sized.bound if known else None)
        if isinstance(given, StreamType) and sized.tokens is None and sized.items is None:
            return self.unknown(given, name)
        if isinstance(given, OptionType):
            return self.complete(given.element, sized, name)
        if isinstance(given, Primitive) and sized.tokens is None:
            guess = self.unknown(given, name)
            return Sized(tokens=guess.tokens, number=sized.number, fields=sized.fields)
        if given == MESSAGE and sized.tokens is None:
            return self.unknown(given, name)
        return sized


def text_tokens(text: str) -> float:
    """About how many tokens a text of the program has."""
    return float(ceil(len(text.encode()) / BYTES_PER_TOKEN))


def of_constant(value: Attribute) -> Sized:
    match value:
        case str():
            tokens = constant(text_tokens(value))
            return Sized(tokens=tokens, bound=constant(float(len(value.encode()))))
        case bool() | None:
            return Sized(tokens=constant(1.0))
        case int() | float():
            return Sized(tokens=constant(NUMBER_TOKENS), number=float(value))
        case Mapping():
            fields = {name: of_constant(part) for name, part in value.items()}
            tokens = together([*fields.values()])
            return Sized(tokens=tokens, items=constant(float(len(value))), fields=fields)
        case _:
            items = constant(float(len(value)))
            return Sized(items=items, element=average([of_constant(item) for item in value]), bound=items)


def average(parts: list[Sized]) -> Sized:
    """The mean size of several values, as far as it is known of all of them. Of no values it is nothing at all."""
    if not parts:
        return Sized(tokens=ZERO)
    tokens = [part.tokens for part in parts if part.tokens is not None]
    if len(tokens) != len(parts):
        return Sized()
    return Sized(tokens=total(tokens) * (1.0 / len(parts)))


def added(left: Sized, right: Sized) -> Sized:
    """Two texts or two lists, joined."""
    tokens = left.tokens + right.tokens if left.tokens is not None and right.tokens is not None else None
    if left.items is not None and right.items is not None:
        return Sized(items=left.items + right.items, element=left.element or right.element)
    return Sized(tokens=tokens)


def blended(parts: list[tuple[Formula, Sized]]) -> Sized:
    """One of several values, each with its share."""

    def blend(sizes: list[Formula | None]) -> Formula | None:
        known = [size for size in sizes if size is not None]
        if len(known) != len(parts):
            return None
        return total([share * size for (share, _), size in zip(parts, known, strict=True)])

    return Sized(
        tokens=blend([sized.tokens for _, sized in parts]),
        items=blend([sized.items for _, sized in parts]),
        element=next((sized.element for _, sized in parts if sized.element is not None), None),
    )


def part_of(whole: Sized, parts: int) -> Sized:
    """One of so many parts of a record or case of which only the size of the whole is known."""
    if whole.tokens is None:
        return Sized()
    return Sized(tokens=whole.tokens * (1.0 / max(1, parts)), bound=whole.bound)


def together(parts: list[Sized]) -> Formula | None:
    """The tokens of all parts, where they are known of all."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return total(tokens) if len(tokens) == len(parts) else None
