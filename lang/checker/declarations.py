"""The names of a file and their signatures: everything that a body may refer to, before any body is checked."""

from __future__ import annotations

from ...base.source import Span
from .. import problems, program, syntax
from ..program import Parameter, RecordDeclaration, StageSignature
from ..types import HandleType, RecordType, StreamType, Type
from . import not_yet
from .calls import Given, module_of
from .constants import constant_value, outside
from .context import Context
from .interfaces import load
from .symbols import (
    UNKNOWN,
    ConstantSymbol,
    HandleSymbol,
    HandleTypeSymbol,
    Interface,
    ModuleSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    UncheckedSymbol,
)
from .written import resolve


class Declared:
    """The declarations that kept their names, in source order, with what was made of them."""

    __slots__ = ("fleets", "goals", "handles", "imports", "pipelines", "refused", "stages", "tests")

    def __init__(self) -> None:
        self.imports: list[tuple[Symbol, syntax.UseDecl]] = []
        self.handles: list[tuple[HandleSymbol, syntax.ModelDecl | syntax.ResourceDecl]] = []
        self.pipelines: list[PipelineSymbol] = []
        self.goals: list[syntax.GoalDecl] = []
        self.fleets: list[syntax.FleetDecl] = []
        self.tests: list[syntax.TestDecl] = []
        self.stages: list[syntax.StageDecl] = []
        self.refused: list[syntax.Declaration] = []


def declare(context: Context, file: syntax.File) -> Declared:
    """Bind every name of the file, then give each its signature."""
    declared = Declared()
    records: list[tuple[RecordSymbol, syntax.RecordDecl]] = []
    for node in file.declarations:
        if isinstance(node, syntax.UseDecl):
            _import(context, node, declared)
    for node in file.declarations:
        _name(context, node, declared, records)
    for name in file.broken:
        # Its problem is the parser's; here its uses are silent. What is declared soundly elsewhere keeps its name.
        context.names.setdefault(name.text, UncheckedSymbol(name.text, name.span, "declaration"))
    for node in declared.refused:
        context.use_all(node)
    for symbol, node in records:
        fields = _parameters(context, node.fields, "field", symbol.name)
        symbol.declaration = RecordDeclaration(symbol.type.name, fields, node.name.span, text_of(node.doc))
        context.records[symbol.type.name] = symbol.declaration
    for symbol in declared.pipelines:
        node = symbol.declaration
        symbol.parameters = _parameters(context, node.parameters, "parameter", symbol.name)
        symbol.result, symbol.result_labels = resolve(context, node.result)
    for node in declared.stages:
        _stage(context, node)
    for symbol, node in declared.handles:
        found = constructor(context, node.value)
        if found is not None:
            symbol.type = found[0].result
    return declared


def text_of(doc: syntax.Doc | None) -> str | None:
    return doc.text if doc is not None else None


# --- names -----------------------------------------------------------------------------------------------------------


def _name(
    context: Context,
    node: syntax.Declaration,
    declared: Declared,
    records: list[tuple[RecordSymbol, syntax.RecordDecl]],
) -> None:
    match node:
        case syntax.UseDecl():
            pass
        case syntax.RecordDecl():
            record = RecordSymbol(node.name.text, node.name.span, RecordType(context.qualified(node.name.text)))
            if context.bind(record):
                records.append((record, node))
                context.records[record.type.name] = record.declaration
        case syntax.HandleDecl() if context.interface is not None:
            type = HandleType(context.qualified(node.name.text))
            if context.bind(HandleTypeSymbol(node.name.text, node.name.span, type)):
                context.methods[type.name] = {}
        case syntax.StageDecl() if context.interface is not None:
            declared.stages.append(node)
        case _ if context.interface is not None:
            context.refuse("library declaration", node.span, node)
        case syntax.LetDecl():
            context.bind(ConstantSymbol(node.name.text, node.name.span, node))
        case syntax.ModelDecl() | syntax.ResourceDecl():
            keyword = "model" if isinstance(node, syntax.ModelDecl) else "resource"
            handle = HandleSymbol(node.name.text, node.name.span, keyword)
            if context.bind(handle):
                declared.handles.append((handle, node))
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
        case _:
            _refuse(context, node, declared)


