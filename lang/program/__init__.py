"""The typed, resolved program: what leaves `lang`.

Every name is resolved, every expression has its type, every omitted argument its default, and everything keeps the span
where it was written, so that later layers can blame a line. A construct that the checker does not check never gets
here. Values are frozen; tables are tuples in source order.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...base.frozen import EMPTY, frozen
from ...base.source import Source
from .constants import CaseValue, Constant, Plain, RecordValue, TableValue, as_json, plain
from .declarations import (
    Agent,
    Assumption,
    Effect,
    Endpoint,
    EnumCase,
    EnumDeclaration,
    Fleet,
    Given,
    Goal,
    GoalTerm,
    HandleDeclaration,
    Link,
    Parameter,
    Pipeline,
    RecordDeclaration,
    Setting,
    StageSignature,
    Test,
    Tier,
)
from .expressions import (
    NO_LABELS,
    Argument,
    Arm,
    Binary,
    Bind,
    Block,
    Buffered,
    BuildCase,
    BuildRecord,
    Collect,
    Convert,
    Declassify,
    Emit,
    Evaluate,
    Expect,
    Expression,
    FieldOf,
    HandleReference,
    If,
    IndexOf,
    Interruptible,
    Into,
    Labels,
    Length,
    ListOf,
    Literal,
    MapOver,
    Match,
    Otherwise,
    PipelineCall,
    Policies,
    Race,
    Reference,
    Repeat,
    StageCall,
    Statement,
    TableOf,
    Template,
    Turn,
    Typed,
    Unary,
    With,
)
from .walking import block_expressions, children, walk

__all__ = [
    "NO_LABELS",
    "Agent",
    "Argument",
    "Arm",
    "Assumption",
    "Binary",
    "Bind",
    "Block",
    "Buffered",
    "BuildCase",
    "BuildRecord",
    "CaseValue",
    "Collect",
    "Constant",
    "Convert",
    "Declassify",
    "Effect",
    "Emit",
    "Endpoint",
    "EnumCase",
    "EnumDeclaration",
    "Evaluate",
    "Expect",
    "Expression",
    "FieldOf",
    "Fleet",
    "Given",
    "Goal",
    "GoalTerm",
    "HandleDeclaration",
    "HandleReference",
    "If",
    "IndexOf",
    "Interruptible",
    "Into",
    "Labels",
    "Length",
    "Link",
    "ListOf",
    "Literal",
    "MapOver",
    "Match",
    "Otherwise",
    "Parameter",
    "Pipeline",
    "PipelineCall",
    "Plain",
    "Policies",
    "Program",
    "Race",
    "RecordDeclaration",
    "RecordValue",
    "Reference",
    "Repeat",
    "Setting",
    "StageCall",
    "StageSignature",
    "Statement",
    "TableOf",
    "TableValue",
    "Template",
    "Test",
    "Tier",
    "Turn",
    "Typed",
    "Unary",
    "With",
    "as_json",
    "block_expressions",
    "children",
    "plain",
    "walk",
]


@frozen
class Program:
    """One checked file with what it uses of libraries. `records` and `enums` include those of libraries, by qualified
    name; `sources` are the texts that spans point into (the file first)."""

    source: Source
    records: Mapping[str, RecordDeclaration]
    enums: Mapping[str, EnumDeclaration]
    handles: tuple[HandleDeclaration, ...]
    pipelines: tuple[Pipeline, ...]
    goals: tuple[Goal, ...]
    fleets: tuple[Fleet, ...]
    tests: tuple[Test, ...]
    sources: tuple[Source, ...] = ()
    tools: tuple[StageSignature, ...] = ()
    """The tools that the file declares or imports; calls hold their signature too."""
    constants: Mapping[str, Literal] = EMPTY

    def pipeline(self, name: str) -> Pipeline | None:
        return next((p for p in self.pipelines if p.name == name), None)

    def handle(self, name: str) -> HandleDeclaration | None:
        return next((h for h in self.handles if h.name == name), None)

    def goal(self, pipeline: str) -> Goal | None:
        return next((g for g in self.goals if g.pipeline == pipeline), None)
