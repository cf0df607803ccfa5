"""Statements and blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ...base.source import Span
from .expressions import Expr
from .names import Ident


@dataclass(frozen=True, slots=True)
class Bind:
    """`name = value`"""

    name: Ident
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Emit:
    """`emit items`: sends them out now."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Return:
    value: Expr
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Stop:
    """`stop value when condition`: ends a `repeat`."""

    value: Expr
    condition: Expr | None
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Next:
    """`next value`: the state of a `repeat` in its next turn."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Expect:
    """`expect condition`, in a test."""

    condition: Expr
    span: Span = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ExprStatement:
    """An expression on a line of its own; as the last line it is the block's value."""

    value: Expr
    span: Span = field(compare=False, kw_only=True)


Statement: TypeAlias = Bind | Emit | Return | Stop | Next | Expect | ExprStatement


@dataclass(frozen=True, slots=True)
class Block:
    """`{ … }`, braces included in the span. Never empty where the source is sound."""

    statements: tuple[Statement, ...]
    span: Span = field(compare=False, kw_only=True)
