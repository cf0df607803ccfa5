"""When each stage of a pipeline is due, in seconds from the beginning of a run: found once, from the promises and the
graph. What a run adds to that is in `dues`.

A stage on the path of a moment is due at the limit less what the stages behind it on the path need. One beside the path
is due when the first stage begins that stands on it. Three things take more than that:

- All turns of a loop share what its stages need, for how many there will be is not known: all in it is due when the
  whole loop is.
- The branches of an `if`, `match` or `race` come instead of each other: what stands in one does not wait for another.
- The left side of an `otherwise` that catches a timeout leaves the time that the right side is predicted to take, and
  a little to be stopped in, but not less for itself than is predicted for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ...ir.graph import GraphPipeline, Operation, Region
from ...ir.live import TERMINATORS
from ..promises import Promise, Promises

_LOOPS = ("agent.map", "agent.repeat")
_LEAVES_RUN = ("agent.emit", "agent.return")
_TO_STOP = 0.05
"""Of the limit, kept for stopping a left side that was too slow, and for what the right one takes beside its stages."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Seconds from the beginning of a run. `first` is what the promise of the first that leaves asks of a stage: of its
    first item where it gives a stream, else of its end. None where nothing is asked."""

    first: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Schedule:
    promises: Promises
    offsets: Mapping[str, Offset]  # by stage


def schedule(pipeline: GraphPipeline, promises: Promises) -> Schedule:
    """Of stages that are not in the graph nothing is said: what they need is kept for nobody."""
    first, finish = (
        None if each is None or (promises.enforce and each.soft) else each for each in (promises.first, promises.finish)
    )
    firsts = {} if first is None else _Dues(pipeline.body, first, promises.times, whole=False).found()
    ends = {} if finish is None else _Dues(pipeline.body, finish, promises.times, whole=True).found()
    return Schedule(promises, {stage: Offset(firsts.get(stage), ends.get(stage)) for stage in {**firsts, **ends}})


class _Dues:
    """Of one moment. `whole`: all of the run belongs to it, so that what nobody stands on is due at the limit."""

    def __init__(self, body: Region, promise: Promise, times: Mapping[str, float], whole: bool) -> None:
        self._body, self._promise, self._times = body, promise, times
        self._default = promise.limit if whole else None
        self._on: dict[int, float] = {}  # by id() of an operation on the path, or around one: when it is due
        self._needs: dict[int, float] = {}  # and what it and those in it need
        self._loop: dict[int, Operation | None] = {}  # the outermost loop around an operation
        self._due: dict[int, float | None] = {}
        self._begin: dict[int, float | None] = {}  # when it has to begin
        self._users: dict[int, list[Operation]] = {}  # of a value
        self._operations: list[Operation] = []

    def found(self) -> dict[str, float]:
        self._path(self._body, 0.0, None)
        self._beside(self._body, None)
        for operation in self._operations:
            if operation.name == "agent.try":
                self._leave_time(operation)
        return {each.id: due for each in self._operations if (due := self._due[id(each)]) is not None}

    # --- on the path ---

    def _path(self, region: Region, after: float, loop: Operation | None) -> tuple[float, bool]:
        """What the operations of a region need, `after` being needed behind it, and whether any is on the path. In a
        `loop` nobody waits for the others."""
        total, on = 0.0, False
        for operation in reversed(region.operations):
            behind = after if loop is not None else after + total
            self._loop[id(operation)] = loop
            need, here = self._promise.need(operation.id), operation.id in self._promise.slices
            inside = loop or (operation if operation.name in _LOOPS else None)
            for inner in operation.regions:
                more, touched = self._path(inner, behind, inside)
                need, here = need + more, here or touched
            if here:
                self._on[id(operation)] = self._promise.limit - behind
                self._needs[id(operation)] = need
                on = True
            total += need
        return total, on

    # --- beside it ---

    def _beside(self, region: Region, parent: Operation | None) -> None:
        """Backwards, so that who stands on something is known before it."""
        for operation in region.operations:
            self._note(operation)
        for operation in reversed(region.operations):
            if operation.name in TERMINATORS or operation.name in _LEAVES_RUN:
                leaves = parent is None or operation.name in _LEAVES_RUN
                due = self._default if leaves else self._due[id(parent)]
            else:
                due = self._on.get(id(operation), self._earliest(operation))
            self._due[id(operation)] = due
            for inner in operation.regions:
                self._beside(inner, operation)
            begin = None if due is None else due - self._needs.get(id(operation), 0.0)
            self._begin[id(operation)] = begin

    def _note(self, operation: Operation) -> None:
        self._operations.append(operation)
        for operand in operation.operands:
            self._users.setdefault(operand.id, []).append(operation)

    def _earliest(self, operation: Operation) -> float | None:
        """When the first begins that stands on it; of those in its own loop, when that is due."""
        loop = self._loop[id(operation)]
        found = self._default
        for result in operation.results:
            for user in self._users.get(result.id, ()):
                around = self._loop[id(user)]
                if around is None or around is not loop:
                    # What stands in a loop that this does not stand in has to wait for the whole of it.
                    begin = self._begin.get(id(around or user))
                else:
                    begin = self._due.get(id(around))
                if begin is not None and (found is None or begin < found):
                    found = begin
        return found

    # --- what catches a timeout ---

    def _leave_time(self, operation: Operation) -> None:
        reasons = cast("tuple[str, ...]", operation.attributes.get("reasons") or ())
        due = self._due[id(operation)]
        if due is None or (reasons and "timeout" not in reasons):
            return
        left, right = operation.regions
        own = self._longest(left)
        need = self._needs.get(id(operation), 0.0)
        # Where all goes as predicted, it begins when what stands before it on the path has taken what it needs.
        begins = 0.0
        if need:
            whole = sum(self._promise.need(stage) for stage in self._promise.slices)
            begins = max(0.0, whole - need - (self._promise.limit - due))
        reserve, latest = due - self._longest(right) - _TO_STOP * self._promise.limit, begins + max(own, need)
        if reserve <= begins:
            return  # there is no time for the right side, whatever the left one does
        # A left side that does not fit anyway gets no more than what the right one leaves.
        latest = reserve if latest > due else max(reserve, latest)
        for inner in _inside(left):
            known = self._due[id(inner)]
            if known is not None:
                self._due[id(inner)] = min(known, latest)
        for inner in _inside(right):
            self._due[id(inner)] = due

    def _longest(self, region: Region) -> float:
        """The predicted seconds of a region: of what does not depend on each other, the longest."""
        at: dict[int, float] = {}
        longest = 0.0
        for operation in region.operations:
            begins = max((at.get(operand.id, 0.0) for operand in operation.operands), default=0.0)
            inner = max(map(self._longest, operation.regions), default=0.0)
            ends = begins + self._times.get(operation.id, 0.0) + inner
            for result in operation.results:
                at[result.id] = ends
            longest = max(longest, ends)
        return longest


def _inside(region: Region) -> list[Operation]:
    found: list[Operation] = []
    for operation in region.operations:
        found.append(operation)
        for inner in operation.regions:
            found += _inside(inner)
    return found
