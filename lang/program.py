"""The typed, resolved program: what leaves `lang`.

Every name is resolved, every expression has its type, every omitted argument its default, and everything keeps the span
where it was written, so that later layers can blame a line. A construct that the checker does not check never gets
here. Values are frozen; tables are tuples in source order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from ..base.frozen import frozen
from ..base.source import Source, Span
from ..base.units import Quantity
from .types import HandleType, Type

Labels = frozenset[str]
NO_LABELS: Labels = frozenset()
Constant = str | int | float | bool | None | Quantity | tuple["Constant", ...]


# --- expressions -----------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Typed:
    """What every expression has."""

    type: Type
    span: Span = field(compare=False)
    labels: Labels = NO_LABELS


@frozen
class Literal(Typed):
    """A constant: Text without holes, Int, Float, Bool, a quantity (in base units), `none`."""

    value: Constant


@frozen
class Template(Typed):
    """A text with holes: texts and expressions that have a text form, in order."""

    parts: tuple[str | Expression, ...]


@frozen
class Reference(Typed):
    """A parameter, binding or loop variable of the enclosing pipeline. Names are unique within one pipeline."""

    name: str


@frozen
class HandleReference(Typed):
    """A model or resource that the file declares, by its declared name."""

    name: str


@frozen
class Argument:
    name: str
    value: Expression


@frozen
class StageCall(Typed):
    """A call of a stage. Arguments are complete and in declared order; a method's receiver is the argument `self`."""

    stage: StageSignature
    arguments: tuple[Argument, ...]


@frozen
class PipelineCall(Typed):
    pipeline: str
    arguments: tuple[Argument, ...]


@frozen
class BuildRecord(Typed):
    """`Name(field: value)`, complete and in declared order."""

    record: str
    fields: tuple[Argument, ...]


@frozen
class FieldOf(Typed):
    base: Expression
    field_name: str


@frozen
class ListOf(Typed):
    items: tuple[Expression, ...]


@frozen
class MapOver(Typed):
    """`for variable in over where where, at most at_most at once { body }`. `at_most` is 16 for a list unless said."""

    variable: str
    variable_type: Type
    over: Expression
    where: Expression | None
    at_most: int
    body: Block


@frozen
class If(Typed):
    condition: Expression
    then: Block
    otherwise: Block


@frozen
class Binary(Typed):
    """`+ - * / % == != < <= > >= and or contains`; both operands are typed, the result is `type`."""

    operator: str
    left: Expression
    right: Expression


@frozen
class Unary(Typed):
    """`-` and `not`."""

    operator: str
    operand: Expression


@frozen
class Collect(Typed):
    """`all(stream)`: a Text for a stream of Text (joined), else a list."""

    stream: Expression


@frozen
class Length(Typed):
    """`len(x)` of a Text (code points), a list or a map."""

    of: Expression


Expression = (
    Literal
    | Template
    | Reference
    | HandleReference
    | StageCall
    | PipelineCall
    | BuildRecord
    | FieldOf
    | ListOf
    | MapOver
    | If
    | Binary
    | Unary
    | Collect
    | Length
)


# --- statements ------------------------------------------------------------------------------------------------------


@frozen
class Bind:
    name: str
    value: Expression
    span: Span = field(compare=False)


@frozen
class Evaluate:
    """An expression whose value is not used (kept for its effects)."""

    value: Expression
    span: Span = field(compare=False)


@frozen
class Emit:
    value: Expression
    span: Span = field(compare=False)


@frozen
class Expect:
    """In a test: the Bool that must hold."""

    condition: Expression
    span: Span = field(compare=False)


Statement = Bind | Evaluate | Emit | Expect


@frozen
class Block:
    """Statements, then the block's value: the expression of its `return` or last line; None where it has no value."""

    statements: tuple[Statement, ...]
    result: Expression | None
    span: Span = field(compare=False)


# --- declarations ----------------------------------------------------------------------------------------------------


@frozen
class Parameter:
    name: str
    type: Type
    span: Span = field(compare=False)
    labels: Labels = NO_LABELS
    default: Literal | None = None
    doc: str | None = None


