"""A document made up without a model: what a simulated model answers where a schema is given."""

from __future__ import annotations

import json
import random

from .shapes import (
    Choice,
    Document,
    Entries,
    Fields,
    Integer,
    Items,
    Literal,
    Number,
    Reference,
    Shape,
    Text,
    height,
    heights,
)

_DEEPEST = 6
"""Below this depth the flattest way is taken."""


def invent(document: Document, draw: random.Random, words: tuple[str, ...]) -> str:
    """A document's text, as `json.dumps` writes it; the same for the same draws."""
    return _Inventor(document, draw, words).text(document.root, 0)


class _Inventor:
    def __init__(self, document: Document, draw: random.Random, words: tuple[str, ...]) -> None:
        self._definitions = document.definitions
        self._heights = heights(document)
        self._draw = draw
        self._words = words

    def text(self, shape: Shape, depth: int) -> str:
        deep = depth >= _DEEPEST
        match shape:
            case Text(least, most, base64):
                return '"' + ("" if base64 else self._words_of(least, most)) + '"'
            case Integer():
                return str(self._draw.randint(0, 100))
            case Number():
                return str(self._draw.randint(0, 1000) / 10)
            case Literal(written):
                return written
            case Items(item, least, most):
                count = (
                    least if deep else self._draw.randint(least, min(least + 3, least + 3 if most is None else most))
                )
                return f"[{', '.join(self.text(item, depth + 1) for _ in range(count))}]"
            case Fields(fields):
                given = [field for field in fields if field.required or not deep]
                return f"{{{', '.join(f'{_key(f.name)}{self.text(f.shape, depth + 1)}' for f in given)}}}"
            case Entries(value):
                names = () if deep else self._draw.sample(self._words, self._draw.randint(0, min(3, len(self._words))))
                return f"{{{', '.join(_key(name) + self.text(value, depth + 1) for name in names)}}}"
            case Choice(among):
                return self.text(self._chosen(among, deep), depth + 1)
            case Reference(name):
                return self.text(self._definitions[name], depth + 1)
            case _:
                return "null"

    def _chosen(self, among: tuple[Shape, ...], deep: bool) -> Shape:
        possible = {i: h for i, part in enumerate(among) if (h := height(part, self._heights)) is not None}
        if deep:
            return among[min(possible, key=lambda i: possible[i])]
        return among[self._draw.choice(sorted(possible))]

    def _words_of(self, least: int, most: int | None) -> str:
        text = " ".join(self._draw.choice(self._words) for _ in range(self._draw.randint(1, 4)))
        text += "." * (least - len(text))
        return text if most is None else text[:most]


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) + ": "
