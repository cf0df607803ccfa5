"""What the checker learns of each place of a text, for those who show it: editors, and whoever asks about a word.

The checker knows what every word stands for while it resolves it, so it says so where it does (`Context.note`), and
nothing resolves a name a second time. Nobody pays for it who does not ask: without a `Facts`, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...base.source import Span
from ..program import EnumCase, Expression, Parameter, StageSignature
from ..types import Type

if TYPE_CHECKING:
    from .context import Context
    from .symbols import Local, Symbol

Place = tuple[str, int, int]


class Named:
    """Something with a name that is no symbol: a tier, a fleet, a test, the subject of a goal."""

    __slots__ = ("kind", "name", "span")

    def __init__(self, kind: str, name: str, span: Span) -> None:
        self.kind = kind
        self.name = name
        self.span = span


class Mention:
    """A word of the text and what it stands for. It is declared here where the thing's own span is this one. `owner`
    is what a field, case, parameter or method belongs to."""

    __slots__ = ("owner", "span", "thing")

    def __init__(self, span: Span, thing: Symbol | Local | Parameter | StageSignature | EnumCase | Named, owner: str):
        self.span = span
        self.thing = thing
        self.owner = owner


class Facts:
    """Of all files of one program: mentions by place, typed expressions by place, the context of each file by path.

    A place that is looked at twice (a loop whose turns say more than its first value) has what was found last.
    """

    __slots__ = ("contexts", "expected", "mentions", "values", "within")

    def __init__(self) -> None:
        self.mentions: dict[Place, Mention] = {}
        self.values: dict[Place, Expression] = {}
        # What the values around a place want there, where they want something.
        self.expected: dict[Place, Type] = {}
        self.contexts: dict[str, Context] = {}
        # Where the author wrote something, while what an agent stands for is checked: the rest is nobody's text.
        self.within: tuple[Span, ...] | None = None

    def note(
        self, span: Span, thing: Symbol | Local | Parameter | StageSignature | EnumCase | Named, owner: str
    ) -> None:
        if self.within is None or self._written(span):
            self.mentions[span.path, span.start, span.end] = Mention(span, thing, owner)

    def value(self, found: Expression, span: Span, expected: Type | None) -> None:
        if self.within is None or self._written(span):
            self.values[span.path, span.start, span.end] = found
            if expected is not None:
                self.expected[span.path, span.start, span.end] = expected

    def add(self, other: Facts) -> None:
        """Everything that others learned, of places that are not looked at here."""
        self.mentions.update(other.mentions)
        self.values.update(other.values)
        self.expected.update(other.expected)

    @contextmanager
    def only(self, *spans: Span) -> Generator[None]:
        """Keep what is said of these places, and of no others."""
        before, self.within = self.within, spans
        try:
            yield
        finally:
            self.within = before

    def _written(self, span: Span) -> bool:
        """Inside, since what stands for the whole of a place is made up."""
        for place in self.within or ():
            if place.path == span.path and place.start <= span.start and span.end <= place.end and place != span:
                return True
        return False
