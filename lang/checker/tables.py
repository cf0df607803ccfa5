"""Lists and maps that are written out, and what stands at an index."""

from __future__ import annotations

from collections.abc import Callable

from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS
from ..types import INT, JSON, TEXT, ListType, MapType, OptionType, Type
from .body import Body, nothing
from .branches import agree
from .conversions import OPEN, inside, is_unknown, optional
from .symbols import UNKNOWN


def check_list(body: Body, node: syntax.ListLiteral, expected: Type | None) -> program.Expression:
    """All items have one type; the list without items has that which is expected, or is open."""
    wanted = inside(expected)
    element = wanted.element if isinstance(wanted, ListType) else None
    if not node.items:
        type = wanted if isinstance(wanted, ListType) else ListType(UNKNOWN if wanted == UNKNOWN else OPEN)
        return program.ListOf(type=type, span=node.span, items=())
    found = [body.plain(body.settled(body.value(i, element, open=True), "an item of a list")) for i in node.items]
    type, items = agree(body, found, element, "every item of this list", "the first item")
    labels = NO_LABELS.union(*(item.labels for item in items))
    return program.ListOf(type=ListType(type), span=node.span, labels=labels, items=tuple(items))


def check_map(body: Body, node: syntax.MapLiteral, expected: Type | None) -> program.Expression:
    """Keys are texts without holes, each once; all values have one type."""
    wanted = inside(expected)
    element = wanted.element if isinstance(wanted, MapType) else None
    what = "a value of a map"
    found = entries_of(body, node, lambda v: body.plain(body.settled(body.value(v, element, open=True), what)))
    if node.entries and not found:
        return nothing(node.span)
    if not found:
        type = wanted if isinstance(wanted, MapType) else MapType(UNKNOWN if wanted == UNKNOWN else OPEN)
        return program.TableOf(type=type, span=node.span, entries=())
    values = [entry.value for entry in found]
    type, values = agree(body, values, element, "every value of this map", "the first one")
    entries = tuple(program.Argument(entry.name, value) for entry, value in zip(found, values, strict=True))
    labels = NO_LABELS.union(*(value.labels for value in values))
    return program.TableOf(type=MapType(type), span=node.span, labels=labels, entries=entries)


def entries_of(
    body: Body, node: syntax.MapLiteral, check: Callable[[syntax.Expr], program.Expression]
) -> tuple[program.Argument, ...]:
    """The entries whose key is sound, each checked by `check`; the others are reported."""
    first: dict[str, Span] = {}
    found: list[program.Argument] = []
    for entry in node.entries:
        key = entry.key.literal
        if key is None:
            body.context.report(problems.not_constant("the key of a map", entry.key.span))
            body.value(entry.key)
        elif key in first:
            body.context.report(problems.said_twice(f"the key `{key}` of this map", entry.key.span, first[key]))
        value = check(entry.value)
        if key is not None and key not in first:
            first[key] = entry.key.span
            found.append(program.Argument(key, value))
    return tuple(found)


def check_index(body: Body, node: syntax.Index) -> program.Expression:
    """A list gives the element and can fail; a map and Json give what may be there."""
    base = body.plain(body.settled(body.value(node.target), "what is indexed"))
    index = body.settled(body.value(node.index), "an index")
    labels = base.labels | index.labels
    type: Type = UNKNOWN
    match base.type:
        case _ if is_unknown(base.type):
            pass
        case ListType():
            index = body.fit(index, INT, "the index of a list")
            if isinstance(index, program.Literal) and isinstance(index.value, int) and index.value < 0:
                hint = "the first item is at 0; `[len(items) - 1]` is the last"
                body.context.report(problems.bad_bound("a list has no item before its first", node.index.span, hint))
            type = base.type.element
        case MapType():
            index = body.fit(index, TEXT, "the index of a map")
            type = optional(base.type.element)
        case _ if base.type == JSON:
            if index.type != INT:
                index = body.fit(index, TEXT, "the index of a Json, where it is no Int,")
            type = OptionType(JSON)
        case _:
            hint = "lists, maps and Json have an index; a record has fields"
            if isinstance(base.type, OptionType):
                hint = "take the value out first: `match … { some(x) => …, none => … }`"
            what = "what is indexed"
            body.context.report(
                problems.wrong_type(what, "a list or a map", str(base.type), base.span, body.origin(base), hint)
            )
    if is_unknown(type):
        return nothing(node.span)
    return program.IndexOf(type=type, span=node.span, labels=labels, base=base, index=index)
