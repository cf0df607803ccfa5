"""Numbers and quantities as written, with the ones that no machine can hold refused."""

from __future__ import annotations

import math

from ...base import units
from .. import problems, syntax
from ..program import CaseValue, Constant, RecordValue, TableValue
from .context import Context

# An Int has 64 bits.
_LARGEST = 2**63 - 1


def number(context: Context, node: syntax.Number) -> int | float | None:
    """The number, or None after a report."""
    if not node.text:
        # Made up by the parser, which said so.
        context.broken = True
        return None
    try:
        value = node.value
    except (ValueError, OverflowError):
        value = math.inf
    if (isinstance(value, float) and math.isfinite(value)) or (isinstance(value, int) and value <= _LARGEST):
        return value
    hint = f"an Int ends at {_LARGEST:_}, a Float at 1.8e308"
    context.report(problems.bad_bound("this number is too large", node.span, hint))
    return None


def whole(context: Context, node: syntax.Number, what: str) -> int | None:
    """A whole number; `what` begins the title of the problem if it is none."""
    value = number(context, node)
    if isinstance(value, float):
        context.report(problems.wrong_type(what, "a whole number", "Float", node.span))
        return None
    return value


def quantity(context: Context, node: syntax.Quantity) -> units.Quantity | None:
    """The quantity in base units, or None after a report."""
    if number(context, node.amount) is None:
        return None
    if node.per is not None and node.per.count is not None:
        count = number(context, node.per.count)
        if count is None:
            return None
        if count == 0:
            hint = "write how many it is for, as in `per 1000 runs`"
            context.report(problems.bad_bound("a quantity per nothing has no value", node.span, hint))
            return None
    value = node.value
    if math.isfinite(value.value):
        return value
    context.report(problems.bad_bound("this quantity is too large", node.span, "it ends at 1.8e308 base units"))
    return None


def finite(value: Constant) -> bool:
    """Whether a constant is one that a machine can hold."""
    match value:
        case tuple():
            return all(finite(part) for part in value)
        case RecordValue():
            return all(finite(part) for _, part in value.fields)
        case CaseValue():
            return all(finite(part) for _, part in value.payload)
        case TableValue():
            return all(finite(part) for _, part in value.entries)
        case _:
            pass
    if isinstance(value, units.Quantity):
        return math.isfinite(value.value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= _LARGEST
