"""`agent`: a model with tools and a bound, as entries in the order they were written."""

from __future__ import annotations

from typing import TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .expressions import Name, Number, Template
from .names import Doc, Ident, Path
from .parameters import Parameter
from .types import TypeExpr


@frozen
class AgentModel:
    """`model writer`"""

    model: Ident
    span: Span = field(compare=False, kw_only=True)


@frozen
class AgentTools:
    """`tools [order, refund]`"""

    tools: tuple[Path, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class AgentSteps:
    """`at most 6 steps`"""

    count: Number | Name
    span: Span = field(compare=False, kw_only=True)


@frozen
class AgentSystem:
    """`system "…"`"""

    text: Template
    span: Span = field(compare=False, kw_only=True)


AgentEntry: TypeAlias = AgentModel | AgentTools | AgentSteps | AgentSystem


@frozen
class AgentDecl:
    name: Ident
    parameters: tuple[Parameter, ...]
    result: TypeExpr
    entries: tuple[AgentEntry, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)
