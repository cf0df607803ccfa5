"""Statements and blocks."""

from __future__ import annotations

from typing import TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .expressions import Argument, Expr
from .names import Ident, Path


@frozen
class Bind:
    """`name = value`"""

    name: Ident
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Emit:
    """`emit items`: sends them out now."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Return:
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Stop:
    """`stop value when condition`: ends a `repeat`."""

    value: Expr
    condition: Expr | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Next:
    """`next value`: the state of a `repeat` in its next turn."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Given:
    """`given order(1) = answer`, in a test: what a call answers there instead of running.

    `arguments` is None where the line names no arguments, and so answers every call; `()` answers calls without any.
    """

    target: Path
    arguments: tuple[Argument, ...] | None
    answer: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class Expect:
    """`expect condition`, in a test."""

    condition: Expr
    span: Span = field(compare=False, kw_only=True)


@frozen
class ExprStatement:
    """An expression on a line of its own; as the last line it is the block's value."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


Statement: TypeAlias = Bind | Emit | Return | Stop | Next | Given | Expect | ExprStatement


@frozen
class Block:
    """`{ … }`, braces included in the span. Never empty where the source is sound."""

    statements: tuple[Statement, ...]
    span: Span = field(compare=False, kw_only=True)
