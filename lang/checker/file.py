"""A whole file: declarations, then bodies (those that are called first), then what only the whole can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...base.problems import Problem, Related, Severity, has_errors, in_order
from ...base.source import Source
from .. import program, syntax
from ..analysis import analyse
from ..program import NO_LABELS, Pipeline, Program
from .blocks import check_block
from .body import Body, Role
from .constants import constant
from .context import Context, Library
from .conversions import is_unknown
from .declarations import Declared, declare
from .expressions import check_expression
from .files import Checked, Files, Resolve
from .graph import calls_between, groups, report_recursion
from .handles import check_handle, report_circles
from .labels import flows
from .language_types import without_unused_language
from .signatures import text_of
from .symbols import UNKNOWN, ConstantSymbol, PipelineSymbol
from .unused import report_unused, report_unused_locals

if TYPE_CHECKING:
    from .agents import Declarations
    from .facts import Facts
    from .memory import Memory


def check_file(
    file: syntax.File,
    source: Source,
    library: Library,
    resolve: Resolve | None,
    strict_labels: bool = False,
    facts: Facts | None = None,
    memory: Memory | None = None,
) -> tuple[Program | None, tuple[Problem, ...]]:
    """The typed program with all problems of the file, in the order of the text. No program where one is an error."""
    files = Files(source, library, resolve, facts)
    context = Context(source, library, None, files)
    declared, own = check_declarations(context, file, memory)
    tests, goals, fleets = _promises(context, declared)
    report_unused(context, declared)

    parts = (own, *files.checked)
    whole = Program(
        source=source,
        records={**context.records, **{name: record for part in parts for name, record in part.records.items()}},
        enums={**context.enums, **{name: enum for part in parts for name, enum in part.enums.items()}},
        handles=tuple(handle for part in parts for handle in part.handles),
        pipelines=tuple(pipeline for part in parts for pipeline in part.pipelines),
        goals=goals,
        fleets=fleets,
        tests=tests,
        sources=(source, *(interface.source for interface in context.interfaces.values())),
        tools=tuple(tool for part in parts for tool in part.tools),
        constants={
            symbol.name: symbol.literal
            for symbol in context.names.values()
            if isinstance(symbol, ConstantSymbol) and symbol.literal is not None
        },
    )
    # A fault in one declaration hides none in another, so what is sound is looked at as a whole all the same.
    wider = analyse(whole, strict_labels) if memory is None else memory.analyse(whole, strict_labels)
    more = (q for q in wider if q.severity is Severity.ERROR or _is_of(q, source))
    found = in_order((*context.problems, *files.problems, *more))
    if context.broken or file.broken or has_errors(found):
        return None, found
    # Who remembers checks often and runs seldom: what only a run needs waits (`finished`).
    return (without_unused_language(whole) if memory is None else whole), found


def finished(whole: Program) -> Program:
    """A program that was checked with a memory, as a check without one gives it."""
    return without_unused_language(whole)


def _is_of(problem: Problem, source: Source) -> bool:
    return problem.span is None or problem.span.path == source.path


def _promises(
    context: Context, declared: Declared
) -> tuple[tuple[program.Test, ...], tuple[program.Goal, ...], tuple[program.Fleet, ...]]:
    """Tests, goals and fleets. Most files have few of them, and each costs a command as much to load as to check."""
    tests: tuple[program.Test, ...] = ()
    goals: tuple[program.Goal, ...] = ()
    fleets: tuple[program.Fleet, ...] = ()
    if declared.tests:
        from .tests import check_tests

        tests = check_tests(context, declared.tests)
    if declared.goals:
        from .goals import check_goals

        goals = check_goals(context, declared.goals, declared.calls)
    if declared.fleets:
        from .fleets import check_fleets

        fleets = check_fleets(context, declared.fleets)
    return tests, goals, fleets


def expand_agents(
    file: syntax.File, source: Source, library: Library, *, files: Resolve | None = None
) -> dict[str, Declarations]:
    """What each agent of a file stands for, by its name: the enums and the record of its replies, then its loop as a
    pipeline. Agents that have a fault are left out."""
    context = Context(source, library, None, Files(source, library, files))
    return declare(context, file).expanded


def check_declarations(context: Context, file: syntax.File, memory: Memory | None = None) -> tuple[Declared, Checked]:
    """Everything that can be called or named, of the file that is checked or of one that it imports."""
    first = file.declarations[0] if file.declarations else None
    context.top = 0 if first is None else (first.doc or first).span.start
    declared = declare(context, file)
    context.tier_names = tuple(tier.name for fleet in declared.fleets for tier in fleet.tiers)
    context.tiers = tuple(name.text for name in context.tier_names)
    for symbol in context.names.values():
        if isinstance(symbol, ConstantSymbol):
            constant(context, symbol)
    handles = [check_handle(context, symbol, node) for symbol, node in declared.handles]
    kept = tuple(handle for handle in handles if handle is not None)
    report_circles(context, kept)

    declared.calls = calls_between(declared.pipelines, memory)
    grouped = groups(declared.calls)
    own = {symbol.name: symbol for symbol in declared.pipelines}
    checked: dict[str, Pipeline] = {}
    for group in grouped:
        for name in group:
            checked[name] = _pipeline(context, own[name], memory)
    report_recursion(context, declared.calls, grouped, own)
    return declared, Checked(
        records=dict(context.records),
        enums=dict(context.enums),
        handles=kept,
        tools=tuple(symbol.signature for symbol, _ in declared.tools if symbol.signature is not None),
        pipelines=tuple(checked[symbol.name] for symbol in declared.pipelines),
    )


# --- bodies ----------------------------------------------------------------------------------------------------------


def _pipeline(context: Context, symbol: PipelineSymbol, memory: Memory | None) -> Pipeline:
    if context.facts is not None and symbol.agent is not None:
        # Of the loop that an agent stands for, its author wrote the parameters and the text for the model.
        systems = [entry.text.span for entry in symbol.agent.entries if isinstance(entry, syntax.AgentSystem)]
        parameters = [p.span for p in symbol.agent.parameters]
        with context.facts.only(*systems, *parameters):
            return _body(context, symbol)
    if memory is not None and symbol.agent is None:
        return memory.body(context, symbol, lambda: _body(context, symbol))
    return _body(context, symbol)


def _body(context: Context, symbol: PipelineSymbol) -> Pipeline:
    node = symbol.declaration
    if not symbol.sound:
        empty = program.Block((), None, node.span)
        return Pipeline(symbol.qualified, symbol.parameters, symbol.result, empty, node.name.span)
    expected = None if symbol.result == UNKNOWN else symbol.result
    body = Body(context, check_expression, check_block, node.body, result=expected)
    symbol.locals = body.locals
    for parameter, written in zip(_written(node), symbol.parameters, strict=True):
        body.bind(parameter, "parameter", written.type, written.labels)
    declared = Related(node.result.span, f"`{symbol.name}` is declared to return {expected}")
    body.wanted += [(expected, (declared,))] if expected is not None else []
    block = check_block(body, node.body, expected, Role(f"pipeline `{symbol.name}`", may_return=True))
    result = block.result
    if result is not None and expected is None:
        result = body.decided(result)
    if result is not None and node.result == syntax.KnownType(None, span=node.result.span):
        symbol.result = result.type
    if result is not None and expected is not None and not is_unknown(result.type):
        fitted = body.fit(result, expected, f"what `{symbol.name}` returns", (declared,))
        block = program.Block(block.statements, fitted, block.span)
    given = body.emitted if result is None else [*body.emitted, result]
    symbol.labels = NO_LABELS.union(*(value.labels for value in given))
    names = tuple(parameter.name for parameter in symbol.parameters)
    symbol.flows = context.flows[symbol.qualified] = flows(names, block, context.flows)
    # What flows in from a parameter belongs to the argument of each call, so only the rest is the body's own.
    symbol.labels -= {label for p in symbol.parameters if p.name in symbol.flows for label in p.labels}
    report_unused_locals(context, body)
    return Pipeline(
        symbol.qualified,
        symbol.parameters,
        symbol.result,
        block,
        node.name.span,
        text_of(node.doc),
        symbol.result_labels,
        symbol.facts,
    )


def _written(node: syntax.PipelineDecl) -> list[syntax.Ident]:
    """The names of the parameters, each once (the second of one name has been reported)."""
    return list({parameter.name.text: parameter.name for parameter in reversed(node.parameters)}.values())[::-1]
