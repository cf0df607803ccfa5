"""Values of which one is taken, and which therefore have one type: the branches of `if`, `match`, `race`, `otherwise`,
and the items of a list."""

from __future__ import annotations

from collections.abc import Sequence

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..types import NONE, Type
from .body import Body, Role, nothing
from .conversions import common, convert, is_open, is_unknown
from .symbols import UNKNOWN


def agree(
    body: Body, found: Sequence[program.Expression], expected: Type | None, what: str, first: str
) -> tuple[Type, list[program.Expression]]:
    """The one type of all, and each as a value of it; one that does not go with the others is reported.

    `what` begins the title of that problem, `first` names the one that decided: "the first branch".
    """
    known = [value for value in found if not is_unknown(value.type)]
    if not known:
        return UNKNOWN, list(found)
    wanted = None if expected is None or is_unknown(expected) or is_open(expected) else expected
    related = () if wanted is None else body.why(wanted)
    if wanted is None or all(convert(value, wanted) is None for value in known):
        wanted = common([value.type for value in known])
        related = (Related(known[0].span, f"{first} gives {known[0].type}"),)
    fitted = [value if is_open(wanted) else body.fit(value, wanted, what, related) for value in found]
    return wanted, fitted


def check_if(body: Body, node: syntax.If, expected: Type | None, *, valueless: bool = False) -> program.Expression:
    """All branches of a chain of `if … else if … else` give values of one type; `valueless`: none gives one."""
    role = Role("this branch of `if`", needs_value=not valueless, may_return=body.tail, turns=body.turns)
    conditions: list[tuple[program.Expression, Span]] = []
    branches: list[program.Block] = []
    part: syntax.If | syntax.Block | None = node
    guide = expected
    while part is not None:
        written = part.then if isinstance(part, syntax.If) else part
        if isinstance(part, syntax.If):
            conditions.append((body.condition(part.condition, "the condition of `if`"), part.span))
        block = body.block(written, guide, role)
        branches.append(block)
        guide = guide or guide_of(block.result)
        part = part.otherwise if isinstance(part, syntax.If) else None
    if len(branches) == len(conditions) and valueless:
        branches.append(program.Block((), None, node.span))
    if len(branches) == len(conditions):
        body.context.report(problems.if_without_else(node.span))
        return nothing(node.span)
    type: Type = NONE
    if not valueless:
        type, branches = agree_blocks(body, branches, expected, "the value of every branch of this `if`")
    rest = branches.pop()
    for (condition, span), then in reversed(list(zip(conditions, branches, strict=True))):
        labels = labels_of_block(then) | labels_of_block(rest)
        chosen = program.If(type=type, span=span, labels=labels, condition=condition, then=then, otherwise=rest)
        rest = program.Block((), chosen, span)
    return rest.result or nothing(node.span)


def guide_of(result: program.Expression | None) -> Type | None:
    """What the first branch tells those after it of their literals."""
    if result is None or is_unknown(result.type) or is_open(result.type):
        return None
    return result.type


def agree_blocks(
    body: Body, blocks: list[program.Block], expected: Type | None, what: str
) -> tuple[Type, list[program.Block]]:
    """The one type of the values of blocks, and the blocks with their values of it."""
    results = [block.result or nothing(block.span) for block in blocks]
    type, fitted = agree(body, results, expected, what, "the first branch")
    return type, [program.Block(b.statements, value, b.span) for b, value in zip(blocks, fitted, strict=True)]


def labels_of_block(block: program.Block) -> Labels:
    return NO_LABELS if block.result is None else block.result.labels