def _refuse(context: Context, node: syntax.Declaration, declared: Declared) -> None:
    """A declaration that is not checked yet: its name is known, its uses are silent."""
    match node:
        case syntax.EnumDecl():
            kind, name = "enum", node.name
        case syntax.HandleDecl():
            kind, name = "handle type", node.name
        case syntax.StageDecl():
            kind, name = "stage", node.name.parts[-1]
        case syntax.ToolDecl():
            kind, name = "tool", node.name
        case syntax.ServerDecl():
            kind, name = "server", node.name
        case syntax.AgentDecl():
            kind, name = "agent", node.name
        case syntax.MemoryDecl():
            kind, name = "memory", node.name
        case _:
            raise TypeError(f"no rule for {type(node).__name__}")
    context.report(not_yet.not_yet(kind, node.span.to(name.span)))
    context.bind(UncheckedSymbol(name.text, name.span, kind))
    declared.refused.append(node)


# --- imports ---------------------------------------------------------------------------------------------------------


def _import(context: Context, node: syntax.UseDecl, declared: Declared) -> None:
    path = node.module.text
    name = node.alias or syntax.Ident(path.rsplit("/", 1)[-1], span=node.module.span)
    interface: Interface | None = None
    if not path.startswith("std/"):
        context.refuse("file import", node.span)
    else:
        interface = load(path, context.library)
        if interface is None and path in not_yet.MODULES:
            context.report(not_yet.module_not_yet(path, node.module.span))
        elif interface is None:
            suggestion = _nearest_module(context, path)
            context.report(problems.unknown_module(path, node.module.span, suggestion))
    if interface is not None:
        for problem in interface.problems:
            context.report(problem)
        _adopt(context, path, interface)
    if not node.names:
        symbol = ModuleSymbol(name.text, name.span, interface)
        if context.bind(symbol):
            # What could not be had is not also unused.
            symbol.used = interface is None
            declared.imports.append((symbol, node))
        return
    for word in node.names:
        symbol = _imported(context, path, interface, word)
        if context.bind(symbol):
            declared.imports.append((symbol, node))


def _adopt(context: Context, path: str, interface: Interface) -> None:
    """Make the types and methods of a module, and of those it imports, known."""
    if path in context.interfaces:
        return
    context.interfaces[path] = interface
    context.methods.update(interface.methods)
    context.records.update(interface.records)
    for inner, imported in interface.imports.items():
        _adopt(context, inner, imported)


def _nearest_module(context: Context, path: str) -> str | None:
    """The library cannot be listed, so the modules that the language names are asked for."""
    from ...base.suggest import suggest

    named = ("embed", "http", "llm", "mcp", "memory", "search", "speech", "text")
    near = suggest(path, [f"std/{name}" for name in named])
    return near if near is not None and context.library(near) is not None else None


def _imported(context: Context, path: str, interface: Interface | None, word: syntax.Ident) -> Symbol:
    """One name taken out of a module."""
    if interface is None:
        symbol = UncheckedSymbol(word.text, word.span, "import")
        symbol.used = True
        return symbol
    match interface.names.get(word.text):
        case StageSymbol() as found:
            return StageSymbol(word.text, word.span, found.signature)
        case HandleTypeSymbol() as found:
            return HandleTypeSymbol(word.text, word.span, found.type)
        case RecordSymbol() as found:
            record = RecordSymbol(word.text, word.span, found.type)
            record.declaration = found.declaration
            return record
        case _:
            known = tuple(interface.names)
            suggestion = context.nearest(word.text, known)
            context.report(problems.unknown_member(path, "stage or type", word.text, word.span, suggestion, known))
            symbol = UncheckedSymbol(word.text, word.span, "import")
            symbol.used = True
            return symbol


# --- signatures ------------------------------------------------------------------------------------------------------


