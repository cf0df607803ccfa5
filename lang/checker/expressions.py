"""Expressions: one function per form, and the table that finds it."""

from __future__ import annotations

from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..types import BOOL, FLOAT, INT, TEXT, HandleType, ListType, RecordType, StreamType, Type, quantity_type
from .blocks import check_if
from .body import Body, Role, has_text_form, is_unknown, nothing
from .calls import check_call, first_stage, module_of
from .context import BUILTINS
from .figures import number, quantity
from .names import unknown_local
from .operators import check_binary, check_unary
from .symbols import (
    UNKNOWN,
    ConstantSymbol,
    HandleSymbol,
    ModuleSymbol,
    StageSymbol,
    UncheckedSymbol,
)
from .written import resolve

# Over a list, unless the program says otherwise.
_AT_ONCE = 16


def check_expression(body: Body, node: syntax.Expr, expected: Type | None) -> program.Expression:
    """The typed expression; problems go to the body's context."""
    match node:
        case syntax.Name():
            return _name(body, node)
        case syntax.Template():
            return _template(body, node)
        case syntax.Call():
            return check_call(body, node, None)
        case syntax.Access():
            return _access(body, node)
        case syntax.Number():
            return _number(body, node, expected)
        case syntax.Pipe():
            return check_call(body, node.call, node.value)
        case syntax.For():
            return _for(body, node)
        case syntax.If():
            return check_if(body, node, expected)
        case syntax.Binary():
            return check_binary(body, node, expected)
        case syntax.Unary():
            return check_unary(body, node, expected)
        case syntax.ListLiteral():
            return _list(body, node, expected)
        case syntax.Quantity():
            return _quantity(body, node)
        case syntax.Bool():
            return program.Literal(type=BOOL, span=node.span, value=node.value)
        case _:
            return _refused(body, node, expected)


def _refused(body: Body, node: syntax.Expr, expected: Type | None) -> program.Expression:
    """Forms that are not checked yet. Those that keep the type of a part still have that part checked."""
    match node:
        case syntax.With():
            body.refuse("with", node.policies[0].span.to(node.policies[-1].span), *node.policies)
            return body.value(node.value, expected)
        case syntax.Otherwise():
            place = body.context.keyword("otherwise", node.fallback.span, node.fallback.span)
            body.context.refuse("otherwise", _first(body, place, "otherwise"))
            body.value(node.fallback, expected)
            return body.value(node.value, expected)
        case syntax.Into():
            body.context.refuse("into", body.context.keyword("into", node.type.span, node.type.span))
            body.value(node.value)
            return nothing(node.span, resolve(body.context, node.type)[0])
        case syntax.As():
            body.context.refuse("as", body.context.keyword("as", node.type.span, node.type.span))
            body.value(node.value)
            return nothing(node.span, resolve(body.context, node.type)[0])
        case syntax.Race():
            body.context.refuse("race", _first(body, node.span, "race"))
            return [nothing(node.span), *(body.value(branch, expected) for branch in node.branches)][-1]
        case syntax.Interruptible():
            body.context.refuse("interruptible", _first(body, node.span, "interruptible"))
            block = body.block(node.body, expected, Role("this `interruptible`"))
            return block.result or nothing(node.span)
        case syntax.Match():
            return body.refuse("match", _first(body, node.span, "match"), node)
        case syntax.Repeat():
            return body.refuse("repeat", _first(body, node.span, "repeat"), node)
        case syntax.Index():
            return body.refuse("index", node.span, node)
        case syntax.MapLiteral():
            return body.refuse("map", node.span, node)
        case _:
            raise TypeError(f"no rule for {type(node).__name__}")


def _first(body: Body, span: Span, word: str) -> Span:
    """The keyword that a form begins with, rather than its many lines."""
    return body.context.source.span(span.start, min(span.start + len(word), span.end))


# --- literals --------------------------------------------------------------------------------------------------------


def _number(body: Body, node: syntax.Number, expected: Type | None) -> program.Expression:
    """A whole number is a Float where one is expected."""
    value = number(body.context, node)
    if value is None:
        return nothing(node.span)
    if expected == FLOAT or isinstance(value, float):
        return program.Literal(type=FLOAT, span=node.span, value=float(value))
    return program.Literal(type=INT, span=node.span, value=value)


