"""Expressions and statements of the typed program. Each expression has its type, its labels and its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...base.frozen import EMPTY, field, frozen
from ...base.source import Span
from ..types import Type
from .constants import Constant

if TYPE_CHECKING:
    from .declarations import Parameter, StageSignature

Labels = frozenset[str]
NO_LABELS: Labels = frozenset()


@frozen(kw_only=True)
class Typed:
    """What every expression has."""

    type: Type
    span: Span = field(compare=False)
    labels: Labels = NO_LABELS


@frozen
class Literal(Typed):
    """A constant: a Text without holes, an Int, a quantity, `none` …; as a constant of the file, a default, or an
    argument of a model or resource also a list, a map, a record or a value of an enum (elsewhere `BuildRecord` …)."""

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
