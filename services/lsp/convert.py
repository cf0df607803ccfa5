"""Values of ours as values of the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path

from lsprotocol import types

from ...base.problems import Edit, Problem, Severity
from ...base.source import Source, Span
from ...lang.ide import Analysis
from .workspace import Buffer, Workspace

_PAGES = Path(__file__).resolve().parents[2] / "docs" / "problems"
SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}


class Convert:
    """For one file with its analysis; places in other files find their lines in the workspace."""

    def __init__(self, workspace: Workspace, buffer: Buffer) -> None:
        self.workspace = workspace
        self.buffer = buffer
        self.analysis: Analysis = workspace.analysis(buffer)
        self.lines = workspace.lines(buffer)

    def range(self, span: Span) -> types.Range:
        return self.lines.range(span.start, span.end)

    def location(self, span: Span) -> types.Location | None:
        """Where a place is, in whichever file; None in a file that is nowhere (an interface that ships in a zip)."""
        if span.path == self.analysis.path:
            return types.Location(self.buffer.uri, self.range(span))
        source = self.source(span.path)
        if source is None:
            return None
        path = _interface_file(span.path) or span.path
        lines = self.workspace.lines_of(source)
        return types.Location(self.workspace.uri(path), lines.range(span.start, span.end))

    def source(self, path: str) -> Source | None:
        """The text that a span of the analysis points into."""
        if path == self.analysis.path:
            return self.analysis.source
        return self.analysis.sources.get(path) or _interface(path)

    # --- problems

    def diagnostics(self) -> list[types.Diagnostic]:
        return [self.diagnostic(problem) for problem in self.analysis.problems]

    def diagnostic(self, problem: Problem) -> types.Diagnostic:
        span = problem.span
        elsewhere = span is not None and span.path != self.analysis.path
        related = [
            types.DiagnosticRelatedInformation(place, other.text)
            for other in problem.related
            if (place := self.location(other.span)) is not None
        ]
        title = problem.title
        if elsewhere and span is not None:
            # It is said where the file is imported, and leads to where it is.
            if (place := self.location(span)) is not None:
                related.insert(0, types.DiagnosticRelatedInformation(place, problem.title))
            title = f"in an imported file: {title}"
        at = self.import_of(span.path) if elsewhere and span is not None else span
        address = page(problem.slug)
        return types.Diagnostic(
            range=self.range(at) if at is not None else self.lines.range(0, 0),
            message=title if problem.hint is None else f"{title}\n{problem.hint}",
            severity=SEVERITIES[problem.severity],
            code=problem.slug,
            code_description=types.CodeDescription(address) if address is not None else None,
            source="agentlang",
            tags=[types.DiagnosticTag.Unnecessary] if problem.slug in ("unused", "unreachable") else None,
            related_information=related or None,
        )

    def import_of(self, path: str) -> Span | None:
        """The `use` that brings a file, directly or not: the first where none names it."""
        from ...lang.syntax import UseDecl

        uses = [node for node in self.analysis.file.declarations if isinstance(node, UseDecl)]
        local = [node for node in uses if node.module.text.startswith(".")]
        named = [node for node in local if node.module.text.rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1].split(".")[0]]
        chosen = next(iter(named or local), None)
        return None if chosen is None else self.analysis.place(chosen.module.span)

    # --- edits

    def edits(self, edits: Iterable[Edit]) -> dict[str, list[types.TextEdit]]:
        """Edits by the address of their file."""
        found: dict[str, list[types.TextEdit]] = {}
        for edit in edits:
            place = self.location(edit.span)
            if place is not None:
                found.setdefault(place.uri, []).append(types.TextEdit(place.range, edit.text))
        return found


def _interface(path: str) -> Source | None:
    from ...lang.checker.prelude import SOURCE
    from ...stdlib.interfaces import interface

    return SOURCE if path == SOURCE.path else interface(path.removesuffix(".agent"))


def _interface_file(path: str) -> str | None:
    """The file of an interface of the library, where it is a file."""
    from ...stdlib import interfaces

    folder, _, name = path.partition("/")
    file = resources.files(interfaces).joinpath(name) if folder == "std" and name else None
    return str(file) if file is not None and file.is_file() else None


@cache
def page(slug: str) -> str | None:
    """The page of a problem, where the documents lie in the package, as in a checkout and in a wheel of ours."""
    page = _PAGES / f"{slug}.md"
    return page.as_uri() if page.is_file() else None
