"""When things happen in one run on an otherwise idle machine: first item, gap, finish, and how long it is kept busy.

The graph is walked once, in dataflow order. What does not depend on each other overlaps, except that stages which take
the whole machine (`heavy`: compute or bandwidth limits them) take turns on it; a light stage takes one core. A stream
is followed from its first item: a stage that takes a stream starts on it while upstream still runs. A loop over a list
runs in waves of `at most`; its bodies' heavy work adds up, since there is one machine. Of two branches of an `if` the
slower counts. What else has bodies stands in `bodies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..ir.demand.data import FREE
from ..ir.fused import FUSED, as_leaf
from ..ir.graph import Graph, Handle, HandleName, KvType, Operation, Region, SamplerType, TokensType, Value, ValueType
from ..ir.live import ACTING
from ..lang.types import StreamType
from .bodies import BODIES
from .calibrate import Calibration
from .cost import ENGINE_OPERATIONS, HOST, Sizes, StageTime, stage_time
from .endpoints import ENDPOINT, endpoint_time, served
from .flows import Flow, State, not_before, sent_out
from .moments import ZERO, Moment, begun, latest, moved, spent
from .rates import Rates


@dataclass(frozen=True, slots=True)
class Forecast:
    """One run. `first` is when the first item (or the result) leaves, `gap` the time between items of a stream (None
    for a value), `busy` the machine-seconds by stage: heavy stages count in full, light ones by their share of the
    cores. `executions` is how often the run executes a stage, `at_once` how many of them may be open together. `opened`
    are the declared models and resources in use here, `elsewhere` those that an endpoint serves, with its tier. `free`
    names leaf stages that no demand is known of. `counted` is how many executions `busy` is made of (of two branches
    those of the slower, of a race those until it is won), `moves` the pairs of stages between which a value passes."""

    first: Moment
    gap: Moment | None
    finish: Moment
    times: Mapping[str, StageTime]
    executions: Mapping[str, float]
    at_once: Mapping[str, float]
    busy: Mapping[str, float]
    channels: tuple[tuple[str, str], ...]
    operations: Mapping[str, Operation]
    opened: tuple[str, ...]
    elsewhere: Mapping[str, str]
    free: tuple[str, ...]
    counted: Mapping[str, float]
    moves: tuple[tuple[str, str], ...]

    @property
    def busy_seconds(self) -> float:
        return sum(self.busy.values())


def forecast(
    graph: Graph,
    pipeline: str,
    sizes: Sizes,
    rates: Rates,
    calibration: Calibration,
    *,
    engine: str = "xla",
    alone: bool = True,
) -> Forecast:
    """Predict one run of `pipeline`. KeyError for an unknown pipeline, or a size without a value.

    `alone` says that one machine does everything, one thing after the other; otherwise stages do not take turns (where
    they are served, they wait in lines, which is not seen here)."""
    walker = _Walker(graph, sizes, rates, calibration, engine, alone)
    state = State()
    flow = walker.pipeline(pipeline, (), state)
    streams = any(each.stream for each in (*state.emitted, flow))
    if state.emitted:
        flow = sent_out(state.emitted, flow)
    busy: dict[str, float] = {}
    for part in state.heavy:
        busy[part.stage] = busy.get(part.stage, 0.0) + part.seconds
    for part in state.light:
        busy[part.stage] = busy.get(part.stage, 0.0) + part.seconds / rates.cores
    counted: dict[str, float] = {}
    for part in (*state.heavy, *state.light):
        counted[part.stage] = counted.get(part.stage, 0.0) + part.times
    return Forecast(
        first=flow.first,
        gap=flow.gap if streams else None,
        finish=flow.finish,
        times=walker.times,
        executions=walker.executions,
        at_once=walker.at_once,
        busy=busy,
        channels=tuple(dict.fromkeys(walker.channels)),
        operations=walker.operations,
        opened=tuple(name for name in dict.fromkeys(walker.handles.values()) if name not in walker.served),
        elsewhere={name: walker.served[name].tier for name in walker.handles.values() if name in walker.served},
        free=tuple(dict.fromkeys(walker.free)),
        counted=counted,
        moves=tuple(walker.moves),
    )


class _Walker:
    """Walks regions and keeps what is known of stages; `State` is what differs between instances of a region."""

    def __init__(
        self, graph: Graph, sizes: Sizes, rates: Rates, calibration: Calibration, engine: str, alone: bool
    ) -> None:
        self.graph, self.sizes, self.rates, self.calibration, self.engine = graph, sizes, rates, calibration, engine
        self.alone = alone
        self.served = served(graph) if rates.here else {}
        self.times: dict[str, StageTime] = {}
        self.executions: dict[str, float] = {}
        self.at_once: dict[str, float] = {}
        self.operations: dict[str, Operation] = {}
        self.channels: list[tuple[str, str]] = []
        self.free: list[str] = []
        self.handles: dict[int, str] = {}
        self.makers: dict[int, str] = {}
        self.origins: dict[int, tuple[str, ...]] = {}
        self.moves: dict[tuple[str, str], int] = {}

    def pipeline(self, name: str, arguments: tuple[Flow, ...], state: State) -> Flow:
        body = self.graph.pipeline(name).body
        for value, flow in zip(body.arguments, arguments, strict=False):
            state.values[value.id] = flow
        for value in body.arguments[len(arguments) :]:
            state.values[value.id] = Flow(ZERO, ZERO, stream=isinstance(value.type, StreamType))
        return self.region(body, state)

    def region(self, region: Region, state: State) -> Flow:
        """The flow of the region's result (of its end, where it has none)."""
        end = ZERO
        for operation in region.operations:
            flow = self.operation(operation, state)
            self.came(operation)
            if not self.alone:
                state.machine = ZERO
            end = latest((end, flow.finish))
            for result in operation.results:
                state.values[result.id] = flow
        last = region.operations[-1] if region.operations else None
        if last is not None and last.operands:
            return state.values[last.operands[0].id]
        return Flow(end, end)

    def operation(self, operation: Operation, state: State) -> Flow:
        if operation.name == FUSED:
            operation = as_leaf(operation)
        operands = [state.values.get(value.id, Flow(ZERO, ZERO)) for value in operation.operands]
        for region in operation.regions:
            # What bodies are given is made by whatever made what their operation is given.
            self.origins |= {value.id: self.origin(operation.operands) for value in region.arguments}
        match operation.name:
            case name if name in BODIES:
                return BODIES[name](self, operation, operands, state)
            case "agent.call":
                inner = State(start=state.start, machine=state.machine, weight=state.weight, at_once=state.at_once)
                callee = str(operation.attributes["callee"])
                body = self.graph.pipeline(callee).body
                # Numbers of values are of one pipeline.
                outer = self.origins
                given = zip(body.arguments, operation.operands, strict=False)
                self.origins = {value.id: self.origin((operand,)) for value, operand in given}
                flow = self.pipeline(callee, tuple(operands), inner)
                made = self.origin(body.operations[-1].operands if body.operations else ())
                self.origins = outer | {result.id: made for result in operation.results}
                state.machine = inner.machine
                state.heavy += inner.heavy
                state.light += inner.light
                return sent_out(inner.emitted, flow) if inner.emitted else flow
            case "agent.buffered" | "agent.collect":
                end = latest(flow.finish for flow in operands)
                items = max((flow.items for flow in operands), default=1.0)
                return Flow(end, end, ZERO, items, operation.name == "agent.buffered")
            case "agent.open":
                for result in operation.results:
                    self.handles[result.id] = str(operation.attributes.get("name", ""))
            case "agent.emit":
                state.emitted += [not_before(flow, state.start) for flow in operands]
            case _ if operation.demand is not None:
                return self.leaf(operation, operands, state)
            case name if name in ACTING:
                self.free.append(operation.id)
                self.makers |= {result.id: operation.id for result in operation.results}
            case _:
                pass
        return _structural(operation, operands)

    def leaf(self, operation: Operation, operands: list[Flow], state: State) -> Flow:
        if operation.demand == FREE and operation.name in ACTING:
            self.free.append(operation.id)
        time = self.time(operation)
        weight = state.weight if operation.times is None else operation.times.value(self.sizes)
        self.executions[operation.id] = weight
        self.at_once[operation.id] = state.at_once
        whole = spent(operation.id, time.seconds)
        if time.engine != ENDPOINT:
            (state.heavy if time.heavy else state.light).extend(whole.path)
        for value in operation.operands:
            if isinstance(value.type, StreamType) and value.id in self.makers:
                self.channels.append((self.makers[value.id], operation.id))
        self.makers |= {result.id: operation.id for result in operation.results}
        operands = [
            self.passed(value, flow, operation.id) for value, flow in zip(operation.operands, operands, strict=True)
        ]
        streams = [flow for flow in operands if flow.stream]
        values = [state.start, *(flow.finish for flow in operands if not flow.stream)]
        gives_stream = any(isinstance(result.type, StreamType) for result in operation.results)
        if streams:
            flow = self.follow(time, whole, streams, values, state)
        else:
            start = latest([*values, state.machine] if time.heavy and self.alone else values)
            items = max(1.0, time.tokens_out)
            if operation.name == "agent.decode":
                # The first token comes from the prompt's logits, without a step; each other one takes a step.
                gap = whole.scaled(1.0 / max(1.0, items - 1.0))
                early = begun(operation.id, time.first, time.seconds)
            else:
                gap = early = whole.scaled(1.0 / items)
            flow = Flow(early.after(start), whole.after(start), gap, items, True)
        if time.heavy:
            state.machine = latest((state.machine, flow.finish))
        return flow if gives_stream else Flow(flow.finish, flow.finish)

    def follow(self, time: StageTime, whole: Moment, streams: list[Flow], values: list[Moment], state: State) -> Flow:
        """A stage that takes streams: it works on each item as it comes, and ends one item's time after them."""
        items = max(flow.items for flow in streams)
        each = whole.scaled(1.0 / max(1.0, items))
        first = each.after(latest([*(flow.first for flow in streams), *values]))
        ends = [each.after(latest(flow.finish for flow in streams)), whole.after(latest(values)), first]
        if time.heavy and self.alone:
            ends.append(whole.after(state.machine))
        gap = latest([*(flow.gap for flow in streams), each])
        return Flow(first, latest(ends), gap, items, True)

    def origin(self, values: Iterable[Value]) -> tuple[str, ...]:
        """The stages that made what these values consist of."""
        return tuple(dict.fromkeys(stage for value in values for stage in self.origins.get(value.id, ())))

    def came(self, operation: Operation) -> None:
        """Notes which stages made the results of an operation that was walked: itself, where it is a stage; else those
        of what it was given and of what its bodies give."""
        if operation.name == "agent.call":
            return
        if operation.id in self.times or (operation.demand is not None and not operation.regions):
            made: tuple[str, ...] = (operation.id,)
        else:
            given = [region.operations[-1].operands for region in operation.regions if region.operations]
            made = self.origin((*(() if given else operation.operands), *(v for values in given for v in values)))
        self.origins |= {result.id: made for result in operation.results}

    def passed(self, value: Value, flow: Flow, stage: str) -> Flow:
        """A value as a stage sees it that may run elsewhere than what made it."""
        for source in self.origins.get(value.id, ()):
            if source != stage:
                pair = self.moves.setdefault((source, stage), len(self.moves))
                way = moved(pair)
                flow = replace(flow, first=way.after(flow.first), finish=way.after(flow.finish))
        return flow

    def time(self, operation: Operation) -> StageTime:
        known = self.times.get(operation.id)
        if known is None:
            assert operation.demand is not None
            model = self.model(operation)
            name = fitted_for(operation, self.behind(model))
            if model in self.served:
                place = self.served[model]
                known = endpoint_time(
                    operation, operation.demand, self.sizes, self.calibration, place, model=model, fitted_for=name
                )
            else:
                engine = self.engine_of(model) if operation.name in ENGINE_OPERATIONS else HOST
                known = stage_time(
                    operation,
                    operation.demand,
                    self.sizes,
                    self.rates,
                    self.calibration,
                    model=model,
                    engine=engine,
                    fitted_for=name,
                )
            self.times[operation.id] = known
            self.operations[operation.id] = operation
        return known

    def model(self, operation: Operation) -> str:
        """The declared model or resource that a stage uses, or an empty text."""
        for value in (*operation.operands, *operation.results):
            if value.id in self.handles:
                return self.handles[value.id]
            if isinstance(value.type, KvType | SamplerType | TokensType):
                return value.type.model
        return ""

    def engine_of(self, handle: str) -> str:
        """What runs a model: what its declaration says, else what is planned for."""
        try:
            return str(self.graph.handle(handle).arguments.get("engine") or self.engine)
        except KeyError:
            return self.engine

    def behind(self, handle: str) -> str:
        """What factors are fitted for: the model's own name, whatever a program calls it."""
        try:
            return behind(self.graph.handle(handle))
        except KeyError:
            return handle


