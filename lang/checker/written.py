"""From a type as it is written to the type it means, with the labels it declares."""

from __future__ import annotations

from .. import problems, syntax
from ..program import NO_LABELS, Labels
from ..syntax_problems import too_deep
from ..types import PRIMITIVES, ListType, Primitive, StreamType, Type
from .context import Context
from .symbols import UNKNOWN, HandleTypeSymbol, ModuleSymbol, RecordSymbol, Symbol, UncheckedSymbol

# Types of the language whose operations are not checked yet.
_REFUSED = ("Message", "Role", "Secret")
_DEEPEST = 50


def resolve(context: Context, node: syntax.TypeExpr, *, handles: bool = False, depth: int = 0) -> tuple[Type, Labels]:
    """The meaning of a written type. `handles` says whether an opaque handle may stand here.

    Reports what is wrong and gives `UNKNOWN` for it. Labels inside a list or stream are those of the whole.
    """
    if depth > _DEEPEST:
        context.report(too_deep(node.span, "types", _DEEPEST))
        return UNKNOWN, NO_LABELS
    match node:
        case syntax.NamedType():
            return _named(context, node, handles), NO_LABELS
        case syntax.LabelledType():
            inner, labels = resolve(context, node.type, handles=handles, depth=depth + 1)
            return inner, labels | {label.name.text for label in node.labels}
        case syntax.ListType():
            inner, labels = resolve(context, node.item, depth=depth + 1)
            if isinstance(inner, StreamType):
                context.report(problems.stream_inside("a list", f"a {inner}", node.item.span))
                return UNKNOWN, labels
            return ListType(inner), labels
        case syntax.StreamType():
            inner, labels = resolve(context, node.item, depth=depth + 1)
            if isinstance(inner, StreamType):
                context.report(problems.stream_inside("a stream", f"a {inner}", node.item.span))
                return UNKNOWN, labels
            return StreamType(inner), labels
        case syntax.MapType():
            context.refuse("map type", node.span, node)
        case syntax.OptionType():
            context.refuse("option type", node.span, node)
        case syntax.TensorType():
            context.refuse("tensor type", node.span)
    return UNKNOWN, NO_LABELS


def _named(context: Context, node: syntax.NamedType, handles: bool) -> Type:
    parts = node.path.parts
    first = parts[0]
    if len(parts) == 1:
        symbol = context.use(first.text)
        if symbol is not None:
            return _of_symbol(context, symbol, first, handles)
        if first.text in _REFUSED:
            context.refuse(first.text, node.span)
            return UNKNOWN
        if first.text in PRIMITIVES:
            return Primitive(first.text)
        _unknown(context, first)
        return UNKNOWN
    module = context.use(first.text)
    if isinstance(module, UncheckedSymbol):
        return UNKNOWN
    if not isinstance(module, ModuleSymbol):
        modules = [name for name, symbol in context.names.items() if isinstance(symbol, ModuleSymbol)]
        suggestion = context.nearest(first.text, modules)
        what, hint = "no imported module", "import it with `use`"
        context.report(problems.unknown_name(first.text, first.span, suggestion, what=what, hint=hint))
        return UNKNOWN
    if module.interface is None:
        return UNKNOWN
    known = tuple(n for n, s in module.interface.names.items() if isinstance(s, RecordSymbol | HandleTypeSymbol))
    member = module.interface.names.get(parts[1].text) if len(parts) == 2 else None
    if member is None or parts[1].text not in known:
        wanted = ".".join(part.text for part in parts[1:])
        suggestion = context.nearest(wanted, known)
        context.report(problems.unknown_member(first.text, "type", wanted, parts[1].span, suggestion, known))
        return UNKNOWN
    return _of_symbol(context, member, parts[1], handles)


def _of_symbol(context: Context, symbol: Symbol, word: syntax.Ident, handles: bool) -> Type:
    match symbol:
        case RecordSymbol():
            return symbol.type
        case HandleTypeSymbol():
            if handles:
                return symbol.type
            context.refuse("handle value", word.span)
            return UNKNOWN
        case UncheckedSymbol():
            return UNKNOWN
        case ModuleSymbol() if symbol.interface is None:
            return UNKNOWN
        case _:
            _unknown(context, word, f"{symbol.what}, not a type")
            return UNKNOWN


def _unknown(context: Context, word: syntax.Ident, instead: str | None = None) -> None:
    hint = f"`{word.text}` is {instead}" if instead else "declare it with `type NAME { field: Type }`"
    suggestion: str | None = None
    for module, symbol in context.modules_with(word.text):
        symbol.used = True
        suggestion = f"{module}.{word.text}"
    if suggestion is None:
        types = [n for n, s in context.names.items() if isinstance(s, RecordSymbol | HandleTypeSymbol)]
        known = [name for name in PRIMITIVES if name not in _REFUSED]
        suggestion = context.nearest(word.text, (*known, *types))
    context.report(problems.unknown_name(word.text, word.span, suggestion, what="no type", hint=hint))
