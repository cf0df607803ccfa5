"""The frozen form of a module: what leaves `ir`. The planner and the executor read this, never MLIR.

It mirrors MLIR generically (operations, operands, results, regions, attributes, locations), so that a new operation
needs no change here. Attributes are plain data. `read` in `ir.read` makes it from a module; `emit` writes it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.source import Span
from ..lang.types import Type
from .formula import Formula

if TYPE_CHECKING:
    from .library import ModelShape

Attribute = str | int | float | bool | None | tuple["Attribute", ...] | Mapping[str, "Attribute"]


@dataclass(frozen=True, slots=True)
class KvType:
    """A KV cache of the named model handle, with the prompt's last hidden state or logits."""

    model: str

    def __str__(self) -> str:
        return f"kv<{self.model}>"


@dataclass(frozen=True, slots=True)
class TokensType:
    """A list of token ids of the named model handle's vocabulary."""

    model: str

    def __str__(self) -> str:
        return f"tokens<{self.model}>"


@dataclass(frozen=True, slots=True)
class SamplerType:
    """How a decode of the named model handle chooses the next token."""

    model: str

    def __str__(self) -> str:
        return f"sampler<{self.model}>"


@dataclass(frozen=True, slots=True)
class InTransitType:
    """A value on its way from one tier to another."""

    element: ValueType

    def __str__(self) -> str:
        return f"in_transit<{self.element}>"


@dataclass(frozen=True, slots=True)
class FailureType:
    """Why a body failed: what the fallback of a `try` may take, to tell another island of it."""

    def __str__(self) -> str:
        return "failure"


@dataclass(frozen=True, slots=True)
class ActivationType:
    """What goes between the parts of a model's step: `hidden` states, `partial` ones (a summand of them), the `routing`
    of tokens to experts, `logits`."""

    word: str
    model: str

    def __str__(self) -> str:
        return f"{self.word}<{self.model}>"


@dataclass(frozen=True, slots=True)
class KvShardType:
    """One of the `shards` parts of a KV cache, by key-value heads."""

    model: str
    shard: int
    shards: int

    def __str__(self) -> str:
        return f"kv_shard<{self.model}, {self.shard} of {self.shards}>"


ValueType = Type | KvType | TokensType | SamplerType | InTransitType | FailureType | ActivationType | KvShardType


@dataclass(frozen=True, slots=True)
class Value:
    """One SSA value: `id` is unique in its pipeline."""

    id: int
    type: ValueType
    name: str | None = None  # the source's name for it, where it has one


@dataclass(frozen=True, slots=True)
class Demand:
    """What one execution needs, as formulas of input sizes (see `ir.formula`).

    Units: `compute` in floating-point operations, `traffic` in bytes of memory moved, `footprint` in bytes held while
    it runs, `network` and `disk` in bytes, `cpu` in seconds on one reference core, `tokens_in`/`tokens_out` in tokens.
    """

    compute: Formula
    traffic: Formula
    footprint: Formula
    network: Formula
    disk: Formula
    cpu: Formula
    tokens_in: Formula
    tokens_out: Formula


@dataclass(frozen=True, slots=True)
class Size:
    """A size that formulas name: `question.tokens`, `best.items`, `answer.output`, `label.then`.

    `default` is a formula in sizes that stand before it in its pipeline; `bound` is the greatest value the program
    allows, or None. `basis` is `program` where the default follows from the text of the program (an argument, a
    constant, another size) and `assumed` where nothing is known. Sizes of one `group` are the shares of one whole (the
    cases of a match): what is not stated of it is shared alike by the others. `also` are other names by which it may be
    stated: those of values that the same operation gives.
    """

    name: str
    default: Formula
    bound: Formula | None
    basis: str
    group: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `id` is stable and readable (`answer.find.rerank`, `hello.chat.decode`): it names the stage in
    plans, traces and blame. `name` is the dialect's (`agent.decode`).

    `times` is how often one run executes it (the items of the loops around it, the shares of branches); `demand` is of
    one execution. Both are None before `annotate_demand`. `callers` are the calls that an inlined operation came
    through, innermost first.
    """

    id: str
    name: str
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    attributes: Mapping[str, Attribute]
    regions: tuple[Region, ...] = ()
    demand: Demand | None = None
    span: Span | None = field(default=None, compare=False)
    times: Formula | None = None
    callers: tuple[Span, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Region:
    """A body: its arguments, then operations in an order in which definitions come before uses. The last operation is
    its terminator (`agent.return` or `agent.yield`), whose operands are the region's results.

    An operation with any number of bodies (`agent.match`, `agent.race`) has a region for each; `cases` of a match says
    which case each is for."""

    arguments: tuple[Value, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A parameter of a pipeline; `required` is false where it has a default."""

    name: str
    type: Type
    required: bool
    default: Attribute = None


