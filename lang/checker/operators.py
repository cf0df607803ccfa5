"""Operators and the types they take: numbers, quantities with their dimensions, texts, lists and truth values."""

from __future__ import annotations

from ...base import units
from .. import problems, program, syntax
from ..types import (
    BOOL,
    FLOAT,
    INT,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    StreamType,
    TensorType,
    Type,
    dimension_of,
    quantity_type,
)
from .body import Body, nothing
from .conversions import convert, fits, is_unknown, join
from .symbols import UNKNOWN

_ARITHMETIC = ("+", "-", "*", "/", "%")
_ORDER = ("<", "<=", ">", ">=")
_EQUALITY = ("==", "!=")


def check_binary(body: Body, node: syntax.Binary, expected: Type | None) -> program.Expression:
    operator = node.operator.text
    what = f"each side of `{operator}`"
    # A literal takes the type that is expected of the result only where both sides have it.
    hint = expected if operator in ("+", "-", "*") else None
    left = body.settled(body.value(node.left, hint, open=True), what)
    right = body.settled(body.value(node.right, hint or _guide(operator, left.type), open=True), what)
    if is_unknown(left.type) or is_unknown(right.type):
        return nothing(node.span, _of_unknown(operator, left.type, right.type))
    left, right = _alike(operator, left, right)
    left, right = body.decided(left), body.decided(right)
    labels = left.labels | right.labels
    if is_unknown(left.type) or is_unknown(right.type):
        return nothing(node.span, BOOL if operator not in _ARITHMETIC else UNKNOWN)
    type = _result(body, node, left, right)
    if type is None:
        return nothing(node.span, BOOL if operator not in _ARITHMETIC else UNKNOWN)
    return program.Binary(type=type, span=node.span, labels=labels, operator=operator, left=left, right=right)


def _of_unknown(operator: str, left: Type, right: Type) -> Type:
    """What is known of the result where a side is not: what is joined to a list or text is one too."""
    if operator not in _ARITHMETIC:
        return BOOL
    known = (type for type in (left, right) if not is_unknown(type) and (type == TEXT or isinstance(type, ListType)))
    return next(known, UNKNOWN) if operator == "+" else UNKNOWN


def check_unary(body: Body, node: syntax.Unary, expected: Type | None) -> program.Expression:
    operator = node.operator.text
    what = f"what `{operator}` stands before"
    if operator == "not":
        found = body.expect(node.operand, BOOL, what)
        return program.Unary(type=BOOL, span=node.span, labels=found.labels, operator=operator, operand=found)
    found = body.settled(body.value(node.operand, expected), what)
    if is_unknown(found.type):
        return nothing(node.span)
    if dimension_of(found.type) is None:
        body.context.report(
            problems.wrong_type(what, "a number or a quantity", str(found.type), found.span, body.origin(found))
        )
        return nothing(node.span)
    if isinstance(found, program.Literal):
        return program.Literal(type=found.type, span=node.span, value=negative(found.value))
    return program.Unary(type=found.type, span=node.span, labels=found.labels, operator=operator, operand=found)


def negative(value: program.Constant) -> program.Constant:
    if isinstance(value, units.Quantity):
        return units.Quantity(-value.value, value.dimension)
    return -value if isinstance(value, int | float) else value


def _guide(operator: str, left: Type) -> Type | None:
    """So that `xs + []`, `intent == Refund` and `kinds contains Refund` know what the right side is of."""
    if operator == "contains":
        return left.element if isinstance(left, ListType) else None
    return left if isinstance(left, ListType | MapType | OptionType | EnumType) else None


def _alike(
    operator: str, left: program.Expression, right: program.Expression
) -> tuple[program.Expression, program.Expression]:
    """Both sides as one type where one can be made of them: a literal Int beside a Float, a value beside an optional
    one, `none` and `[]` beside what decides them. Numbers that are no literals keep their types."""
    both = join(left.type, right.type)
    if both is None or (isinstance(both, OptionType) and operator not in _EQUALITY):
        return left, right
    return _as(left, both), _as(right, both)


def _as(found: program.Expression, type: Type) -> program.Expression:
    if type == FLOAT and not isinstance(found, program.Literal):
        return found
    return convert(found, type) or found


def _result(body: Body, node: syntax.Binary, left: program.Expression, right: program.Expression) -> Type | None:
    """The type of the result, or None after a report."""
    operator = node.operator.text
    if operator in ("and", "or"):
        what = f"each side of `{operator}`"
        body.fit(left, BOOL, what)
        body.fit(right, BOOL, what)
        return BOOL
    if operator == "contains":
        return _contains(body, left, right)
    if operator in _EQUALITY:
        return _equality(body, node, left, right)
    if operator == "+" and (left.type == TEXT or isinstance(left.type, ListType)) and fits(right.type, left.type):
        return left.type
    here, there = dimension_of(left.type), dimension_of(right.type)
    if operator in _ORDER and left.type == TEXT and right.type == TEXT:
        return BOOL
    if here is None or there is None:
        _complain(body, node, left, right)
        return None
    return _measure(body, node, left, right, here, there)


