"""Models, resources, memories and servers: what builds them, with arguments that are known before the program runs."""

from __future__ import annotations

from ...base.source import Span
from .. import problems, program, syntax
from ..program import HandleDeclaration, StageSignature
from ..types import HandleType
from .arguments import Given, bind_arguments
from .calls import module_of
from .constants import fold, outside
from .context import Context
from .conversions import is_unknown
from .signatures import text_of
from .symbols import HandleSymbol, StageSymbol, Symbol

HandleNode = syntax.ModelDecl | syntax.ResourceDecl | syntax.MemoryDecl | syntax.ServerDecl
KEYWORDS: dict[type, str] = {
    syntax.ModelDecl: "model",
    syntax.ResourceDecl: "resource",
    syntax.MemoryDecl: "memory",
    syntax.ServerDecl: "server",
}

# Handles that are declared by a word of their own, or by none but a tool.
_KEYWORD_OF = {
    "memory.Session": "memory",
    "mcp.Server": "server",
    "http.Request": "tool",
    "process.Command": "tool",
}


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
        if found is not None:
            context.note(function.span, found)
    elif isinstance(function, syntax.Access):
        module = module_of(outside(context), function.target)
        if module is not None and module.interface is not None:
            found, called = module.interface.names.get(function.name.text), f"{module.name}.{function.name.text}"
            if found is not None:
                context.note(function.name.span, found)
    if isinstance(found, StageSymbol) and isinstance(found.signature.result, HandleType):
        return found.signature, called, Given(call, piped), node.span
    return None


def check_handle(context: Context, symbol: HandleSymbol, node: HandleNode) -> HandleDeclaration | None:
    """The declaration with its arguments complete, or None after a report."""
    body = outside(context)
    built = constructor(context, node.value)
    if built is None:
        found = body.value(node.value)
        if not is_unknown(found.type):
            actual = f"`{found.name}` again" if isinstance(found, program.HandleReference) else str(found.type)
            context.report(problems.not_a_handle(symbol.keyword, symbol.name, node.value.span, actual))
        return None
    signature, called, given, span = built
    if _KEYWORD_OF.get(str(signature.result), symbol.keyword) != symbol.keyword or (
        symbol.keyword in _KEYWORD_OF.values() and str(signature.result) not in _KEYWORD_OF
    ):
        word = context.source.span(node.span.start, node.span.start + len(symbol.keyword))
        context.report(problems.wrong_keyword(symbol.keyword, symbol.name, signature.result, word, node.value.span))
        return None
    arguments: list[program.Argument] = []
    for argument in bind_arguments(body, called, signature.parameters, given, span):
        value = argument.value
        if not isinstance(value, program.HandleReference):
            value = fold(context, value, f"argument `{argument.name}` of `{called}`")
        if value is not None:
            arguments.append(program.Argument(argument.name, value))
    if not isinstance(signature.result, HandleType):
        return None
    return HandleDeclaration(
        symbol.qualified,
        symbol.keyword,
        signature.result,
        signature,
        tuple(arguments),
        node.name.span,
        text_of(node.doc),
    )


def report_circles(context: Context, handles: tuple[HandleDeclaration, ...]) -> None:
    """A handle that is needed to build itself."""
    needs = {
        handle.name: [a.value for a in handle.arguments if isinstance(a.value, program.HandleReference)]
        for handle in handles
    }
    for name in needs:
        waiting = list(needs[name])
        seen: set[str] = set()
        while waiting:
            reference = waiting.pop()
            if reference.name == name:
                title = f"`{name}` is needed to build itself"
                context.report(problems.recursion(title, reference.span, "name another one here"))
                break
            if reference.name not in seen:
                seen.add(reference.name)
                waiting += needs.get(reference.name, ())