def _quantity(body: Body, node: syntax.Quantity) -> program.Expression:
    value = quantity(body.context, node)
    if value is None:
        return nothing(node.span)
    type = quantity_type(value.dimension)
    if type is None:
        title = f"a quantity measured in {value.dimension} has no type, so it is no value"
        body.context.report(problems.unit_mismatch(title, node.span, "such figures stand in goals and fleets"))
        return nothing(node.span)
    if type == FLOAT:
        return program.Literal(type=FLOAT, span=node.span, value=value.value)
    return program.Literal(type=type, span=node.span, value=value)


def _template(body: Body, node: syntax.Template) -> program.Expression:
    literal = node.literal
    if literal is not None:
        return program.Literal(type=TEXT, span=node.span, value=literal)
    parts: list[str | program.Expression] = []
    labels = NO_LABELS
    for part in node.parts:
        if isinstance(part, syntax.TextPart):
            parts.append(part.text)
            continue
        inside = body.settled(body.value(part.value), "what a text holds")
        if not is_unknown(inside.type) and not has_text_form(inside.type):
            hint = _text_hint(inside.type)
            body.context.report(problems.no_text_form(inside.type, inside.span, hint, body.origin(inside)))
        labels |= inside.labels
        parts.append(inside)
    return program.Template(type=TEXT, span=node.span, labels=labels, parts=tuple(parts))


def _text_hint(type: Type) -> str:
    match type:
        case ListType() if type.element == TEXT:
            return 'join it: `{text.join(…, ", ")}` (with `use std/text`)'
        case ListType():
            return "make a text of each item with `for`, then join them with `text.join`"
        case RecordType():
            return "write the fields that are meant, as in `{value.field}`"
        case _:
            return "texts, numbers, truth values and quantities have one"


def _list(body: Body, node: syntax.ListLiteral, expected: Type | None) -> program.Expression:
    wanted = expected.element if isinstance(expected, ListType) else None
    if not node.items:
        if wanted is None:
            if expected is None or not is_unknown(expected):
                body.context.report(problems.empty_list(node.span))
            return nothing(node.span, ListType(UNKNOWN))
        return program.ListOf(type=expected or UNKNOWN, span=node.span, items=())
    items: list[program.Expression] = []
    labels = NO_LABELS
    for item in node.items:
        found = body.plain(body.settled(body.value(item, wanted), "an item of a list"))
        if wanted is None and not is_unknown(found.type):
            wanted = found.type
        # Of `[1, 0.5]` the first item is a Float too.
        elif wanted == INT and found.type == FLOAT and all(isinstance(i, program.Literal) for i in items):
            wanted = FLOAT
            items = [as_float(i) for i in items]
        elif wanted is not None:
            found = body.fit(found, wanted, "every item of this list")
        labels |= found.labels
        items.append(found)
    return program.ListOf(type=ListType(wanted or UNKNOWN), span=node.span, labels=labels, items=tuple(items))


def as_float(found: program.Expression) -> program.Expression:
    """A literal Int as the Float it is meant to be; others unchanged."""
    if isinstance(found, program.Literal) and isinstance(found.value, int) and found.type == INT:
        return program.Literal(type=FLOAT, span=found.span, labels=found.labels, value=float(found.value))
    return found


# --- names and members -----------------------------------------------------------------------------------------------


def _name(body: Body, node: syntax.Name) -> program.Expression:
    local = body.locals.get(node.text)
    if local is not None and local.visible:
        local.used = True
        return program.Reference(type=local.type, span=node.span, labels=local.labels, name=node.text)
    symbol = body.context.use(node.text)
    match symbol:
        case None:
            if node.text in BUILTINS:
                hint = f"call it: `{node.text}(…)`" if node.text != "catalog" else "it stands in fleets only"
                body.context.report(problems.not_a_value(node.text, "part of the language", node.span, hint))
            else:
                unknown_local(body, node.text, node.span)
        case HandleSymbol():
            return program.HandleReference(type=symbol.type, span=node.span, name=node.text)
        case ConstantSymbol():
            from .constants import constant

            literal = constant(body.context, symbol)
            if literal is None:
                return nothing(node.span)
            return program.Literal(type=literal.type, span=node.span, labels=literal.labels, value=literal.value)
        case UncheckedSymbol():
            pass
        case ModuleSymbol():
            if symbol.interface is not None:
                hint = f"use one of its parts, as in `{node.text}.{first_stage(symbol.interface)}(…)`"
                body.context.report(problems.not_a_value(node.text, symbol.what, node.span, hint))
        case _:
            hint = f"call it: `{node.text}(…)`"
            body.context.report(problems.not_a_value(node.text, symbol.what, node.span, hint))
    return nothing(node.span)


