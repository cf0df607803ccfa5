"""Parameters of what can be called, and fields of records and cases."""

from __future__ import annotations

from ...base.frozen import field, frozen
from ...base.source import Span
from .expressions import Expr
from .names import Ident
from .types import TypeExpr


@frozen
class Parameter:
    """`name: Text = "world"`"""

    name: Ident
    type: TypeExpr
    default: Expr | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class FieldDecl:
    """`sure: Float = 0.0`"""

    name: Ident
    type: TypeExpr
    default: Expr | None
    span: Span = field(compare=False, kw_only=True)