def _parameters(
    context: Context,
    nodes: tuple[syntax.Parameter, ...] | tuple[syntax.FieldDecl, ...],
    kind: str,
    owner: str,
    *,
    handles: bool = False,
) -> tuple[Parameter, ...]:
    """Parameters or fields with their types, labels and defaults; the first of two with one name is kept."""
    found: dict[str, Parameter] = {}
    for node in nodes:
        type, labels = resolve(context, node.type, handles=handles)
        if kind == "field" and isinstance(type, StreamType):
            context.report(problems.stream_inside("a record", f"a {type}", node.type.span))
            type = UNKNOWN
        default = _default(context, node, kind, type)
        first = found.get(node.name.text)
        if first is not None:
            hint = f"give one of the two {kind}s another name"
            what = f"a {kind} of `{owner}`"
            context.report(problems.bound_twice(node.name.text, node.name.span, first.span, what, hint))
            continue
        found[node.name.text] = Parameter(node.name.text, type, node.name.span, labels, default)
    return tuple(found.values())


def _default(
    context: Context, node: syntax.Parameter | syntax.FieldDecl, kind: str, type: Type
) -> program.Literal | None:
    if node.default is None:
        return None
    what = f"the default of {kind} `{node.name.text}`"
    literal = constant_value(context, node.default, type, what)
    # A default with a fault is still a default: the argument may be left out.
    return literal or program.Literal(type=type, span=node.default.span, value=None)


def _stage(context: Context, node: syntax.StageDecl) -> None:
    """A stage of an interface file, or a method of one of its handle types."""
    assert context.interface is not None
    module = context.interface.module
    parameters = _parameters(context, node.parameters, "parameter", node.name.text, handles=True)
    result, labels = resolve(context, node.result, handles=True)
    match node.implementation:
        case syntax.Call(
            syntax.Name(text=("builtin" | "python") as behind), (syntax.Argument(None, syntax.Template() as t),)
        ):
            entry = t.literal or ""
        case _:
            context.refuse("library declaration", node.implementation.span)
            return
    if node.needs:
        context.refuse("library declaration", node.needs[0].span)
    last = node.name.parts[-1]
    if node.name.parts == (last,):
        signature = StageSignature(f"{module}.{last.text}", parameters, result, behind, entry, last.span, labels)
        context.bind(StageSymbol(last.text, last.span, signature))
        return
    first = node.name.parts[0]
    owner = context.names.get(first.text)
    if not isinstance(owner, HandleTypeSymbol) or len(node.name.parts) > 2:
        context.report(problems.unknown_name(first.text, first.span, what="no type of handle here"))
        return
    receiver = Parameter("self", owner.type, first.span)
    name = f"{owner.type.name}.{last.text}"
    signature = StageSignature(name, (receiver, *parameters), result, behind, entry, last.span, labels)
    methods = context.methods[owner.type.name]
    if last.text in methods:
        hint = "give one of the two another name"
        context.report(problems.bound_twice(last.text, last.span, methods[last.text].span, "a method", hint))
    else:
        methods[last.text] = signature


# --- handles ---------------------------------------------------------------------------------------------------------


def constructor(context: Context, node: syntax.Expr) -> tuple[StageSignature, str, Given, Span] | None:
    """The stage that builds a handle, how it is called, and its arguments; None where `node` is no such call."""
    call, piped = (node.call, node.value) if isinstance(node, syntax.Pipe) else (node, None)
    if not isinstance(call, syntax.Call):
        return None
    function = call.function
    found: Symbol | None = None
    called = ""
    if isinstance(function, syntax.Name):
        found, called = context.use(function.text), function.text
    elif isinstance(function, syntax.Access):
        module = module_of(outside(context), function.target)
        if module is not None and module.interface is not None:
            found, called = module.interface.names.get(function.name.text), f"{module.name}.{function.name.text}"
    if isinstance(found, StageSymbol) and isinstance(found.signature.result, HandleType):
        return found.signature, called, Given(call, piped), node.span
    return None
