"""The expressions inside an expression or a block, in the order in which they stand in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .expressions import (
    Argument,
    Binary,
    Block,
    Buffered,
    BuildCase,
    BuildRecord,
    Collect,
    Convert,
    Declassify,
    Expect,
    Expression,
    FieldOf,
    HandleReference,
    If,
    IndexOf,
    Interruptible,
    Into,
    Length,
    ListOf,
    Literal,
    MapOver,
    Match,
    Otherwise,
    PipelineCall,
    Race,
    Reference,
    Repeat,
    StageCall,
    TableOf,
    Template,
    Turn,
    Unary,
    With,
)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The direct sub-expressions, in order, those of blocks included."""
    return _PARTS[expression.__class__](expression)


def block_expressions(block: Block) -> tuple[Expression, ...]:
    """The expressions that stand directly in a block, in order."""
    values = (s.condition if isinstance(s, Expect) else s.value for s in block.statements)
    return (*values, block.result) if block.result is not None else tuple(values)


def walk(block: Block) -> Iterator[Expression]:
    """Every expression in a block, parents before children."""
    stack = [*block_expressions(block)][::-1]
    while stack:
        expression = stack.pop()
        yield expression
        stack += children(expression)[::-1]


def _values(arguments: tuple[Argument, ...]) -> tuple[Expression, ...]:
    return tuple([argument.value for argument in arguments])


def _nothing(_: Expression) -> tuple[Expression, ...]:
    return ()


# By class, since whoever looks at a whole program asks this of every expression several times; most have no parts.
_PARTS: Mapping[type, Callable[[Any], tuple[Expression, ...]]] = {
    Literal: _nothing,
    Template: lambda e: tuple([part for part in e.parts if not isinstance(part, str)]),
    Reference: _nothing,
    HandleReference: _nothing,
    StageCall: lambda e: _values(e.arguments),
    PipelineCall: lambda e: _values(e.arguments),
    BuildRecord: lambda e: _values(e.fields),
    FieldOf: lambda e: (e.base,),
    ListOf: lambda e: e.items,
    MapOver: lambda e: (e.over, *((e.where,) if e.where is not None else ()), *block_expressions(e.body)),
    If: lambda e: (e.condition, *block_expressions(e.then), *block_expressions(e.otherwise)),
    Binary: lambda e: (e.left, e.right),
    Unary: lambda e: (e.operand,),
    Collect: lambda e: (e.stream,),
    Length: lambda e: (e.of,),
    TableOf: lambda e: _values(e.entries),
    IndexOf: lambda e: (e.base, e.index),
    BuildCase: lambda e: _values(e.payload),
    Convert: lambda e: (e.value,),
    Declassify: lambda e: (e.value,),
    Buffered: lambda e: (e.stream,),
    Into: lambda e: (e.call,),
    Match: lambda e: (e.subject, *[part for arm in e.arms for part in block_expressions(arm.body)]),
    Repeat: lambda e: (e.initial, *block_expressions(e.body)),
    Turn: lambda e: (e.value,),
    Race: lambda e: e.branches,
    Otherwise: lambda e: (e.value, e.fallback),
    Interruptible: lambda e: block_expressions(e.body),
    With: lambda e: (e.call,) if e.policies.approve is None else (e.call, e.policies.approve),
}
