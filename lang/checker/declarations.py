"""The names of a file and their signatures: everything that a body may refer to, before any body is checked."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from ...base.frozen import replace
from ...base.source import Span
from .. import problems, syntax
from ..program import EnumCase, EnumDeclaration, RecordDeclaration, StageSignature
from ..types import EnumType, HandleType, RecordType
from .context import Context
from .handles import KEYWORDS, HandleNode, constructor
from .imports import Imports, bind_meant, import_module
from .signatures import declare_stage, parameters_of, text_of, with_defaults
from .symbols import (
    UNKNOWN,
    ConstantSymbol,
    EnumSymbol,
    HandleSymbol,
    HandleTypeSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    ToolSymbol,
    UncheckedSymbol,
)
from .written import resolve

if TYPE_CHECKING:
    from .agents import Declarations


class Declared:
    """The declarations that kept their names, in source order, with what was made of them."""

    __slots__ = (
        "agents",
        "calls",
        "enums",
        "expanded",
        "fleets",
        "goals",
        "handles",
        "imports",
        "pipelines",
        "program_stages",
        "records",
        "stages",
        "tests",
        "tools",
    )

    def __init__(self) -> None:
        self.imports: Imports = []
        self.records: list[tuple[RecordSymbol, syntax.RecordDecl]] = []
        self.enums: list[tuple[EnumSymbol, syntax.EnumDecl]] = []
        self.handles: list[tuple[HandleSymbol, HandleNode]] = []
        self.pipelines: list[PipelineSymbol] = []
        self.goals: list[syntax.GoalDecl] = []
        self.fleets: list[syntax.FleetDecl] = []
        self.tests: list[syntax.TestDecl] = []
        self.tools: list[tuple[ToolSymbol, syntax.ToolDecl]] = []
        # Of a library, and of the file itself.
        self.stages: list[syntax.StageDecl] = []
        self.program_stages: list[tuple[StageSymbol, syntax.StageDecl]] = []
        self.agents: list[tuple[PipelineSymbol, syntax.AgentDecl]] = []
        # What each agent stands for, by its name.
        self.expanded: dict[str, Declarations] = {}
        # Which pipeline calls which; known once the bodies are.
        self.calls: dict[str, list[tuple[str, Span]]] = {}


def declare(context: Context, file: syntax.File) -> Declared:
    """Bind every name of the file, then give each its signature."""
    declared = Declared()
    uses = [node for node in file.declarations if isinstance(node, syntax.UseDecl)]
    if context.files is not None:
        context.files.name(context, [node for node in uses if node.module.text.startswith(".")])
    for node in uses:
        import_module(context, node, declared.imports)
    for node in file.declarations:
        _name(context, node, declared)
    bind_meant(context)
    for name in file.broken:
        # Its problem is the parser's; here its uses are silent. What is declared soundly elsewhere keeps its name.
        context.names.setdefault(name.text, UncheckedSymbol(name.text, name.span, "declaration"))
    _types(context, declared)
    for symbol in declared.pipelines:
        node = symbol.declaration
        symbol.parameters = parameters_of(context, node.parameters, "parameter", symbol.name)
        symbol.result, symbol.result_labels = resolve(context, node.result)
    for node in declared.stages:
        declare_stage(context, node)
    for symbol, node in declared.handles:
        found = constructor(context, node.value)
        if found is not None:
            symbol.type = found[0].result
    if declared.tools or declared.program_stages:
        # Loaded by those who have some; so are agents and endless types below.
        from .tools import declare_program_stage, declare_tool

        for symbol, node in declared.tools:
            declare_tool(context, symbol, node)
        for symbol, node in declared.program_stages:
            declare_program_stage(context, symbol, node)
    for symbol, node in declared.agents:
        _expand(context, symbol, node, declared)
    return declared


def _expand(context: Context, symbol: PipelineSymbol, node: syntax.AgentDecl, declared: Declared) -> None:
    """Put the loop that an agent stands for, and the types of its replies, in its place."""
    from .agents import loop_of

    loop = loop_of(context, symbol, node)
    if loop is None:
        symbol.sound = False
        return
    symbol.facts = loop.facts(context.names[loop.model.text].qualified)
    written = (*loop.enums(), loop.record(), loop.pipeline())
    declared.expanded[node.name.text] = written
    # Nobody wrote these types.
    with nullcontext() if context.facts is None else context.facts.only():
        _adopt(context, symbol, written, declared)


def _adopt(context: Context, symbol: PipelineSymbol, written: Declarations, declared: Declared) -> None:
    for part in written:
        match part:
            case syntax.EnumDecl():
                enum = EnumSymbol(part.name.text, part.name.span, EnumType(context.qualified(part.name.text)))
                context.names[part.name.text] = enum
                declared.enums.append((enum, part))
                enum.declaration = context.enums[enum.type.name] = _enum(context, enum, part)
            case syntax.RecordDecl():
                record = RecordSymbol(part.name.text, part.name.span, RecordType(context.qualified(part.name.text)))
                context.names[part.name.text] = record
                declared.records.append((record, part))
                fields = parameters_of(context, part.fields, "field", record.name)
                made = RecordDeclaration(record.type.name, fields, part.name.span, text_of(part.doc))
                _keep_record(context, record, made)
            case syntax.PipelineDecl():
                symbol.declaration = part


# --- names -----------------------------------------------------------------------------------------------------------


def _name(context: Context, node: syntax.Declaration, declared: Declared) -> None:
    match node:
        case syntax.UseDecl():
            pass
        case syntax.RecordDecl():
            record = RecordSymbol(node.name.text, node.name.span, RecordType(context.qualified(node.name.text)))
            if context.bind(record):
                declared.records.append((record, node))
                context.records[record.type.name] = record.declaration
        case syntax.EnumDecl():
            enum = EnumSymbol(node.name.text, node.name.span, EnumType(context.qualified(node.name.text)))
            if context.bind(enum):
                declared.enums.append((enum, node))
                context.enums[enum.type.name] = enum.declaration
        case syntax.HandleDecl() if context.interface is not None:
            opaque = HandleType(context.qualified(node.name.text))
            if context.bind(HandleTypeSymbol(node.name.text, node.name.span, opaque)):
                context.methods[opaque.name] = {}
        case syntax.StageDecl() if context.interface is not None:
            declared.stages.append(node)
        case _ if context.interface is not None:
            word = context.source.text[node.span.start : node.span.end].split(maxsplit=1)[0]
            hint = "a library declares types and stages alone"
            context.report(problems.misplaced(word, "in a program", node.span, hint))
            context.use_all(node)
        case syntax.LetDecl():
            context.bind(ConstantSymbol(node.name.text, node.name.span, node))
        case syntax.ModelDecl() | syntax.ResourceDecl() | syntax.MemoryDecl() | syntax.ServerDecl():
            handle = HandleSymbol(node.name.text, node.name.span, KEYWORDS[type(node)])
            if context.bind(handle):
                declared.handles.append((handle, node))
        case syntax.ToolDecl():
            tool = ToolSymbol(node.name.text, node.name.span, node)
            if context.bind(tool):
                declared.tools.append((tool, node))
        case syntax.StageDecl():
            _program_stage(context, node, declared)
        case syntax.PipelineDecl():
            pipeline = PipelineSymbol(node.name.text, node.name.span, node)
            if context.bind(pipeline):
                declared.pipelines.append(pipeline)
        case syntax.GoalDecl():
            declared.goals.append(node)
        case syntax.FleetDecl():
            declared.fleets.append(node)
        case syntax.TestDecl():
            declared.tests.append(node)
        case syntax.AgentDecl():
            # Its body follows once all that it may name is known.
            body = syntax.Block((), span=node.name.span)
            head = syntax.PipelineDecl(node.name, node.parameters, node.result, body, node.doc, span=node.span)
            agent = PipelineSymbol(node.name.text, node.name.span, head, node)
            if context.bind(agent):
                declared.pipelines.append(agent)
                declared.agents.append((agent, node))
        case syntax.HandleDecl():
            context.report(problems.opaque_type(node.name.text, node.name.span))
            context.bind(UncheckedSymbol(node.name.text, node.name.span, "type"))


def _program_stage(context: Context, node: syntax.StageDecl, declared: Declared) -> None:
    name = node.name.parts[-1]
    if len(node.name.parts) > 1:
        hint = "only a library's handles have methods; give the stage a name of its own"
        context.report(problems.not_a_value(node.name.text, "a method of a handle", node.name.span, hint))
        return
    unknown = StageSignature(name.text, (), UNKNOWN, "python", "python:call", name.span)
    stage = StageSymbol(name.text, name.span, unknown)
    if context.bind(stage):
        declared.program_stages.append((stage, node))


# --- records and enums -----------------------------------------------------------------------------------------------


def _types(context: Context, declared: Declared) -> None:
    """The fields of records and the payloads of cases; then their defaults, which may be values of any of them."""
    for symbol, node in declared.records:
        fields = parameters_of(context, node.fields, "field", symbol.name, defaults=False)
        _keep_record(context, symbol, RecordDeclaration(symbol.type.name, fields, node.name.span, text_of(node.doc)))
    for symbol, node in declared.enums:
        _keep_enum(context, symbol, _enum(context, symbol, node))
    if declared.records or declared.enums:
        from .endless import report_endless

        report_endless(context, [symbol.declaration for symbol, _ in (*declared.records, *declared.enums)])
    for record, node in declared.records:
        if any(field.default is not None for field in node.fields):
            context.waiting[record.type.name] = partial(_complete_record, context, record, node)
    for enum, node in declared.enums:
        if any(field.default is not None for case in node.cases for field in case.fields):
            context.waiting[enum.type.name] = partial(_complete_enum, context, enum, node)
    for name, at in [(s.type.name, s.span) for s, _ in (*declared.records, *declared.enums)]:
        context.complete(name, at)


def _complete_record(context: Context, symbol: RecordSymbol, node: syntax.RecordDecl) -> None:
    fields = with_defaults(context, node.fields, symbol.declaration.fields)
    _keep_record(context, symbol, replace(symbol.declaration, fields=fields))


def _complete_enum(context: Context, symbol: EnumSymbol, node: syntax.EnumDecl) -> None:
    written = {case.name.span: case for case in node.cases}
    cases = tuple(
        replace(case, payload=with_defaults(context, written[case.span].fields, case.payload))
        for case in symbol.declaration.cases
    )
    _keep_enum(context, symbol, replace(symbol.declaration, cases=cases))


def _keep_record(context: Context, symbol: RecordSymbol, declaration: RecordDeclaration) -> None:
    symbol.declaration = context.records[declaration.name] = declaration


def _keep_enum(context: Context, symbol: EnumSymbol, declaration: EnumDeclaration) -> None:
    symbol.declaration = context.enums[declaration.name] = declaration
    context.offer_cases(declaration)


def _enum(context: Context, symbol: EnumSymbol, node: syntax.EnumDecl) -> EnumDeclaration:
    cases: dict[str, EnumCase] = {}
    for case in node.cases:
        name = case.name
        if name.text in cases:
            hint = "give one of the two another name"
            what = f"a case of `{symbol.name}`"
            context.report(problems.bound_twice(name.text, name.span, cases[name.text].span, what, hint))
            continue
        payload = parameters_of(context, case.fields, "field", f"{symbol.name}.{name.text}", defaults=False)
        cases[name.text] = EnumCase(name.text, payload, name.span)
        context.note(name.span, cases[name.text], symbol.name)
    return EnumDeclaration(symbol.type.name, tuple(cases.values()), node.name.span, text_of(node.doc))
