"""Graphs by hand: a builder that says no more than a pipeline's text would.

body = Body("hello")
name = body.input("name", TEXT)
reply = body.stage("text:greet", StreamType(TEXT), name=name)
graph = body.graph(reply)
"""

from __future__ import annotations

from collections.abc import Callable

from agentlang.ir.graph import Attribute, Graph, GraphPipeline, Handle, Input, Operation, Region, Value, ValueType
from agentlang.lang.types import INT, TEXT, HandleType, ListType, RecordType, StreamType, TurnType, Type


class Body:
    """A region that is being written; `inner` bodies share its numbers."""

    def __init__(self, name: str, outer: Body | None = None) -> None:
        self.name = name
        self.operations: list[Operation] = []
        self.arguments: list[Value] = []
        self.inputs: list[Input] = []
        self.handles: list[Handle] = outer.handles if outer else []
        self._counter: list[int] = outer._counter if outer else [0]

    def _value(self, type_: ValueType, name: str | None = None) -> Value:
        self._counter[0] += 1
        return Value(self._counter[0], type_, name)

    def input(self, name: str, type_: Type, default: Attribute = None, required: bool = True) -> Value:
        value = self._value(type_, name)
        self.arguments.append(value)
        self.inputs.append(Input(name, type_, required, default))
        return value

    def operation(
        self,
        name: str,
        operands: tuple[Value, ...] = (),
        result: ValueType | None = None,
        regions: tuple[Region, ...] = (),
        label: str | None = None,
        /,
        **attributes: Attribute,
    ) -> Value:
        results = () if result is None else (self._value(result),)
        self._counter[0] += 1
        identity = f"{self.name}.{label or name.removeprefix('agent.')}{self._counter[0]}"
        self.operations.append(Operation(identity, name, operands, results, attributes, regions))
        return results[0] if results else Value(-1, TEXT)

    # --- operations ---

    def constant(self, value: Attribute, type_: Type = TEXT) -> Value:
        return self.operation("agent.constant", (), type_, value=value)

    def stage(self, entry: str, result: ValueType, **arguments: Value) -> Value:
        names, values = tuple(arguments), tuple(arguments.values())
        label = entry.partition(":")[2]
        return self.operation("agent.stage", values, result, (), label, entry=entry, parameters=names)

    def open(self, name: str, entry: str = "llm:model", **arguments: Attribute) -> Value:
        self.handles.append(Handle(name, "llm.Model", entry, arguments))
        return self.operation("agent.open", (), HandleType("llm.Model"), name=name)

    def template(self, *parts: str | Value) -> Value:
        holes = tuple(part for part in parts if isinstance(part, Value))
        indices = iter(range(len(holes)))
        texts = tuple(next(indices) if isinstance(part, Value) else part for part in parts)
        return self.operation("agent.template", holes, TEXT, parts=texts)

    def binary(self, operator: str, left: Value, right: Value, result: Type) -> Value:
        return self.operation("agent.binary", (left, right), result, operator=operator)

    def unary(self, operator: str, operand: Value, result: Type) -> Value:
        return self.operation("agent.unary", (operand,), result, operator=operator)

    def length(self, of: Value) -> Value:
        return self.operation("agent.length", (of,), INT)

    def list(self, *items: Value) -> Value:
        assert isinstance(items[0].type, Type)
        return self.operation("agent.list", items, ListType(items[0].type))

    def build(self, record: str, **fields: Value) -> Value:
        values = tuple(fields.values())
        return self.operation("agent.build", values, RecordType(record), record=record, fields=tuple(fields))

    def field(self, base: Value, name: str, type_: Type) -> Value:
        return self.operation("agent.field", (base,), type_, name=name)

    def collect(self, stream: Value) -> Value:
        assert isinstance(stream.type, StreamType)
        element = stream.type.element
        return self.operation("agent.collect", (stream,), TEXT if element == TEXT else ListType(element))

    def attempt(
        self, first: Callable[[Body], Value], second: Callable[[Body], Value], result: Type, *reasons: str
    ) -> Value:
        """`first otherwise on reasons second`"""
        regions = tuple(self._region(write) for write in (first, second))
        return self.operation("agent.try", (), result, regions, reasons=reasons)

    def race(self, result: Type, *branches: Callable[[Body], Value]) -> Value:
        return self.operation("agent.race", (), result, tuple(map(self._region, branches)))

    def guard(
        self, write: Callable[[Body], Value], result: Type, question: Value | None = None, **policies: Attribute
    ) -> Value:
        """`write with policies`"""
        operands = () if question is None else (question,)
        approve = question is not None
        return self.operation("agent.guard", operands, result, (self._region(write),), approve=approve, **policies)

    def interruptible(self, write: Callable[[Body], Value], result: Type) -> Value:
        return self.operation("agent.interruptible", (), result, (self._region(write),))

    def repeat(self, initial: Value, at_most: int, write: Callable[[Body, Value], Value]) -> Value:
        """`write` gives a turn (see `turn`)."""
        assert isinstance(initial.type, Type)
        region = self._turn(write, initial.type)
        return self.operation("agent.repeat", (initial,), initial.type, (region,), variable="state", at_most=at_most)

    def turn(self, value: Value, stop: bool) -> Value:
        assert isinstance(value.type, Type)
        return self.operation("agent.turn", (value,), TurnType(value.type), stop=stop)

    def match(self, subject: Value, result: Type, **arms: tuple[tuple[Type, ...], Callable[..., Value]]) -> Value:
        """Each arm: the types of the payload, and what it gives from it; `_` under the name `rest`."""
        regions: list[Region] = []
        for types, write in arms.values():
            inner = Body(self.name, self)
            payload = tuple(inner._value(type_) for type_ in types)
            inner.operation("agent.yield", (write(inner, *payload),))
            regions.append(Region(payload, tuple(inner.operations)))
        cases = tuple("_" if case == "rest" else case for case in arms)
        return self.operation("agent.match", (subject,), result, tuple(regions), cases=cases)

    def buffered(self, stream: Value) -> Value:
        return self.operation("agent.buffered", (stream,), stream.type)

    def generator(self, write: Callable[[Body], Value | None], result: Type) -> Value:
        """What `write` emits, then the stream that it gives, if any."""
        inner = Body(self.name, self)
        last = write(inner)
        inner.operation("agent.yield", () if last is None else (last,))
        return self.operation("agent.generator", (), result, (Region((), tuple(inner.operations)),))

    def each_does(self, over: Value, write: Callable[[Body, Value], None], at_most: int = 16) -> None:
        """A `for` without a value."""
        assert isinstance(over.type, ListType | StreamType)
        inner = Body(self.name, self)
        item = inner._value(over.type.element, "item")
        write(inner, item)
        inner.operation("agent.yield")
        regions = (Region((item,), tuple(inner.operations)),)
        self.operation("agent.map", (over,), None, regions, variable="item", at_most=at_most)

    def choose_to(self, condition: Value, *branches: Callable[[Body], None]) -> None:
        """An `if` without a value; the second branch may be missing."""
        regions: list[Region] = []
        for write in (*branches, lambda inner: None)[:2]:
            inner = Body(self.name, self)
            write(inner)
            inner.operation("agent.yield")
            regions.append(Region((), tuple(inner.operations)))
        self.operation("agent.if", (condition,), None, tuple(regions))

    def emit(self, value: Value) -> None:
        self.operation("agent.emit", (value,))

    def expect(self, condition: Value) -> None:
        self.operation("agent.expect", (condition,))

    def choose(
        self, condition: Value, then: Callable[[Body], Value], otherwise: Callable[[Body], Value], result: Type
    ) -> Value:
        regions = tuple(self._region(write) for write in (then, otherwise))
        return self.operation("agent.if", (condition,), result, regions)

    def each(
        self,
        over: Value,
        write: Callable[[Body, Value], Value],
        result: Type,
        where: Callable[[Body, Value], Value] | None = None,
        at_most: int = 16,
    ) -> Value:
        assert isinstance(over.type, ListType | StreamType)
        element = over.type.element
        regions = [self._turn(write, element)]
        if where is not None:
            regions.append(self._turn(where, element))
        return self.operation("agent.map", (over,), result, tuple(regions), variable="item", at_most=at_most)

    def llm(self, model: Value, prompt: Value, max_tokens: int = 32) -> Value:
        """A chat call as the split leaves it: a stream of texts."""
        from agentlang.ir.graph import KvType, TokensType

        tokens = self.operation("agent.tokenize", (model, prompt), TokensType("m"), parameters=("self", "prompt"))
        kv = self.operation("agent.prefill", (model, tokens), KvType("m"))
        moved = self.operation("agent.kv_transfer", (kv,), KvType("m"))
        limit = self.constant(max_tokens, INT)
        ids = self.operation(
            "agent.decode", (model, moved, limit), StreamType(INT), parameters=("self", "kv", "max_tokens")
        )
        return self.operation("agent.detokenize", (model, ids), StreamType(TEXT), parameters=("self", "tokens"))

    # --- regions ---

    def _region(self, write: Callable[[Body], Value]) -> Region:
        inner = Body(self.name, self)
        inner.operation("agent.yield", (write(inner),))
        return Region((), tuple(inner.operations))

    def _turn(self, write: Callable[[Body, Value], Value], element: Type) -> Region:
        inner = Body(self.name, self)
        item = inner._value(element, "item")
        inner.operation("agent.yield", (write(inner, item),))
        return Region((item,), tuple(inner.operations))

    def pipeline(self, result: Value) -> GraphPipeline:
        assert isinstance(result.type, Type)
        self.operation("agent.return", (result,))
        region = Region(tuple(self.arguments), tuple(self.operations))
        return GraphPipeline(self.name, tuple(self.inputs), result.type, region)

    def graph(self, result: Value) -> Graph:
        return Graph("0" * 64, tuple(self.handles), (), (self.pipeline(result),))


def hello() -> Graph:
    """`return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)`"""
    body = Body("hello")
    name = body.input("name", TEXT, default="world", required=False)
    model = body.open("writer")
    prompt = body.template("Greet ", name, " in one short sentence.")
    return body.graph(body.llm(model, prompt))


def show(region: Region, depth: int = 0) -> str:
    """A region as text, one operation a line."""
    lines: list[str] = []
    for operation in region.operations:
        result = "".join(f"%{value.id}: {value.type} = " for value in operation.results)
        operands = ", ".join(f"%{value.id}" for value in operation.operands)
        extra = operation.attributes.get("entry") or operation.attributes.get("value") or ""
        lines.append(f"{'  ' * depth}{result}{operation.id} {extra} ({operands})")
        for inner in operation.regions:
            arguments = ", ".join(f"%{value.id}" for value in inner.arguments)
            lines.append(f"{'  ' * depth}[{arguments}]")
            lines.append(show(inner, depth + 2))
    return "\n".join(lines)
