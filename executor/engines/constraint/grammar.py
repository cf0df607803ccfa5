"""A document's grammar, in the dialect of Lark that llguidance reads.

Written here rather than left to the library's own reading of JSON Schema, because a small model loops wherever a
grammar lets it. So white space is one space behind `,` and `:` and none elsewhere (what `json.dumps` writes, and what
models have seen most), numbers have a bounded number of digits and are finite, and a text has one spelling: characters
stand for themselves unless JSON forbids it, so equal keys are equal bytes and no escape makes half a character.
"""

from __future__ import annotations

import json

from .shapes import (
    EXPONENT_DIGITS,
    FREE_DEPTH,
    INTEGER_DIGITS,
    NUMBER_DIGITS,
    Choice,
    Document,
    Entries,
    Field,
    Fields,
    Integer,
    Items,
    Literal,
    Number,
    Reference,
    Shape,
    Text,
)

# U+007F needs no escape in JSON; it is left out with the other control characters, which nobody means.
_CHARACTER = r'([^"\\\x00-\x1f\x7f]|\\["\\bfnrt])'
_FRACTION = rf"(\.[0-9]{{1,{NUMBER_DIGITS}}})?"
_EXPONENT = rf"([eE][+-]?[0-9]{{1,{EXPONENT_DIGITS}}})?"
_TERMINALS = rf"""TEXT: /"{_CHARACTER}*"/
BASE64: /"([A-Za-z0-9+\/]{{4}})*([A-Za-z0-9+\/]{{2}}==|[A-Za-z0-9+\/]{{3}}=)?"/
INTEGER: /-?(0|[1-9][0-9]{{0,{INTEGER_DIGITS - 1}}})/
NUMBER: /-?(0|[1-9][0-9]{{0,{NUMBER_DIGITS - 1}}}){_FRACTION}{_EXPONENT}/
"""


def lark(document: Document) -> str:
    """The grammar's text. Documents are written as `json.dumps(…, ensure_ascii=False)` does."""
    writer = _Writer(document)
    return writer.text()


class _Writer:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._names = {place: f"definition_{i}" for i, place in enumerate(document.definitions)}
        self._rules: list[str] = []
        self._free = False

    def text(self) -> str:
        self._rules.append(f"start: {self._of(self._document.root)}")
        for place, shape in self._document.definitions.items():
            self._rules.append(f"{self._names[place]}: {self._of(shape)}")
        if self._free:
            self._rules += _free_rules()
        return "\n".join((*self._rules, _TERMINALS))

    def _of(self, shape: Shape) -> str:
        """An expression, in parentheses where it has to hold together."""
        match shape:
            case Text(least, most, base64):
                if base64:
                    return "BASE64"
                return "TEXT" if (least, most) == (0, None) else self._bounded_text(least, most)
            case Integer():
                return "INTEGER"
            case Number():
                return "NUMBER"
            case Literal(text):
                return _quoted(text)
            case Items(item, least, most):
                return self._items(self._of(item), least, most)
            case Fields(fields):
                return self._fields(fields)
            case Entries(value):
                entry = self._rule(f"TEXT {_quoted(': ')} {self._of(value)}")
                return self._list("{", entry, "}", 0, None)
            case Choice(among):
                return self._rule(" | ".join(self._of(part) for part in among))
            case Reference(name):
                return self._names[name]
            case _:
                self._free = True
                return "free_0"

    def _rule(self, body: str) -> str:
        name = f"rule_{len(self._rules)}"
        self._rules.append(f"{name}: {body}")
        return name

    def _bounded_text(self, least: int, most: int | None) -> str:
        name = f"TEXT_{len(self._rules)}"
        self._rules.append(f'{name}: /"{_CHARACTER}{{{least},{"" if most is None else most}}}"/')
        return name

    def _items(self, item: str, least: int, most: int | None) -> str:
        return self._list("[", item, "]", least, most)

    def _list(self, opening: str, item: str, closing: str, least: int, most: int | None) -> str:
        if most == 0:
            return _quoted(opening + closing)
        rest = f"({_quoted(', ')} {item})"
        more = f"{rest}*" if most is None and least <= 1 else f"{rest}{{{max(least - 1, 0)},{_less_one(most)}}}"
        full = f"{item} {more}" if most != 1 else item
        body = full if least else f"({full})?"
        return self._rule(f"{_quoted(opening)} {body} {_quoted(closing)}")

    def _fields(self, fields: tuple[Field, ...]) -> str:
        """Fields in their order; one that may be left out takes its comma with it.

        From the last field back: `first` is the rest of an object in which nothing stands yet, `later` of one in which
        something does.
        """
        if not fields:
            return _quoted("{}")
        first, later = _quoted("}"), _quoted("}")
        for field in reversed(fields):
            key, value = json.dumps(field.name, ensure_ascii=False) + ": ", self._of(field.shape)
            with_first = f"{_quoted(key)} {value} {later}"
            with_later = f"{_quoted(', ' + key)} {value} {later}"
            if field.required:
                first, later = with_first, with_later
            else:
                first, later = self._rule(f"{with_first} | {first}"), self._rule(f"{with_later} | {later}")
        return self._rule(f"{_quoted('{')} {first}")


def _free_rules() -> list[str]:
    plain = 'TEXT | NUMBER | "true" | "false" | "null"'
    rules = [f"free_{FREE_DEPTH}: {plain}"]
    for depth in range(FREE_DEPTH):
        inner = f"free_{depth + 1}"
        rules += [
            f"free_{depth}: {plain} | free_list_{depth} | free_object_{depth}",
            f'free_list_{depth}: "[" ({inner} (", " {inner})*)? "]"',
            f'free_object_{depth}: "{{" (TEXT ": " {inner} (", " TEXT ": " {inner})*)? "}}"',
        ]
    return rules


def _less_one(most: int | None) -> str:
    return "" if most is None else str(most - 1)


def _quoted(text: str) -> str:
    """A grammar's literal; it is written as JSON writes a text."""
    return json.dumps(text, ensure_ascii=False)
