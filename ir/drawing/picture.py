"""From a graph to what a person wants to see of it: boxes inside boxes, and the values that flow between them.

```text
tokenize ─ prefill ─ transfer ─ decode ─ detokenize  ⇒  one box `chat`, with its model
lookup ─ compute, embed ─ lookup                       ⇒ one box, of the tool or search that they are the parts of
template, field, constant, list, … (they cost nothing) ⇒ no box: what flows through them flows on
for, if, match, repeat, race, otherwise, with          ⇒ a box around what they hold
an inlined pipeline                                     ⇒ a box around its stages
```

An edge goes from who made a value to who takes it, with the name that the program gave it. What an `if` or `match`
decides by is an edge to its box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from ...lang.types import StreamType
from ..fused import FUSED
from ..graph import Graph, GraphPipeline, Operation, Region, Value, emits
from ..live import ACTING

# The stages of one chat call, which share all of their id but the last word.
_CHAT = frozenset(f"agent.{word}" for word in ("tokenize", "prefill", "kv_transfer", "sample", "decode", "detokenize"))
_LEAVES = _CHAT | ACTING | {"agent.chat"}
_PART = "part_of"
# Steps after a chat that belong to it: they make its text, and the text its value.
_TAIL = frozenset({"agent.collect", "agent.parse"})
_ENDS = frozenset({"agent.return", "agent.yield", "agent.turn"})


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture. `kind` is `input`, `output`, `model`, `tool`, `stage`, `control` or `pipeline`; `parts`
    are the boxes inside; `operations` the ids of the operations that it stands for, so that a plan can colour it."""

    id: str
    kind: str
    title: str
    detail: str = ""
    parts: tuple[Box, ...] = ()
    operations: tuple[str, ...] = ()
    line: int | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A value from one box to another; `stream` where it is a stream."""

    source: str
    target: str
    name: str = ""
    type: str = ""
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    title: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    tiers: tuple[str, ...] = ()

    def walk(self) -> Iterator[Box]:
        """Every box, outer ones first."""
        stack = list(self.boxes)[::-1]
        while stack:
            box = stack.pop()
            yield box
            stack.extend(box.parts[::-1])


def picture(graph: Graph, pipeline: str, tiers: Mapping[str, str] | None = None, *, stages: bool = False) -> Picture:
    """What `pipeline` does. `tiers` says where a plan puts each operation, by id; `stages` shows the stages of a chat
    call apart. KeyError if there is no such pipeline."""
    return _Drawing(graph, graph.pipeline(pipeline), tiers or {}, stages).drawn()


@dataclass(slots=True)
class _Node:
    """A box while it is filled."""

    id: str
    kind: str
    title: str
    detail: str = ""
    parts: list[_Node] = field(default_factory=list["_Node"])
    operations: list[str] = field(default_factory=list[str])
    line: int | None = None


# Who made a value: the box, the name that the program gave it on its way, and whether it came as a stream.
_Source = tuple[str, str, str, bool]


class _Drawing:
    def __init__(self, graph: Graph, pipeline: GraphPipeline, tiers: Mapping[str, str], stages: bool) -> None:
        self.graph = graph
        self.pipeline = pipeline
        self.tiers = dict(tiers)
        self.stages = stages
        self.made: dict[int, tuple[_Source, ...]] = {}
        self.edges: dict[Edge, None] = {}
        self.models: dict[int, str] = {}
        self.chats: dict[str, _Node] = {}

    def drawn(self) -> Picture:
        root = _Node(self.pipeline.name, "pipeline", self.pipeline.name)
        for given, value in zip(self.pipeline.inputs, self.pipeline.body.arguments, strict=True):
            node = _Node(f"input.{given.name}", "input", given.name, str(given.type))
            root.parts.append(node)
            self._makes(value, node)
        self._region(self.pipeline.body, root, self.pipeline.name, 0)
        output = _Node("output", "output", "result", str(self.pipeline.result))
        root.parts.append(output)
        for source in self._results(self.pipeline.body):
            self._edge(source, output)
        for source in self._emitted(self.pipeline.body):
            self._edge(source, output)
        named = tuple(dict.fromkeys(tier for tier in self.tiers.values()))
        boxes = tuple(self._box(part) for part in root.parts)
        return Picture(self.pipeline.name, boxes, tuple(self.edges), named)

    # --- regions -----------------------------------------------------------------------------------------------------

    def _region(self, region: Region, into: _Node, prefix: str, calls: int) -> None:
        for operation in region.operations:
            holder = self._called(operation, into, prefix, calls)
            if operation.name == "agent.open":
                self.models[operation.results[0].id] = cast(str, operation.attributes["name"])
            elif operation.name in _LEAVES:
                self._leaf(operation, holder)
            elif operation.name in _TAIL and (chat := self._of_chat(operation)) is not None:
                chat.operations.append(operation.id)
                self._makes(operation.results[0], chat)
            elif operation.name == FUSED:
                self._fused(operation, into, prefix, calls)
            elif operation.name == "agent.generator":
                self._generator(operation, into, prefix, calls)
            elif operation.regions:
                self._control(operation, holder)
            elif operation.results:
                self._passes(operation)

    def _called(self, operation: Operation, into: _Node, prefix: str, calls: int) -> _Node:
        """The box of the pipeline that an operation was inlined from, made when first needed."""
        depth = len(operation.callers) - calls
        words = operation.id.removeprefix(f"{prefix}.").split(".")[:-1]
        holder, path = into, prefix
        for word in words[:depth]:
            path = f"{path}.{word}"
            found = next((part for part in into.parts if part.id == path and part.kind == "pipeline"), None)
            if found is None:
                found = _Node(path, "pipeline", word)
                holder.parts.append(found)
            holder = into = found
        return holder

    def _leaf(self, operation: Operation, into: _Node) -> None:
        chat = (operation.name in _CHAT or _PART in operation.attributes) and not self.stages
        path = operation.id.rpartition(".")[0] if chat else operation.id
        node = self.chats.get(path) if chat else None
        if node is None:
            models = [self.models[value.id] for value in operation.operands if value.id in self.models]
            node = _Node(path, *self._words(operation, models), line=_line(operation))
            into.parts.append(node)
            if chat:
                self.chats[path] = node
        node.operations.append(operation.id)
        for value in operation.operands:
            for source in self.made.get(value.id, ()):
                self._edge(source, node)
        for result in operation.results:
            self._makes(result, node)

    def _words(self, operation: Operation, models: list[str]) -> tuple[str, str, str]:
        """Kind, title and detail of a leaf."""
        word = operation.name.removeprefix("agent.")
        if operation.name in _CHAT and not self.stages:
            word = "chat"
        whole = operation.attributes.get(_PART) if not self.stages else None
        if operation.name in _LEAVES - ACTING:
            return "model", f"{models[0]}.{word}" if models else word, self._model(models)
        tool = operation.attributes.get("tool")
        if tool is not None:
            effects = cast("tuple[str, ...]", operation.attributes.get("effects") or ())
            return "tool", str(tool), ", ".join(effects)
        if isinstance(whole, str):
            return "model", whole, self._model([whole.rpartition(".")[0]])
        entry = str(operation.attributes.get("entry", word))
        title = entry.replace(":", ".") if not models else f"{models[0]}.{entry.rpartition(':')[2]}"
        return ("model" if models else "stage"), title, self._model(models)

    def _model(self, models: list[str]) -> str:
        if not models:
            return ""
        name = self.graph.handle(models[0]).arguments.get("name")
        return name if isinstance(name, str) else ""

    def _of_chat(self, operation: Operation) -> _Node | None:
        """The chat whose reply a `collect` or `parse` turns into a value, if nothing else does anything with it."""
        found = {source[0] for source in self.made.get(operation.operands[0].id, ())}
        chat = next((node for node in self.chats.values() if {node.id} == found), None)
        return chat if operation.name == "agent.parse" or chat is not None else None

    def _control(self, operation: Operation, into: _Node) -> None:
        node = _Node(operation.id, "control", _title(operation), line=_line(operation))
        node.operations.append(operation.id)
        names = _region_titles(operation)
        incoming = [s for value in operation.operands for s in self.made.get(value.id, ())]
        inner: list[_Source] = []
        depth = len(operation.callers)
        for number, region in enumerate(operation.regions):
            if not region.operations:
                continue
            for argument in region.arguments:
                self.made[argument.id] = tuple(_renamed(s, argument.name) for s in incoming)
            title = names[number] if number < len(names) else ""
            part = node if not title else _Node(f"{operation.id}#{number}", "control", title)
            # Stages inside a loop carry the path of the loop's variable; their callers count from the loop's.
            self._region(region, part, _path_of(region, operation.id), depth)
            if part is not node and part.parts:
                node.parts.append(part)
            inner += self._results(region)
        result = operation.results[0] if operation.results else None
        if operation.name == "agent.try" and [part.id for part in node.parts] == [f"{operation.id}#0"]:
            # A fallback that is only a value needs no box, and so what was tried needs none either.
            into.parts += node.parts[0].parts
            node.parts.clear()
            inside = True
        else:
            inside = bool(node.parts)
        if node.parts:
            into.parts.append(node)
            if operation.name in ("agent.if", "agent.match"):
                for source in incoming:
                    self._edge(source, node)
        if inside and result is not None:
            self.made[result.id] = tuple(_renamed(s, result.name) for s in dict.fromkeys(inner))
        elif result is not None:
            self.made[result.id] = tuple(_renamed(s, result.name) for s in dict.fromkeys([*incoming, *inner]))

    def _results(self, region: Region) -> list[_Source]:
        last = region.operations[-1] if region.operations else None
        if last is None or last.name not in _ENDS:
            return []
        return [source for value in last.operands for source in self.made.get(value.id, ())]

    def _generator(self, operation: Operation, into: _Node, prefix: str, calls: int) -> None:
        """What a called pipeline emits: its stages are in the box of the pipeline, as those of any call."""
        (region,) = operation.regions
        self._region(region, into, prefix, calls)
        (result,) = operation.results
        given = dict.fromkeys([*self._emitted(region), *self._results(region)])
        self.made[result.id] = tuple(_renamed(source, result.name) for source in given)

    def _fused(self, operation: Operation, into: _Node, prefix: str, calls: int) -> None:
        """Stages that run as one are drawn as they are written; they are where the one is."""
        (region,) = operation.regions
        tier = self.tiers.get(operation.id)
        if tier is not None:
            self.tiers |= dict.fromkeys((inner.id for inner in region.operations), tier)
        self._region(region, into, prefix, calls)
        self.made[operation.results[0].id] = tuple(
            _renamed(source, operation.results[0].name) for source in self._results(region)
        )

    def _emitted(self, region: Region) -> Iterator[_Source]:
        for operation in emits(region):
            for value in operation.operands:
                yield from self.made.get(value.id, ())

    # --- values ------------------------------------------------------------------------------------------------------

    def _makes(self, value: Value, node: _Node) -> None:
        stream = isinstance(value.type, StreamType)
        self.made[value.id] = ((node.id, _short(value.name), str(value.type), stream),)

    def _passes(self, operation: Operation) -> None:
        """What comes in goes out."""
        sources = dict.fromkeys(s for value in operation.operands for s in self.made.get(value.id, ()))
        for result in operation.results:
            self.made[result.id] = tuple(_renamed(source, result.name) for source in sources)

    def _edge(self, source: _Source, target: _Node) -> None:
        made, name, type, stream = source
        if made != target.id:
            self.edges[Edge(made, target.id, name, type, stream)] = None

    def _box(self, node: _Node) -> Box:
        where = {self.tiers[o]: None for o in node.operations if o in self.tiers}
        return Box(
            node.id,
            node.kind,
            node.title,
            node.detail,
            tuple(self._box(part) for part in node.parts),
            tuple(node.operations),
            node.line,
            " and ".join(where) or None,
        )


def _path_of(region: Region, default: str) -> str:
    """The id that the stages of a region stand below: what the ids of its operations share."""
    ids = [operation.id.split(".") for operation in region.operations]
    shared: list[str] = []
    for words in zip(*ids, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    if len(ids) == 1:
        shared = shared[:-1]
    return ".".join(shared) or default


def _renamed(source: _Source, name: str | None) -> _Source:
    return (source[0], _short(name), source[2], source[3]) if name else source


def _short(name: str | None) -> str:
    return (name or "").rpartition(".")[2]


def _line(operation: Operation) -> int | None:
    return operation.span.line if operation.span is not None else None


def _title(operation: Operation) -> str:
    attributes = operation.attributes
    match operation.name:
        case "agent.map":
            return f"for {_short(str(attributes.get('variable')))}, {attributes.get('at_most')} at once"
        case "agent.repeat":
            return f"repeat {_short(str(attributes.get('variable')))}, at most {attributes.get('at_most')} times"
        case "agent.agent":
            return f"agent {attributes.get('name')}, at most {attributes.get('at_most')} steps"
        case "agent.race":
            return "race: the first good answer"
        case "agent.guard":
            return f"with {_policies(attributes)}"
        case "agent.try":
            reasons = cast("tuple[str, ...]", attributes.get("reasons") or ())
            return f"otherwise on {', '.join(reasons)}" if reasons else "otherwise"
        case name:
            return name.removeprefix("agent.")


def _policies(attributes: Mapping[str, object]) -> str:
    from ...base.units import DURATION, RATE, Quantity, show

    said: list[str] = []
    for key in ("timeout", "idle", "hedge", "cache"):
        if (value := attributes.get(key)) is not None:
            word = "hedge after" if key == "hedge" else key
            said.append(f"{word} {show(Quantity(cast(float, value), DURATION))}")
    if retries := attributes.get("retries"):
        said.append(f"retry {retries}")
    if (rate := attributes.get("rate")) is not None:
        said.append(f"rate {show(Quantity(cast(float, rate), RATE))}")
    if (breaker := attributes.get("breaker")) is not None:
        said.append(f"breaker {breaker}")
    if (size := attributes.get("buffer")) is not None:
        drop = " drop oldest" if attributes.get("drop") == "oldest" else ""
        said.append(f"buffer {size}{drop}")
    if attributes.get("approve"):
        said.append("approve")
    if (place := attributes.get("place")) is not None:
        said.append(f"place on {place}")
    return ", ".join(said) or "policies"


def _region_titles(operation: Operation) -> tuple[str, ...]:
    """What the regions of an operation are called; none for one region, which needs no box of its own."""
    match operation.name:
        case "agent.if":
            return ("then", "else")
        case "agent.match":
            cases = cast("tuple[str, ...]", operation.attributes.get("cases") or ())
            return tuple("anything else" if case == "_" else case for case in cases)
        case "agent.try":
            return ("tried", "fallback")
        case "agent.agent":
            return ("a step", "a call of a tool", "the last step")
        case "agent.race":
            return tuple(f"branch {number + 1}" for number in range(len(operation.regions)))
        case _:
            return ()
