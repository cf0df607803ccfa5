"""Files that a program imports: each is found by the caller, checked once, and adds its declarations to the program.

What a file declares is called by the name it is imported under, seen from the file that is checked (`shop.Order`, and
`shop.parts.Item` of what that file imports). A file that is reached in two ways is one file with one name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...base.frozen import replace
from ...base.problems import Problem, Related, Severity
from ...base.source import Source, Span
from .. import problems, syntax
from ..program import EnumDeclaration, HandleDeclaration, Pipeline, RecordDeclaration, StageSignature
from ..syntax_problems import too_deep
from .context import Context, Library
from .symbols import Interface

if TYPE_CHECKING:
    from .facts import Facts

# The text of the file that `use ./shop` in the file of a path means; a problem where it may not be read; None where
# there is none. The path of the source says which file it is.
Resolve = Callable[[str, str], "Source | Problem | None"]
_DEEPEST = 40


class Checked:
    """What one file of the program declares, checked."""

    __slots__ = ("enums", "handles", "pipelines", "records", "tools")

    def __init__(
        self,
        records: dict[str, RecordDeclaration],
        enums: dict[str, EnumDeclaration],
        handles: tuple[HandleDeclaration, ...],
        tools: tuple[StageSignature, ...],
        pipelines: tuple[Pipeline, ...],
    ) -> None:
        self.records = records
        self.enums = enums
        self.handles = handles
        self.tools = tools
        self.pipelines = pipelines


class Files:
    """The files of one program, beside the one that is checked."""

    def __init__(self, root: Source, library: Library, resolve: Resolve | None, facts: Facts | None = None) -> None:
        self.library = library
        self.facts = facts
        # What all files of the program share: how labels flow through pipelines.
        self.flows: dict[str, frozenset[str] | None] = {}
        self.checked: list[Checked] = []
        self.problems: list[Problem] = []
        self._resolve = resolve
        self._found: dict[tuple[str, str], Source | Problem | None] = {}
        self._prefixes: dict[str, str] = {root.path: ""}
        self._interfaces: dict[str, Interface] = {}
        # The files that are being checked, and where each imports the next.
        self._loading: list[tuple[str, Span | None]] = [(root.path, None)]

    def name(self, context: Context, nodes: list[syntax.UseDecl]) -> None:
        """Give the files that one file imports their names, before any of them does so to its own."""
        for node in nodes:
            source = self._find(context, node)
            if isinstance(source, Source) and source.path not in self._prefixes:
                alias = node.alias.text if node.alias is not None else node.module.text.rsplit("/", 1)[-1]
                self._prefixes[source.path] = self._free(f"{context.prefix}{alias}")

    def load(self, context: Context, node: syntax.UseDecl) -> Interface | None:
        """What the imported file offers, or None after a report."""
        module = node.module
        source = self._find(context, node)
        if source is None:
            context.report(problems.import_not_found(module.text, module.span))
            return None
        if isinstance(source, Problem):
            context.report(replace(source, span=module.span))
            return None
        open_ = next((i for i, (path, _) in enumerate(self._loading) if path == source.path), None)
        if open_ is not None:
            later = [span for _, span in self._loading[open_ + 1 :] if span is not None]
            related = tuple(Related(span, "which is imported here") for span in later)
            context.report(problems.import_cycle(module.text, module.span, related))
            return None
        if len(self._loading) > _DEEPEST:
            context.report(too_deep(module.span, "imports", _DEEPEST))
            return None
        known = self._interfaces.get(source.path)
        if known is None:
            known = self._interfaces[source.path] = self._check(source, module.span)
        return known

    def _check(self, source: Source, span: Span) -> Interface:
        from ..parser import parse
        from .file import check_declarations

        prefix = self._prefixes[source.path]
        file, found = parse(source)
        context = Context(source, self.library, None, self, f"{prefix}.")
        self._loading.append((source.path, span))
        try:
            declared, checked = check_declarations(context, file)
        finally:
            self._loading.pop()
        # Warnings of a file are for who edits it; its errors are those of the whole program.
        errors = [p for p in (*found, *context.problems) if p.severity is Severity.ERROR]
        self.problems += errors
        self.checked.append(checked)
        interface = Interface(prefix, source)
        imported = {id(symbol) for symbol, _ in declared.imports}
        interface.names = {name: s for name, s in context.names.items() if id(s) not in imported}
        interface.records = {s.declaration.name: s.declaration for s, _ in declared.records}
        interface.enums = {s.declaration.name: s.declaration for s, _ in declared.enums}
        interface.imports = context.interfaces
        return interface

    def _find(self, context: Context, node: syntax.UseDecl) -> Source | Problem | None:
        key = (context.source.path, node.module.text)
        if key not in self._found:
            self._found[key] = self._resolve(*key) if self._resolve is not None else None
        return self._found[key]

    def _free(self, name: str) -> str:
        """The name, with a number behind it where another file or a module of the library has it."""
        taken = set(self._prefixes.values())
        free, number = name, 1
        while free in taken or self.library(f"std/{free}") is not None:
            number += 1
            free = f"{name}_{number}"
        return free
