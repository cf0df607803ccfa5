"""What is known before a program runs: constants of the file, defaults, and the arguments of models and resources."""

from __future__ import annotations

from .. import problems, syntax
from ..program import Expression, ListOf, Literal
from ..types import Type
from .blocks import check_block
from .body import Body
from .context import Context
from .conversions import is_unknown
from .expressions import check_expression
from .figures import finite
from .symbols import ConstantSymbol


def outside(context: Context) -> Body:
    """For an expression that stands in no pipeline: it sees the names of the file alone."""
    return Body(context, check_expression, check_block)


def constant(context: Context, symbol: ConstantSymbol) -> Literal | None:
    """The value of a `let`, or None where it has none (reported once)."""
    if symbol.busy:
        hint = "write one of the constants of this circle out"
        context.report(problems.recursion(f"constant `{symbol.name}` is made from itself", symbol.span, hint))
        return None
    if not symbol.done:
        symbol.busy = True
        body = outside(context)
        found = body.plain(body.settled(body.value(symbol.declaration.value), f"constant `{symbol.name}`"))
        symbol.literal = fold(context, found, f"constant `{symbol.name}`")
        symbol.busy = False
        symbol.done = True
    return symbol.literal


def constant_value(context: Context, node: syntax.Expr, expected: Type, what: str) -> Literal | None:
    """A default: it must fit and be known before the program runs. None after a report."""
    body = outside(context)
    return fold(context, body.expect(node, expected, what), what)


def fold(context: Context, found: Expression, what: str) -> Literal | None:
    """The literal that an expression of literals is, or None after a report (silent where it is unknown)."""
    if is_unknown(found.type):
        return None
    if isinstance(found, Literal):
        value = found.value
    elif isinstance(found, ListOf) and not found.items:
        value = ()
    else:
        # Most defaults are like those above, so the others load what they need.
        from .folding import NoConstant, NoValue, value_of

        try:
            value = value_of(found)
        except NoConstant as error:
            context.report(problems.not_constant(what, error.span))
            return None
        except NoValue as error:
            context.report(problems.bad_bound(error.title, error.span, error.hint))
            return None
    if not finite(value):
        context.report(problems.bad_bound(f"{what} is too large a number", found.span, "use smaller figures"))
        return None
    return Literal(type=found.type, span=found.span, labels=found.labels, value=value)
