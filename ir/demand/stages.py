"""Walks a pipeline and says of each operation how often a run executes it and what one execution needs. What operations
with bodies do to that stands in `branches`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ...lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    TEXT,
    HandleType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    StreamType,
    Type,
)
from ..formula import ZERO, Formula, constant, total
from ..fused import FUSED
from ..graph import (
    Attribute,
    Demand,
    Given,
    Graph,
    GraphPipeline,
    Handle,
    HandleName,
    KvType,
    Operation,
    Region,
    Size,
    Value,
    ValueType,
)
from ..graph import walk as every
from ..library import Library, ModelShape, Sized
from . import llm, parallel
from .branches import BODIES
from .data import FREE, demand
from .sizing import (
    ASSUMED,
    BYTES_PER_TOKEN,
    JSON_TOKENS,
    Sizes,
    added,
    average,
    of_constant,
    part_of,
    text_tokens,
    together,
)

DEFAULT_MAX_TOKENS = 256.0


@dataclass(frozen=True, slots=True)
class Annotated:
    """What was found for one pipeline, by stage id; `given` by that of any operation that gives something."""

    times: Mapping[str, Formula]
    demands: Mapping[str, Demand]
    sizes: tuple[Size, ...]
    given: Mapping[str, Given]


def annotate(graph: Graph, pipeline: GraphPipeline, path: str, library: Library) -> Annotated:
    """`path` is how the pipeline's stage ids begin."""
    walk = _Walk(graph, library, f"{path}.")
    for value in pipeline.body.arguments:
        walk.values[value.id] = walk.sizes.unknown(value.type, value.name or f"argument{value.id}")
    walk.region(pipeline.body, constant(1.0))
    sizes = _named_also(tuple(walk.sizes.table.values()), pipeline.body)
    return Annotated(walk.times, walk.demands, sizes, _given(walk, pipeline.body))


def _given(walk: _Walk, body: Region) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for operation in every(body):
        if operation.results and not isinstance(operation.results[0].type, HandleType):
            value = operation.results[0]
            sized = walk.values.get(value.id, Sized())
            shape = walk.library.model_shape(sized.handle) if sized.handle else None
            stream = isinstance(value.type, StreamType)
            # Of a stream of text each token is an item.
            items = sized.items if sized.items is not None else sized.tokens
            amount = data_bytes(value.type, sized, shape)
            found[operation.id] = Given(amount, items if stream and items is not None else constant(1.0))
    return found


def _named_also(sizes: tuple[Size, ...], body: Region) -> tuple[Size, ...]:
    """The sizes of operations that do the work of others have the names of those too."""
    others: dict[str, tuple[str, ...]] = {}
    for operation in every(body):
        if "also" in operation.attributes:
            own = [operation.attributes.get("output"), *(value.name for value in operation.results)]
            others |= {str(name): _texts(operation.attributes["also"]) for name in own if name}
    if not others:
        return sizes
    return tuple(replace(size, also=_also(size.name, others)) for size in sizes)


