"""Expressions: one function per form, and the table that finds it."""

from __future__ import annotations

from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    RecordType,
    Type,
    quantity_type,
)
from .blocks import check_block
from .body import Body, Role, nothing
from .branches import check_if
from .calls import check_call, first_stage, module_of
from .cases import bare_case, named_case, qualified_case
from .context import BUILTINS
from .conversions import inside, is_unknown
from .figures import number, quantity
from .names import unknown_local
from .symbols import (
    UNKNOWN,
    ConstantSymbol,
    HandleSymbol,
    ModuleSymbol,
    StageSymbol,
    UncheckedSymbol,
)
from .tables import check_index, check_list, check_map


def check_expression(body: Body, node: syntax.Expr, expected: Type | None) -> program.Expression:
    """The typed expression; problems go to the body's context.

    What a small file often has no use for is loaded by the first that has.
    """
    match node:
        case syntax.Name():
            return _name(body, node, expected)
        case syntax.Template():
            return _template(body, node)
        case syntax.Call():
            return check_call(body, node, None, expected)
        case syntax.Access():
            return _access(body, node)
        case syntax.Number():
            return _number(body, node, expected)
        case syntax.Pipe():
            return check_call(body, node.call, node.value, expected)
        case syntax.For():
            from .loops import check_for

            return check_for(body, node, expected)
        case syntax.If():
            return check_if(body, node, expected)
        case syntax.Binary():
            from .operators import check_binary

            return check_binary(body, node, expected)
        case syntax.Unary():
            from .operators import check_unary

            return check_unary(body, node, expected)
        case syntax.ListLiteral():
            return check_list(body, node, expected)
        case syntax.Quantity():
            return _quantity(body, node)
        case syntax.Bool():
            return program.Literal(type=BOOL, span=node.span, value=node.value)
        case syntax.Match():
            from .match import check_match

            return check_match(body, node, expected)
        case syntax.With():
            from .policies import check_with

            return check_with(body, node, expected)
        case syntax.Otherwise():
            from .fallbacks import check_otherwise

            return check_otherwise(body, node, expected)
        case syntax.Into():
            from .structured import check_into

            return check_into(body, node)
        case syntax.As():
            from .structured import check_as

            return check_as(body, node)
        case syntax.Repeat():
            from .loops import check_repeat

            return check_repeat(body, node, expected)
        case syntax.Race():
            from .fallbacks import check_race

            return check_race(body, node, expected)
        case syntax.Index():
            return check_index(body, node)
        case syntax.MapLiteral():
            return check_map(body, node, expected)
        case syntax.Interruptible():
            return check_interruptible(body, node, expected)


def check_interruptible(
    body: Body, node: syntax.Interruptible, expected: Type | None, *, valueless: bool = False
) -> program.Expression:
    role = Role("this `interruptible`", needs_value=not valueless, may_return=body.tail)
    block = check_block(body, node.body, expected, role)
    if valueless:
        return program.Interruptible(type=NONE, span=node.span, body=block)
    result = block.result or nothing(node.body.span)
    return program.Interruptible(type=result.type, span=node.span, labels=result.labels, body=block)


# --- literals --------------------------------------------------------------------------------------------------------


def _number(body: Body, node: syntax.Number, expected: Type | None) -> program.Expression:
    """A whole number is a Float where one is expected."""
    value = number(body.context, node)
    if value is None:
        return nothing(node.span)
    if inside(expected) == FLOAT or isinstance(value, float):
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
        held = body.plain(body.settled(body.value(part.value), "what a text holds"))
        if not is_unknown(held.type) and not body.has_text(held.type):
            hint = _text_hint(held.type)
            body.context.report(problems.no_text_form(held.type, held.span, hint, body.origin(held)))
        labels |= held.labels
        parts.append(held)
    return program.Template(type=TEXT, span=node.span, labels=labels, parts=tuple(parts))


