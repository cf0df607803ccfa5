"""What is bound and never used: a warning, since it is most often a slip."""

from __future__ import annotations

from ...base.problems import Edit, Fix
from ...base.source import Span
from .. import problems
from .body import Body
from .context import Context
from .declarations import Declared
from .symbols import ConstantSymbol, HandleSymbol, ToolSymbol


def report_unused_locals(context: Context, body: Body) -> None:
    for local in body.locals.values():
        if local.kind == "binding" and not local.used:
            context.report(problems.unused("binding", local.name, local.span))


def report_unused(context: Context, declared: Declared) -> None:
    for symbol, node in declared.imports:
        if not symbol.used:
            name = symbol.name if node.names else node.module.text
            fix = None if len(node.names) > 1 else Fix("remove the import", (Edit(_line(context, node.span), ""),))
            context.report(problems.unused("import", name, symbol.span, fix))
    imported = {id(symbol) for symbol, _ in declared.imports}
    for symbol in context.names.values():
        if id(symbol) in imported:
            continue
        if isinstance(symbol, HandleSymbol) and not symbol.used:
            context.report(problems.unused(symbol.keyword, symbol.name, symbol.span))
        elif isinstance(symbol, ConstantSymbol) and not symbol.used:
            context.report(problems.unused("constant", symbol.name, symbol.span))
    for symbol, _ in (*declared.tools, *declared.program_stages):
        if not symbol.used:
            context.report(
                problems.unused("tool" if isinstance(symbol, ToolSymbol) else "stage", symbol.name, symbol.span)
            )


def _line(context: Context, span: Span) -> Span:
    """The span with the newline that ends it."""
    text = context.source.text
    end = span.end + 1 if text[span.end : span.end + 1] == "\n" else span.end
    return context.source.span(span.start, end)
