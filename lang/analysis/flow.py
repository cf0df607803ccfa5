"""Where labelled data goes: from each place that gives a label to each call that receives it, across all pipelines.

Every pipeline is looked at once, its parameters standing for whatever a caller may pass; a caller then puts its own
arguments in their place. Names are unique within a pipeline and what they hold only grows, so that a body is gone
through again only while the state of a `repeat` still gains something. What was stored in a memory is what it gives
back, so the whole is done again until the memories gain nothing.

With `control`, that a value decides what runs counts as a flow too: into what the branch gives, and into every call
inside of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...base.frozen import frozen
from ...base.source import Span
from .. import program as p
from ..types import EnumType, ListType, MapType, OptionType, RecordType, StreamType, TurnType, Type
from .paths import NOTHING, Flow, Origin, Step, given, held_by, is_label, joined, onto, stepped
from .whole import Whole

UNTRUSTED = "untrusted"
# Stages whose result carries no label of their arguments, by what runs them.
_ENDS = frozenset({"text:redact", "text:redact_found"})
# The parameter that stands for the run of a pipeline itself: what decided that it is called.
_RUN = ""


@frozen
class Reach:
    """A label that arrives at an argument of a call. `place` is the tier that the call is put on by the program,
    `approved` whether a person is asked before it."""

    origin: Origin
    path: Step | None
    call: p.StageCall
    argument: str
    span: Span
    place: str | None
    placed: Span | None
    approved: bool


@frozen
class Summary:
    """What a pipeline does with labels: those of its result, and those that arrive at calls. Of calls in pipelines that
    it calls, only what differs for being called from here: what its arguments bring, or where they are placed."""

    result: Flow
    reaches: tuple[Reach, ...]


@frozen
class _Where:
    """What surrounds an expression."""

    place: str | None = None
    placed: Span | None = None
    approved: bool = False
    control: Flow = NOTHING


class Flows:
    """The summaries of all pipelines of a program."""

    def __init__(self, whole: Whole, control: bool = False) -> None:
        self.whole = whole
        self.program = program = whole.program
        self.control = control
        self.handles = {handle.name: handle for handle in program.handles}
        self.pipelines = whole.named
        self.everything = any(
            isinstance(node, p.With) and node.policies.place is not None
            for nodes in whole.nodes.values()
            for node in nodes
        )
        self.memories: dict[str, Flow] = {}
        self._contained: dict[Type, Flow] = {}
        self.summaries: dict[str, Summary] = {}
        while True:
            self.summaries = {}
            for pipeline in whole.pipelines:
                self.summaries[pipeline.name] = _Body(self, pipeline).summary()
            if not self._remembered():
                break

    def within(self, pipeline: str) -> Iterator[Reach]:
        """All that arrives at calls when a pipeline runs."""
        seen = {pipeline}
        waiting = [pipeline]
        while waiting:
            name = waiting.pop()
            if name in self.summaries:
                yield from self.summaries[name].reaches
                waiting += [called for called in self.whole.called(name) if called not in seen]
                seen.update(waiting)

    def _remembered(self) -> bool:
        """Note what arrives in memories; whether any is new."""
        new = False
        for summary in self.summaries.values():
            for reach in summary.reaches:
                name = self.memory_of(reach.call)
                held = self.memories.get(name, NOTHING) if name else NOTHING
                if name and is_label(reach.origin) and reach.origin not in held:
                    path = Step(reach.span, f"stored in `{name}` here", reach.path)
                    self.memories[name] = {**held, reach.origin: path}
                    new = True
        return new

    def memory_of(self, call: p.StageCall) -> str | None:
        """The memory whose method is called."""
        name = receiver(call)
        handle = self.handles.get(name) if name else None
        return name if handle is not None and handle.keyword == "memory" else None

    def matters(self, call: p.StageCall) -> bool:
        """Whether any check asks what arrives at this call."""
        if self.everything or any(e.kind != "reads" for e in call.stage.effects):
            return True
        name = receiver(call)
        handle = self.handles.get(name) if name else None
        return handle is not None and handle.keyword in ("model", "memory")

    def contained(self, type: Type) -> Flow:
        """The labels that the declaration of a type gives to parts of its values."""
        found = self._contained.get(type)
        if found is None:
            self._contained[type] = {}  # a record may hold itself
            found = self._contained[type] = self._parts(type)
        return found

    def _parts(self, type: Type) -> Flow:
        match type:
            case ListType() | MapType() | OptionType() | StreamType() | TurnType():
                return self.contained(type.element)
            case RecordType():
                record = self.program.records.get(type.name)
                return self._declared(record.fields) if record else NOTHING
            case EnumType():
                enum = self.program.enums.get(type.name)
                return joined(self._declared(case.payload) for case in enum.cases) if enum else NOTHING
            case _:
                return NOTHING

    def _declared(self, fields: Iterable[p.Parameter]) -> Flow:
        return joined(part for field in fields for part in (given(field), self.contained(field.type)))


class _Body:
    """One pipeline."""

    def __init__(self, whole: Flows, pipeline: p.Pipeline) -> None:
        self.whole = whole
        self.pipeline = pipeline
        self.names: dict[str, Flow] = {}
        self.reaches: dict[object, Reach] = {}
        self.sent: Flow = NOTHING
        self.grew = False

    def summary(self) -> Summary:
        for parameter in self.pipeline.parameters:
            self.names[parameter.name] = {**given(parameter), parameter.name: None}
        run: Flow = {_RUN: None} if self.whole.control else NOTHING
        while True:
            self.grew = False
            result = self.block(self.pipeline.body, _Where(control=run))
            if not self.grew:
                break
        return Summary(joined((result, self.sent)), tuple(self.reaches.values()))

    def block(self, block: p.Block, where: _Where) -> Flow:
        for statement in block.statements:
            match statement:
                case p.Bind():
                    flow = self.flow(statement.value, where)
                    self.names[statement.name] = held_by(statement.name, flow, statement.span)
                case p.Evaluate():
                    self.flow(statement.value, where)
                case p.Emit():
                    self.sent = joined((self.sent, self.flow(statement.value, where)))
                case p.Expect():
                    self.flow(statement.condition, where)
        return NOTHING if block.result is None else self.flow(block.result, where)

    def flow(self, node: p.Expression, where: _Where) -> Flow:
        """The labels of what an expression gives."""
        match node:
            case p.Literal():
                return NOTHING
            case p.Reference():
                return self.names.get(node.name, NOTHING)
            case p.HandleReference():
                return self.whole.memories.get(node.name, NOTHING)
            case p.StageCall():
                return self.stage(node, where)
            case p.PipelineCall():
                return self.call(node, where)
            case p.FieldOf():
                return joined((self.flow(node.base, where), self.field(node)))
            case p.Declassify():
                self.flow(node.value, where)
                return NOTHING
            case p.If():
                condition = self.flow(node.condition, where)
                text = "this decides which branch of the `if` runs"
                inside, control = self.decided(condition, node.condition.span, text, where)
                return joined((self.block(node.then, inside), self.block(node.otherwise, inside), control))
            case p.Match():
                return self.match(node, where)
            case p.MapOver():
                return self.map(node, where)
            case p.Repeat():
                return self.repeat(node, where)
            case p.Interruptible():
                return self.block(node.body, where)
            case p.With():
                policies = node.policies
                if policies.approve is not None:
                    self.flow(policies.approve, where)
                place, placed = where.place, where.placed
                if policies.place is not None:
                    place, placed = policies.place, policies.spans.get("place", node.span)
                approved = where.approved or policies.approve is not None
                return self.flow(node.call, _Where(place, placed, approved, where.control))
            case p.Convert() | p.Length() | p.Binary() | p.Unary():
                # What is made of a whole value holds whatever its parts hold.
                parts = p.children(node)
                return joined(
                    flow for part in parts for flow in (self.flow(part, where), self.whole.contained(part.type))
                )
            case _:
                return joined([self.flow(part, where) for part in p.children(node)])

    # --- calls

    def stage(self, node: p.StageCall, where: _Where) -> Flow:
        stage = node.stage
        arriving = {a.name: self.argument(a, where) for a in node.arguments}
        if self.whole.matters(node):
            for argument in node.arguments:
                if not isinstance(argument.value, p.HandleReference):
                    for flow in (arriving[argument.name], where.control):
                        self.arrives(node, argument.name, argument.value.span, flow, where)
        own: dict[Origin, Step | None] = {}
        network = any(effect.kind == "network" for effect in stage.effects)
        for label in sorted(stage.result_labels):
            if label != UNTRUSTED or not network:
                text = f"what `{stage.name}` gives is @{label}"
                own[f"@{label}"] = Step(stage.span, text, None)
        if network:
            text = f"`{stage.name}` is a network tool, so what it gives is @{UNTRUSTED}"
            own[f"@{UNTRUSTED}"] = Step(node.span, text, None)
        return own if ends_labels(stage) else joined((*arriving.values(), own))

    def argument(self, argument: p.Argument, where: _Where) -> Flow:
        return joined((self.flow(argument.value, where), self.whole.contained(argument.value.type)))

    def arrives(self, call: p.StageCall, argument: str, span: Span, flow: Flow, where: _Where) -> None:
        for origin, path in flow.items():
            reach = Reach(origin, path, call, argument, span, where.place, where.placed, where.approved)
            self.reaches.setdefault((id(call), argument, where.place, where.approved, origin), reach)

    def call(self, node: p.PipelineCall, where: _Where) -> Flow:
        arguments = {a.name: self.flow(a.value, where) for a in node.arguments}
        spans = {a.name: a.value.span for a in node.arguments}
        callee = self.whole.summaries.get(node.pipeline)
        if callee is None:
            return joined(arguments.values())
        arguments[_RUN], spans[_RUN] = where.control, node.span
        for reach in callee.reaches:
            if is_label(reach.origin) and (where.place is None or reach.place is not None):
                continue  # told of the callee itself, and no different when it is called from here
            place, placed = (reach.place, reach.placed) if reach.place else (where.place, where.placed)
            approved = reach.approved or where.approved
            for origin, path in self.passed(node, reach.origin, reach.path, arguments, spans):
                key = (id(reach.call), reach.argument, place, approved, origin)
                if key not in self.reaches:
                    self.reaches[key] = Reach(
                        origin, path, reach.call, reach.argument, reach.span, place, placed, approved
                    )
        out: dict[Origin, Step | None] = {}
        for origin, path in callee.result.items():
            for found, way in self.passed(node, origin, path, arguments, spans):
                text = f"`{node.pipeline}` returns it here"
                out.setdefault(found, Step(node.span, text, way) if is_label(origin) else way)
        declared = self.whole.pipelines.get(node.pipeline)
        if declared is not None:
            for label in sorted(declared.result_labels):
                text = f"what `{node.pipeline}` returns is @{label}"
                out.setdefault(f"@{label}", Step(declared.span, text, None))
        return out

    def passed(
        self,
        node: p.PipelineCall,
        origin: Origin,
        path: Step | None,
        arguments: Mapping[str, Flow],
        spans: Mapping[str, Span],
    ) -> Iterable[tuple[Origin, Step | None]]:
        """What stands for an origin of a called pipeline here: for a parameter, all that is passed for it."""
        if is_label(origin):
            yield origin, path
            return
        name = origin
        text = f"passed to `{node.pipeline}` as `{name}`" if name else f"this decides whether `{node.pipeline}` runs"
        for found, before in arguments.get(name, NOTHING).items():
            yield found, onto(path, Step(spans[name], text, before))

    # --- parts and blocks

    def field(self, node: p.FieldOf) -> Flow:
        record = self.whole.program.records.get(node.base.type.name) if isinstance(node.base.type, RecordType) else None
        found = next((f for f in record.fields if f.name == node.field_name), None) if record else None
        return given(found) if found else NOTHING

    def decided(self, flow: Flow, span: Span, text: str, where: _Where) -> tuple[_Where, Flow]:
        """What surrounds a branch that `flow` decides on, and what the decision adds to its value."""
        if not self.whole.control or not flow:
            return where, NOTHING
        control = stepped(flow, span, text)
        return _Where(where.place, where.placed, where.approved, joined((where.control, control))), control

    def match(self, node: p.Match, where: _Where) -> Flow:
        subject = self.flow(node.subject, where)
        text = "this decides which arm of the `match` runs"
        inside, control = self.decided(subject, node.subject.span, text, where)
        enum = self.whole.program.enums.get(node.subject.type.name) if isinstance(node.subject.type, EnumType) else None
        out = [control]
        for arm in node.arms:
            case = next((c for c in enum.cases if c.name == arm.case), None) if enum else None
            for position, binder in enumerate(arm.binders):
                if binder is not None:
                    own = given(case.payload[position]) if case and position < len(case.payload) else NOTHING
                    self.names[binder.name] = held_by(binder.name, joined((subject, own)), binder.span)
            out.append(self.block(arm.body, inside))
        return joined(out)

    def map(self, node: p.MapOver, where: _Where) -> Flow:
        over = self.flow(node.over, where)
        text = f"each `{node.variable}` is a part of it"
        named = node.over.name if isinstance(node.over, p.Reference) else ""
        self.names[node.variable] = stepped(over, node.over.span, text, named)
        condition = NOTHING if node.where is None else self.flow(node.where, where)
        span = node.span if node.where is None else node.where.span
        inside, control = self.decided(condition, span, "this decides which items are taken", where)
        if self.whole.control:
            # How many items there are decides how often the body runs.
            inside, more = self.decided(over, node.over.span, "this decides how often the body runs", inside)
            control = joined((control, more))
        return joined((self.block(node.body, inside), control))

    def repeat(self, node: p.Repeat, where: _Where) -> Flow:
        held = self.names.get(node.state, NOTHING)
        entering = joined((held, held_by(node.state, self.flow(node.initial, where), node.initial.span)))
        self.names[node.state] = entering
        after = joined((entering, self.block(node.body, where)))
        self.grew = self.grew or len(after) > len(entering) or len(entering) > len(held)
        self.names[node.state] = after
        return after


# --- calls -----------------------------------------------------------------------------------------------------------


def receiver(call: p.StageCall) -> str | None:
    """The declared handle whose method is called."""
    value = call.arguments[0].value if call.arguments else None
    return value.name if isinstance(value, p.HandleReference) and call.arguments[0].name == "self" else None


def ends_labels(stage: p.StageSignature) -> bool:
    return stage.behind == "builtin" and stage.entry in _ENDS
