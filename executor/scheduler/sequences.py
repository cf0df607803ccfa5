"""What the scheduler knows of one sequence: its tokens, how many of them are computed, and the pages they lie in."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from .prefix import Node


@dataclass(frozen=True, slots=True)
class Named:
    """Stands for the tokens of a page where only a name of them was told."""

    name: Hashable


class Sequence:
    """Its first pages are nodes of the prefix tree, which others may use too; those behind them are its own."""

    __slots__ = (
        "_table",
        "admission",
        "cached_depth",
        "computed",
        "due",
        "ended",
        "filled",
        "keep",
        "keys",
        "last_step",
        "length",
        "node",
        "number",
        "own",
        "prefix",
        "private",
        "scope",
        "shared",
        "strict",
        "tenant",
        "tokens",
        "waiting",
    )

    def __init__(self, number: int, tenant: str, scope: str, due: float, strict: bool) -> None:
        self.number = number
        self.tenant = tenant
        self.scope = scope
        self.due = due
        """When it should be over. Fixed at its arrival, so that nobody who comes later passes it for ever."""
        self.strict = strict
        self.prefix: int | None = None
        """A sequence that may begin as this one does."""
        self.private = False
        """What it computes is never put on the disk."""
        self.tokens: list[int] | None = None
        """None where only their number was told."""
        self.keys: tuple[Hashable, ...] = ()
        self.length = 0
        """Tokens told so far."""
        self.filled = 0
        """Of them, those that were computed once."""
        self.computed = 0
        """Of them, those whose KV is in its pages: fewer than `filled` after a preemption."""
        self.node: Node | None = None
        """The last of its pages that is in the prefix tree, or the root; None while it has no memory."""
        self.shared: list[int] = []
        """The pages from the root to `node`."""
        self.own: list[int] = []
        self.cached_depth: int | None = None
        """How many of its pages the tree held before it came; None before its first admission."""
        self.admission: int | None = None
        """Which admission gave it its memory; None while it has none."""
        self.waiting: int | None = None
        """Its place among those that wait, while it waits."""
        self.last_step = 0
        """The last step that it was part of."""
        self.ended = False
        """It is over, but a step still runs with it."""
        self.keep = True
        self._table: tuple[int, ...] | None = None

    @property
    def wants(self) -> bool:
        """Whether it has tokens that were never computed."""
        return self.filled < self.length

    @property
    def lacks(self) -> int:
        """How many tokens its pages do not hold."""
        return self.length - self.computed

    @property
    def pages(self) -> int:
        return len(self.shared) + len(self.own)

    def table(self) -> tuple[int, ...]:
        """All its pages, in order of their positions."""
        if self._table is None:
            self._table = (*self.shared, *self.own)
        return self._table

    def changed(self) -> None:
        """Its pages are others than before."""
        self._table = None

    def key(self, index: int, page: int) -> Hashable | None:
        """What page `index` is found by, of `page` positions; None if it is not full or has no name."""
        if (index + 1) * page > self.length:
            return None
        if self.tokens is not None:
            return tuple(self.tokens[index * page : (index + 1) * page])
        return Named(self.keys[index]) if index < len(self.keys) else None

    def part(self, start: int, count: int) -> tuple[int, ...]:
        """Tokens from `start`; none where they were not told."""
        return () if self.tokens is None else tuple(self.tokens[start : start + count])