def _contains(body: Body, left: program.Expression, right: program.Expression) -> Type:
    if isinstance(left.type, ListType):
        body.fit(right, left.type.element, "what the list is asked for")
    elif left.type == TEXT:
        body.fit(right, TEXT, "what the text is asked for")
    else:
        body.context.report(
            problems.wrong_type(
                "what stands before `contains`", "a Text or a list", str(left.type), left.span, body.origin(left)
            )
        )
    return BOOL


def _equality(body: Body, node: syntax.Binary, left: program.Expression, right: program.Expression) -> Type | None:
    if left.type == right.type and not _never_equal(left.type):
        return BOOL
    here, there = dimension_of(left.type), dimension_of(right.type)
    if here is not None and there is not None:
        return _measure(body, node, left, right, here, there)
    if _never_equal(left.type) and left.type == right.type:
        what = f"each side of `{node.operator.text}`"
        body.context.report(problems.wrong_type(what, "something that can be compared", str(left.type), node.span))
    else:
        _differ(body, node, left, right)
    return None


def _never_equal(type: Type) -> bool:
    """Handles and streams are no values; sound and tensors are opaque, and a secret must not be guessed."""
    while isinstance(type, ListType | MapType | OptionType):
        type = type.element
    return isinstance(type, HandleType | StreamType | TensorType) or str(type) in ("Audio", "Secret")


def _measure(
    body: Body,
    node: syntax.Binary,
    left: program.Expression,
    right: program.Expression,
    here: units.Dimension,
    there: units.Dimension,
) -> Type | None:
    """Numbers and quantities: the dimension of the result decides."""
    operator = node.operator.text
    if here == units.NUMBER and there == units.NUMBER:
        if operator in _ORDER or operator in _EQUALITY:
            return BOOL
        both = left.type == INT and right.type == INT
        return INT if both and operator != "/" else FLOAT
    if operator in ("*", "/"):
        dimension = here * there if operator == "*" else here / there
        type = quantity_type(dimension)
        if type is None:
            title = f"{left.type} `{operator}` {right.type} gives {_spelt(dimension)}, which no type stands for"
            body.context.report(
                problems.unit_mismatch(title, node.operator.span, "check the units of both sides", body.origin(left))
            )
        return type
    if here != there:
        title = f"{left.type} and {right.type} do not go together with `{operator}`"
        unit = "write the number with its unit, as in `250 ms`" if units.NUMBER in (here, there) else "use one unit"
        body.context.report(
            problems.unit_mismatch(title, node.operator.span, unit, (*body.origin(left), *body.origin(right)))
        )
        return None
    return left.type if operator in _ARITHMETIC else BOOL


def _spelt(dimension: units.Dimension) -> str:
    """A dimension that has no name, by its parts: `size × time`, `money / tokens`."""
    names = ("time", "size", "money", "tokens", "energy", "count")
    powers = list(zip(names, dimension.exponents, strict=True))
    above = [name if power == 1 else f"{name}^{power}" for name, power in powers if power > 0]
    below = [name if power == -1 else f"{name}^{-power}" for name, power in powers if power < 0]
    return " / ".join([" × ".join(above) or "1", *below])


def _differ(body: Body, node: syntax.Binary, left: program.Expression, right: program.Expression) -> None:
    related = (*body.origin(left), *body.origin(right))
    what = f"the right side of `{node.operator.text}`"
    body.context.report(problems.wrong_type(what, str(left.type), str(right.type), right.span, related))


def _complain(body: Body, node: syntax.Binary, left: program.Expression, right: program.Expression) -> None:
    """No rule takes these two: blame the side that is no number, or the right one where both could be."""
    operator = node.operator.text
    related = (*body.origin(left), *body.origin(right))
    joins = operator == "+" and (left.type == TEXT or isinstance(left.type, ListType))
    if joins:
        hint = 'put both into one text: `"{…}{…}"`' if body.has_text(right.type) else None
        if isinstance(left.type, ListType):
            hint = "put it into a list: `+ […]`" if left.type.element == right.type else None
        what = "the right side of this `+`"
        body.context.report(problems.wrong_type(what, str(left.type), str(right.type), right.span, related, hint))
        return
    culprit = left if dimension_of(left.type) is None else right
    wanted = "a number or a quantity" if operator != "+" else "a number, a quantity, a Text or a list"
    if operator in _ORDER:
        wanted = "a number, a quantity or a Text"
    hint = None
    if isinstance(culprit.type, OptionType):
        hint = "take the value out first: `match … { some(x) => …, none => … }`"
    if operator == "+" and right.type == TEXT and body.has_text(left.type):
        hint, wanted, culprit = 'put both into one text: `"{…}{…}"`', "Text", left
    elif operator in _ORDER and left.type == TEXT:
        culprit, wanted = right, "Text"
    elif operator in _ORDER and culprit is right and right.type == TEXT:
        wanted = "a number or a quantity"
    side = "left" if culprit is left else "right"
    what = f"the {side} side of `{operator}`"
    body.context.report(problems.wrong_type(what, wanted, str(culprit.type), culprit.span, related, hint))
