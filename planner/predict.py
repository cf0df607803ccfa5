"""When things happen in one run on an otherwise idle machine: first item, gap, finish, and how long it is kept busy.

The graph is walked once, in dataflow order. What does not depend on each other overlaps, except that stages which take
the whole machine (`heavy`: compute or bandwidth limits them) take turns on it; a light stage takes one core. A stream
is followed from its first item: a stage that takes a stream starts on it while upstream still runs. A loop over a list
runs in waves of `at most`; its bodies' heavy work adds up, since there is one machine. Of two branches the slower
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from ..ir.graph import Graph, Handle, HandleName, KvType, Operation, Region, TokensType, Value, ValueType, walk
from ..lang.types import StreamType
from .calibrate import Calibration
from .cost import ENGINE_OPERATIONS, HOST, Sizes, StageTime, stage_time
from .moments import ZERO, Moment, Slice, latest, merged, scaled, spent, total
from .rates import Rates


@dataclass(frozen=True, slots=True)
class Flow:
    """When a value is there. For a stream: its first item, its end, the time between items and their number."""

    first: Moment
    finish: Moment
    gap: Moment = ZERO
    items: float = 1.0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """One run. `first` is when the first item (or the result) leaves, `gap` the time between items of a stream (None
    for a value), `busy` the machine-seconds by stage: heavy stages count in full, light ones by their share of the
    cores. `executions` is how often the run executes a stage, `at_once` how many of them may be open together. `opened`
    are the declared models and resources in use. `free` names leaf stages that no demand is known of."""

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
    free: tuple[str, ...]

    @property
    def busy_seconds(self) -> float:
        return sum(self.busy.values())


def forecast(
    graph: Graph, pipeline: str, sizes: Sizes, rates: Rates, calibration: Calibration, *, engine: str = "xla"
) -> Forecast:
    """Predict one run of `pipeline`. KeyError for an unknown pipeline, or a size without a value."""
    walker = _Walker(graph, sizes, rates, calibration, engine)
    state = _State()
    flow = walker.pipeline(pipeline, (), state)
    first = min((*state.emitted, flow.first), key=lambda moment: moment.at)
    busy: dict[str, float] = {}
    for part in state.heavy:
        busy[part.stage] = busy.get(part.stage, 0.0) + part.seconds
    for part in state.light:
        busy[part.stage] = busy.get(part.stage, 0.0) + part.seconds / rates.cores
    return Forecast(
        first=first,
        gap=flow.gap if flow.stream else None,
        finish=latest((flow.finish, *state.emitted)),
        times=walker.times,
        executions=walker.executions,
        at_once=walker.at_once,
        busy=busy,
        channels=tuple(dict.fromkeys(walker.channels)),
        operations=walker.operations,
        opened=tuple(dict.fromkeys(walker.handles.values())),
        free=tuple(dict.fromkeys(walker.free)),
    )


@dataclass(slots=True)
class _State:
    """What changes while one region instance is walked; nothing in it happens before `start`."""

    values: dict[int, Flow] = field(default_factory=dict[int, Flow])
    start: Moment = ZERO
    machine: Moment = ZERO
    emitted: list[Moment] = field(default_factory=list[Moment])
    heavy: list[Slice] = field(default_factory=list[Slice])
    light: list[Slice] = field(default_factory=list[Slice])
    weight: float = 1.0
    at_once: float = 1.0

    def copy(self) -> _State:
        return replace(
            self,
            values=dict(self.values),
            emitted=list(self.emitted),
            heavy=list(self.heavy),
            light=list(self.light),
        )

    def take(self, other: _State) -> None:
        self.values, self.machine, self.emitted = other.values, other.machine, other.emitted
        self.heavy, self.light = other.heavy, other.light


class _Walker:
    """Walks regions and keeps what is known of stages; `_State` is what differs between instances of a region."""

    def __init__(self, graph: Graph, sizes: Sizes, rates: Rates, calibration: Calibration, engine: str) -> None:
        self.graph, self.sizes, self.rates, self.calibration, self.engine = graph, sizes, rates, calibration, engine
        self.times: dict[str, StageTime] = {}
        self.executions: dict[str, float] = {}
        self.at_once: dict[str, float] = {}
        self.operations: dict[str, Operation] = {}
        self.channels: list[tuple[str, str]] = []
        self.free: list[str] = []
        self.handles: dict[int, str] = {}
        self.makers: dict[int, str] = {}

    def pipeline(self, name: str, arguments: tuple[Flow, ...], state: _State) -> Flow:
        body = self.graph.pipeline(name).body
        for value, flow in zip(body.arguments, arguments, strict=False):
            state.values[value.id] = flow
        for value in body.arguments[len(arguments) :]:
            state.values[value.id] = Flow(ZERO, ZERO, stream=isinstance(value.type, StreamType))
        return self.region(body, state)

    def region(self, region: Region, state: _State) -> Flow:
        """The flow of the region's result (of its end, where it has none)."""
        for operation in region.operations:
            flow = self.operation(operation, state)
            for result in operation.results:
                state.values[result.id] = flow
        last = region.operations[-1] if region.operations else None
        if last is not None and last.operands:
            return state.values[last.operands[0].id]
        return Flow(ZERO, latest(state.values[v.id].finish for op in region.operations for v in op.results))

    def operation(self, operation: Operation, state: _State) -> Flow:
        operands = [state.values.get(value.id, Flow(ZERO, ZERO)) for value in operation.operands]
        match operation.name:
            case "agent.map":
                return self.map(operation, operands, state)
            case "agent.if":
                return self.branch(operation, operands, state)
            case "agent.call":
                inner = _State(start=state.start, machine=state.machine, weight=state.weight, at_once=state.at_once)
                flow = self.pipeline(str(operation.attributes["callee"]), tuple(operands), inner)
                state.machine = inner.machine
                state.heavy += inner.heavy
                state.light += inner.light
                return flow
            case "agent.open":
                for result in operation.results:
                    self.handles[result.id] = str(operation.attributes.get("name", ""))
            case "agent.emit":
                state.emitted.append(latest(flow.first for flow in operands))
            case _ if operation.demand is not None:
                return self.leaf(operation, operands, state)
            case "agent.stage":
                self.free.append(operation.id)
                self.makers |= {result.id: operation.id for result in operation.results}
            case _:
                pass
        return _structural(operation, operands)

    def leaf(self, operation: Operation, operands: list[Flow], state: _State) -> Flow:
        time = self.time(operation)
        weight = state.weight if operation.times is None else operation.times.value(self.sizes)
        self.executions[operation.id] = weight
        self.at_once[operation.id] = state.at_once
        whole = spent(operation.id, time.seconds)
        (state.heavy if time.heavy else state.light).extend(whole.path)
        for value in operation.operands:
            if isinstance(value.type, StreamType) and value.id in self.makers:
                self.channels.append((self.makers[value.id], operation.id))
        self.makers |= {result.id: operation.id for result in operation.results}
        streams = [flow for flow in operands if flow.stream]
        values = [state.start, *(flow.finish for flow in operands if not flow.stream)]
        gives_stream = any(isinstance(result.type, StreamType) for result in operation.results)
        if streams:
            flow = self.follow(time, whole, streams, values, state)
        else:
            start = latest([*values, state.machine] if time.heavy else values)
            items = max(1.0, time.tokens_out)
            if operation.name == "agent.decode":
                # The first token comes from the prompt's logits, without a step; each other one takes a step.
                gap, early = whole.scaled(1.0 / max(1.0, items - 1.0)), spent(operation.id, time.first)
            else:
                gap = early = whole.scaled(1.0 / items)
            flow = Flow(early.after(start), whole.after(start), gap, items, True)
        if time.heavy:
            state.machine = latest((state.machine, flow.finish))
        return flow if gives_stream else Flow(flow.finish, flow.finish)

    def follow(self, time: StageTime, whole: Moment, streams: list[Flow], values: list[Moment], state: _State) -> Flow:
        """A stage that takes streams: it works on each item as it comes, and ends one item's time after them."""
        items = max(flow.items for flow in streams)
        each = whole.scaled(1.0 / max(1.0, items))
        first = each.after(latest([*(flow.first for flow in streams), *values]))
        ends = [each.after(latest(flow.finish for flow in streams)), whole.after(latest(values)), first]
        if time.heavy:
            ends.append(whole.after(state.machine))
        gap = latest([*(flow.gap for flow in streams), each])
        return Flow(first, latest(ends), gap, items, True)

    def map(self, operation: Operation, operands: list[Flow], state: _State) -> Flow:
        body, *rest = operation.regions
        over = operands[0] if operands else Flow(ZERO, ZERO)
        outer = _free_values(operation)
        ready = latest((state.start, *(state.values[value].finish for value in outer if value in state.values)))
        count = over.items if over.stream else self.count(operation)
        inner = _State({value: Flow(ZERO, ZERO) for value in outer}, weight=state.weight * count)
        inner.at_once = state.at_once * (1.0 if over.stream else max(1.0, min(count, _width(operation))))
        for region in (*rest, body):
            inner.values |= {value.id: Flow(inner.machine, inner.machine) for value in region.arguments}
        one = ZERO
        for region in rest:
            if region.operations:
                one = self.region(region, inner).finish
        inner.values |= {value.id: Flow(one, one) for value in body.arguments}
        result = self.region(body, inner)
        length = latest((result.finish, *(moment for moment in inner.emitted)))
        state.heavy += scaled(merged(inner.heavy), count)
        state.light += scaled(merged(inner.light), count)
        if over.stream:
            start = latest((ready, over.first))
            finish = latest(
                (length.after(latest((ready, over.finish))), length.scaled(count).after(start))
                + ((total(scaled(inner.heavy, count)).after(state.machine),) if inner.heavy else ())
            )
            inner_gap = result.gap if result.stream else ZERO
            gap = latest((over.gap, inner_gap if result.stream else length))
            items = count * (result.items if result.stream else 1.0)
            flow = Flow(result.first.after(start), finish, gap, items, True)
        else:
            start = latest((ready, over.finish, state.machine) if inner.heavy else (ready, over.finish))
            end = self.waves(operation, count, length, inner).after(start)
            flow = Flow(end, end)
        state.emitted += [moment.after(start) for moment in inner.emitted[:1]]
        if inner.heavy:
            state.machine = latest((state.machine, flow.finish))
        return flow

    def waves(self, operation: Operation, count: float, length: Moment, inner: _State) -> Moment:
        """How long a loop over a list takes: the longest of waves of bodies at once, the heavy work one after the other
        with one body's light work, and the light work spread over all cores."""
        if count <= 0.0:
            return ZERO
        turns = float(ceil(count / _width(operation))) if count >= 1.0 else count
        heavy = {part.stage for part in inner.heavy}
        beside = tuple(part for part in length.path if part.stage not in heavy)
        serial = total((*scaled(inner.heavy, count), *scaled(beside, min(1.0, count))))
        spread = total(scaled(inner.light, count / self.rates.cores))
        return latest((length.scaled(turns), serial, spread))

    def branch(self, operation: Operation, operands: list[Flow], state: _State) -> Flow:
        """The slower branch counts in full, for time and for cost: the goal's tail meets it."""
        ready = latest(flow.finish for flow in operands)
        tried: list[tuple[Flow, _State]] = []
        for region in operation.regions:
            inner = state.copy()
            inner.start = latest((state.start, ready))
            tried.append((self.region(region, inner), inner))
        if not tried:
            return Flow(ready, ready)
        flow, chosen = max(tried, key=lambda pair: pair[0].finish.at)
        chosen.values = state.values
        state.take(chosen)
        return _not_before(flow, ready)

    def count(self, operation: Operation) -> float:
        """How many items a loop over a list has: from the executions of its bodies, else from its list's size."""
        here = operation.times.value(self.sizes) if operation.times is not None else 1.0
        for inner in operation.regions[0].operations:
            if inner.times is not None and here:
                return inner.times.value(self.sizes) / here
        name = operation.operands[0].name if operation.operands else None
        return self.sizes.get(f"{name}.items", 1.0)

    def time(self, operation: Operation) -> StageTime:
        known = self.times.get(operation.id)
        if known is None:
            assert operation.demand is not None
            engine = self.engine if operation.name in ENGINE_OPERATIONS else HOST
            known = stage_time(
                operation,
                operation.demand,
                self.sizes,
                self.rates,
                self.calibration,
                model=self.model(operation),
                engine=engine,
                fitted_for=self.behind(self.model(operation)),
            )
            self.times[operation.id] = known
            self.operations[operation.id] = operation
        return known

    def model(self, operation: Operation) -> str:
        """The declared model or resource that a stage uses, or an empty text."""
        for value in (*operation.operands, *operation.results):
            if value.id in self.handles:
                return self.handles[value.id]
            if isinstance(value.type, KvType | TokensType):
                return value.type.model
        return ""

    def behind(self, handle: str) -> str:
        """What factors are fitted for: the model's own name, whatever a program calls it."""
        try:
            return behind(self.graph.handle(handle))
        except KeyError:
            return handle


def behind(handle: Handle) -> str:
    """The name that a model has in the catalogue; the constructor of a resource, which is of one program only."""
    name = handle.arguments.get("name")
    return str(name) if handle.keyword == "model" and isinstance(name, str) else handle.entry


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


def _width(operation: Operation) -> float:
    """How many bodies of a loop may run at once."""
    at_most = operation.attributes.get("at_most")
    return float(at_most) if isinstance(at_most, int | float) and at_most >= 1 else 16.0


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


def _not_before(flow: Flow, moment: Moment) -> Flow:
    return Flow(latest((flow.first, moment)), latest((flow.finish, moment)), flow.gap, flow.items, flow.stream)


def _free_values(operation: Operation) -> list[int]:
    """Values that the regions of an operation use and do not define."""
    defined: set[int] = set()
    used: dict[int, Value] = {}
    for region in operation.regions:
        defined |= {value.id for value in region.arguments}
        for inner in walk(region):
            defined |= {value.id for value in inner.results}
            defined |= {value.id for nested in inner.regions for value in nested.arguments}
            used |= {value.id: value for value in inner.operands}
    return [key for key in used if key not in defined]
