"""When the values of operations with bodies are there: loops, branches, races, fallbacks, policies.

Of two branches of an `if` the slower counts in full, for time and for cost: the goal's tail meets it. A `match` counts
by the shares of its cases, and a fallback by the share of failures, for which a goal may state numbers; its time is
that of what is tried first. Of a race the fastest counts, and the others work until then. Policies cost nothing while
nothing fails; the wait for a person is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Protocol

from ..ir.graph import Operation, Region
from ..ir.live import gathers
from .cost import Sizes
from .flows import Flow, State, free_values, not_before, sent_out, slower
from .moments import ZERO, Moment, latest, mean, merged, scaled, total
from .rates import Rates


class Walker(Protocol):
    """What these need of the walk."""

    sizes: Sizes
    rates: Rates
    alone: bool

    def region(self, region: Region, state: State) -> Flow: ...


Body = Callable[[Walker, Operation, list[Flow], State], Flow]


def _map(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    body, *rest = operation.regions
    over = operands[0] if operands else Flow(ZERO, ZERO)
    outer = free_values(operation)
    ready = latest((state.start, *(state.values[value].finish for value in outer if value in state.values)))
    count = over.items if over.stream else _count(walker, operation)
    inner = State({value: Flow(ZERO, ZERO) for value in outer}, weight=state.weight * count)
    arriving = gathers(operation)
    one_by_one = over.stream and not arriving
    inner.at_once = state.at_once * (1.0 if one_by_one else max(1.0, min(count, _width(operation))))
    for region in (*rest, body):
        inner.values |= {value.id: Flow(inner.machine, inner.machine) for value in region.arguments}
    one = ZERO
    for region in rest:
        if region.operations:
            one = walker.region(region, inner).finish
    inner.values |= {value.id: Flow(one, one) for value in body.arguments}
    result = walker.region(body, inner)
    length = latest((result.finish, *(flow.finish for flow in inner.emitted)))
    state.heavy += scaled(merged(inner.heavy), count)
    state.light += scaled(merged(inner.light), count)
    if arriving:
        # No turn is before its item, and none after the waves that could begin when all items are there.
        start = latest((ready, over.first, state.machine) if inner.heavy else (ready, over.first))
        last = length.after(latest((ready, over.finish)))
        end = latest((last, _waves(walker, operation, count, length, inner).after(start)))
        flow = Flow(end, end)
        pause = length.scaled(1.0 / max(1.0, min(count, _width(operation))))
    elif over.stream:
        start = latest((ready, over.first))
        finish = latest(
            (length.after(latest((ready, over.finish))), length.scaled(count).after(start))
            + ((total(scaled(inner.heavy, count)).after(state.machine),) if inner.heavy and walker.alone else ())
        )
        inner_gap = result.gap if result.stream else ZERO
        gap = latest((over.gap, inner_gap if result.stream else length))
        items = count * (result.items if result.stream else 1.0)
        flow = Flow(result.first.after(start), finish, gap, items, True)
        pause = latest((over.gap, length))
    else:
        start = latest((ready, over.finish, state.machine) if inner.heavy else (ready, over.finish))
        end = _waves(walker, operation, count, length, inner).after(start)
        flow = Flow(end, end)
        pause = length.scaled(1.0 / max(1.0, min(count, _width(operation))))
    _emit_turns(state, inner, start, flow.finish, pause, count)
    if inner.heavy:
        state.machine = latest((state.machine, flow.finish))
    return flow


def _emit_turns(state: State, inner: State, start: Moment, end: Moment, pause: Moment, turns: float) -> None:
    """What the turns of a loop emit, one after the other with such pauses."""
    if inner.emitted:
        turn = sent_out(inner.emitted)
        gap = latest((turn.gap, pause))
        state.emitted.append(Flow(turn.first.after(start), end, gap, turn.items * turns, True))


def _waves(walker: Walker, operation: Operation, count: float, length: Moment, inner: State) -> Moment:
    """How long a loop over a list takes: the longest of waves of bodies at once, the heavy work one after the other
    with one body's light work, and the light work spread over all cores."""
    if count <= 0.0:
        return ZERO
    turns = float(ceil(count / _width(operation))) if count >= 1.0 else count
    heavy = {part.stage for part in inner.heavy}
    beside = tuple(part for part in length.path if part.stage not in heavy)
    serial = total((*scaled(inner.heavy, count), *scaled(beside, min(1.0, count))))
    spread = total(scaled(inner.light, count / walker.rates.cores))
    return latest((length.scaled(turns), serial, spread) if walker.alone else (length.scaled(turns),))


def _width(operation: Operation) -> float:
    """How many bodies of a loop may run at once."""
    at_most = operation.attributes.get("at_most")
    return float(at_most) if isinstance(at_most, int | float) and at_most >= 1 else 16.0


def _count(walker: Walker, operation: Operation) -> float:
    """How many items a loop over a list has: from the executions of its bodies, else from its list's size."""
    counted = _often(walker, operation, operation.regions[0])
    if counted is not None:
        return counted
    name = operation.operands[0].name if operation.operands else None
    return walker.sizes.get(f"{name}.items", 1.0)


def _often(walker: Walker, operation: Operation, region: Region) -> float | None:
    """How often one execution of an operation runs that body, or None where that is not annotated."""
    here = operation.times.value(walker.sizes) if operation.times is not None else 1.0
    for inner in region.operations:
        if inner.times is not None and here:
            return inner.times.value(walker.sizes) / here
    return None