def _text_hint(type: Type) -> str:
    match type:
        case ListType() if type.element == TEXT:
            return 'join it: `{text.join(…, ", ")}` (with `use std/text`)'
        case ListType():
            return "make a text of each item with `for`, then join them with `text.join`, or write `{… as Json}`"
        case RecordType():
            return "write the fields that are meant, as in `{value.field}`, or all of it by `{value as Json}`"
        case MapType():
            return "write the values that are meant, or all of it by `{value as Json}`"
        case EnumType():
            return "some of its cases hold values: make a text of each with `match`, or write `{value as Json}`"
        case OptionType():
            return "say what stands there without a value: `match … { some(x) => …, none => … }`"
        case _:
            return "texts, numbers, truth values, quantities, Json and enums whose cases hold nothing have one"


# --- names and members -----------------------------------------------------------------------------------------------


def _name(body: Body, node: syntax.Name, expected: Type | None) -> program.Expression:
    local = body.locals.get(node.text)
    if local is not None and local.visible:
        local.used = True
        body.context.note(node.span, local)
        return program.Reference(type=local.type, span=node.span, labels=local.labels, name=node.text)
    if node.text == "none":
        type = expected if isinstance(expected, OptionType) else NONE
        return program.Literal(type=type, span=node.span, value=None)
    case = named_case(body, node.text, node.span, expected)
    if case is not None:
        return bare_case(body, case, node.span)
    symbol = body.context.use(node.text)
    if symbol is not None:
        body.context.note(node.span, symbol)
    match symbol:
        case None:
            if node.text in BUILTINS:
                hint = f"call it: `{node.text}(…)`" if node.text != "catalog" else "it stands in fleets only"
                body.context.report(problems.not_a_value(node.text, "part of the language", node.span, hint))
            else:
                unknown_local(body, node.text, node.span)
        case HandleSymbol():
            return program.HandleReference(type=symbol.type, span=node.span, name=symbol.qualified)
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
    case = qualified_case(body, node)
    if case is not None:
        return bare_case(body, case, node.span)
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
                    body.context.note(node.name.span, part, record.name)
                    labels: Labels = base.labels | part.labels
                    return program.FieldOf(type=part.type, span=node.span, labels=labels, base=base, field_name=name)
            known = tuple(part.name for part in record.fields)
            suggestion = body.context.nearest(name, known)
            body.context.report(problems.unknown_member(record.name, "field", name, node.name.span, suggestion, known))
        case HandleType():
            methods = body.context.methods.get(base.type.name, {})
            if name in methods:
                body.context.note(node.name.span, methods[name][0])
                hint = f"call it: `.{name}(…)`"
                body.context.report(problems.not_a_value(name, f"a method of {base.type}", node.name.span, hint))
            else:
                suggestion = body.context.nearest(name, methods)
                owner = str(base.type)
                body.context.report(
                    problems.unknown_member(owner, "method", name, node.name.span, suggestion, tuple(methods))
                )
        case OptionType() | EnumType():
            hint = "take out what it holds first: `match … { some(x) => …, none => … }`"
            if isinstance(base.type, EnumType):
                hint = "take out what a case holds with `match`"
            what = f"what `.{name}` is read from"
            related = body.origin(base)
            body.context.report(problems.wrong_type(what, "a record", str(base.type), base.span, related, hint))
        case _ if base.type == JSON:
            hint = f'write `["{name}"]`, which may be there, or make a record of it by `as`'
            what = f"what `.{name}` is read from"
            related = body.origin(base)
            body.context.report(problems.wrong_type(what, "a record", str(base.type), base.span, related, hint))
        case _ if base.type != UNKNOWN:
            from .foreign_methods import instead_of_method

            told = instead_of_method(body.context, node.target, base.type, name, None, node.span)
            body.context.report(problems.unknown_member(str(base.type), "field", name, node.name.span, None, (), told))
        case _:
            pass
    return nothing(node.span)


def _member(body: Body, module: ModuleSymbol, node: syntax.Access) -> program.Expression:
    """A member of a module that is not called."""
    if module.interface is None:
        return nothing(node.span)
    member = module.interface.names.get(node.name.text)
    if member is not None:
        body.context.note(node.name.span, member)
    if isinstance(member, HandleSymbol):
        return program.HandleReference(type=member.type, span=node.span, name=member.qualified)
    if isinstance(member, ConstantSymbol):
        known = member.literal
        if known is None:
            return nothing(node.span)
        return program.Literal(type=known.type, span=node.span, labels=known.labels, value=known.value)
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
