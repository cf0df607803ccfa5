"""Expressions: literals, templates, operators, calls and the forms that hold blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ...base import units
from ...base.frozen import field, frozen
from ...base.source import Span
from .names import Ident, Path, Symbol
from .types import TypeExpr

if TYPE_CHECKING:
    from .policies import Policy
    from .statements import Block


@frozen
class Number:
    """A number as it was written (`1_000`, `0.5`, `1e-3`), never negative: a sign is an operator."""

    text: str
    span: Span = field(compare=False, kw_only=True)

    @property
    def value(self) -> int | float:
        """An int unless a point or an exponent was written."""
        return float(self.text) if set(self.text) & set(".eE") else int(self.text)


@frozen
class Per:
    """The lower half of a rate: `per s`, `per 1000 runs`."""

    count: Number | None
    unit: str
    span: Span = field(compare=False, kw_only=True)


@frozen
class Quantity:
    """A number with its unit: `250 ms`, `$0.40`, `10 %`, `4 per s` (no unit), `$0.50 per 1000 runs` (unit `$`)."""

    amount: Number
    unit: str | None
    per: Per | None
    span: Span = field(compare=False, kw_only=True)

    @property
    def value(self) -> units.Quantity:
        """In base units, with its dimension."""
        amount = float(self.amount.value)
        top = units.quantity(amount, self.unit) if self.unit else units.Quantity(amount, units.NUMBER)
        if self.per is None:
            return top
        return top / units.quantity(float(self.per.count.value) if self.per.count else 1.0, self.per.unit)


@frozen
class Bool:
    value: bool
    span: Span = field(compare=False, kw_only=True)


@frozen
class TextPart:
    """Literal text of a template, with escapes and doubled braces already read and indentation removed; not empty."""

    text: str
    span: Span = field(compare=False, kw_only=True)


@frozen
class Hole:
    """`{expr}` in a template."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Template:
    """A text, with or without holes. No two literal parts stand side by side.

    `multiline` says whether three quotes were written; that is layout, so it takes no part in equality.
    """

    parts: tuple[TextPart | Hole, ...]
    multiline: bool = field(default=False, compare=False)
    span: Span = field(compare=False, kw_only=True)

    @property
    def literal(self) -> str | None:
        """The text, if it has no holes."""
        if any(isinstance(part, Hole) for part in self.parts):
            return None
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@frozen
class Name:
    """A use of a name."""

    text: str
    span: Span = field(compare=False, kw_only=True)


@frozen
class Access:
    """`target.name`: a field, a method, or a member of an imported module."""

    target: Expr
    name: Ident
    span: Span = field(compare=False, kw_only=True)


@frozen
class Index:
    """`target[index]`"""

    target: Expr
    index: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Argument:
    """One argument of a call; positional if it has no name. Positional ones come first."""

    name: Ident | None
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Call:
    """`function(a, b, name: c)`; building a record is a call too."""

    function: Expr
    arguments: tuple[Argument, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class ListLiteral:
    items: tuple[Expr, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class MapEntry:
    key: Template
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class MapLiteral:
    entries: tuple[MapEntry, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class Unary:
    """`-` or `not`"""

    operator: Symbol
    operand: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Binary:
    """`+ - * / %`, `== != < <= > >= contains`, `and`, `or`"""

    left: Expr
    operator: Symbol
    right: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Pipe:
    """`value |> f(x)`, which means `f(value, x)`."""

    value: Expr
    call: Call
    span: Span = field(compare=False, kw_only=True)


@frozen
class As:
    """`value as T`: a checked conversion."""

    value: Expr
    type: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Into:
    """`call into T`: structured output of a chat call."""

    value: Expr
    type: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class If:
    condition: Expr
    then: Block
    otherwise: Block | If | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Wildcard:
    """`_`, as an arm or inside a case."""

    span: Span = field(compare=False, kw_only=True)


@frozen
class CasePattern:
    """`Refund(order)`, `Question`, `none`, `some(x)`; the names inside the brackets are bound by position."""

    case: Path
    binders: tuple[Ident | Wildcard, ...]
    span: Span = field(compare=False, kw_only=True)


Pattern: TypeAlias = CasePattern | Wildcard


@frozen
class Arm:
    pattern: Pattern
    body: Expr | Block
    span: Span = field(compare=False, kw_only=True)


@frozen
class Match:
    subject: Expr
    arms: tuple[Arm, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class For:
    """`for variable in source where condition, at most N at once { body }`"""

    variable: Ident
    source: Expr
    condition: Expr | None
    at_once: Number | Name | None
    body: Block
    span: Span = field(compare=False, kw_only=True)


@frozen
class Repeat:
    """`repeat state = initial, at most N times { body }`"""

    state: Ident
    initial: Expr
    times: Number | Name
    body: Block
    span: Span = field(compare=False, kw_only=True)


@frozen
class Race:
    """`race { a, b }`: the first good answer wins."""

    branches: tuple[Expr, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class Interruptible:
    """`interruptible { … }`: what a newer input of the session cancels."""

    body: Block
    span: Span = field(compare=False, kw_only=True)


@frozen
class Otherwise:
    """`value otherwise fallback`; without reasons it catches every failure."""

    value: Expr
    reasons: tuple[Ident, ...]
    fallback: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class With:
    """`call with timeout 2 s, retry 1`"""

    value: Expr
    policies: tuple[Policy, ...]
    span: Span = field(compare=False, kw_only=True)


Expr: TypeAlias = (
    Number
    | Quantity
    | Bool
    | Template
    | Name
    | Access
    | Index
    | Call
    | ListLiteral
    | MapLiteral
    | Unary
    | Binary
    | Pipe
    | As
    | Into
    | If
    | Match
    | For
    | Repeat
    | Race
    | Interruptible
    | Otherwise
    | With
)
