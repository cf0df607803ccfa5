"""Declarations and the file that holds them. A `##` block above a declaration is its `doc`."""

from __future__ import annotations

from typing import TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .agents import AgentDecl
from .expressions import Expr, Quantity, Template
from .goals import FleetDecl, GoalDecl
from .names import Doc, Ident, Path
from .parameters import FieldDecl, Parameter
from .statements import Block
from .types import TypeExpr


@frozen
class UseDecl:
    """`use std/llm`, `use ./shop as shop`, `use std/search: index, reranker` (`names`, empty if not given)."""

    module: Ident
    alias: Ident | None
    names: tuple[Ident, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class RecordDecl:
    """`type Answer { text: Text, sure: Float = 0.0 }`"""

    name: Ident
    fields: tuple[FieldDecl, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class CaseDecl:
    """One case of an enum: `Refund(order: Int)`, `Question`."""

    name: Ident
    fields: tuple[FieldDecl, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class EnumDecl:
    name: Ident
    cases: tuple[CaseDecl, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class HandleDecl:
    """`type Model`: an opaque handle of a library, whose methods are stages named `Model.chat`."""

    name: Ident
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class LetDecl:
    name: Ident
    value: Expr
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class ModelDecl:
    name: Ident
    value: Expr
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class ResourceDecl:
    name: Ident
    value: Expr
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class MemoryDecl:
    name: Ident
    value: Expr
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class ServerDecl:
    name: Ident
    value: Expr
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Effect:
    """`network`, `reads "orders"`, `spends $0.10`"""

    kind: Ident
    value: Template | Quantity | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class ToolDecl:
    """`tool refund(id: Int) -> Receipt = python("shop:refund") effects [writes "payments"] idempotent by id`"""

    name: Ident
    parameters: tuple[Parameter, ...]
    result: TypeExpr
    implementation: Expr
    effects: tuple[Effect, ...]
    idempotent_by: Ident | None
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Need:
    """`cpu 2 ms`, `memory 10 MiB`"""

    kind: Ident
    amount: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class StageDecl:
    """`stage clean(raw: Text) -> Text = python("shop:clean") needs [cpu 2 ms]`; `Model.chat` names a method."""

    name: Path
    parameters: tuple[Parameter, ...]
    result: TypeExpr
    implementation: Expr
    needs: tuple[Need, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class PipelineDecl:
    name: Ident
    parameters: tuple[Parameter, ...]
    result: TypeExpr
    body: Block
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class TestDecl:
    """`test "window" { expect … }`; the title has no holes."""

    title: Template
    body: Block
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)

    # Keeps pytest from collecting the class by its name.
    __test__ = False


Declaration: TypeAlias = (
    UseDecl
    | RecordDecl
    | EnumDecl
    | HandleDecl
    | LetDecl
    | ModelDecl
    | ResourceDecl
    | MemoryDecl
    | ServerDecl
    | ToolDecl
    | StageDecl
    | PipelineDecl
    | AgentDecl
    | GoalDecl
    | FleetDecl
    | TestDecl
)


@frozen
class File:
    """One source file. `doc` is the `##` block that opens it.

    `broken` names what was declared so badly that no declaration could be kept; a checker then stays silent about uses
    of these names.
    """

    doc: Doc | None
    declarations: tuple[Declaration, ...]
    broken: tuple[Ident, ...] = field(default=(), compare=False)
    span: Span = field(compare=False, kw_only=True)
