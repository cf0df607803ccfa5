"""What a file declares, as a tree: for outlines, for finding a name in a workspace, and for folding."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from ...base.source import Span
from .. import syntax
from ..checker.handles import KEYWORDS
from ..print_expressions import type_text
from ..syntax.walk import walk
from .analysis import Analysis


@frozen
class Entry:
    """`span` is all of it, `name_span` the word to jump to."""

    name: str
    kind: str
    span: Span
    name_span: Span
    detail: str = ""
    inside: tuple[Entry, ...] = ()


def outline(analysis: Analysis) -> tuple[Entry, ...]:
    """The declarations of a file in order, with their fields, cases, bindings and tiers."""
    return tuple(entry for node in analysis.file.declarations if (entry := _entry(analysis, node)) is not None)


def _entry(analysis: Analysis, node: syntax.Declaration) -> Entry | None:
    place = analysis.place
    inside: Iterator[Entry] = iter(())
    detail = ""
    match node:
        case syntax.UseDecl():
            return Entry(node.module.text, "module", place(node.span), place(node.module.span))
        case syntax.RecordDecl():
            kind, inside = "record", (_field(analysis, field) for field in node.fields)
        case syntax.EnumDecl():
            kind, inside = "enum", (Entry(c.name.text, "case", place(c.span), place(c.name.span)) for c in node.cases)
        case syntax.HandleDecl():
            kind = "opaque type"
        case syntax.LetDecl():
            kind = "constant"
        case syntax.ModelDecl() | syntax.ResourceDecl() | syntax.MemoryDecl() | syntax.ServerDecl():
            kind = KEYWORDS[type(node)]
        case syntax.ToolDecl() | syntax.StageDecl():
            kind = "tool" if isinstance(node, syntax.ToolDecl) else "stage"
            detail = _signature(node)
        case syntax.PipelineDecl():
            kind, detail, inside = "pipeline", _signature(node), _bindings(analysis, node.body)
        case syntax.AgentDecl():
            kind, detail = "agent", _signature(node)
        case syntax.GoalDecl():
            return Entry(f"goal {node.pipeline.text}", "goal", place(node.span), place(node.pipeline.span))
        case syntax.FleetDecl():
            kind, inside = "fleet", (Entry(t.name.text, "tier", place(t.span), place(t.name.span)) for t in node.tiers)
        case syntax.TestDecl():
            title = node.title.literal or "test"
            return Entry(title, "test", place(node.span), place(node.title.span))
    if not node.name.text:
        return None
    return Entry(node.name.text, kind, place(node.span), place(node.name.span), detail, tuple(inside))


def _field(analysis: Analysis, node: syntax.FieldDecl) -> Entry:
    return Entry(
        node.name.text, "field", analysis.place(node.span), analysis.place(node.name.span), type_text(node.type)
    )


def _signature(node: syntax.ToolDecl | syntax.StageDecl | syntax.PipelineDecl | syntax.AgentDecl) -> str:
    taken = ", ".join(f"{p.name.text}: {type_text(p.type)}" for p in node.parameters)
    return f"({taken}) -> {type_text(node.result)}"


def _bindings(analysis: Analysis, block: syntax.Block) -> Iterator[Entry]:
    for statement in block.statements:
        if isinstance(statement, syntax.Bind) and statement.name.text:
            yield Entry(
                statement.name.text, "binding", analysis.place(statement.span), analysis.place(statement.name.span)
            )


def foldings(analysis: Analysis) -> tuple[tuple[Span, str], ...]:
    """What can be folded: declarations and blocks of several lines, imports together, and runs of comments."""
    found: dict[tuple[int, int], tuple[Span, str]] = {}
    uses: list[Span] = []
    for node in analysis.file.declarations:
        if isinstance(node, syntax.UseDecl):
            uses.append(analysis.place(node.span))
        for part in (node, *walk(node)):
            if part is node or isinstance(part, syntax.Block | syntax.Match | syntax.Call | syntax.ListLiteral):
                span = analysis.place(part.span)
                if span.end_line > span.line:
                    found.setdefault((span.line, span.end_line), (span, "region"))
        if node.doc is not None and "\n" in node.doc.text:
            span = analysis.place(node.doc.span)
            found[span.line, span.end_line] = (span, "comment")
    if len(uses) > 1:
        span = uses[0].to(uses[-1])
        found[span.line, span.end_line] = (span, "imports")
    return tuple(found[key] for key in sorted(found))
