"""`use`: what a file takes from the library and from other files."""

from __future__ import annotations

from .. import problems, syntax
from . import not_yet
from .context import Context
from .interfaces import load
from .symbols import (
    EnumSymbol,
    HandleTypeSymbol,
    Interface,
    ModuleSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    UncheckedSymbol,
)

Imports = list[tuple[Symbol, syntax.UseDecl]]


def import_module(context: Context, node: syntax.UseDecl, imports: Imports) -> None:
    """Bind what one `use` brings; what was bound is added to `imports`."""
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
            imports.append((symbol, node))
        return
    for word in node.names:
        symbol = _imported(context, path, interface, word)
        if context.bind(symbol):
            imports.append((symbol, node))


def _adopt(context: Context, path: str, interface: Interface) -> None:
    """Make the types and methods of a module, and of those it imports, known."""
    if path in context.interfaces:
        return
    context.interfaces[path] = interface
    context.methods.update(interface.methods)
    context.records.update(interface.records)
    context.enums.update(interface.enums)
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
            return StageSymbol(word.text, word.span, *found.signatures)
        case HandleTypeSymbol() as found:
            return HandleTypeSymbol(word.text, word.span, found.type)
        case RecordSymbol() as found:
            record = RecordSymbol(word.text, word.span, found.type)
            record.declaration = found.declaration
            return record
        case EnumSymbol() as found:
            enum = EnumSymbol(word.text, word.span, found.type)
            enum.declaration = found.declaration
            context.offer_cases(found.declaration)
            return enum
        case _:
            known = tuple(interface.names)
            suggestion = context.nearest(word.text, known)
            context.report(problems.unknown_member(path, "stage or type", word.text, word.span, suggestion, known))
            symbol = UncheckedSymbol(word.text, word.span, "import")
            symbol.used = True
            return symbol