@frozen
class StageSignature:
    """A stage of a library or of the file. `name` is qualified (`llm.Model.chat`, `text.join`); `entry` is what stands
    behind it (`llm:chat`, `shop:clean`) and `behind` how it is reached (`builtin`, `python`)."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    behind: str
    entry: str
    span: Span = field(compare=False)
    result_labels: Labels = NO_LABELS


@frozen
class RecordDeclaration:
    name: str
    fields: tuple[Parameter, ...]
    span: Span = field(compare=False)
    doc: str | None = None


@frozen
class EnumCase:
    name: str
    payload: tuple[Parameter, ...]
    span: Span = field(compare=False)


@frozen
class EnumDeclaration:
    name: str
    cases: tuple[EnumCase, ...]
    span: Span = field(compare=False)
    doc: str | None = None


@frozen
class HandleDeclaration:
    """A `model` or `resource`: a constructor stage and its arguments (literals, lists of them, or other handles)."""

    name: str
    keyword: str  # "model" or "resource"
    type: HandleType
    constructor: StageSignature
    arguments: tuple[Argument, ...]
    span: Span = field(compare=False)
    doc: str | None = None


@frozen
class Pipeline:
    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    body: Block
    span: Span = field(compare=False)
    doc: str | None = None
    result_labels: Labels = NO_LABELS


@frozen
class GoalTerm:
    """`first_token p95 <= 800 ms`: `kind` is the word, `percentile` 95.0 or None, `limit` in base units.

    `rate` and `prefer` are terms too: `rate` has a limit in 1/s; `prefer` has `word` and no limit.
    """

    kind: str
    limit: Quantity | None
    span: Span = field(compare=False)
    percentile: float | None = None
    word: str | None = None


@frozen
class Assumption:
    """`best 3 items`, `question 40 tokens`, `reply output 120 tokens`, `intent.Refund 10 %`."""

    name: str
    quantity: Quantity
    span: Span = field(compare=False)
    case: str | None = None
    output: bool = False


@frozen
class Goal:
    pipeline: str
    terms: tuple[GoalTerm, ...]
    assumptions: tuple[Assumption, ...]
    span: Span = field(compare=False)


@frozen
class Tier:
    """`tier cpu = catalog.laptop { count 1 }`: `device` is the catalogue name as a value, `count` inclusive bounds."""

    name: str
    device: str
    count: tuple[int, int]
    span: Span = field(compare=False)


@frozen
class Link:
    """Both ends by tier name (`*` is any), bandwidth in byte/s, latency in s."""

    left: str
    right: str
    both_ways: bool
    bandwidth: Quantity
    latency: Quantity
    span: Span = field(compare=False)


@frozen
class Fleet:
    name: str
    tiers: tuple[Tier, ...]
    links: tuple[Link, ...]
    span: Span = field(compare=False)


@frozen
class Test:
    name: str
    body: Block
    span: Span = field(compare=False)


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

    def pipeline(self, name: str) -> Pipeline | None:
        return next((p for p in self.pipelines if p.name == name), None)

    def handle(self, name: str) -> HandleDeclaration | None:
        return next((h for h in self.handles if h.name == name), None)

    def goal(self, pipeline: str) -> Goal | None:
        return next((g for g in self.goals if g.pipeline == pipeline), None)


def children(expression: Expression) -> Iterator[Expression]:
    """The direct sub-expressions, in order, those of blocks included."""
    match expression:
        case Template():
            yield from (part for part in expression.parts if not isinstance(part, str))
        case StageCall() | PipelineCall():
            yield from (argument.value for argument in expression.arguments)
        case BuildRecord():
            yield from (argument.value for argument in expression.fields)
        case FieldOf():
            yield expression.base
        case ListOf():
            yield from expression.items
        case MapOver():
            yield expression.over
            if expression.where is not None:
                yield expression.where
            yield from block_expressions(expression.body)
        case If():
            yield expression.condition
            yield from block_expressions(expression.then)
            yield from block_expressions(expression.otherwise)
        case Binary():
            yield expression.left
            yield expression.right
        case Unary():
            yield expression.operand
        case Collect():
            yield expression.stream
        case Length():
            yield expression.of
        case Literal() | Reference() | HandleReference():
            pass


def block_expressions(block: Block) -> Iterator[Expression]:
    """The expressions that stand directly in a block, in order."""
    for statement in block.statements:
        yield statement.condition if isinstance(statement, Expect) else statement.value
    if block.result is not None:
        yield block.result


def walk(block: Block) -> Iterator[Expression]:
    """Every expression in a block, parents before children."""
    stack = list(block_expressions(block))[::-1]
    while stack:
        expression = stack.pop()
        yield expression
        stack.extend(list(children(expression))[::-1])
