"""What prompts are put together from, and which of them begin alike.

    "Read {page}.\\nThen say {what}", with the system text "Be brief."
    =>  "Be brief." | finished | "Read " | page | ".\\nThen say " | what

A prompt is a sequence of pieces: written texts and values. A template in a template, and texts that are joined, are
taken apart; what is neither is one piece. The pieces of many prompts make a tree, in which those that begin alike share
a path (a radix tree: where written texts part, an edge is cut in two).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from ...lang.types import TEXT
from .. import _mlir
from ..carried import carried
from ..dialect.spec import MOST_OPERANDS
from ..dialect.types import from_mlir

T = TypeVar("T")
NO_LABELS: frozenset[str] = frozenset()
_DEEPEST = 64
"""Templates in templates that are taken apart."""
_MOST = 256
"""Pieces that are looked at: a text that stands twice in one that stands twice is in many pieces."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A written `text`, or a `value` of the program (its `text` is empty then), with the labels that are said of it
    where it is used."""

    text: str
    value: Any = None
    labels: frozenset[str] = NO_LABELS

    def goes_on(self, other: Piece) -> bool:
        """Whether both are written text that carries the same labels, so that one may stand behind the other."""
        written = self.value is None and other.value is None and bool(self.text and other.text)
        return written and self.labels == other.labels


FINISHED = Piece("")
"""The system turn ends here."""


def pieces_of(tokenize: Any) -> tuple[Piece, ...]:
    """What a prompt is put together from. Of messages nothing is known but the system text before them."""
    arguments = {
        name: (value, carried(tokenize, place))
        for place, (name, value) in enumerate(
            zip(_mlir.plain(tokenize.attributes["parameters"]), tokenize.operands, strict=True)
        )
    }
    system = _merged(_flat(*arguments["system"], 0)) if "system" in arguments else []
    prompt, labels = arguments["prompt"]
    if from_mlir(prompt.type) != TEXT:
        return tuple(system)
    return (*system, FINISHED, *_merged(_flat(prompt, labels, 0)))


def _flat(value: Any, labels: frozenset[str], depth: int) -> Iterator[Piece]:
    made = _mlir.owner(value)
    if made is None or depth > _DEEPEST or from_mlir(value.type) != TEXT:
        yield Piece("", value, labels)
        return
    inside = labels.union(_mlir.plain(made.attributes["labels"]) if "labels" in made.attributes else ())
    if made.name == "agent.constant":
        yield Piece(_mlir.plain(made.attributes["value"]), None, inside)
    elif made.name == "agent.template":
        for part in _mlir.plain(made.attributes["parts"]):
            if isinstance(part, str):
                yield Piece(part, None, inside)
            else:
                yield from _flat(made.operands[part], inside | carried(made, part), depth + 1)
    elif made.name == "agent.binary" and made.attributes["operator"].value == "+":
        for place, operand in enumerate(made.operands):
            yield from _flat(operand, inside | carried(made, place), depth + 1)
    else:
        yield Piece("", value, labels)


def _merged(pieces: Iterator[Piece]) -> list[Piece]:
    """Neighbouring written texts as one; no empty ones."""
    found: list[Piece] = []
    values = 0
    for piece in islice(pieces, _MOST):
        values += piece.value is not None
        if values > MOST_OPERANDS:
            break
        if found and found[-1].goes_on(piece):
            found[-1] = Piece(found[-1].text + piece.text, None, piece.labels)
        elif piece.text or piece.value is not None:
            found.append(piece)
    return found


def labels_in(pieces: Sequence[Piece]) -> frozenset[str]:
    return NO_LABELS.union(*(piece.labels for piece in pieces))


class Node(Generic[T]):
    """What begins alike: `ending` are those of which nothing more is known."""

    def __init__(self) -> None:
        self.ending: list[T] = []
        self._edges: dict[Any, tuple[Piece, Node[T]]] = {}

    def following(self) -> list[tuple[Piece, Node[T]]]:
        """How it goes on, in the order in which that was added."""
        return list(self._edges.values())

    def all(self) -> Iterator[T]:
        """All that begin so."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield from node.ending
            waiting += [child for _, child in node._edges.values()]

    def add(self, pieces: Sequence[Piece], what: T) -> None:
        node = self
        for piece in pieces:
            rest: Piece | None = piece
            while rest is not None:
                node, rest = node._step(rest)
        node.ending.append(what)

    def _step(self, piece: Piece) -> tuple[Node[T], Piece | None]:
        """The node behind as much of a piece as is shared with another, and what is left of it."""
        key = (piece.text[:1], piece.value, piece.labels)
        known = self._edges.get(key)
        if known is None:
            child = Node[T]()
            self._edges[key] = (piece, child)
            return child, None
        shared, child = known
        count = _common(shared.text, piece.text)
        if count < len(shared.text):
            middle = Node[T]()
            left = Piece(shared.text[count:], None, shared.labels)
            middle._edges[(left.text[:1], None, left.labels)] = (left, child)
            self._edges[key] = (Piece(shared.text[:count], None, shared.labels), middle)
            child = middle
        return child, Piece(piece.text[count:], None, piece.labels) if count < len(piece.text) else None


def _common(one: str, other: str) -> int:
    """How many characters both begin with, by halves: comparing is fast, and a loop over characters is not."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
