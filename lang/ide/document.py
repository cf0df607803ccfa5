"""A text that is being edited, and its analysis after each edit."""

from __future__ import annotations

from collections.abc import Callable

from ...base.problems import Problem, in_order
from ...base.source import Source
from ..checker import Library, check
from ..checker.facts import Facts
from ..incremental import Incremental
from .analysis import Analysis
from .layout import Layout

Resolve = Callable[[str, str], "Source | Problem | None"]


class Document:
    """One file over time. `library` gives the interfaces of `std/`."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._parser = Incremental()

    def update(self, source: Source, files: Resolve | None = None) -> Analysis:
        """The analysis of the text as it is now; `files` finds what it imports, as for `check`."""
        found: dict[str, Source] = {}

        def resolve(path: str, module: str) -> Source | Problem | None:
            result = files(path, module) if files is not None else None
            if isinstance(result, Source):
                found[result.path] = result
            return result

        file, syntax_problems = self._parser.parse(source)
        facts = Facts()
        program, problems = check(file, source, self._library, files=resolve, facts=facts)
        found.pop(source.path, None)
        return Analysis(source, file, program, in_order((*syntax_problems, *problems)), facts, Layout(), found)
