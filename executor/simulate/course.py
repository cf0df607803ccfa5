"""Runs as the problem's own expressions tell them: for choices of which nothing but the problem is known.

The nodes say when a stage is released: when all that stands before it in a sum is over. It then waits for a slot of its
pool, and what it took and waited is what its leaves stand for. A stage that a run executes 2.4 times on the average
visits its pool twice or three times, one after the other; a leaf that stands for a part of its executions has that part
of its time and of its waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import exp
from random import Random

from ...planner.space.nodes import Constant, Index, Latest, Move, Node, Scaled, Sum, Take, critical, reached, values
from ...planner.space.problem import Problem
from .arrivals import Arrival
from .clock import VirtualClock
from .lines import Slots
from .records import LINE, SERVICE, TRANSFER, Parts, PoolRecord, RunRecord, add
from .result import GAPS
from .system import System


@dataclass(frozen=True, slots=True)
class Released:
    """When a stage may begin: after the sum of these nodes, which take a part of it. `needs` are the stages in them."""

    before: tuple[Index, ...]
    nodes: tuple[Index, ...]
    needs: tuple[str, ...]


def releases(problem: Problem) -> dict[str, Released]:
    """For each stage what stands before its first place in the moments, those of the whole run first."""
    found: dict[str, Released] = {}
    seen: set[Index] = set()
    tops = sorted(problem.moments, key=lambda moment: moment[0] != "finish")
    for _, top in tops:
        stack: list[tuple[Index, tuple[Index, ...]]] = [(top, ())]
        while stack:
            index, before = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            match problem.nodes[index]:
                case Sum(parts):
                    stack += [(part, (*before, *parts[:place])) for place, part in reversed(list(enumerate(parts)))]
                case Latest(parts):
                    stack += [(part, before) for part in reversed(parts)]
                case Scaled(part, _):
                    stack.append((part, before))
                case Take(stage):
                    if stage not in found:
                        found[stage] = _released(problem.nodes, stage, before)
                case _:
                    pass
    for stage in problem.stages:
        found.setdefault(stage.name, Released((), (), ()))
    return found


def _released(nodes: tuple[Node, ...], stage: str, before: tuple[Index, ...]) -> Released:
    needed = sorted({index for top in before for index in reached(nodes, top)})
    stages = dict.fromkeys(node.stage for index in needed if isinstance(node := nodes[index], Take))
    return Released(before, tuple(needed), tuple(name for name in stages if name != stage))


@dataclass(slots=True)
class _Visit:
    """One stage in one run: so far."""

    left: int
    visits: int
    service: float = 0.0
    first: float = 0.0
    line: float = 0.0
    done: bool = False
    missing: int = 0


@dataclass(slots=True)
class _Course:
    record: RunRecord
    visits: dict[str, _Visit] = field(default_factory=dict[str, _Visit])
    open: int = 0


class Courses:
    """Runs of a problem through its pools. `over` hears when one is through."""

    def __init__(
        self,
        system: System,
        clock: VirtualClock,
        errors: Mapping[str, float],
        seed: int,
        over: Callable[[RunRecord], None],
    ) -> None:
        self._system = system
        self._clock = clock
        self._errors = errors
        self._over = over
        self._draw = Random(f"times {seed}")
        self._releases = releases(system.problem)
        self._behind: dict[str, list[str]] = {name: [] for name in self._releases}
        for name, released in self._releases.items():
            for other in released.needs:
                self._behind[other].append(name)
        self.pools = {name: Slots(clock, pool.slots, system.replicas[name]) for name, pool in system.pools.items()}

    def pool_records(self) -> dict[str, PoolRecord]:
        return {name: PoolRecord(p.busy_seconds, p.served, p.longest) for name, p in self.pools.items()}

    def arrive(self, number: int, arrival: Arrival) -> None:
        """A run begins now. Its own sizes say nothing here: a problem's times are those of its sizes."""
        del arrival
        course = _Course(RunRecord(number, self._clock.now))
        for name, released in self._releases.items():
            often = self._system.executions[name]
            visits = int(often)
            visits += self._draw.random() < often - visits
            course.visits[name] = _Visit(visits, visits, missing=len(released.needs))
        course.open = len(course.visits)
        # One that is not executed is known at once, and may release others.
        for name in [name for name, visit in course.visits.items() if not visit.missing]:
            self._release(course, name)
        if not course.visits:
            self._through(course)

    def _release(self, course: _Course, name: str) -> None:
        """All that stands before it is known."""
        released = self._releases[name]
        seconds = self._values(course, released.nodes)
        at = course.record.at + sum(seconds[index] for index in released.before)
        if course.visits[name].left:
            self._clock.at(at, partial(self._visit, course, name))
        else:
            self._known(course, name)

    def _visit(self, course: _Course, name: str) -> None:
        option = self._system.taken[name]
        factor = self._errors[name] * exp(self._draw.gauss(0.0, 1.0) * option.noise)
        came = self._clock.now

        def begins() -> None:
            visit = course.visits[name]
            now = self._clock.now
            visit.left -= 1
            visit.service += option.seconds * factor
            visit.first += option.first * factor
            visit.line += now - came
            if visit.left:
                self._clock.at(now + option.seconds * factor, partial(self._visit, course, name))
            else:
                self._known(course, name)

        self.pools[option.pool].enter(option.busy * factor, begins)

    def _known(self, course: _Course, name: str) -> None:
        course.visits[name].done = True
        course.open -= 1
        last = not course.open
        for other in self._behind[name]:
            visit = course.visits[other]
            visit.missing -= 1
            if not visit.missing:
                self._release(course, other)
        if last:
            self._through(course)

    def _through(self, course: _Course) -> None:
        """All its waiting is known, so all its moments are."""
        problem, record = self._system.problem, course.record
        seconds = values(problem.nodes, partial(self._take, course), self._move)
        for kind, top in problem.moments:
            if kind in GAPS:
                record.gaps[kind] = [seconds[top]]
            else:
                record.moments[kind] = seconds[top]
                record.parts[kind] = self._parts(course, seconds, top)
        record.status = "done"
        record.over = record.at + record.moments.get("finish", 0.0)
        record.dollars = self._dollars(course)
        self._clock.at(record.over, lambda: self._over(record))

    def _dollars(self, course: _Course) -> float:
        taken = self._system.taken
        moved = sum(edge.bytes * edge.moves * link.dollars for edge, link in self._system.crossing.values())
        return moved + sum(visit.visits * taken[name].dollars for name, visit in course.visits.items())

    def _values(self, course: _Course, nodes: tuple[Index, ...]) -> dict[Index, float]:
        out: dict[Index, float] = {}
        every = self._system.problem.nodes
        for index in nodes:
            match every[index]:
                case Constant(seconds):
                    out[index] = seconds
                case Take() as leaf:
                    out[index] = self._take(course, leaf)
                case Move() as leaf:
                    out[index] = self._move(leaf)
                case Sum(parts):
                    out[index] = sum(out[part] for part in parts)
                case Latest(parts):
                    out[index] = max((out[part] for part in parts), default=0.0)
                case Scaled(part, factor):
                    out[index] = out[part] * factor
        return out

    def _take(self, course: _Course, leaf: Take) -> float:
        visit = course.visits[leaf.stage]
        often = self._system.executions[leaf.stage]
        if not often:
            return 0.0
        return ((visit.first if leaf.first else visit.service) + visit.line) * leaf.times / often

    def _move(self, leaf: Move) -> float:
        return self._system.moving.get(leaf.edge, 0.0) * leaf.times

    def _parts(self, course: _Course, seconds: list[float], top: Index) -> Parts:
        out: Parts = {}
        for leaf, factor in critical(self._system.problem.nodes, seconds, top):
            match leaf:
                case Take(stage):
                    visit = course.visits[stage]
                    often = self._system.executions[stage]
                    share = factor * leaf.times / often if often else 0.0
                    add(out, stage, SERVICE, (visit.first if leaf.first else visit.service) * share)
                    add(out, stage, LINE, visit.line * share)
                case Move(edge):
                    add(out, self._system.problem.edges[edge].target, TRANSFER, self._move(leaf) * factor)
                case _:
                    pass
        return out