def _repeat(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    """One turn after the other."""
    (body,) = operation.regions
    outer = free_values(operation)
    known = (state.values[value].finish for value in outer if value in state.values)
    ready = latest((state.start, *(flow.finish for flow in operands), *known))
    turns = _often(walker, operation, body)
    turns = _width(operation) if turns is None else turns
    inner = State({value: Flow(ZERO, ZERO) for value in outer}, weight=state.weight * turns, at_once=state.at_once)
    inner.values |= {value.id: Flow(ZERO, ZERO) for value in body.arguments}
    length = latest((walker.region(body, inner).finish, *(flow.finish for flow in inner.emitted)))
    state.heavy += scaled(merged(inner.heavy), turns)
    state.light += scaled(merged(inner.light), turns)
    start = latest((ready, state.machine) if inner.heavy else (ready,))
    end = length.scaled(turns).after(start)
    _emit_turns(state, inner, start, end, length, turns)
    if inner.heavy:
        state.machine = latest((state.machine, end))
    return Flow(end, end)


def _if(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    """The slower branch counts in full, for time and for cost: the goal's tail meets it."""
    ready = latest(flow.finish for flow in operands)
    tried: list[tuple[Flow, State]] = []
    for region in operation.regions:
        inner = state.copy()
        inner.start = latest((state.start, ready))
        tried.append((walker.region(region, inner), inner))
    if not tried:
        return Flow(ready, ready)
    flow, chosen = max(tried, key=lambda pair: pair[0].finish.at)
    others = [other for other, _ in tried if other is not flow]
    chosen.values = state.values
    state.take(chosen)
    return not_before(slower(flow, others), ready)


def _apart(walker: Walker, region: Region, state: State, ready: Moment) -> tuple[Flow, State]:
    """A body on its own from `ready` on: its flow, and what it alone does."""
    inner = state.copy()
    inner.start = latest((state.start, ready))
    inner.values |= {value.id: Flow(inner.start, inner.start) for value in region.arguments}
    inner.heavy, inner.light, inner.emitted = [], [], []
    return not_before(walker.region(region, inner), inner.start), inner


def _match(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    ready = latest(flow.finish for flow in operands)
    alike = 1.0 / len(operation.regions)
    arms: list[tuple[float, Flow, State]] = []
    for region in operation.regions:
        often = _often(walker, operation, region)
        flow, inner = _apart(walker, region, state, ready)
        arms.append((alike if often is None else often, flow, inner))
    for share, _, inner in arms:
        state.heavy += scaled(inner.heavy, share)
        state.light += scaled(inner.light, share)
    state.machine = mean((share, inner.machine) for share, _, inner in arms)
    emitted = [(share, sent_out(inner.emitted)) for share, _, inner in arms if inner.emitted]
    if emitted:
        # Of the cases that emit something.
        whole = sum(share for share, _ in emitted)
        state.emitted.append(_expected([(share / whole if whole else 1.0, flow) for share, flow in emitted]))
    return _expected([(share, flow) for share, flow, _ in arms])


def _expected(flows: list[tuple[float, Flow]]) -> Flow:
    return Flow(
        mean((share, flow.first) for share, flow in flows),
        mean((share, flow.finish) for share, flow in flows),
        mean((share, flow.gap) for share, flow in flows),
        sum(share * flow.items for share, flow in flows),
        any(flow.stream for _, flow in flows),
    )


def _race(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    del operands
    branches = [_apart(walker, region, state, ZERO) for region in operation.regions]
    flow, winner = min(branches, key=lambda pair: pair[0].first.at)
    for other, inner in branches:
        # A loser works until the first item is there.
        lost = inner is not winner and other.finish.at > 0.0
        share = min(1.0, flow.first.at / other.finish.at) if lost else 1.0
        state.heavy += scaled(inner.heavy, share)
        state.light += scaled(inner.light, share)
    state.emitted += winner.emitted
    state.machine = winner.machine
    return flow


def _try(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    del operands
    value, fallback = operation.regions
    flow = walker.region(value, state)
    failed = _often(walker, operation, fallback)
    _, inner = _apart(walker, fallback, state, flow.finish)
    state.heavy += scaled(inner.heavy, failed or 0.0)
    state.light += scaled(inner.light, failed or 0.0)
    return flow


def _generator(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    """What is emitted in it, and what it yields behind that: a stream from its first item on."""
    del operands
    outside, state.emitted = state.emitted, []
    (body,) = operation.regions
    last = walker.region(body, state)
    inside, state.emitted = state.emitted, outside
    return sent_out(inside, last) if inside else last


def _around(walker: Walker, operation: Operation, operands: list[Flow], state: State) -> Flow:
    start = state.start
    state.start = latest((start, *(flow.finish for flow in operands)))
    flow = not_before(walker.region(operation.regions[0], state), state.start)
    state.start = start
    return flow


BODIES: Mapping[str, Body] = {
    "agent.map": _map,
    "agent.if": _if,
    "agent.match": _match,
    "agent.repeat": _repeat,
    "agent.race": _race,
    "agent.try": _try,
    "agent.generator": _generator,
    "agent.guard": _around,
    "agent.interruptible": _around,
}
