"""What to write for the methods that values have in other languages: `x.upper()` is `text.upper(x)` here,
`xs.append(x)` is `xs + [x]`. Loaded by the first call of a method that a value does not have."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...base.problems import Edit, Fix
from ...base.source import Span
from .. import syntax
from ..types import TEXT, ListType, MapType, Type, dimension_of
from .context import Context
from .symbols import ModuleSymbol, StageSymbol

# By the name in small letters without `_`: what is written here, with `{x}` for the value and `{0}` for an argument.
_SIZE = dict.fromkeys(("len", "length", "size", "count"), "len({x})")
_HOLDS = dict.fromkeys(("contains", "includes", "has"), "{x} contains {0}")
_TEXTS = {
    **_SIZE,
    **_HOLDS,
    **dict.fromkeys(("upper", "uppercase", "toupper", "touppercase"), "text.upper({x})"),
    **dict.fromkeys(("lower", "lowercase", "tolower", "tolowercase", "casefold"), "text.lower({x})"),
    **dict.fromkeys(("strip", "trim", "trimmed"), "text.trim({x})"),
    **dict.fromkeys(("replace", "replaceall"), "text.replace({x}, {0}, {1})"),
    **dict.fromkeys(("startswith", "hasprefix"), "text.starts_with({x}, {0})"),
    **dict.fromkeys(("endswith", "hassuffix"), "text.ends_with({x}, {0})"),
    **dict.fromkeys(("splitlines", "lines"), "text.lines({x})"),
    **dict.fromkeys(("split", "words"), "text.words({x})"),
    **dict.fromkeys(("match", "matches"), "text.matches({x}, {0})"),
    **dict.fromkeys(("concat", "append"), "{x} + {0}"),
    "join": "text.join({0}, {x})",
    "parsefloat": "text.number({x})",
}
_LISTS = {
    **_SIZE,
    **_HOLDS,
    **dict.fromkeys(("append", "push", "add", "pushback"), "{x} + [{0}]"),
    **dict.fromkeys(("extend", "concat", "addall"), "{x} + {0}"),
    **dict.fromkeys(("get", "at", "nth"), "{x}[{0}]"),
    **dict.fromkeys(("sort", "sorted"), "list.sorted({x})"),
    **dict.fromkeys(("reverse", "reversed"), "list.reverse({x})"),
    **dict.fromkeys(("unique", "distinct"), "list.unique({x})"),
    **dict.fromkeys(("flatten", "flat"), "list.flatten({x})"),
    **dict.fromkeys(("take", "limit"), "list.take({x}, {0})"),
    **dict.fromkeys(("drop", "skip"), "list.drop({x}, {0})"),
    **{name: f"list.{name}({{x}})" for name in ("first", "last", "sum", "max", "min")},
    "join": "text.join({x}, {0})",
}
_MAPS = {**_SIZE, **dict.fromkeys(("get", "at"), "{x}[{0}]")}
_ALL: dict[str, str] = dict.fromkeys(("str", "tostring", "text", "repr"), '"{{{x}}}"')
# What no expression says alone.
_TOLD = {
    "split": "`text.lines`, `text.words` and `text.split` (into parts of so many tokens) take a text apart",
    "format": 'a text holds values in `{…}`: `"{name} costs {price}"`',
    "map": "write `for x in items { … }`, whose value is the list of what its body gives",
    "foreach": "write `for x in items { … }`",
    "filter": "write `for x in items where … { x }`",
    "reduce": "write `repeat`, or one of `list.sum`, `list.max`, `text.join`",
    "pop": "a list does not change; make another with `list.take` or `list.drop`",
    "remove": "a list does not change; make another with `for x in items where … { x }`",
    "insert": "a list does not change; make another with `+`",
    "keys": 'a map is asked for a key: `prices["tent"]`; a list of records can be gone through',
    "values": 'a map is asked for a key: `prices["tent"]`; a list of records can be gone through',
    "items": 'a map is asked for a key: `prices["tent"]`; a list of records can be gone through',
}
_SIMPLE = syntax.Name | syntax.Access | syntax.Call | syntax.Index | syntax.ListLiteral | syntax.Template
# What may stand around an operator without brackets.
_BEFORE = re.compile(r"(?:[=(,{\[\n]|\breturn|\bemit|=>)\s*\Z")
_AFTER = re.compile(r"[ \t]*(?:[\n)\],}#]|\Z)")


def instead_of_method(
    context: Context, target: syntax.Expr, type: Type, name: str, given: Iterable[syntax.Expr] | None, span: Span
) -> tuple[str, Fix | None] | None:
    """A hint, and a fix where all is known, for `target.name(given)` at `span`; `given` is None where nothing is called
    (`x.length`). None for what is nowhere a method."""
    plain = name.lower().replace("_", "")
    values = list(given or ())
    form = _forms(type).get(plain)
    if form is not None and len(values) > form.count("{0}") + form.count("{1}"):
        form = None
    if form is None and given is not None:
        form = _ALL.get(plain) if type == TEXT or dimension_of(type) is not None else None
    if form is None:
        told = _TOLD.get(plain) if isinstance(type, ListType | MapType) or type == TEXT else None
        return None if told is None or given is None else (told, None)
    source = context.source.text
    module = re.match(r"(text|list)\.(\w+)", form)
    top: tuple[Edit, ...] = ()
    if module is not None:
        known = _imported(context, module[1], module[2])
        if known is None and context.library(f"std/{module[1]}") is None:
            return None
        if known is None and module[1] in context.names:
            return f"`std/{module[1]}` has `{module[2]}`", None
        if known is None:
            place = context.source.span(context.top, context.top)
            top = (Edit(place, f"use std/{module[1]}\n"),)
        form = f"{known or module[1]}{form[len(module[1]) :]}"
    written = [source[value.span.start : value.span.end] for value in values]
    wanted = form.count("{0}") + form.count("{1}")
    receiver = source[target.span.start : target.span.end]
    inside = receiver if isinstance(target, _SIMPLE) or module or form.startswith(("len(", '"')) else f"({receiver})"
    shown = [*written, *("…" for _ in range(wanted - len(written)))]
    text = form.format(*shown, x=inside)
    hint = f"write `{text}`" + (f", with `use std/{module[1]}`" if top and module is not None else "")
    if "\n" in text:
        hint = f"write `{form.format(*('…' for _ in range(max(2, wanted))), x='…')}`"
    if len(values) != wanted or target.span.path != span.path:
        return hint, None
    if re.search(r" (?:\+|contains) ", form) and not _alone(source, span):
        text = f"({text})"
    return hint, Fix(f"write `{text}`" if "\n" not in text else hint, (*top, Edit(span, text)))


def _forms(type: Type) -> dict[str, str]:
    if type == TEXT:
        return _TEXTS
    return _LISTS if isinstance(type, ListType) else _MAPS if isinstance(type, MapType) else {}


def _imported(context: Context, module: str, stage: str) -> str | None:
    """What the file calls a module of the library, if it has it."""
    for name, symbol in context.names.items():
        interface = symbol.interface if isinstance(symbol, ModuleSymbol) else None
        if interface is not None and interface.source.path == f"std/{module}.agent":
            found = interface.names.get(stage)
            if isinstance(found, StageSymbol):
                symbol.used = True
                return name
    return None


def _alone(source: str, span: Span) -> bool:
    """Whether an operator may stand in the place of this without brackets."""
    return _BEFORE.search(source, max(0, span.start - 40), span.start) is not None and (
        _AFTER.match(source, span.end) is not None
    )
