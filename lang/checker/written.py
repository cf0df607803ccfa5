"""From a type as it is written to the type it means, with the labels it declares."""

from __future__ import annotations

from ...base.problems import Fix
from .. import problems, syntax
from ..problems.words import rename
from ..program import NO_LABELS, Labels
from ..syntax_problems import too_deep
from ..types import (
    PRIMITIVES,
    TEXT,
    HandleType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    StreamType,
    TensorType,
    Type,
)
from .context import Context
from .figures import number
from .prelude import is_variable
from .symbols import UNKNOWN, EnumSymbol, HandleTypeSymbol, ModuleSymbol, RecordSymbol, Symbol, UncheckedSymbol

_DEEPEST = 50
# Element types of tensors, as MLIR and safetensors name them.
_ELEMENTS = ("f64", "f32", "f16", "bf16", "f8", "i64", "i32", "i16", "i8", "u8", "i1")


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
            inner, labels = _inside(context, node.item, "a list", depth)
            return ListType(inner), labels
        case syntax.StreamType():
            inner, labels = _inside(context, node.item, "a stream", depth)
            return StreamType(inner), labels
        case syntax.OptionType():
            inner, labels = _inside(context, node.item, "an optional type", depth)
            # Nothing is nothing, however often it is asked: `T??` is `T?`.
            return (inner if inner == UNKNOWN or isinstance(inner, OptionType) else OptionType(inner)), labels
        case syntax.MapType():
            key, key_labels = resolve(context, node.key, depth=depth + 1)
            if key not in (TEXT, UNKNOWN):
                context.report(problems.wrong_type("the key of a map", "Text", str(key), node.key.span))
            inner, labels = _inside(context, node.value, "a map", depth)
            return (inner if inner == UNKNOWN else MapType(inner)), labels | key_labels
        case syntax.KnownType():
            return node.type or UNKNOWN, NO_LABELS
        case syntax.TensorType():
            return _tensor(context, node), NO_LABELS


def _inside(context: Context, node: syntax.TypeExpr, what: str, depth: int) -> tuple[Type, Labels]:
    """The element of something that holds values."""
    inner, labels = resolve(context, node, depth=depth + 1)
    if isinstance(inner, StreamType):
        context.report(problems.stream_inside(what, f"a {inner}", node.span))
        return UNKNOWN, labels
    return inner, labels


def _tensor(context: Context, node: syntax.TensorType) -> Type:
    element = node.element
    sound = True
    if element.text not in _ELEMENTS:
        near = context.nearest(element.text, _ELEMENTS)
        hint = "those are " + ", ".join(f"`{name}`" for name in _ELEMENTS)
        what = "no element type of tensors"
        context.report(problems.unknown_name(element.text, element.span, near, what=what, hint=hint))
        sound = False
    sizes: list[int] = []
    for size in node.shape:
        value = number(context, size) if isinstance(size, syntax.Number) else -1
        if isinstance(value, int) and value > 0:
            sizes.append(value)
            continue
        sound = False
        if value is None:
            continue  # reported
        hint = "write whole numbers above zero, as in `Tensor[f32, 384]`"
        context.report(problems.bad_bound("a size of a tensor is no whole number", size.span, hint))
    return TensorType(element.text, tuple(sizes)) if sound else UNKNOWN


def is_type(symbol: Symbol) -> bool:
    """Whether a name of a file or module is that of a type."""
    return isinstance(symbol, RecordSymbol | EnumSymbol | HandleTypeSymbol)


def _named(context: Context, node: syntax.NamedType, handles: bool) -> Type:
    parts = node.path.parts
    first = parts[0]
    if len(parts) == 1:
        symbol = context.use(first.text)
        if symbol is not None:
            context.note(first.span, symbol)
            return _of_symbol(context, symbol, first, handles)
        if first.text == "Secret" and context.interface is None:
            hint = 'write `secret("NAME")` where a stage, tool or endpoint takes it'
            context.report(problems.not_data("a Secret is no data", first.span, hint))
            return UNKNOWN
        if first.text in PRIMITIVES:
            return Primitive(first.text)
        if context.interface is not None and is_variable(Primitive(first.text)):
            return Primitive(first.text)
        _unknown(context, first)
        return UNKNOWN
    module = context.use(first.text)
    if module is not None:
        context.note(first.span, module)
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
    known = tuple(n for n, s in module.interface.names.items() if is_type(s))
    member = module.interface.names.get(parts[1].text) if len(parts) == 2 else None
    if isinstance(member, UncheckedSymbol):
        return UNKNOWN
    if member is None or parts[1].text not in known:
        wanted = ".".join(part.text for part in parts[1:])
        suggestion = context.nearest(wanted, known)
        context.report(problems.unknown_member(first.text, "type", wanted, parts[1].span, suggestion, known))
        return UNKNOWN
    context.note(parts[1].span, member)
    return _of_symbol(context, member, parts[1], handles)


def _of_symbol(context: Context, symbol: Symbol, word: syntax.Ident, handles: bool) -> Type:
    match symbol:
        case RecordSymbol() | EnumSymbol():
            return symbol.type
        case HandleTypeSymbol():
            if handles:
                return symbol.type
            context.report(problems.handle_as_value(symbol.type, word.span))
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
    fix: Fix | None = None
    if suggestion is None:
        own = [name for name, symbol in context.names.items() if is_type(symbol)]
        foreign, told = _foreign(word.text, own) if instead is None else (None, None)
        if told is not None:
            hint, fix = told, rename(word.span, foreign)
        elif foreign is not None:
            suggestion = foreign
        else:
            known = [name for name in PRIMITIVES if name != "Secret"]
            suggestion = context.nearest(word.text, (*known, *context.language, *own))
    context.report(problems.unknown_name(word.text, word.span, suggestion, what="no type", hint=hint, fix=fix))


def _foreign(word: str, own: list[str]) -> tuple[str | None, str | None]:
    """The type that people of another language mean, and what is to be said of it; nothing for what is near a type of
    the file."""
    from ..foreign_types import hint_of, type_here

    if word.lower() in [name.lower() for name in own]:
        return None, None
    return type_here(word), hint_of(word)


def is_data(type: Type) -> bool:
    """Whether values of a type can be written down: no stream, no handle, nothing secret or heard."""
    match type:
        case ListType() | MapType() | OptionType():
            return is_data(type.element)
        case StreamType() | HandleType():
            return False
        case Primitive():
            return type.name not in ("Secret", "Audio")
        case _:
            return True
