"""What a graph means, without time: every stream is a list that is there at once. The oracle of the machine's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from world import END, STAGES, Broken, Work

from agentlang.executor.machine.semantics import CONVERSIONS, PLAIN, evaluate, joined, leaf
from agentlang.ir.graph import Graph, Operation, Region
from agentlang.lang.types import StreamType

Environment = Mapping[int, Any]
_STEPS = 1500


class TooMuch(Exception):
    """Loops in loops: more work than a test is for."""


class _Sent(list[object]):
    """What was sent out, and how much was done so far."""

    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps > _STEPS:
            raise TooMuch


def meaning(graph: Graph, inputs: Mapping[str, object]) -> object:
    """The value of the first pipeline, or the list of what it sends out. Raises `TooMuch`, and `Broken` where the run
    fails."""
    pipeline = graph.pipelines[0]
    values: dict[int, Any] = {}
    for argument, given in zip(pipeline.body.arguments, pipeline.inputs, strict=True):
        values[argument.id] = inputs.get(given.name, given.default)
    sent = _Sent()
    result = _region(pipeline.body, values, sent)
    return [*sent, *result] if isinstance(pipeline.result, StreamType) else result


def _region(region: Region, outer: Environment, sent: _Sent) -> Any:
    values = dict(outer)
    for operation in region.operations:
        sent.step()
        operands = [values[operand.id] for operand in operation.operands]
        match operation.name:
            case "agent.return" | "agent.yield":
                return operands[0] if operands else None
            case "agent.emit":
                streams = isinstance(operation.operands[0].type, StreamType)
                sent.extend(operands[0] if streams else [operands[0]])
                continue
            case "agent.generator":
                inner = _Sent()
                inner.steps = sent.steps
                last = _region(operation.regions[0], values, inner)
                sent.steps = inner.steps
                result = [*inner, *(last or ())]
            case "agent.if":
                result = _region(operation.regions[0 if operands[0] else 1], values, sent)
            case "agent.map":
                result = _map(operation, operands[0], values, sent)
            case "agent.collect":
                result = joined(operation, operands[0])
            case name if name in PLAIN or name in CONVERSIONS:
                result = evaluate(operation, operands)
            case "agent.match":
                result = _match(operation, operands[0], values, sent)
            case "agent.repeat":
                result = _repeat(operation, operands[0], values, sent)
            case "agent.try" | "agent.race":
                result = _first_that_does_not_fail(operation, values, sent)
            case "agent.guard" | "agent.interruptible":
                result = _region(operation.regions[0], values, sent)
            case "agent.buffered":
                result = operands[0]
            case _:
                entry, names = leaf(operation)
                items, value = run(STAGES[entry], dict(zip(names, operands, strict=True)))
                for _ in items:
                    sent.step()
                result = items if isinstance(operation.results[0].type, StreamType) else value
        for made in operation.results:
            values[made.id] = result
    raise AssertionError("a region has no terminator")


def _map(operation: Operation, over: list[object], values: Environment, sent: _Sent) -> Any:
    body = operation.regions[0]
    given = body.operations[-1].operands
    flat = bool(given) and isinstance(given[0].type, StreamType)
    results: list[Any] = []
    for item in over:
        if len(operation.regions) > 1:
            where = operation.regions[1]
            if not _region(where, {**values, where.arguments[0].id: item}, sent):
                continue
        result = _region(body, {**values, body.arguments[0].id: item}, sent)
        results.extend(result if flat else [result])
    streams = bool(operation.results) and isinstance(operation.results[0].type, StreamType)
    return results if streams else tuple(results)


def _match(operation: Operation, subject: object, values: Environment, sent: _Sent) -> Any:
    """Over an option."""
    cases = operation.attributes["cases"]
    assert isinstance(cases, tuple)
    region = operation.regions[cases.index("none" if subject is None else "some")]
    payload = {argument.id: subject for argument in region.arguments}
    return _region(region, {**values, **payload}, sent)


def _repeat(operation: Operation, state: object, values: Environment, sent: _Sent) -> Any:
    at_most = operation.attributes["at_most"]
    assert isinstance(at_most, int)
    body = operation.regions[0]
    for _ in range(at_most):
        stop, state = _region(body, {**values, body.arguments[0].id: state}, sent)
        if stop:
            break
    return state


def _first_that_does_not_fail(operation: Operation, values: Environment, sent: _Sent) -> Any:
    """A race is won by anybody: its branches give the same."""
    *firsts, last = operation.regions
    for region in firsts:
        there = len(sent)
        try:
            return _region(region, values, sent)
        except Broken:
            del sent[there:]
    return _region(last, values, sent)


def run(stage: Callable[..., Work], arguments: Mapping[str, object]) -> tuple[list[object], object]:
    """A stage alone: the items that it makes, and its value."""
    iterators: dict[str, Iterator[object]] = {n: iter(v) for n, v in arguments.items() if isinstance(v, list)}
    work = stage(**{name: iterators.get(name, value) for name, value in arguments.items()})
    items: list[object] = []
    answer: object = None
    try:
        request = next(work)
        while True:
            what, subject = request
            answer = None
            if what == "make":
                items.append(subject)
            elif what == "read":
                answer = next(subject, END)  # type: ignore[call-overload]
            request = work.send(answer)
    except StopIteration as end:
        return items, end.value
