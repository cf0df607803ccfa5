"""Data from outside: `value as T` from and to Json, and `chat(…) into T`, a reply that is decoded as JSON."""

from __future__ import annotations

from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS
from ..types import (
    DIMENSIONS,
    FLOAT,
    INT,
    JSON,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    Type,
)
from .body import Body, nothing
from .context import Context
from .conversions import convert, is_unknown
from .tables import entries_of
from .written import resolve

_PLAIN = ("Text", "Int", "Float", "Bool", "Json", *DIMENSIONS)


# --- as --------------------------------------------------------------------------------------------------------------


def check_as(body: Body, node: syntax.As) -> program.Expression:
    """From Json, a checked conversion; to Json, one that cannot fail; else what is silent anyway."""
    wanted, labels = resolve(body.context, node.type)
    if wanted == JSON and isinstance(node.value, syntax.ListLiteral | syntax.MapLiteral):
        return _json(body, node.value)
    found = body.value(node.value, wanted if wanted != JSON else None, open=True)
    if is_unknown(found.type) or is_unknown(wanted):
        return nothing(node.span, wanted)
    found = body.settled(found, "what stands before `as`")
    if is_unknown(found.type):
        return nothing(node.span, wanted)
    if wanted == JSON and found.type != JSON:
        return _to_json(body, body.decided(found), node.span)
    if found.type == JSON and wanted != JSON:
        culprit = _no_data(body.context, wanted, binary=True)
        if culprit is not None:
            hint = "records, enums, lists, maps, texts, numbers and quantities can be made from Json"
            body.context.report(problems.bad_conversion(found.type, wanted, node.type.span, hint, body.origin(found)))
            return nothing(node.span, wanted)
        return program.Convert(type=wanted, span=node.span, labels=found.labels | labels, value=found, checked=True)
    converted = convert(found, wanted)
    if converted is None:
        hint = _conversion_hint(body, found.type, wanted)
        body.context.report(problems.bad_conversion(found.type, wanted, node.span, hint, body.origin(found)))
        return nothing(node.span, wanted)
    return converted


def _to_json(body: Body, found: program.Expression, span: Span) -> program.Expression:
    if is_unknown(found.type):
        return nothing(span, JSON)
    if _no_data(body.context, found.type, binary=True) is not None:
        hint = "only what can be written down becomes Json: records, enums, lists, maps, texts, numbers, quantities"
        body.context.report(problems.bad_conversion(found.type, JSON, span, hint, body.origin(found)))
        return nothing(span, JSON)
    return program.Convert(type=JSON, span=span, labels=found.labels, value=found)


def _json(body: Body, node: syntax.Expr) -> program.Expression:
    """A list or map written out before `as Json`: its parts may differ in type, since each becomes Json."""
    match node:
        case syntax.ListLiteral() if body.deeper():
            items = tuple(_json(body, item) for item in node.items)
            labels = NO_LABELS.union(*(item.labels for item in items))
            body.depth -= 1
            whole: program.Expression = program.ListOf(type=ListType(JSON), span=node.span, labels=labels, items=items)
        case syntax.MapLiteral() if body.deeper():
            entries = entries_of(body, node, lambda value: _json(body, value))
            labels = NO_LABELS.union(*(entry.value.labels for entry in entries))
            body.depth -= 1
            whole = program.TableOf(type=MapType(JSON), span=node.span, labels=labels, entries=entries)
        case _:
            found = body.plain(body.settled(body.value(node, OptionType(JSON)), "a part of a Json"))
            if is_unknown(found.type) or found.type == JSON:
                return found
            return _to_json(body, found, node.span)
    return program.Convert(type=JSON, span=node.span, labels=whole.labels, value=whole)


def _conversion_hint(body: Body, actual: Type, wanted: Type) -> str:
    if isinstance(actual, HandleType):
        return "a handle is no value; call its methods"
    if actual == wanted:
        return "leave `as` out"
    if isinstance(actual, OptionType):
        return "take the value out first: `match … { some(x) => …, none => … }`"
    if wanted == TEXT:
        return 'put it into a text: `"{…}"`' if body.has_text(actual) else "write the parts that are meant into a text"
    if wanted == INT and actual == FLOAT:
        return "round it with a stage, so that it is said how"
    return f"`as` makes {wanted} from Json only; a model's reply becomes one by `into {wanted}`"


# --- into ------------------------------------------------------------------------------------------------------------


def check_into(body: Body, node: syntax.Into) -> program.Expression:
    wanted, labels = resolve(body.context, node.type)
    call = body.value(node.value)
    if not is_unknown(wanted):
        culprit = _no_data(body.context, wanted)
        if culprit is not None:
            title = f"a reply cannot be decoded into {wanted}"
            if culprit != wanted:
                title += f", since it holds {culprit}"
            hint = "records, enums, lists, options, maps, texts, numbers, truth values and quantities can be decoded"
            body.context.report(problems.not_data(title, node.type.span, hint))
            wanted = nothing(node.span).type
    if is_unknown(call.type):
        return nothing(node.span, wanted)
    if not isinstance(call, program.StageCall) or call.stage.entry != "llm:chat":
        _misplaced(body, node, call)
        return nothing(node.span, wanted)
    if is_unknown(wanted):
        return nothing(node.span, wanted)
    return program.Into(type=wanted, span=node.span, labels=call.labels | labels, call=call)


def _misplaced(body: Body, node: syntax.Into, call: program.Expression) -> None:
    hint = "write it behind the call itself: `writer.chat(…) into T`"
    match call:
        case program.With() | program.Otherwise() if isinstance(node.value, syntax.With | syntax.Otherwise):
            actual = "more than the call"
            hint = "write `into` directly behind the call, and the policies or the fallback after it"
        case program.Reference():
            actual = f"`{call.name}`, which is {call.type}"
        case program.StageCall():
            actual = f"a call of `{call.stage.name}`"
        case program.PipelineCall():
            actual = f"a call of pipeline `{call.pipeline}`"
            hint = "write it behind the chat call inside the pipeline"
        case _:
            actual = str(call.type)
            if call.type == JSON:
                hint = "Json becomes a value of a type by `as T`"
    body.context.report(problems.into_misplaced(actual, call.span, hint, body.origin(call)))


# --- what can be written down ----------------------------------------------------------------------------------------


def _no_data(context: Context, type: Type, *, binary: bool = False) -> Type | None:
    """The part of a type that no JSON can hold, or None. With `binary`, Bytes may be written in base64."""
    seen: set[str] = set()
    waiting = [type]
    while waiting:
        part = waiting.pop()
        match part:
            case ListType() | MapType() | OptionType():
                waiting.append(part.element)
            case RecordType():
                if part.name not in seen:
                    seen.add(part.name)
                    record = context.records.get(part.name)
                    waiting += () if record is None else (field.type for field in record.fields)
            case EnumType():
                if part.name not in seen:
                    seen.add(part.name)
                    declared = context.enums.get(part.name)
                    cases = () if declared is None else declared.cases
                    waiting += (field.type for case in cases for field in case.payload)
            case Primitive():
                if not (part.name in _PLAIN or is_unknown(part) or (binary and part.name == "Bytes")):
                    return part
            case StreamType() | HandleType():
                return part
            case _:
                return part
    return None
