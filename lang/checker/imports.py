"""`use`: what a file takes from the library and from other files."""

from __future__ import annotations

from .. import problems, syntax
from .context import Context
from .interfaces import load
from .symbols import EnumSymbol, Interface, ModuleSymbol, Symbol, UncheckedSymbol, renamed

Imports = list[tuple[Symbol, syntax.UseDecl]]


def import_module(context: Context, node: syntax.UseDecl, imports: Imports) -> None:
    """Bind what one `use` brings; what was bound is added to `imports`."""
    path = node.module.text
    name = node.alias or syntax.Ident(path.rsplit("/", 1)[-1], span=node.module.span)
    before = len(context.meant)
    interface = _library(context, node) if path.startswith("std/") else _file(context, node)
    if interface is not None:
        _adopt(context, path if path.startswith("std/") else interface.source.path, interface)
    if not node.names:
        symbol = ModuleSymbol(name.text, name.span, interface)
        if node.alias is not None:
            # Its uses have the name that it was to have.
            del context.meant[before:]
        if context.bind(symbol):
            # What could not be had is not also unused.
            symbol.used = interface is None
            imports.append((symbol, node))
        return
    for word in node.names:
        symbol = _imported(context, path, interface, word)
        if context.bind(symbol):
            imports.append((symbol, node))
        if interface is not None and word.text in interface.names:
            context.note(word.span, interface.names[word.text])


def _library(context: Context, node: syntax.UseDecl) -> Interface | None:
    path = node.module.text
    interface = load(path, context.library)
    if interface is None:
        suggestion = _nearest_module(context, path)
        _mean(context, node, suggestion)
        context.report(problems.unknown_module(path, node.module.span, suggestion))
        return None
    for problem in interface.problems:
        context.report(problem)
    return interface


def _file(context: Context, node: syntax.UseDecl) -> Interface | None:
    module = node.module
    if not module.text.startswith("."):
        near = _nearest_module(context, f"std/{module.text}")
        _mean(context, node, near)
        context.report(problems.unknown_module(module.text, module.span, near))
        return None
    if context.files is None:
        context.report(problems.import_not_found(module.text, module.span))
        return None
    return context.files.load(context, node)


def _mean(context: Context, node: syntax.UseDecl, suggestion: str | None) -> None:
    """Uses of the module that was meant are no second fault."""
    if suggestion is not None and not node.names:
        context.meant.append((suggestion.rsplit("/", 1)[-1], node.module.span))


def bind_meant(context: Context) -> None:
    """Bind the names of misspelt modules as they were meant, where nothing else has them."""
    for name, span in context.meant:
        if name not in context.names:
            context.names[name] = symbol = ModuleSymbol(name, span, None)
            symbol.used = True


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

    named = ("embed", "http", "list", "llm", "mcp", "memory", "process", "search", "speech", "text")
    near = suggest(path, [f"std/{name}" for name in named])
    return near if near is not None and context.library(near) is not None else None


def _imported(context: Context, path: str, interface: Interface | None, word: syntax.Ident) -> Symbol:
    """One name taken out of a module."""
    if interface is None:
        symbol = UncheckedSymbol(word.text, word.span, "import")
        symbol.used = True
        return symbol
    found = interface.names.get(word.text)
    if found is None:
        known = tuple(interface.names)
        suggestion = context.nearest(word.text, known)
        context.report(
            problems.unknown_member(
                path,
                "declaration" if path.startswith(".") else "stage or type",
                word.text,
                word.span,
                suggestion,
                known,
            )
        )
        symbol = UncheckedSymbol(word.text, word.span, "import")
        symbol.used = True
        return symbol
    if isinstance(found, EnumSymbol):
        context.offer_cases(found.declaration)
    return renamed(found, word.text, word.span)
