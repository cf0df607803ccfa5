"""Declarations of the typed program: what has a name that others use, and what is promised of it."""

from __future__ import annotations

from collections.abc import Mapping

from ...base.frozen import EMPTY, field, frozen
from ...base.source import Span
from ...base.units import Quantity
from ..types import HandleType, Type
from .expressions import NO_LABELS, Argument, Block, Expression, Labels, Literal

# What stands behind a tool or stage beside its arguments, as plain data (quantities in base units). A text that a
# tool's arguments fill in is `{"parts": ["https://shop/", {"argument": "id"}]}`, so that what runs it can tell the
# program's text from a value and escape the value; a secret is `{"secret": "NAME"}`.
Setting = str | int | float | bool | None | tuple["Setting", ...] | Mapping[str, "Setting"]


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
class Agent:
    """What a pipeline says that is declared as an `agent`: the handle of its `model`, the `tools` by the names that the
    model calls them, and the most `steps`, each a call of the model. The pipeline's body is the loop that it stands
    for; the types of its replies are `NAME.Call`, `NAME.Step` and `NAME.Turn`."""

    model: str
    tools: tuple[str, ...]
    steps: int


@frozen
class Pipeline:
    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    body: Block
    span: Span = field(compare=False)
    doc: str | None = None
    result_labels: Labels = NO_LABELS
    agent: Agent | None = None


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