def behind(handle: Handle) -> str:
    """The name that a model has in the catalogue, with what its weights are stored in where a program says so; the
    constructor of a resource, which is of one program only."""
    name, dtype = handle.arguments.get("name"), handle.arguments.get("dtype")
    if handle.keyword != "model" or not isinstance(name, str):
        return handle.entry
    return f"{name} {dtype}" if dtype else name


def fitted_for(operation: Operation, of: str) -> str:
    """What the factor of a stage is kept under, beside its engine and entry: what is behind its model or resource, and
    of a tool which it is, for what stands behind two tools has nothing in common."""
    if "tool" not in operation.attributes:
        return of
    settings = operation.attributes.get("settings")
    target = settings.get("target", "") if isinstance(settings, Mapping) else ""
    return " ".join(filter(None, (of, str(operation.attributes["tool"]), str(target))))


def opened_as(handle: Handle) -> str:
    """What opening a model or resource is fitted for: engines take each their own time for it."""
    engine = handle.arguments.get("engine")
    return f"{behind(handle)} on {engine}" if engine else behind(handle)


def opened(graph: Graph, used: tuple[str, ...]) -> tuple[str, ...]:
    """These models and resources, each after those that it is made with."""
    names: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in names:
            for argument in graph.handle(name).arguments.values():
                if isinstance(argument, HandleName):
                    add(argument.name)
            names[name] = None

    for name in used:
        add(name)
    return tuple(names)


def _structural(operation: Operation, operands: list[Flow]) -> Flow:
    """An operation that only rearranges values: free, and there when its operands are."""
    if operation.name == "agent.collect":
        end = latest(flow.finish for flow in operands)
        return Flow(end, end)
    streams = [flow for flow in operands if flow.stream]
    types: list[ValueType] = [result.type for result in operation.results]
    if streams and any(isinstance(kind, StreamType) for kind in types):
        return streams[0]
    end = latest(flow.finish for flow in operands)
    return Flow(end, end)
