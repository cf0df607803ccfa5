"""The typed, resolved program: what leaves `lang`.

Every name is resolved, every expression has its type, every omitted argument its default, and everything keeps the span
where it was written, so that later layers can blame a line. A construct that the checker does not check never gets
here. Values are frozen; tables are tuples in source order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from ..base.frozen import EMPTY, frozen
from ..base.source import Source, Span
from ..base.units import Quantity
from .types import HandleType, Type

Labels = frozenset[str]
NO_LABELS: Labels = frozenset()
Constant = str | int | float | bool | None | Quantity | tuple["Constant", ...]

# What stands behind a tool or stage beside its arguments, as plain data (quantities in base units). A text that a
# tool's arguments fill in is `{"parts": ["https://shop/", {"argument": "id"}]}`, so that what runs it can tell the
# program's text from a value and escape the value; a secret is `{"secret": "NAME"}`.
Setting = str | int | float | bool | None | tuple["Setting", ...] | Mapping[str, "Setting"]


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
class TableOf(Typed):
    """`{"a": x, "b": y}`: a map from texts; keys are constants, each once."""

    entries: tuple[Argument, ...]


@frozen
class IndexOf(Typed):
    """`base[index]`. A list gives the element, and fails with `bad_value` outside it; a map or Json gives an option."""

    base: Expression
    index: Expression


@frozen
class BuildCase(Typed):
    """A value of an enum: `Refund(order: 3)`, `Question`; the payload complete and in declared order."""

    enum: str
    case: str
    payload: tuple[Argument, ...]


@frozen
class Convert(Typed):
    """A conversion to `type` by what the two types are.

    Without `checked` it cannot fail: Int to Float, `T` to `T?`, data to Json. With it, from Json, it can, with
    `bad_value`. Only the second is written (`as`), and `data as Json`.
    """

    value: Expression
    checked: bool = False


@frozen
class Declassify(Typed):
    """`declassify(x)`: the same value without labels."""

    value: Expression


@frozen
class Buffered(Typed):
    """`buffered(call)`: a stream whose items are held back until its end, so that a failure can still be mended."""

    stream: Expression


@frozen
class Into(Typed):
    """`chat(…) into T`: the reply decoded as JSON constrained to `type`. `call` is a chat stage call."""

    call: StageCall


@frozen
class Arm:
    """One arm of a `match`. `case` is None for `_`; for an option it is `none` or `some`. `binders` has one entry for
    each field of the payload, None where the arm does not name it."""

    case: str | None
    binders: tuple[Parameter | None, ...]
    body: Block
    span: Span = field(compare=False)


@frozen
class Match(Typed):
    """Over an enum or an option; the arms cover every case once."""

    subject: Expression
    arms: tuple[Arm, ...]


@frozen
class Repeat(Typed):
    """`repeat state = initial, at most at_most times { body }`. The body's value is a `Turn` in every branch: what
    stands behind `stop x when c` has become the other branch of an `If`, so that it does not run when `c` holds."""

    state: str
    state_type: Type
    initial: Expression
    at_most: int
    body: Block


@frozen
class Turn(Typed):
    """`stop value` or `next value`; only as the value of a `repeat`'s body or of a branch of it. Its type is a
    `TurnType`."""

    value: Expression
    stop: bool


@frozen
class Race(Typed):
    """The first good answer (for streams: the first item) wins, and the others are cancelled."""

    branches: tuple[Expression, ...]


@frozen
class Otherwise(Typed):
    """`value otherwise fallback`; `reasons` is empty where every failure is caught."""

    value: Expression
    reasons: tuple[str, ...]
    fallback: Expression


@frozen
class Interruptible(Typed):
    """What a newer input of the same session cancels."""

    body: Block


@frozen
class Policies:
    """What follows `with`; each as it was written, or None. Durations in seconds, times of one attempt.

    `timeout` of each attempt; `idle` the longest time between two items of a stream; `retries` beyond the first
    attempt, `backoff` before the first of them (doubled for each, jittered); `hedge` the time after which a second
    attempt starts beside the first; `breaker` failures in a row after which calls fail with `unavailable` for
    `breaker_pause`; `rate` the most calls a second, `cache` how long an answer is kept, `buffer` the items a stream
    may hold and `drop` what a full one does (`wait`, `oldest`); `place` a tier; `approve` the question to a person.
    """

    timeout: float | None = None
    idle: float | None = None
    retries: int = 0
    backoff: float = 0.0
    hedge: float | None = None
    breaker: int | None = None
    breaker_pause: float = 0.0
    rate: float | None = None
    cache: float | None = None
    buffer: int | None = None
    drop: str = "wait"
    place: str | None = None
    approve: Expression | None = None
    spans: Mapping[str, Span] = field(compare=False, default=EMPTY)
    """Where each was written, by the name of its field."""


@frozen
class With(Typed):
    """`call with policies`; the policies are of everything in `call`."""

    call: Expression
    policies: Policies


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
    | TableOf
    | IndexOf
    | BuildCase
    | Convert
    | Declassify
    | Buffered
    | Into
    | Match
    | Repeat
    | Turn
    | Race
    | Otherwise
    | Interruptible
    | With
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
class Effect:
    """What a tool does to the world: `kind` is `reads`, `writes`, `spends`, `network` or `process`; `what` names it."""

    kind: str
    what: str | Quantity | None
    span: Span = field(compare=False)

    @property
    def dangerous(self) -> bool:
        """Whether doing it twice, or at the wish of a stranger, does harm."""
        return self.kind in ("writes", "spends", "process")


@frozen
class StageSignature:
    """A stage or tool, of a library or of the file. `name` is qualified (`llm.Model.chat`, `text.join`).

    `entry` is the kind that runs it: `llm:chat` for `builtin("llm:chat")`, `python:call` for `python(…)`, `http:get`,
    `process:run`, `mcp:call`; `behind` is the word it was written with (`builtin`, `python`, `http.get`, a server's
    name). `settings` are what the declaration gave it (`{"target": "shop:order"}`). A tool of a server takes it as the
    argument `self`, by `server`.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    behind: str
    entry: str
    span: Span = field(compare=False)
    result_labels: Labels = NO_LABELS
    keyword: str = "stage"  # or "tool"
    settings: Mapping[str, Setting] = EMPTY
    effects: tuple[Effect, ...] = ()
    idempotent_by: str | None = None
    needs: Mapping[str, Quantity] = EMPTY
    server: str | None = None
    doc: str | None = None


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
    """A `model`, `resource`, `memory` or `server`: a constructor stage and its arguments (literals, lists of them, or
    other handles)."""

    name: str
    keyword: str
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

    `rate` and `prefer` are terms too: `rate` has a limit in 1/s; `prefer` has `word` and no limit. `keep` has `word`
    the label and `tiers` those it may be on; `soft` has `word` the term that may be missed and `limit` the weight of a
    miss (a number).
    """

    kind: str
    limit: Quantity | None
    span: Span = field(compare=False)
    percentile: float | None = None
    word: str | None = None
    tiers: tuple[str, ...] = ()


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
class Endpoint:
    """Models served by somebody else: `endpoint(url) { serves [...], price …, first_token …, rate … }`. `url` is an
    address, or the name of a secret that holds it. Price in $/token, first token in s, rate in tokens/s of one call."""

    url: str | None
    secret: str | None
    serves: tuple[str, ...]
    price: Quantity | None = None
    first_token: Quantity | None = None
    rate: Quantity | None = None


@frozen
class Tier:
    """`tier cpu = catalog.laptop { count 1 }`: `device` is the catalogue name as a value (empty for an endpoint),
    `count` inclusive bounds, `settings` what the entry says otherwise (`price`)."""

    name: str
    device: str
    count: tuple[int, int]
    span: Span = field(compare=False)
    endpoint: Endpoint | None = None
    settings: Mapping[str, Quantity] = EMPTY


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
class Given:
    """`given order(1) = Order(…)` in a test: what a call answers there instead of running. `name` is a tool, a stage
    (`writer.chat` by its handle and method) or a pipeline; `arguments` those that must be equal, by parameter."""

    name: str
    arguments: tuple[Argument, ...]
    answer: Expression
    span: Span = field(compare=False)


@frozen
class Test:
    name: str
    body: Block
    span: Span = field(compare=False)
    givens: tuple[Given, ...] = ()


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
