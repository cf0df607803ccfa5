"""A whole file: declarations, then bodies (those that are called first), then what only the whole can tell."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Problem, Related, has_errors, in_order
from ...base.source import Source, Span
from .. import problems, program, syntax
from ..program import Pipeline, Program
from .blocks import check_block
from .body import Body, Role, is_unknown
from .constants import constant
from .context import Context, Library
from .declarations import Declared, declare
from .expressions import check_expression
from .fleets import check_fleets
from .goals import check_goals
from .graph import calls_between, groups, report_recursion
from .handles import check_handle, report_circles
from .labels import flows
from .signatures import text_of
from .symbols import UNKNOWN, ConstantSymbol, HandleSymbol, PipelineSymbol


def check_file(file: syntax.File, source: Source, library: Library) -> tuple[Program | None, tuple[Problem, ...]]:
    """The typed program with all problems of the file, in the order of the text. No program where one is an error."""
    context = Context(source, library)
    starts = [(node.doc or node).span.start for node in file.declarations]
    context.top = min(starts, default=0)
    declared = declare(context, file)
    context.tiers = tuple(tier.name.text for fleet in declared.fleets for tier in fleet.tiers)
    for symbol in context.names.values():
        if isinstance(symbol, ConstantSymbol):
            constant(context, symbol)
    handles = [check_handle(context, symbol, node) for symbol, node in declared.handles]
    kept = tuple(handle for handle in handles if handle is not None)
    report_circles(context, kept)

    calls = calls_between(context)
    grouped = groups(calls)
    checked: dict[str, Pipeline] = {}
    for group in grouped:
        for name in group:
            symbol = context.names[name]
            assert isinstance(symbol, PipelineSymbol)
            checked[name] = _pipeline(context, symbol)
    report_recursion(context, calls, grouped)
    tests = _tests(context, declared.tests)
    goals = check_goals(context, declared.goals, calls)
    fleets = check_fleets(context, declared.fleets)
    _report_unused(context, declared)

    found = in_order(context.problems)
    if context.broken or file.broken or has_errors(found):
        return None, found
    pipelines = tuple(checked[symbol.name] for symbol in declared.pipelines)
    sources = (source, *(interface.source for interface in context.interfaces.values()))
    records = {name: record for name, record in context.records.items() if name != "Message"}
    enums = {name: enum for name, enum in context.enums.items() if name != "Role"}
    return Program(source, records, enums, kept, pipelines, goals, fleets, tests, sources), found


# --- bodies ----------------------------------------------------------------------------------------------------------


def _pipeline(context: Context, symbol: PipelineSymbol) -> Pipeline:
    node = symbol.declaration
    expected = None if symbol.result == UNKNOWN else symbol.result
    body = Body(context, check_expression, check_block, node.body, result=expected)
    symbol.locals = body.locals
    for parameter, written in zip(_written(node), symbol.parameters, strict=True):
        body.bind(parameter, "parameter", written.type, written.labels)
    block = check_block(body, node.body, expected, Role(f"pipeline `{symbol.name}`", may_return=True))
    result = block.result
    if result is not None and node.result == syntax.KnownType(None, span=node.result.span):
        symbol.result = result.type
    if result is not None and expected is not None and not is_unknown(result.type):
        declared = Related(node.result.span, f"`{symbol.name}` is declared to return {expected}")
        fitted = body.fit(result, expected, f"what `{symbol.name}` returns", (declared,))
        block = program.Block(block.statements, fitted, block.span)
    symbol.labels = result.labels if result is not None else symbol.labels
    names = tuple(parameter.name for parameter in symbol.parameters)
    symbol.flows = context.flows[symbol.name] = flows(names, block, context.flows)
    # What flows in from a parameter belongs to the argument of each call, so only the rest is the body's own.
    symbol.labels -= {label for p in symbol.parameters if p.name in symbol.flows for label in p.labels}
    _unused_locals(context, body)
    return Pipeline(
        symbol.name,
        symbol.parameters,
        symbol.result,
        block,
        node.name.span,
        text_of(node.doc),
        symbol.result_labels,
    )


def _written(node: syntax.PipelineDecl) -> list[syntax.Ident]:
    """The names of the parameters, each once (the second of one name has been reported)."""
    return list({parameter.name.text: parameter.name for parameter in reversed(node.parameters)}.values())[::-1]


def _tests(context: Context, nodes: list[syntax.TestDecl]) -> tuple[program.Test, ...]:
    tests: list[program.Test] = []
    first: dict[str, Span] = {}
    for node in nodes:
        title = node.title.literal or ""
        # What a test computes is named by its title with other characters as `_`, so titles differ in more than those.
        plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in title)
        if plain in first:
            hint = "give one of the two another title, with other letters"
            context.report(problems.bound_twice(title, node.title.span, first[plain], "the title of a test", hint))
        first.setdefault(plain, node.title.span)
        body = Body(context, check_expression, check_block, node.body, in_test=True)
        block = check_block(body, node.body, None, Role(f"test {title!r}", needs_value=False))
        if not any(isinstance(statement, syntax.Expect) for statement in node.body.statements):
            context.report(problems.test_expects_nothing(title, node.title.span))
        _unused_locals(context, body)
        tests.append(program.Test(title, block, node.title.span))
    return tuple(tests)


# --- what is never used ----------------------------------------------------------------------------------------------


def _unused_locals(context: Context, body: Body) -> None:
    for local in body.locals.values():
        if local.kind == "binding" and not local.used:
            context.report(problems.unused("binding", local.name, local.span))


def _report_unused(context: Context, declared: Declared) -> None:
    for symbol, node in declared.imports:
        if not symbol.used:
            name = symbol.name if node.names else node.module.text
            fix = None if len(node.names) > 1 else Fix("remove the import", (Edit(_line(context, node.span), ""),))
            context.report(problems.unused("import", name, symbol.span, fix))
    for symbol in context.names.values():
        if isinstance(symbol, HandleSymbol) and not symbol.used:
            context.report(problems.unused(symbol.keyword, symbol.name, symbol.span))
        elif isinstance(symbol, ConstantSymbol) and not symbol.used:
            context.report(problems.unused("constant", symbol.name, symbol.span))


def _line(context: Context, span: Span) -> Span:
    """The span with the newline that ends it."""
    text = context.source.text
    end = span.end + 1 if text[span.end : span.end + 1] == "\n" else span.end
    return context.source.span(span.start, end)
