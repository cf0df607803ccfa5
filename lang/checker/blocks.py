"""Blocks: statements in order, then the value of the last line."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..types import BOOL, Type
from .body import Body, Role, is_unknown, nothing
from .symbols import UNKNOWN

_NO_VALUE = "a block's value is its last line"


def check_block(body: Body, node: syntax.Block, expected: Type | None, role: Role) -> program.Block:
    """The typed block. A block that needs a value and has none is reported and gets an unknown one."""
    with body.scope():
        statements: list[program.Statement] = []
        result: program.Expression | None = None
        last = len(node.statements) - 1
        ended: Span | None = None
        for position, statement in enumerate(node.statements):
            if ended is not None:
                rest = statement.span.to(node.statements[-1].span)
                body.context.report(problems.unreachable(rest, ended))
                body.use_all(syntax.Block(node.statements[position:], span=node.span))
                break
            match statement:
                case syntax.Bind():
                    statements.append(_bind(body, statement))
                case syntax.ExprStatement() if position == last and role.needs_value:
                    result = body.plain(body.value(statement.value, expected, tail=role.may_return))
                case syntax.ExprStatement():
                    statements.append(_evaluate(body, statement))
                case syntax.Return():
                    result = _return(body, statement, expected, role)
                    ended = statement.span
                case syntax.Expect():
                    statements += _expect(body, statement)
                case syntax.Emit():
                    body.context.refuse("emit", statement.span)
                    body.value(statement.value)
                    # An emitting pipeline needs no last value; nothing is known of it until `emit` is checked.
                    result = result or nothing(statement.span)
                case syntax.Stop() | syntax.Next():
                    word = "stop" if isinstance(statement, syntax.Stop) else "next"
                    hint = "write `return`, or let the last line be the value"
                    body.context.report(problems.misplaced(word, "inside a `repeat`", statement.span, hint))
                    body.value(statement.value)
                    result = nothing(statement.span)
        if result is None and role.needs_value:
            _no_value(body, node, expected, role)
            result = nothing(node.span)
        return program.Block(tuple(statements), result, node.span)


def check_if(body: Body, node: syntax.If, expected: Type | None) -> program.Expression:
    """All branches of a chain of `if … else if … else` give values of one type, which the first one decides."""
    role = Role("this branch of `if`", may_return=body.tail)
    conditions: list[tuple[program.Expression, Span]] = []
    branches: list[program.Block] = []
    decided = expected
    because: tuple[Related, ...] = ()
    type: Type = UNKNOWN
    part: syntax.If | syntax.Block | None = node
    while part is not None:
        written = part.then if isinstance(part, syntax.If) else part
        if isinstance(part, syntax.If):
            conditions.append((body.condition(part.condition, "the condition of `if`"), part.span))
        block = body.block(written, decided, role)
        result = block.result or nothing(written.span)
        if is_unknown(type):
            type = result.type
            decided = decided if decided is not None or is_unknown(type) else type
            because = (Related(result.span, f"the first branch gives {type}"),)
        else:
            result = body.fit(result, type, "the value of every branch of this `if`", because)
        branches.append(program.Block(block.statements, result, block.span))
        part = part.otherwise if isinstance(part, syntax.If) else None
    if len(branches) == len(conditions):
        body.context.report(problems.if_without_else(node.span))
        return nothing(node.span)
    rest = branches.pop()
    for (condition, span), then in reversed(list(zip(conditions, branches, strict=True))):
        labels = _labels(then) | _labels(rest)
        chosen = program.If(type=type, span=span, labels=labels, condition=condition, then=then, otherwise=rest)
        rest = program.Block((), chosen, span)
    return rest.result or nothing(node.span)


def _labels(block: program.Block) -> Labels:
    return NO_LABELS if block.result is None else block.result.labels


def _bind(body: Body, statement: syntax.Bind) -> program.Bind:
    value = body.plain(body.value(statement.value))
    body.bind(statement.name, "binding", value.type, value.labels, value)
    return program.Bind(statement.name.text, value, statement.span)


def _evaluate(body: Body, statement: syntax.ExprStatement) -> program.Evaluate:
    value = body.plain(body.value(statement.value))
    if not is_unknown(value.type):
        body.context.report(problems.unused_value(statement.span, value.type))
    return program.Evaluate(value, statement.span)


def _return(body: Body, statement: syntax.Return, expected: Type | None, role: Role) -> program.Expression:
    if not role.may_return:
        where = "at the end of a pipeline" if not body.in_test else "in a pipeline, and this is a test"
        keyword = Span(
            *(statement.span.path, statement.span.start, statement.value.span.start),
            *(statement.span.line, statement.span.column, statement.value.span.line, statement.value.span.column),
        )
        fix = Fix("leave `return` out", (Edit(keyword, ""),))
        hint = "write `expect …` here" if body.in_test else "leave `return` out: the last line is the block's value"
        body.context.report(problems.misplaced("return", where, statement.span, hint, None if body.in_test else fix))
    return body.plain(body.value(statement.value, expected, tail=role.may_return))


def _expect(body: Body, statement: syntax.Expect) -> list[program.Statement]:
    if not body.in_test:
        hint = 'write `test "what must hold" { expect … }` at the top of the file'
        body.context.report(problems.misplaced("expect", "inside a test", statement.span, hint))
    condition = body.expect(statement.condition, BOOL, "what a test expects")
    return [program.Expect(condition, statement.span)]


def _no_value(body: Body, node: syntax.Block, expected: Type | None, role: Role) -> None:
    last = node.statements[-1] if node.statements else None
    fix: Fix | None = None
    if isinstance(last, syntax.Bind):
        # The bound value is most often what was meant.
        end = last.span
        place = Span(end.path, end.end, end.end, end.end_line, end.end_column, end.end_line, end.end_column)
        line = f"return {last.name.text}" if role.may_return else last.name.text
        fix = Fix(f"add `{line}`", (Edit(place, f"\n{' ' * (last.span.column - 1)}{line}"),))
        if local := body.locals.get(last.name.text):
            local.used = True
    span = last.span if last is not None else node.span
    body.context.report(problems.missing_return(role.what, expected, span, fix))
