"""Test blocks, and what a call answers in them (`given`)."""

from __future__ import annotations

from ...base.source import Span
from .. import problems, program, syntax
from .blocks import check_block
from .body import Body, Role
from .context import Context
from .expressions import check_expression
from .facts import Named
from .givens import check_givens
from .unused import report_unused_locals


def check_tests(context: Context, nodes: list[syntax.TestDecl]) -> tuple[program.Test, ...]:
    tests: list[program.Test] = []
    first: dict[str, Span] = {}
    for node in nodes:
        title = node.title.literal or ""
        # What a test computes is named by its title with other characters as `_`, so titles differ in more than those.
        plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in title)
        if plain in first:
            hint = "give one of the two another title, with other letters"
            context.report(problems.bound_twice(title, node.title.span, first[plain], "the title of a test", hint))
        first.setdefault(plain, node.title.span)
        context.note(node.title.span, Named("test", title, node.title.span))
        body = Body(context, check_expression, check_block, node.body, in_test=True)
        givens, rest = check_givens(body, node.body)
        block = check_block(body, rest, None, Role(f"test {title!r}", needs_value=False))
        if not any(isinstance(statement, syntax.Expect) for statement in node.body.statements):
            context.report(problems.test_expects_nothing(title, node.title.span))
        report_unused_locals(context, body)
        tests.append(program.Test(title, block, node.title.span, givens))
    return tuple(tests)