@dataclass(frozen=True, slots=True)
class Given:
    """What one execution of an operation gives: its bytes in all, and the items of a stream that they come in (1 for
    what is no stream)."""

    bytes: Formula
    items: Formula


@dataclass(frozen=True, slots=True)
class GraphPipeline:
    name: str
    inputs: tuple[Input, ...]
    result: Type
    body: Region
    span: Span | None = field(default=None, compare=False)
    sizes: tuple[Size, ...] = ()
    unread: tuple[str, ...] = ()
    """Names of the program that nothing has any more, since nobody uses what had them: on what is assumed of these
    nothing depends."""
    given: Mapping[str, Given] = field(default_factory=dict[str, Given], compare=False)
    """By the ids of operations, where `ir.known` was asked; the module's text does not have it."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A model, resource, memory or server (its `keyword`) to open before the stages that use it: `entry` is the
    constructor (`llm:model`, `search:index`); an argument that names another handle is `HandleName`.

    `demand` is of opening it: `disk` bytes to read, `footprint` bytes held for as long as it is open (weights). The
    stages that use it do not count that footprint again. `shape` is of a model, where a library that knows it was there
    when the graph was made (see `ir.known`); the module's text does not have it.
    """

    name: str
    type: str
    entry: str
    arguments: Mapping[str, Attribute | HandleName]
    span: Span | None = field(default=None, compare=False)
    keyword: str = "model"
    demand: Demand | None = None
    shape: ModelShape | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HandleName:
    name: str


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A record's fields in declared order."""

    name: str
    fields: tuple[tuple[str, Type], ...]


@dataclass(frozen=True, slots=True)
class EnumShape:
    """An enum's cases in declared order, each with its payload."""

    name: str
    cases: tuple[tuple[str, tuple[tuple[str, Type], ...]], ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool, for those who list or explain them: a call (`agent.stage`) says itself what it needs. `effects`
    are texts such as `writes payments`; `server` is the handle that offers it, or None."""

    name: str
    parameters: tuple[tuple[str, Type], ...]
    result: Type
    entry: str
    effects: tuple[str, ...] = ()
    settings: Mapping[str, Attribute] = field(default_factory=dict[str, "Attribute"])
    idempotent_by: str | None = None
    server: str | None = None
    doc: str | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Channel:
    """A connection from one tier (`source`) to another (`target`), for values of one type: one value in each turn of
    the loops around it, or the items of a stream, of which at most `buffer` are under way."""

    name: str
    source: str
    target: str
    type: ValueType
    buffer: int


@dataclass(frozen=True, slots=True)
class ModelStep:
    """One step of a model in `tensor` shards and `expert` groups of experts, for the stages that name it: arguments are
    the tokens and the parts of the cache, results the logits and those parts. `weights` are the bytes of them that each
    device holds. Demands in it are of a step of `tokens` tokens behind `past` ones."""

    name: str
    model: str
    tensor: int
    expert: int
    body: Region
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole module, frozen. `digest` is the SHA-256 (hex) of the module's text without locations: comments and
    layout do not change it. Goals are by pipeline, fleets by name, as plain data (see `ir.dialect`). `passes` are those
    that the module has been through.

    Of a placed module `home` is the tier of its control operations; of an island `tier` is where it runs, and
    `channels` are those that it sends to or receives from."""

    digest: str
    handles: tuple[Handle, ...]
    records: tuple[RecordShape, ...]
    pipelines: tuple[GraphPipeline, ...]
    goals: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict[str, Mapping[str, "Attribute"]])
    fleets: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict[str, Mapping[str, "Attribute"]])
    enums: tuple[EnumShape, ...] = ()
    tests: tuple[GraphPipeline, ...] = ()
    passes: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    channels: tuple[Channel, ...] = ()
    home: str | None = None
    tier: str | None = None
    steps: tuple[ModelStep, ...] = ()

    def pipeline(self, name: str) -> GraphPipeline:
        """The pipeline of that name. KeyError if there is none."""
        for pipeline in self.pipelines:
            if pipeline.name == name:
                return pipeline
        raise KeyError(name)

    def handle(self, name: str) -> Handle:
        for handle in self.handles:
            if handle.name == name:
                return handle
        raise KeyError(name)


def walk(region: Region) -> Iterator[Operation]:
    """Every operation of a region and of the regions in it, parents first."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from walk(inner)


def emits(region: Region) -> Iterator[Operation]:
    """The `agent.emit`s that send into the stream of a body's owner: not those of a generator inside of it."""
    for operation in region.operations:
        if operation.name == "agent.emit":
            yield operation
        elif operation.name != "agent.generator":
            for inner in operation.regions:
                yield from emits(inner)
