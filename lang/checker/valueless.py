"""`if`, `match`, `for` and `interruptible` that stand for what they do: lines whose blocks end with an `emit`.

Such a line has no value, so its blocks need none, and an `if` needs no `else`.
"""

from __future__ import annotations

from .. import program, syntax
from .body import Body
from .branches import check_if


def has_no_value(node: syntax.Expr, last: bool) -> bool:
    """Whether the blocks of a line end without a value. Of choices, one such block tells, except in the `last` line of
    a pipeline: there the others may hold its result, so all must."""
    match node:
        case syntax.For() | syntax.Interruptible():
            return _ends_without(node.body, last)
        case syntax.If():
            blocks: list[syntax.Block] = []
            part: syntax.If | syntax.Block | None = node
            while isinstance(part, syntax.If):
                blocks.append(part.then)
                part = part.otherwise
            blocks += [] if part is None else [part]
            return (all if last else any)(_ends_without(block, last) for block in blocks)
        case syntax.Match():
            found = (isinstance(arm.body, syntax.Block) and _ends_without(arm.body, last) for arm in node.arms)
            return (all if last else any)(found)
        case _:
            return False


def _ends_without(block: syntax.Block, last: bool) -> bool:
    statement = block.statements[-1] if block.statements else None
    if isinstance(statement, syntax.ExprStatement):
        return has_no_value(statement.value, last)
    return isinstance(statement, syntax.Emit)


def check_valueless(body: Body, node: syntax.Expr) -> program.Expression | None:
    """The typed form of a line for which `has_no_value` holds; None where it stands too deep."""
    if not body.deeper():
        return None
    before = body.tail, body.turns
    body.tail, body.turns = False, None
    try:
        match node:
            case syntax.For():
                from .loops import check_for

                return check_for(body, node, None, valueless=True)
            case syntax.If():
                return check_if(body, node, None, valueless=True)
            case syntax.Match():
                from .match import check_match

                return check_match(body, node, None, valueless=True)
            case _:
                from .expressions import check_interruptible

                assert isinstance(node, syntax.Interruptible), f"{node.span}: a line that has a value"
                return check_interruptible(body, node, None, valueless=True)
    finally:
        body.depth -= 1
        body.tail, body.turns = before
