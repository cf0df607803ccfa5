"""What is known before a program runs: constants of the file, defaults, and the arguments of models and resources."""

from __future__ import annotations

from ...base import units
from .. import problems, program, syntax
from ..program import Constant, Expression, Literal
from ..types import FLOAT, TEXT, Type
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
    value = _fold(found)
    if value is None:
        context.report(problems.not_constant(what, found.span))
        return None
    if not finite(value[0]):
        context.report(problems.bad_bound(f"{what} is too large a number", found.span, "use smaller figures"))
        return None
    return Literal(type=found.type, span=found.span, labels=found.labels, value=value[0])


def _fold(node: Expression) -> tuple[Constant] | None:
    """The value in a tuple (a constant may be anything), or None where it is not constant."""
    match node:
        case Literal():
            return (node.value,)
        case program.ListOf():
            items = [_fold(item) for item in node.items]
            known = [item[0] for item in items if item is not None]
            return (tuple(known),) if len(known) == len(items) else None
        case program.Template():
            return None
        case program.Convert() if not node.checked:
            return _converted(node)
        case program.BuildCase() if not node.payload:
            # A case that holds nothing is its name.
            return (node.case,)
        case program.Binary():
            left, right = _fold(node.left), _fold(node.right)
            if left is None or right is None:
                return None
            return _binary(node.operator, left[0], right[0], node.type)
        case _:
            return None


def _converted(node: program.Convert) -> tuple[Constant] | None:
    value = _fold(node.value)
    if value is None or node.type != FLOAT:
        return value
    return (float(value[0]),) if isinstance(value[0], int) else None


def _binary(operator: str, left: Constant, right: Constant, type: Type) -> tuple[Constant] | None:
    """Arithmetic on constants of types that have been checked; other operators wait for the run."""
    if operator == "+" and type == TEXT and isinstance(left, str) and isinstance(right, str):
        return (left + right,)
    a = left.value if isinstance(left, units.Quantity) else left
    b = right.value if isinstance(right, units.Quantity) else right
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        return None
    if operator in ("/", "%") and b == 0:
        return None
    try:
        result = {"+": a + b, "-": a - b, "*": a * b}.get(operator)
        if result is None:
            result = a / b if operator == "/" else a % b if operator == "%" else None
    except OverflowError:
        result = float("inf")
    if result is None:
        return None
    return (_with_dimension(operator, left, right, result),)


def _with_dimension(operator: str, left: Constant, right: Constant, result: float) -> Constant:
    here = left.dimension if isinstance(left, units.Quantity) else units.NUMBER
    there = right.dimension if isinstance(right, units.Quantity) else units.NUMBER
    dimension = here * there if operator == "*" else here / there if operator == "/" else here
    return result if dimension == units.NUMBER else units.Quantity(float(result), dimension)