def _access(body: Body, node: syntax.Access) -> program.Expression:
    module = module_of(body, node.target)
    if module is not None:
        return _member(body, module, node)
    base = body.value(node.target)
    name = node.name.text
    if is_unknown(base.type):
        return nothing(node.span)
    base = body.settled(base, f"what `.{name}` is read from")
    match base.type:
        case RecordType():
            record = body.context.records[base.type.name]
            for part in record.fields:
                if part.name == name:
                    labels: Labels = base.labels | part.labels
                    return program.FieldOf(type=part.type, span=node.span, labels=labels, base=base, field_name=name)
            known = tuple(part.name for part in record.fields)
            suggestion = body.context.nearest(name, known)
            body.context.report(problems.unknown_member(record.name, "field", name, node.name.span, suggestion, known))
        case HandleType():
            methods = body.context.methods.get(base.type.name, {})
            if name in methods:
                hint = f"call it: `.{name}(…)`"
                body.context.report(problems.not_a_value(name, f"a method of {base.type}", node.name.span, hint))
            else:
                suggestion = body.context.nearest(name, methods)
                owner = str(base.type)
                body.context.report(
                    problems.unknown_member(owner, "method", name, node.name.span, suggestion, tuple(methods))
                )
        case _ if base.type != UNKNOWN:
            body.context.report(problems.unknown_member(str(base.type), "field", name, node.name.span, None, ()))
        case _:
            pass
    return nothing(node.span)


def _member(body: Body, module: ModuleSymbol, node: syntax.Access) -> program.Expression:
    """A member of a module that is not called."""
    if module.interface is None:
        return nothing(node.span)
    member = module.interface.names.get(node.name.text)
    if member is None:
        known = tuple(module.interface.names)
        suggestion = body.context.nearest(node.name.text, known)
        body.context.report(
            problems.unknown_member(module.name, "stage or type", node.name.text, node.name.span, suggestion, known)
        )
    else:
        hint = "call it" if isinstance(member, StageSymbol) else "use it as a type, or build one with `NAME(field: …)`"
        body.context.report(problems.not_a_value(f"{module.name}.{member.name}", member.what, node.span, hint))
    return nothing(node.span)


# --- for -------------------------------------------------------------------------------------------------------------


def _for(body: Body, node: syntax.For) -> program.Expression:
    over = body.value(node.source)
    element = UNKNOWN
    streaming = isinstance(over.type, StreamType)
    if isinstance(over.type, ListType | StreamType):
        element = over.type.element
    elif not is_unknown(over.type):
        hint = "`for` goes over a list or a stream"
        what = "what `for` goes over"
        body.context.report(
            problems.wrong_type(what, "a list or a stream", str(over.type), over.span, body.origin(over), hint)
        )
    at_most = _at_most(body, node, streaming)
    with body.scope():
        body.bind(node.variable, "loop variable", element, over.labels)
        where = None if node.condition is None else body.condition(node.condition, "the condition of `where`")
        block = body.block(node.body, None, Role("the body of this `for`"))
    result = block.result or nothing(node.body.span)
    given = result.type
    if streaming:
        # A body that gives a stream is flattened: the items of one turn follow those of the turn before.
        type: Type = given if isinstance(given, StreamType) else StreamType(given)
    else:
        given = body.settled(result, "what the body of a `for` over a list gives").type
        type = ListType(given)
    labels = over.labels | result.labels
    return program.MapOver(
        type=type,
        span=node.span,
        labels=labels,
        variable=node.variable.text,
        variable_type=element,
        over=over,
        where=where,
        at_most=at_most,
        body=block,
    )


def _at_most(body: Body, node: syntax.For, streaming: bool) -> int:
    if node.at_once is None:
        return 1 if streaming else _AT_ONCE
    found = body.expect(node.at_once, INT, "the bound of `at most`")
    if is_unknown(found.type) or not isinstance(found, program.Literal):
        if found.type == INT:
            body.context.report(problems.not_constant("the bound of `at most`", found.span))
        return 1
    count = found.value if isinstance(found.value, int) else 1
    if count < 1:
        hint = "the least is `at most 1 at once`, one after the other"
        body.context.report(problems.bad_bound(f"`at most {count} at once` lets nothing run", found.span, hint))
    elif streaming and count > 1:
        title = f"`at most {count} at once` over a stream, which is taken one item at a time"
        body.context.report(problems.bad_bound(title, found.span, "leave the bound out"))
    return count
