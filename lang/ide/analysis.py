"""One text as the checker understood it, errors and all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ...base.problems import Problems
from ...base.source import Source, Span
from ..checker import finished
from ..checker.facts import Facts
from ..program import Program
from ..syntax import File
from .layout import Layout

if TYPE_CHECKING:
    from ..checker.context import Context
    from .index import Index


class Analysis:
    """`program` is None where the text has an error. `sources` are the files it imports, by path.

    Trees, programs and facts have the places of `layout`, which keeps what does not change where it is: `at` and
    `place` lead there and back. `problems` have the places of the text.
    """

    def __init__(
        self,
        source: Source,
        file: File,
        program: Program | None,
        problems: Problems,
        facts: Facts,
        layout: Layout,
        sources: Mapping[str, Source],
    ) -> None:
        self.source = source
        self.file = file
        self._program = program
        self.problems = problems
        self.facts = facts
        self.layout = layout
        self.sources = sources

    @cached_property
    def program(self) -> Program | None:
        return None if self._program is None else finished(self._program)

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def text(self) -> str:
        return self.source.text

    @cached_property
    def index(self) -> Index:
        from .index import Index

        return Index(self)

    @property
    def context(self) -> Context | None:
        """What the checker knows of the names of the file itself."""
        return self.facts.contexts.get(self.path)

    def at(self, offset: int) -> int:
        """Where in the tree an offset of the text is."""
        return self.layout.inner(offset)

    def place(self, span: Span) -> Span:
        """A place of the tree, in the text. Places in other files stay what they are."""
        if span.path != self.path:
            return span
        return self.source.span(self.layout.outer(span.start), self.layout.outer(span.end))
