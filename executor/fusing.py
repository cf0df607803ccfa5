"""Fused stages in the shell: what is in one runs here in a row, without an event or an order for each.

One is left as it is only where none of its stages ever waits on the backend at hand; elsewhere (a simulation, recorded
answers) its stages stand in the graph again and run one by one, so that each takes its own time and gives its own
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..ir.fused import stages, unfused
from ..ir.graph import Graph, Operation
from .backends import Backend, Bound, Call
from .failures import Failed, stage_failed
from .kinds import Usage
from .machine.faults import Fault
from .machine.fused import Codes, Part
from .values import Shapes

Step = tuple[Any, tuple[Any, ...], str | None, int]
"""What is run, and where its operands lie. With the name None it is plain, and is given them as a list; a stage is
given them by name: the one that is named, or ("") several."""


class FailedInside(Exception):
    """An operation in a fused one failed."""

    def __init__(self, operation: Operation, failed: Failed) -> None:
        super().__init__(operation.id)
        self.operation = operation
        self.failed = failed


def fused_for(graph: Graph, backend: Backend) -> Graph:
    """The graph, with only those stages fused that never wait on the backend."""
    return unfused(graph, lambda each: not all(backend.immediate(str(s.attributes["entry"])) for s in stages(each)))


class Fusing:
    """The fused stages of one shell. `aside` runs a call of one of their stages as it is run alone: where the backend
    wants to know of each, and where somebody watches."""

    def __init__(self, backend: Backend, shapes: Shapes, aside: Callable[[Call, int], object]) -> None:
        self._backend = backend
        self._codes = Codes(shapes)
        self._aside = aside
        self._bound: dict[int, _Bound] = {}

    def run(self, call: Call, run: int, watched: bool) -> object:
        """The value of the call of a fused operation. Raises `FailedInside`."""
        known = self._bound.get(id(call.operation))
        if known is None:
            known = self._bound[id(call.operation)] = self._make(call)
        values = [*call.arguments.values(), *known.start]
        if watched or known.steps is None:
            self._one_by_one(call, run, values, known.parts)
            return values[known.result]
        try:
            self._in_a_row(values, known.parts, known.steps)
        finally:
            if known.usage.counts:
                for unit, amount in known.usage.counts.items():
                    call.usage.add(unit, amount)
                known.usage.counts.clear()
        return values[known.result]

    def _make(self, call: Call) -> _Bound:
        code = self._codes.get(call.operation)
        # What is repeatable does not depend on when, or for whom, it runs.
        usage = Usage()
        open_ = replace(call, arguments={}, usage=usage, deadline=None, session=None, began=None)
        steps: list[Step] = []
        for part in code.parts:
            if part.compute is not None:
                steps.append((part.compute, part.slots, None, 0))
                continue
            bound = self._bind(part, open_)
            if bound is None:
                return _Bound(code.start, code.parts, code.result, None, usage)
            name, slot = part.arguments[0] if len(part.arguments) == 1 else ("", 0)
            steps.append((bound, part.arguments, name, slot))
        return _Bound(code.start, code.parts, code.result, tuple(steps), usage)

    def _bind(self, part: Part, call: Call) -> Bound | None:
        try:
            return self._backend.bound(replace(call, operation=part.operation, entry=part.entry))
        except Exception:
            return None  # the call itself will say what is wrong with it

    def _in_a_row(self, values: list[object], parts: Sequence[Part], steps: tuple[Step, ...]) -> None:
        before = len(values)
        running = _all(values, steps)
        try:
            running.send(None)
        except StopIteration:
            return
        except Exception as error:
            part = parts[len(values) - before]
            raise FailedInside(part.operation, _failed(error, part.operation)) from error
        running.close()
        raise AssertionError("a fused stage waits, though nothing in it can")

    def _one_by_one(self, call: Call, run: int, values: list[object], parts: Sequence[Part]) -> None:
        for part in parts:
            try:
                if part.compute is not None:
                    values.append(part.compute([values[slot] for slot in part.slots]))
                else:
                    arguments = {name: values[slot] for name, slot in part.arguments}
                    inner = replace(call, operation=part.operation, entry=part.entry, arguments=arguments)
                    values.append(self._aside(inner, run))
            except Exception as error:
                raise FailedInside(part.operation, _failed(error, part.operation)) from error


class _Bound:
    """A fused operation with its stages bound to the backend. `usage` is shared by all of its runs, none of which is
    ever beside another."""

    __slots__ = ("parts", "result", "start", "steps", "usage")

    def __init__(
        self,
        start: tuple[object, ...],
        parts: tuple[Part, ...],
        result: int,
        steps: tuple[Step, ...] | None,
        usage: Usage,
    ) -> None:
        self.start = start
        self.parts = parts
        self.result = result
        self.steps = steps
        self.usage = usage


async def _all(values: list[object], steps: tuple[Step, ...]) -> None:
    """One coroutine for all, in which none is ever left: awaiting what does not wait costs a tenth of sending to it."""
    append = values.append
    for run, operands, name, slot in steps:
        if name is None:
            append(run([values[at] for at in operands]))
        elif name:
            append(await run({name: values[slot]}))
        else:
            append(await run({each: values[at] for each, at in operands}))


def _failed(error: BaseException, operation: Operation) -> Failed:
    if isinstance(error, Fault):
        return error.reason, error.problem
    return stage_failed(error, operation.id, operation.span)