def _also(name: str, others: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    parts = name.split(".")
    heads = [".".join(parts[:count]) for count in range(1, len(parts))]
    found = (f"{other}{name[len(head) :]}" for head in heads for other in others.get(head, ()))
    return tuple(dict.fromkeys(found))


def opening(handle: Handle, graph: Graph, library: Library) -> Demand:
    """What opening a declared model or resource needs."""
    shape = library.model_shape(handle)
    if shape is not None:
        return llm.opening(shape)
    arguments = {
        name: Sized(handle=graph.handle(value.name)) if isinstance(value, HandleName) else of_constant(value)
        for name, value in handle.arguments.items()
    }
    return library.stage_demand(handle.entry, arguments, HandleType(handle.type)) or FREE


@dataclass(slots=True)
class _Walk:
    graph: Graph
    library: Library
    prefix: str
    sizes: Sizes = field(default_factory=Sizes)
    values: dict[int, Sized] = field(default_factory=dict[int, Sized])
    times: dict[str, Formula] = field(default_factory=dict[str, Formula])
    demands: dict[str, Demand] = field(default_factory=dict[str, Demand])

    def region(self, region: Region, times: Formula) -> Sized:
        """Follow a body that runs so often; the size of what it hands out."""
        for operation in region.operations:
            self.times[operation.id] = times
            sized = self._operation(operation, times)
            for value in operation.results:
                self.values[value.id] = self._settle(operation, value, sized)
        last = region.operations[-1].operands if region.operations else ()
        return self.size(last[0]) if last else Sized()

    def _settle(self, operation: Operation, value: Value, sized: Sized) -> Sized:
        if operation.name == FUSED:
            return sized  # settled in it
        if value.name is not None:
            return self.sizes.named(value.type, sized, value.name)
        return self.sizes.complete(value.type, sized, self.path(operation))

    def size(self, value: Value) -> Sized:
        return self.values[value.id]

    def path(self, operation: Operation) -> str:
        return operation.id.removeprefix(self.prefix)

    # --- by operation ------------------------------------------------------------------------------------------------

    def _operation(self, operation: Operation, times: Formula) -> Sized:
        if "entry" in operation.attributes:
            return self._leaf(operation)
        operands = [self.size(value) for value in operation.operands]
        match operation.name:
            case "agent.constant":
                return of_constant(operation.attributes["value"])
            case "agent.open":
                return Sized(handle=self.graph.handle(str(operation.attributes["name"])))
            case "agent.template":
                return self._template(operation, operands)
            case name if name in BODIES:
                return BODIES[name](self, operation, times)
            case "agent.build":
                base, new = _extended(operation, operands)
                fields = dict(zip(_texts(operation.attributes["fields"]), new, strict=True))
                return Sized(tokens=together(operands), fields={**base.fields, **fields})
            case "agent.case":
                return Sized(tokens=together(operands))
            case "agent.table":
                base, new = _extended(operation, operands)
                count = constant(float(len(new))) + (base.items or ZERO)
                return Sized(items=count, element=base.element or average(new), bound=count)
            case "agent.index":
                return operands[0].element or Sized()
            case "agent.convert" | "agent.declassify" | "agent.buffered" | "agent.turn":
                return operands[0]
            case "agent.parse":
                return Sized(tokens=operands[0].tokens, bound=operands[0].bound)
            case "agent.field":
                return self._field(operation, operands[0])
            case "agent.list":
                count = constant(float(len(operands)))
                return Sized(items=count, element=average(operands), bound=count)
            case "agent.positions":
                return Sized(items=operands[0].items, bound=operands[0].bound)
            case "agent.binary" if operation.attributes["operator"] == "+":
                return added(*operands)
            case "agent.collect":
                return replace(operands[0], fields={}, handle=None)
            case "agent.chat":
                return self._reply(operation, self._named(operation))
            case "agent.send" | "agent.receive":
                return self._crossing(operation, operands[0])
            case _:
                return Sized()

    def _crossing(self, operation: Operation, sized: Sized) -> Sized:
        """What goes from one tier to another is the same on both."""
        if operation.name == "agent.send":
            shape = self.library.model_shape(sized.handle) if sized.handle else None
            self.demands[operation.id] = demand(network=data_bytes(operation.operands[0].type, sized, shape))
        return sized

    def _template(self, operation: Operation, operands: list[Sized]) -> Sized:
        written = "".join(part for part in _parts(operation.attributes["parts"]) if isinstance(part, str))
        tokens = [constant(text_tokens(written))]
        for part in _parts(operation.attributes["parts"]):
            if isinstance(part, int):
                tokens.append(llm.known(operands[part].tokens, 1.0))
        return Sized(tokens=total(tokens))

    def _field(self, operation: Operation, base: Sized) -> Sized:
        name = str(operation.attributes["name"])
        known = base.fields.get(name) or part_of(base, self._fields_of(operation.operands[0].type))
        origin = operation.operands[0].name
        if origin is None:
            return known
        result = operation.results[0]
        return self.sizes.named(result.type, known, f"{origin}.{name}")

    def _fields_of(self, given: ValueType) -> int:
        shapes = (len(shape.fields) for shape in self.graph.records if RecordType(shape.name) == given)
        return next(shapes, 1)

    # --- leaves ------------------------------------------------------------------------------------------------------

    def _named(self, operation: Operation) -> dict[str, Sized]:
        names = _texts(operation.attributes["parameters"])
        return {name: self.size(value) for name, value in zip(names, operation.operands, strict=True)}

    def _shape(self, arguments: Mapping[str, Sized]) -> ModelShape | None:
        handle = arguments.get("self", Sized()).handle
        return None if handle is None else self.library.model_shape(handle)

    def _leaf(self, operation: Operation) -> Sized:
        entry = str(operation.attributes["entry"])
        arguments = self._named(operation)
        shape = self._shape(arguments)
        match entry:
            case "llm:tokenize":
                return self._tokenize(operation, arguments, shape)
            case "llm:prefill":
                return self._prefill(operation, arguments, shape)
            case "llm:transfer":
                n = llm.known(arguments["kv"].tokens, 0.0)
                handle = arguments["kv"].handle
                shape = self.library.model_shape(handle) if handle else None
                self.demands[operation.id] = llm.transfer(shape, n) if shape else FREE
                return arguments["kv"]
            case "llm:sample":
                self.demands[operation.id] = llm.sample()
                return Sized(tokens=constant(0.0))
            case "llm:decode":
                n = llm.known(arguments["kv"].tokens, 0.0)
                reply = self._reply(operation, arguments)
                m = llm.known(reply.tokens, 0.0)
                self.demands[operation.id] = _of(operation).decode(shape, n, m) if shape else FREE
                return reply
            case "llm:detokenize":
                self.demands[operation.id] = llm.detokenize(llm.known(arguments["tokens"].tokens, 0.0))
                return arguments["tokens"]
            case _:
                self._name_items(operation, arguments)
                result = operation.results[0].type
                stated = operation.attributes.get("needs")
                known = self.library.stage_demand(entry, arguments, _plain(result))
                self.demands[operation.id] = needed(stated) if isinstance(stated, Mapping) else known or FREE
                size = self.library.stage_size(entry, arguments, _plain(result))
                # What goes from one part of a call to the next has no name that a goal could state a size by.
                return size or Sized(tokens=constant(JSON_TOKENS) if "partial" in operation.attributes else None)

    def _name_items(self, operation: Operation, arguments: dict[str, Sized]) -> None:
        """The items of a batch that stands for a `for` are known by the name of its variable."""
        batch = cast("Mapping[str, str]", operation.attributes.get("batch") or {})
        if "variable" in operation.attributes and batch:
            position = _texts(operation.attributes["parameters"]).index(batch["items"])
            items, given = arguments[batch["items"]], operation.operands[position].type
            assert isinstance(given, ListType)
            element = self.sizes.named(given.element, items.element or Sized(), str(operation.attributes["variable"]))
            arguments[batch["items"]] = replace(items, element=element)

    def _tokenize(self, operation: Operation, arguments: Mapping[str, Sized], shape: ModelShape | None) -> Sized:
        n = constant(float(shape.overhead_tokens) if shape else 0.0)
        for name in ("prompt", "system"):
            if name in arguments:
                n = n + _text_of(arguments[name])
        # What is done ahead is no prompt: its tokens count in those that it is for.
        ahead = operation.attributes.get("ahead")
        self.demands[operation.id] = replace(llm.tokenize(n * 2.0), tokens_in=ZERO) if ahead else llm.tokenize(n)
        return Sized(tokens=n)

    def _prefill(self, operation: Operation, arguments: Mapping[str, Sized], shape: ModelShape | None) -> Sized:
        """What a prompt has in common with its prefix is copied, and the rest computed behind it."""
        n = llm.known(arguments["tokens"].tokens, 0.0)
        begun = llm.known(arguments["prefix"].tokens, 0.0) if "prefix" in arguments else ZERO
        need = FREE
        if shape is not None:
            rest = _of(operation).prefill(shape, n + begun * -1.0, begun)
            need = replace(rest, traffic=rest.traffic + llm.copied(shape, begun), tokens_in=n)
        self.demands[operation.id] = replace(need, tokens_in=ZERO) if operation.attributes.get("ahead") else need
        return Sized(tokens=n, handle=arguments["self"].handle)

    def _reply(self, operation: Operation, arguments: Mapping[str, Sized]) -> Sized:
        """A reply has at most `max_tokens`, and is assumed to have them: what is promised of it then holds."""
        most = arguments["max_tokens"].number
        bound = None if most is None else constant(most)
        name = str(operation.attributes.get("output") or self.path(operation))
        default = bound if bound is not None else constant(DEFAULT_MAX_TOKENS)
        tokens = self.sizes.name(f"{name}.output", default, bound, ASSUMED)
        return Sized(tokens=tokens, items=tokens, element=Sized(tokens=constant(1.0)), bound=bound)


def data_bytes(given: ValueType, sized: Sized, shape: ModelShape | None = None) -> Formula:
    """How large a value is that leaves the process: a text by its tokens, a number 8 bytes, a KV cache by the shape of
    its model."""
    if isinstance(given, KvType):
        return llm.known(sized.tokens, 0.0) * (llm.cache_bytes_per_token(shape) if shape else 0.0)
    if isinstance(given, StreamType | ListType) and given.element in (INT, FLOAT, BOOL):
        return llm.known(sized.items, 1.0) * NUMBER_BYTES
    if isinstance(given, Primitive) and given not in (TEXT, JSON):
        return constant(NUMBER_BYTES)
    if sized.tokens is not None:
        return sized.tokens * BYTES_PER_TOKEN
    if sized.items is not None:
        element = sized.element or Sized()
        inner = given.element if isinstance(given, ListType | StreamType | MapType) else TEXT
        return sized.items * data_bytes(inner, element)
    known = [data_bytes(TEXT, part) for part in sized.fields.values()]
    return total(known) if known else constant(NUMBER_BYTES)


NUMBER_BYTES = 8.0


@dataclass(frozen=True, slots=True)
class _Spread:
    """What a prefill or decode needs, as its model is spread."""

    layout: parallel.Layout

    def prefill(self, shape: ModelShape, n: Formula, past: Formula = ZERO) -> Demand:
        if self.layout.devices == 1:
            return llm.prefill(shape, n, past)
        return parallel.prefill(shape, self.layout, n, past)

    def decode(self, shape: ModelShape, n: Formula, m: Formula) -> Demand:
        if self.layout.devices == 1:
            return llm.decode(shape, n, m)
        return parallel.decode(shape, self.layout, n, m)


def _of(operation: Operation) -> _Spread:
    """Spread as its `agent.step` says; whole, as long as it has none."""
    given = operation.attributes
    if "step" not in given:
        return _Spread(parallel.Layout(1))
    return _Spread(parallel.Layout(*(int(str(given.get(name, 1))) for name in ("tensor", "expert"))))


_NEEDS = {"cpu": "cpu", "memory": "footprint", "disk": "disk", "network": "network", "compute": "compute"}


def needed(stated: Mapping[str, Attribute]) -> Demand:
    """What a stage's declaration says that one execution needs (`needs [cpu 2 ms, memory 10 MiB]`)."""
    return demand(**{_NEEDS[name]: float(cast(float, amount)) for name, amount in stated.items() if name in _NEEDS})


def _extended(operation: Operation, operands: list[Sized]) -> tuple[Sized, list[Sized]]:
    """What an operation adds to (of no size, if to nothing), and what it adds."""
    return (operands[0], operands[1:]) if operation.attributes.get("extends") else (Sized(), operands)


def _text_of(sized: Sized) -> Formula:
    """The tokens of a text, or of all texts of a list of messages."""
    if sized.tokens is not None:
        return sized.tokens
    if sized.items is not None and sized.element is not None and sized.element.tokens is not None:
        return sized.items * sized.element.tokens
    return ZERO


def _texts(given: Attribute) -> tuple[str, ...]:
    return cast("tuple[str, ...]", given)


def _parts(given: Attribute) -> tuple[str | int, ...]:
    return cast("tuple[str | int, ...]", given)


def _plain(given: ValueType) -> Type:
    # The library is asked about types of the language only; tokens and caches stay between our own stages.
    return cast(Type, given)
