"""Expressions whose operands are simply their parts: constants, templates, records, operators, conversions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...lang import program as p
from ..dialect.spec import MOST_OPERANDS
from .making import Form, Hint, Lowering, Scope, constant
from .split import constant_list, in_chunks


def _reference(lowering: Lowering, expression: p.Reference, scope: Scope, hint: Hint) -> Any:
    del lowering, hint
    return scope.names[expression.name]


def _literal(lowering: Lowering, expression: p.Literal, scope: Scope, hint: Hint) -> Any:
    return _constant(lowering, expression, scope, hint, expression.value)


def _constant(lowering: Lowering, expression: p.Expression, scope: Scope, hint: Hint, value: p.Constant) -> Any:
    operation_id, _ = lowering.named(expression, scope, hint, "constant")
    return lowering.result(
        "agent.constant", expression, scope, operation_id, hint, attributes={"value": constant(value)}
    )


def _template(lowering: Lowering, expression: p.Template, scope: Scope, hint: Hint) -> Any:
    smaller = in_chunks(expression)
    if smaller is not None:
        return lowering.expression(smaller, scope, hint)
    holes = tuple(part for part in expression.parts if not isinstance(part, str))
    index = iter(range(len(holes)))
    parts = [part if isinstance(part, str) else next(index) for part in expression.parts]
    return _made(lowering, expression, scope, hint, "template", holes, {"parts": parts})


def _list(lowering: Lowering, expression: p.ListOf, scope: Scope, hint: Hint) -> Any:
    items = constant_list(expression)
    if items is not None:
        return _constant(lowering, expression, scope, hint, items)
    smaller = in_chunks(expression)
    if smaller is not None:
        return lowering.expression(smaller, scope, hint)
    return _made(lowering, expression, scope, hint, "list", expression.items)


def _build(lowering: Lowering, expression: p.BuildRecord, scope: Scope, hint: Hint) -> Any:
    attributes = {"record": expression.record, "fields": [field.name for field in expression.fields]}
    return _of_arguments(lowering, expression, scope, hint, "build", expression.fields, attributes)


def _case(lowering: Lowering, expression: p.BuildCase, scope: Scope, hint: Hint) -> Any:
    fields = [field.name for field in expression.payload]
    attributes = {"enum": expression.enum, "case": expression.case, "fields": fields}
    return _of_arguments(lowering, expression, scope, hint, "case", expression.payload, attributes)


def _table(lowering: Lowering, expression: p.TableOf, scope: Scope, hint: Hint) -> Any:
    operation_id, part = lowering.named(expression, scope, hint, "table")
    # Keys are any texts, so they are no words for ids.
    operands = tuple(lowering.value(entry.value, part, Hint()) for entry in expression.entries)
    keys = {"keys": [entry.name for entry in expression.entries]}
    return _in_steps(lowering, "table", expression, scope, part, operation_id, hint, operands, "keys", keys)


def _of_arguments(
    lowering: Lowering,
    expression: p.Expression,
    scope: Scope,
    hint: Hint,
    word: str,
    arguments: tuple[p.Argument, ...],
    attributes: Mapping[str, Any],
) -> Any:
    operation_id, part = lowering.named(expression, scope, hint, word)
    operands = tuple(lowering.value(a.value, part, Hint(a.name)) for a in arguments)
    return _in_steps(lowering, word, expression, scope, part, operation_id, hint, operands, "fields", attributes)


def _in_steps(
    lowering: Lowering,
    word: str,
    expression: p.Expression,
    scope: Scope,
    part: Scope,
    operation_id: str,
    hint: Hint,
    operands: tuple[Any, ...],
    names: str,
    attributes: Mapping[str, Any],
) -> Any:
    """One operation, or where it would have too many operands one after the other, each of which extends the one
    before; the last is the whole."""
    name, made = f"agent.{word}", None
    while True:
        base = () if made is None else (made,)
        more = {"extends": True} if made is not None else {}
        fits, rest = operands[: MOST_OPERANDS - len(base)], operands[MOST_OPERANDS - len(base) :]
        known = attributes[names]
        given = {**attributes, names: known[: len(fits)], **more}
        attributes = {**attributes, names: known[len(fits) :]}
        if not rest:
            return lowering.result(name, expression, scope, operation_id, hint, (*base, *fits), given)
        made = lowering.result(name, expression, scope, part.inner.take(word), Hint(), (*base, *fits), given)
        operands = rest


def _field(lowering: Lowering, expression: p.FieldOf, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "field", (expression.base,), {"name": expression.field_name})


def _index(lowering: Lowering, expression: p.IndexOf, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "index", (expression.base, expression.index))


def _binary(lowering: Lowering, expression: p.Binary, scope: Scope, hint: Hint) -> Any:
    operands = (expression.left, expression.right)
    return _made(lowering, expression, scope, hint, "binary", operands, {"operator": expression.operator})


def _unary(lowering: Lowering, expression: p.Unary, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "unary", (expression.operand,), {"operator": expression.operator})


def _convert(lowering: Lowering, expression: p.Convert, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "convert", (expression.value,), {"checked": expression.checked})


def _declassify(lowering: Lowering, expression: p.Declassify, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "declassify", (expression.value,))


def _collect(lowering: Lowering, expression: p.Collect, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "collect", (expression.stream,), output=hint.output)


def _length(lowering: Lowering, expression: p.Length, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "length", (expression.of,))


def _buffered(lowering: Lowering, expression: p.Buffered, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "buffered", (expression.stream,), output=hint.output)


def _turn(lowering: Lowering, expression: p.Turn, scope: Scope, hint: Hint) -> Any:
    return _made(lowering, expression, scope, hint, "turn", (expression.value,), {"stop": expression.stop}, hint.output)


def _made(
    lowering: Lowering,
    expression: p.Expression,
    scope: Scope,
    hint: Hint,
    word: str,
    parts: tuple[p.Expression, ...],
    attributes: Mapping[str, Any] | None = None,
    output: str | None = None,
) -> Any:
    operation_id, part = lowering.named(expression, scope, hint, word)
    operands = tuple(lowering.value(each, part, Hint(output=output)) for each in parts)
    return lowering.result(f"agent.{word}", expression, scope, operation_id, hint, operands, attributes)


FORMS: dict[type[p.Typed], Form] = {
    p.Reference: _reference,
    p.Literal: _literal,
    p.Template: _template,
    p.ListOf: _list,
    p.BuildRecord: _build,
    p.BuildCase: _case,
    p.TableOf: _table,
    p.FieldOf: _field,
    p.IndexOf: _index,
    p.Binary: _binary,
    p.Unary: _unary,
    p.Convert: _convert,
    p.Declassify: _declassify,
    p.Collect: _collect,
    p.Length: _length,
    p.Buffered: _buffered,
    p.Turn: _turn,
}
